"""What the detectors share: shrinking photos to a search size, and merging overlapping boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.detect.base import RgbImage
from tufa_cli.geometry.boxes import iou

FloatArray = NDArray[np.float64]


def shrink_to_area(image: RgbImage, area: float) -> tuple[RgbImage, FloatArray]:
    """The photo with at most about ``area`` pixels, and the ratio (2,) of new to old width, height.

    The area and not the longer side is bounded, and photos more than twice as long as wide get
    up to four times as much: a panorama keeps its faces.
    """
    height, width = image.shape[:2]
    aspect = max(height, width) / max(min(height, width), 1)
    area *= min(max(aspect / 2, 1.0), 4.0)
    ratio = float(np.sqrt(area / max(height * width, 1)))
    if ratio >= 1:
        return image, np.ones(2)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, np.array(size) / (width, height)


def points_to_photo(points: FloatArray, ratio: FloatArray) -> FloatArray:
    """(..., 2) pixels of the shrunk picture to the photo's; outer edges stay in place."""
    return (points + 0.5) / ratio - 0.5


def boxes_to_photo(boxes: FloatArray, ratio: FloatArray) -> FloatArray:
    """(N, 4) boxes on the shrunk picture to the photo's."""
    return np.hstack([points_to_photo(boxes[:, :2], ratio), boxes[:, 2:] / ratio])


def suppress(boxes: FloatArray, scores: FloatArray, overlap: float) -> NDArray[np.intp]:
    """Indices of the boxes to keep, best first: each drops the worse ones that it overlaps.

    boxes: (N, 4) x, y, w, h; scores: (N,). Two boxes overlap when their intersection over union,
    or the share of the smaller one inside the larger (a face found inside a face), is above
    ``overlap`` or 0.8.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    clash = (iou(boxes, boxes) > overlap) | (_inside(boxes) > 0.8)
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~clash[i, i + 1 :]
    return order[alive]


def _inside(boxes: FloatArray) -> FloatArray:
    """(N, N) the intersection of each pair over the smaller box's area."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    far = boxes[:, :2] + boxes[:, 2:]
    inter = np.clip(np.minimum(far[:, None], far[None]) - low, 0, None).prod(axis=-1)
    area = boxes[:, 2:].prod(axis=-1)
    return inter / np.maximum(np.minimum(area[:, None], area[None]), 1e-9)


def merge_windows(windows: FloatArray, tolerance: float = 0.25) -> tuple[FloatArray, FloatArray]:
    """Groups of nearly equal windows: their mean boxes (M, 4) and how many each had (M,).

    windows: (N, 4) x, y, w, h. Two windows are alike when their edges differ by less than
    ``tolerance`` times their mean smaller side; a group is what is linked by likeness.
    """
    count = len(windows)
    if not count:
        return np.zeros((0, 4)), np.zeros(0)
    edges = np.hstack([windows[:, :2], windows[:, :2] + windows[:, 2:]])
    side = windows[:, 2:].min(axis=1)
    limit = tolerance * (side[:, None] + side[None]) / 2
    alike = np.abs(edges[:, None] - edges[None]).max(axis=-1) <= limit
    group = np.full(count, -1)
    groups = 0
    for first in range(count):
        if group[first] >= 0:
            continue
        todo = [first]
        group[first] = groups
        while todo:
            near = np.flatnonzero(alike[todo.pop()] & (group < 0))
            group[near] = groups
            todo += near.tolist()
        groups += 1
    sizes = np.bincount(group, minlength=groups).astype(np.float64)
    sums = np.stack([np.bincount(group, windows[:, i], groups) for i in range(4)], axis=1)
    return sums / sizes[:, None], sizes


def score_of_count(counts: FloatArray, half_sure: float) -> FloatArray:
    """(N,) numbers of merged windows to scores in 0..1; ``half_sure`` windows score 1/2."""
    return counts / (counts + half_sure)
