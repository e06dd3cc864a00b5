"""False alarms of a half-trained face finder, to be shown to it again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tufa_cli.data.finder_scenes import HardRegion
from tufa_cli.data.finder_store import FinderPhotos
from tufa_cli.detect.finder import FinderDetector
from tufa_cli.geometry.boxes import iou

#: A find that overlaps any box of the photo by more than that, also an uncertain one, is no alarm.
_TOUCHES = 0.1
_SMALLEST = 12.0
_PER_PHOTO = 12


def false_alarms(
    detector: FinderDetector, photos: FinderPhotos, chosen: NDArray[np.intp], min_score: float
) -> list[HardRegion]:
    """What the detector finds in the chosen photos where neither people nor the teacher see a face.

    The teacher's faint boxes (regions to ignore) count as faces here: what it is unsure of must
    not be taught as none. A find that holds a box or lies within one is left out too.
    """
    regions = []
    for photo in chosen:
        found = detector.detect(photos.pixels(int(photo)))
        boxes = found.boxes[
            (found.scores >= min_score) & (found.boxes[:, 2:].min(axis=1) >= _SMALLEST)
        ]
        known = photos.faces(int(photo)).boxes
        if len(known) and len(boxes):
            middles = known[:, :2] + known[:, 2:] / 2
            holds = (boxes[:, None, :2] <= middles) & (
                middles <= boxes[:, None, :2] + boxes[:, None, 2:]
            )
            boxes = boxes[(iou(boxes, known).max(axis=1) <= _TOUCHES) & ~holds.all(-1).any(-1)]
        regions += [HardRegion(int(photo), *box.tolist()) for box in boxes[:_PER_PHOTO]]
    return regions
