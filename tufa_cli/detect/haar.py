"""OpenCV's own frontal face cascade, where the installed OpenCV still has it (4.x; 5 does not)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tufa_cli.detect.base import BoxPlane, Detections, RgbImage, no_detections
from tufa_cli.detect.search import (
    boxes_to_photo,
    merge_windows,
    score_of_count,
    shrink_to_area,
    suppress,
)
from tufa_cli.errors import TufaError

_SEARCH_AREA = 640 * 480
_SMALLEST = 24
_MIN_WINDOWS = 3
_HALF_SURE = 5.0
_FILE = "haarcascade_frontalface_default.xml"


def haar_available() -> bool:
    """Whether the installed OpenCV has the cascade classifier and its file."""
    data = getattr(cv2, "data", None)
    return hasattr(cv2, "CascadeClassifier") and data is not None and _cascade_path().is_file()


def _cascade_path() -> Path:
    return Path(cv2.data.haarcascades) / _FILE


class HaarDetector:
    """OpenCV's Haar cascade for frontal faces."""

    name = "haar"
    # Median over 1,661 faces of 300-W's training part (examples/fit_detector.py, OpenCV 4.14);
    # 68 % of the crops made with it are off by less than 0.038 of the plane and 8.0 % in scale.
    box_plane = BoxPlane(0.000, -0.164, 0.991, 0.991)
    # As for lbp, where they were chosen.
    min_score = 0.3
    min_confidence = 0.45

    def __init__(self) -> None:
        if not haar_available():
            raise TufaError(
                f"the installed OpenCV {cv2.__version__} has no Haar cascades",
                "use --detector lbp, or install opencv-python<5",
            )
        self._cascade = cv2.CascadeClassifier(str(_cascade_path()))

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """Faces of 24 px or more at the search size."""
        small, ratio = shrink_to_area(image, _SEARCH_AREA)
        if min(small.shape[:2]) < _SMALLEST:
            return no_detections()
        # minNeighbors 0 gives the windows before merging: their number is the score.
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        windows = self._cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=0, minSize=(_SMALLEST, _SMALLEST)
        )
        boxes, counts = merge_windows(np.asarray(windows, dtype=np.float64).reshape(-1, 4))
        boxes, counts = boxes[counts >= _MIN_WINDOWS], counts[counts >= _MIN_WINDOWS]
        keep = suppress(boxes, counts, overlap=0.3)
        scores = score_of_count(counts[keep], _HALF_SURE)
        return Detections(boxes_to_photo(boxes[keep], ratio), scores)
