"""The LBP cascade that scikit-image carries: works offline, needs no file, finds frontal faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tufa_cli.detect.base import BoxPlane, Detections, RgbImage
from tufa_cli.detect.cascade import MIN_CONFIDENCE, MIN_SCORE, SMALLEST, detect_by_windows


class LbpDetector:
    """scikit-image's frontal face cascade (local binary patterns, from OpenCV's data)."""

    name = "lbp"
    # Median over 1,377 faces of 300-W's training part (examples/fit_detector.py); 68 % of the
    # crops made with it are off by less than 0.036 of the plane and 7.4 % in scale.
    box_plane = BoxPlane(0.002, -0.160, 0.991, 0.991)
    min_score = MIN_SCORE
    min_confidence = MIN_CONFIDENCE

    def __init__(self) -> None:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        self._cascade = Cascade(lbp_frontal_face_cascade_filename())

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """Faces of 24 px or more at the search size."""
        return detect_by_windows(image, self._windows)

    def _windows(self, grey: NDArray[np.uint8]) -> list[tuple[float, ...]]:
        side = min(grey.shape)
        # An intersection threshold above 1 keeps the cascade from merging its windows.
        found = self._cascade.detect_multi_scale(
            np.ascontiguousarray(grey),
            scale_factor=1.15,
            step_ratio=1.0,
            min_size=(SMALLEST, SMALLEST),
            max_size=(side, side),
            min_neighbor_number=0,
            intersection_score_threshold=2.0,
        )
        return [(f["c"], f["r"], f["width"], f["height"]) for f in found]
