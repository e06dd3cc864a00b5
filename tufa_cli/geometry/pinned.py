"""Points of which some have a known place: a similarity from those, then the rest follows.

The displacement is the mean of a Gaussian process that has seen the known points' (the same prior
as ``plane_fit.constrained_field``, of which this is the case of fixed targets, without a matrix
over all points).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.geometry.mirror import spread_subset, to_complex, to_pairs
from tufa_cli.geometry.plane_fit import FieldPrior, folded_triangles
from tufa_cli.geometry.shape_match import shape_problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: The field is found from so many pins; with more of them it is smooth enough.
_MOST_PINS = 400
#: How far the displacement may be alike before it is given up (plane units).
_LONGEST_REACH = 3.0


@dataclass(frozen=True, eq=False)
class NamedFit:
    """Points by the similarity of the named ones.

    points_plane: (K, 2). miss: (n,) distance of each named point from its place; misfit: its root
    mean square.
    """

    points_plane: FloatArray
    miss: FloatArray

    @property
    def misfit(self) -> float:
        return float(np.sqrt((self.miss**2).mean()))


def fit_named(points: ArrayLike, pins: ArrayLike, targets: ArrayLike) -> list[NamedFit]:
    """Two fits of (K, 2) points, as they stand and mirrored; none when the pins coincide.

    pins: (n,) indices of points with a known place; targets: (n, 2) points_plane.
    """
    index = np.asarray(pins, dtype=np.intp)
    w = to_complex(targets)
    fits = []
    for z in (to_complex(points), to_complex(points).conj()):
        own = z[index]
        spread = float((np.abs(own - own.mean()) ** 2).sum())
        size = float(np.abs(z - z.mean()).max())
        if not spread > (1e-9 * size) ** 2:
            return []
        factor = np.vdot(own - own.mean(), w - w.mean()) / spread
        placed = to_pairs((z - own.mean()) * factor + w.mean())
        miss = np.linalg.norm(placed[index] - np.asarray(targets), axis=1)
        fits.append(NamedFit(placed, miss))
    return fits


def follow_pins(
    points_plane: FloatArray, pins: IntArray, targets: FloatArray, prior: FieldPrior | None = None
) -> tuple[FloatArray, int]:
    """(K, 2) points with the pinned ones exactly at their targets, the others moved smoothly.

    Returns the points and how many triangles of their mesh are turned over: when the field folds,
    it is made stiffer, and what folds even then is reported.
    """
    prior = prior or FieldPrior()
    few = spread_subset(targets, _MOST_PINS) if len(pins) > _MOST_PINS else np.arange(len(pins))
    best: tuple[int, FloatArray] | None = None
    while prior.reach < _LONGEST_REACH:
        moved = points_plane + _field(points_plane, pins[few], targets[few], prior)
        moved[pins] = targets
        folds = 0 if shape_problem(points_plane) else folded_triangles(points_plane, moved)
        if best is None or folds < best[0]:
            best = folds, moved
        if not folds:
            break
        prior = replace(prior, reach=2 * prior.reach)
    assert best is not None
    return best[1], best[0]


def _field(
    points: FloatArray, pins: IntArray, targets: FloatArray, prior: FieldPrior
) -> FloatArray:
    known = points[pins]
    system = _smooth(known, known, prior) + prior.free**2 * np.eye(len(pins))
    return np.asarray(_smooth(points, known, prior) @ np.linalg.solve(system, targets - known))


def _smooth(a: FloatArray, b: FloatArray, prior: FieldPrior) -> FloatArray:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return np.asarray(prior.smooth**2 * np.exp(-squared / (2 * prior.reach**2)))
