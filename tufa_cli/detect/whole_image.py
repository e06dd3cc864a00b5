"""No search: every photo is taken for one face that fills it, as in a folder of face crops."""

from __future__ import annotations

import numpy as np

from tufa_cli.detect.base import BoxPlane, Detections, RgbImage


class WholeImageDetector:
    """One box per photo: the middle square of the shorter side, taken for the plane's unit square.

    That is a crop with a tenth of the face's size to spare on each side.
    """

    name = "whole-image"
    box_plane = BoxPlane(0.0, 0.0, 1.0, 1.0)
    min_score = 0.0
    min_confidence = 0.0

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """The middle square, in pixel-centre coordinates, with score 1."""
        height, width = image.shape[:2]
        side = min(height, width)
        box = [(width - side) / 2 - 0.5, (height - side) / 2 - 0.5, side, side]
        return Detections(np.array([box], dtype=np.float64), np.ones(1))
