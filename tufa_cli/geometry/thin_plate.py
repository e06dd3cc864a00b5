"""Thin-plate splines: a smooth map of the plane from a few pairs of points.

Source: Bookstein, "Principal warps", IEEE PAMI 11 (1989); smoothed as in Wahba, "Spline models for
observational data" (1990). The solver is scipy's ``RBFInterpolator``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.errors import TufaError

FloatArray = NDArray[np.float64]

#: How far the map may miss its pairs, on the scale of source points of unit size: noise of a
#: prediction is averaged, the shape of a face is kept.
SMOOTHING = 0.003


def thin_plate_map(
    source: ArrayLike, target: ArrayLike, smoothing: float = SMOOTHING
) -> Callable[[ArrayLike], FloatArray]:
    """The map that carries ``source`` (n, 2) to about ``target`` (n, 2) with the least bending.

    Returns a function of (m, 2) points in the source's frame to (m, 2) in the target's. Place and
    size of the source do not matter. Raises TufaError with fewer than three points or all of them
    on a line, which do not fix a map of the plane.
    """
    from scipy.interpolate import RBFInterpolator

    points, goal = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    centre = points.mean(axis=0) if len(points) else np.zeros(2)
    size = float(np.sqrt(((points - centre) ** 2).sum() / max(len(points), 1)))
    centred = (points - centre) / max(size, 1e-12)
    if len(points) < 3 or np.linalg.svd(centred, compute_uv=False)[1] < 1e-6:
        raise TufaError("a warp needs at least three points that are not on one line")
    spline = RBFInterpolator(centred, goal, smoothing=smoothing, kernel="thin_plate_spline")

    def carry(points: ArrayLike) -> FloatArray:
        there = (np.asarray(points, dtype=np.float64) - centre) / max(size, 1e-12)
        return np.asarray(spline(there), dtype=np.float64)

    return carry
