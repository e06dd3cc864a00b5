"""OpenCV's own frontal face cascade, where the installed OpenCV still has it (4.x; 5 does not)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.detect.base import BoxPlane, Detections, RgbImage
from tufa_cli.detect.cascade import MIN_CONFIDENCE, MIN_SCORE, SMALLEST, detect_by_windows
from tufa_cli.errors import TufaError

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
    min_score = MIN_SCORE
    min_confidence = MIN_CONFIDENCE

    def __init__(self) -> None:
        if not haar_available():
            raise TufaError(
                f"the installed OpenCV {cv2.__version__} has no Haar cascades",
                "use --detector lbp, or install opencv-python<5",
            )
        self._cascade = cv2.CascadeClassifier(str(_cascade_path()))

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """Faces of 24 px or more at the search size."""
        return detect_by_windows(image, self._windows)

    def _windows(self, grey: NDArray[np.uint8]) -> NDArray[np.int32]:
        # minNeighbors 0 keeps the cascade from merging its windows.
        found: NDArray[np.int32] = self._cascade.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=0, minSize=(SMALLEST, SMALLEST)
        )
        return found
