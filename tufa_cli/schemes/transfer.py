"""Labels of one scheme turned into another's through part and t, without a model.

A point of the target is a weighted sum of the source's points: one of them when it means the same,
a mean where it is one by definition, or a place between the points of a curve. What the source
does not tell is left out and named. With ``habits``, points are then moved by what the annotators
of both schemes do differently, turned and sized as the face is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.geometry.plane_fit import carried_vectors
from tufa_cli.schemes.anchors import anchors_for
from tufa_cli.schemes.habits import habits_of
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.places import estimate_place
from tufa_cli.schemes.plane import builtin_plane

FloatArray = NDArray[np.float64]

#: How a point is made that an index table gives (``schemes.tables``).
TABLE = "table"


@dataclass(frozen=True, eq=False)
class Transfer:
    """How each point of a target is made of a source's points.

    weights: (K target, K source), a row of zeros where the source does not tell.
    how: (K target) "point", "mean", "curve" (places.Estimate), "table", or None where it does not
        tell.
    moves: (K target, 2) plane units that points are moved by, and anchors: (K source, 2)
        points_plane that say how these lie on a face; None where nothing is moved.
    """

    source: Scheme
    target: Scheme
    weights: FloatArray
    how: tuple[str | None, ...]
    moves: FloatArray | None = None
    anchors: FloatArray | None = None

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """(K target, K source) whether a point of the target rests on one of the source."""
        return np.asarray(self.weights != 0)

    @property
    def missing(self) -> list[int]:
        """Indices of the target's points that the source does not tell."""
        return [i for i, how in enumerate(self.how) if how is None]

    @property
    def moved(self) -> list[int]:
        """Indices of the target's points that habits move."""
        return [] if self.moves is None else list(map(int, np.flatnonzero(self.moves.any(axis=1))))

    @property
    def unused(self) -> list[int]:
        """Indices of the source's points on which no point of the target rests."""
        return [int(i) for i in np.flatnonzero(~self.used.any(axis=0))]

    def worst(self, values: ArrayLike, otherwise: float = 0) -> FloatArray:
        """(K source,) values of points to (K target,): the smallest of those a point is made of.

        ``otherwise`` where the source does not tell.
        """
        taken = np.where(self.used, np.asarray(values, dtype=np.float64), np.inf)
        least = taken.min(axis=1)
        return np.asarray(np.where(np.isinf(least), otherwise, least))

    def apply(self, points: ArrayLike) -> FloatArray:
        """(..., K source, 2) points in any frame to (..., K target, 2).

        NaN where the source does not tell, or where a point that it takes is NaN. Of a face of
        fewer than two different points, which say neither size nor turn, nothing is moved.
        """
        given = np.asarray(points, dtype=np.float64)
        unknown = np.isnan(given)
        made = self.weights @ np.where(unknown, 0.0, given)
        if self.moves is not None and self.anchors is not None:
            made = made + carried_vectors(self.moves, self.anchors, given)
        lost = self.used.astype(np.float64) @ unknown > 0
        lost[..., self.missing, :] = True
        return np.asarray(np.where(lost, np.nan, made))


def transfer(source: Scheme, target: Scheme, habits: bool = False) -> Transfer:
    """What ``source`` tells of every point of ``target``.

    habits: whether points are moved by what the annotators of both do differently
    (``schemes.habits``). Raises TufaError where that is not known of one of the schemes.
    """
    weights = np.zeros((len(target), len(source)))
    how: list[str | None] = []
    for row, meaning in zip(weights, target.meanings, strict=True):
        estimate = estimate_place(source, meaning)
        how.append(None if estimate is None else estimate.how)
        if estimate is not None:
            row[list(estimate.weights)] = list(estimate.weights.values())
    if not habits:
        return Transfer(source, target, weights, tuple(how))
    there, here = habits_of(target), habits_of(source)
    lost = weights @ np.isnan(here) != 0
    moves = np.where(lost, 0.0, np.nan_to_num(there) - weights @ np.nan_to_num(here))
    moves[np.isnan(there).any(axis=1) | np.array([h is None for h in how])] = 0.0
    return Transfer(
        source, target, weights, tuple(how), moves, anchors_for(source, builtin_plane())
    )
