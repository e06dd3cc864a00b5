"""What ``lbp`` and ``haar`` share: a cascade's windows to faces with a score.

The figures were chosen with ``lbp`` and hold for ``haar`` as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.detect.base import Detections, RgbImage, no_detections
from tufa_cli.detect.search import (
    boxes_to_photo,
    merge_windows,
    score_of_count,
    shrink_to_area,
    suppress,
)

#: All that three windows agree on, and then the network's word: on 149 photos of groups and of
#: single faces in all poses, not those it was chosen on, a score of 0.5 alone kept 143 of 166
#: true finds and 13 of 58 false ones; this keeps 165 and 2 (wflw98).
MIN_SCORE = 0.3
MIN_CONFIDENCE = 0.45
#: Side of the smallest window, in pixels of the shrunk photo.
SMALLEST = 24
#: Photos are searched at this many pixels; the time is about proportional to it.
_SEARCH_AREA = 640 * 480
#: Fewer windows than this on one place are a false alarm more often than a face.
_MIN_WINDOWS = 3
#: Windows for a score of 1/2: with five or more, 138 photos of groups and single faces gave 70 %
#: of their faces and two false alarms; with four, 72 % and eleven.
_HALF_SURE = 5.0


def detect_by_windows(
    image: RgbImage, find_windows: Callable[[NDArray[np.uint8]], ArrayLike]
) -> Detections:
    """Faces of ``SMALLEST`` px or more at the search size in ``image`` (H, W, 3 uint8 RGB).

    find_windows: (H, W) uint8 grey to all windows (N, 4) x, y, w, h that the cascade takes for a
    face, not merged: how many lie on one place is the only score there is.
    """
    small, ratio = shrink_to_area(image, _SEARCH_AREA)
    if min(small.shape[:2]) < SMALLEST:
        return no_detections()
    windows = find_windows(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    boxes, counts = merge_windows(np.asarray(windows, dtype=np.float64).reshape(-1, 4))
    boxes, counts = boxes[counts >= _MIN_WINDOWS], counts[counts >= _MIN_WINDOWS]
    keep = suppress(boxes, counts, overlap=0.3)
    scores = score_of_count(counts[keep], _HALF_SURE)
    return Detections(boxes_to_photo(boxes[keep], ratio), scores)
