"""YuNet through OpenCV's ``FaceDetectorYN``; the ONNX file is the user's own (Apache-2.0)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tufa_cli.detect.base import BoxPlane, Detections, RgbImage, no_detections
from tufa_cli.detect.search import boxes_to_photo, points_to_photo, shrink_to_area
from tufa_cli.errors import InputError, TufaError

_SEARCH_AREA = 800 * 600
#: What OpenCV keeps before the caller's own --min-score.
_MIN_SCORE = 0.3
_OVERLAP = 0.3
_MOST_FACES = 5000
#: Narrower pictures are padded: where the coarsest map (stride 32) is one cell wide, OpenCV 4.14
#: gives scores of 1 from memory that nobody wrote.
_SMALLEST_SIDE = 64


class YunetDetector:
    """YuNet: boxes, scores and five points per face.

    weights: the ONNX file. Raises TufaError without one, InputError when it is not such a network.
    """

    name = "yunet"
    # Median over 1,811 faces of 300-W's training part (examples/fit_detector.py); 68 % of the
    # crops made with it are off by less than 0.077 of the plane (its boxes hold the whole head,
    # which moves sideways as a face turns) and 4.6 % in scale.
    box_plane = BoxPlane(0.084, -0.230, 0.823, 1.125)
    min_score = 0.5
    min_confidence = 0.0

    def __init__(self, weights: Path | None = None) -> None:
        if weights is None:
            raise TufaError(
                "the detector 'yunet' needs its network", "give it with --detector-weights FILE"
            )
        if not weights.is_file():
            raise InputError(weights, "no such file")
        previous = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            # OpenCV 5 warns on every network about a setting that nobody asked for.
            self._network = cv2.FaceDetectorYN.create(
                str(weights), "", (320, 320), _MIN_SCORE, _OVERLAP, _MOST_FACES
            )
            self._network.detect(np.zeros((320, 320, 3), np.uint8))
        except (cv2.error, AttributeError, SystemError):
            raise InputError(weights, "not a YuNet network that OpenCV can read") from None
        finally:
            cv2.utils.logging.setLogLevel(previous)

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """Faces with their five points, image-left eye first."""
        small, ratio = shrink_to_area(image, _SEARCH_AREA)
        missing = [max(0, _SMALLEST_SIDE - side) for side in small.shape[:2]]
        if any(missing):
            small = np.pad(small, [(0, missing[0]), (0, missing[1]), (0, 0)])
        self._network.setInputSize(small.shape[1::-1])
        _, rows = self._network.detect(np.ascontiguousarray(small[..., ::-1]))
        if rows is None or not len(rows):
            return no_detections()
        rows = np.asarray(rows, dtype=np.float64)
        rows = rows[(rows[:, 2:4] > 0).all(axis=1)]
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        points = points_to_photo(rows[:, 4:14].reshape(-1, 5, 2), ratio)
        scores = np.clip(rows[:, 14], 0.0, 1.0)
        return Detections(boxes_to_photo(rows[:, :4], ratio), scores, points)
