"""From a detector's box to the crop that a network sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tufa_cli.detect.base import BoxPlane, Detections
from tufa_cli.errors import TufaError
from tufa_cli.geometry.crop import CropMap, Window, crop_from_plane
from tufa_cli.schemes.plane import builtin_plane

#: Of the scheme mtfl5.
_EYES_AND_MOUTH = [0, 1, 3, 4]


def crop_from_box(
    box: ArrayLike, box_plane: BoxPlane, window: Window, roll: float = 0.0
) -> CropMap:
    """The crop of ``window`` for a box that covers ``box_plane`` of the plane.

    box: (4,) x, y, w, h in image pixels. The centres are laid on each other and the scale is that
    of the boxes' geometric mean sides, so that a box that is too tall or too wide (that of a turned
    head, say) still gives a square crop of about the right size. roll: by how many radians the
    face is turned clockwise; the crop shows it upright. Raises TufaError for a box without an area.
    """
    x, y, w, h = (float(value) for value in np.asarray(box, dtype=np.float64))
    if not (np.isfinite([x, y, w, h]).all() and w > 0 and h > 0):
        raise TufaError(f"a box needs a positive width and height, found {w:g} x {h:g}")
    scale = float(np.sqrt(w * h / (box_plane.w * box_plane.h)))
    centre_plane = np.array([box_plane.x + box_plane.w / 2, box_plane.y + box_plane.h / 2])
    shift = np.array([x + w / 2, y + h / 2]) - scale * centre_plane
    upright = crop_from_plane(scale, shift, window)
    if roll == 0.0:
        return upright
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    middle = np.array([x + w / 2, y + h / 2])
    matrix = np.column_stack(
        [turn @ upright.matrix[:, :2], turn @ (upright.matrix[:, 2] - middle) + middle]
    )
    return CropMap(matrix)


def crop_of(found: Detections, index: int, box_plane: BoxPlane, window: Window) -> CropMap:
    """The crop of one detection: by its box, and turned upright by its points where it has them.

    Raises TufaError for a box without an area.
    """
    roll = 0.0 if found.points is None else roll_of(found.points[index])
    return crop_from_box(found.boxes[index], box_plane, window, roll)


def roll_of(points_px: ArrayLike) -> float:
    """By how many radians a face is turned clockwise in the image, in -pi..pi.

    points_px: (5, 2) eye centres, nose tip, mouth corners, image-left first on an upright face.
    The turn that lays the plane's eyes and mouth best on these; the nose is left out, since it
    moves to the side as a head turns. 0 for points that are not finite or all in one place.
    """
    points = np.asarray(points_px, dtype=np.float64)[_EYES_AND_MOUTH]
    if not np.isfinite(points).all():
        return 0.0
    anchors = builtin_plane()["mtfl5"][_EYES_AND_MOUTH]
    anchors, points = anchors - anchors.mean(axis=0), points - points.mean(axis=0)
    cross = (anchors[:, 0] * points[:, 1] - anchors[:, 1] * points[:, 0]).sum()
    return float(np.arctan2(cross, (anchors * points).sum()))


def box_on_plane(box: ArrayLike, scale: float, shift_px: ArrayLike) -> BoxPlane:
    """Where a box in image pixels lies on the plane, ``px = scale * plane + shift``.

    The inverse of what ``crop_from_box`` assumes; ``examples/fit_detector.py`` takes its median
    over many faces.
    """
    values = np.asarray(box, dtype=np.float64)
    x, y = (values[:2] - np.asarray(shift_px, dtype=np.float64)) / scale
    return BoxPlane(float(x), float(y), float(values[2] / scale), float(values[3] / scale))
