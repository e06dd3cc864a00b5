"""The LBP cascade that scikit-image carries: works offline, needs no file, finds frontal faces."""

from __future__ import annotations

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

#: Photos are searched at this many pixels; the time is about proportional to it.
_SEARCH_AREA = 640 * 480
_SMALLEST = 24
#: Fewer windows than this on one place are a false alarm more often than a face.
_MIN_WINDOWS = 3
#: Windows for a score of 1/2: with five or more, 138 photos of groups and single faces gave 70 %
#: of their faces and two false alarms; with four, 72 % and eleven.
_HALF_SURE = 5.0


class LbpDetector:
    """scikit-image's frontal face cascade (local binary patterns, from OpenCV's data)."""

    name = "lbp"
    # Median over 1,377 faces of 300-W's training part (examples/fit_detector.py); 68 % of the
    # crops made with it are off by less than 0.036 of the plane and 7.4 % in scale.
    box_plane = BoxPlane(0.002, -0.160, 0.991, 0.991)
    # All that three windows agree on, and then the network's word: on 149 photos of groups and of
    # single faces in all poses, not those it was chosen on, a score of 0.5 alone kept 143 of 166
    # true finds and 13 of 58 false ones; this keeps 165 and 2 (wflw98).
    min_score = 0.3
    min_confidence = 0.45

    def __init__(self) -> None:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        self._cascade = Cascade(lbp_frontal_face_cascade_filename())

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """Faces of 24 px or more at the search size."""
        small, ratio = shrink_to_area(image, _SEARCH_AREA)
        height, width = small.shape[:2]
        if min(height, width) < _SMALLEST:
            return no_detections()
        # An intersection threshold above 1 keeps the cascade from merging its windows: how many
        # lie on one place is the only score there is.
        found = self._cascade.detect_multi_scale(
            np.ascontiguousarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)),
            scale_factor=1.15,
            step_ratio=1.0,
            min_size=(_SMALLEST, _SMALLEST),
            max_size=(min(height, width), min(height, width)),
            min_neighbor_number=0,
            intersection_score_threshold=2.0,
        )
        windows = [(f["c"], f["r"], f["width"], f["height"]) for f in found]
        boxes, counts = merge_windows(np.asarray(windows, dtype=np.float64).reshape(-1, 4))
        boxes, counts = boxes[counts >= _MIN_WINDOWS], counts[counts >= _MIN_WINDOWS]
        keep = suppress(boxes, counts, overlap=0.3)
        return Detections(
            boxes_to_photo(boxes[keep], ratio), score_of_count(counts[keep], _HALF_SURE)
        )
