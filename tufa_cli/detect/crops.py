"""From a detector's box to the crop that a network sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tufa_cli.detect.base import BoxPlane
from tufa_cli.errors import TufaError
from tufa_cli.geometry.crop import CropMap, Window, crop_from_plane


def crop_from_box(box: ArrayLike, box_plane: BoxPlane, window: Window) -> CropMap:
    """The crop of ``window`` for a box that covers ``box_plane`` of the plane.

    box: (4,) x, y, w, h in image pixels. The centres are laid on each other and the scale is that
    of the boxes' geometric mean sides, so that a box that is too tall or too wide still gives a
    square crop of about the right size. Raises TufaError for a box without an area.
    """
    x, y, w, h = (float(value) for value in np.asarray(box, dtype=np.float64))
    if not (np.isfinite([x, y, w, h]).all() and w > 0 and h > 0):
        raise TufaError(f"a box needs a positive width and height, found {w:g} x {h:g}")
    scale = float(np.sqrt(w * h / (box_plane.w * box_plane.h)))
    centre_plane = np.array([box_plane.x + box_plane.w / 2, box_plane.y + box_plane.h / 2])
    shift = np.array([x + w / 2, y + h / 2]) - scale * centre_plane
    return crop_from_plane(scale, shift, window)


def box_on_plane(box: ArrayLike, scale: float, shift_px: ArrayLike) -> BoxPlane:
    """Where a box in image pixels lies on the plane, ``px = scale * plane + shift``.

    The inverse of what ``crop_from_box`` assumes; ``examples/fit_detector.py`` takes its median
    over many faces.
    """
    values = np.asarray(box, dtype=np.float64)
    x, y = (values[:2] - np.asarray(shift_px, dtype=np.float64)) / scale
    return BoxPlane(float(x), float(y), float(values[2] / scale), float(values[3] / scale))
