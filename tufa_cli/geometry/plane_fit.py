"""Shapes on one plane: symmetric, in place by a similarity, then moved point by point.

The displacements are the mean of a Gaussian process. Before any constraint is known, the
displacement of one scheme is a smooth field over the face plus a small free part per point, both
zero on average; the constraints say which combinations of points must coincide. So equal places
meet, the points between them follow smoothly, and nothing moves without a reason.

Source of the formula: the conditional mean of a joint Gaussian, D = C H' (H C H' + R)^-1 (-H X).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class FieldPrior:
    """How displacements look before constraints, in units of the plane.

    smooth: standard deviation of the smooth field; reach: distance over which it is alike;
    free: standard deviation of a point's own part.
    """

    smooth: float = 0.04
    reach: float = 0.15
    free: float = 0.006


@dataclass(frozen=True)
class Constraint:
    """``sum of weight * point`` over the points of all shapes is zero.

    weights: index of a point, counted over all shapes in a row, to its weight.
    spread: how far it may be missed (standard deviation, plane units).
    """

    weights: Mapping[int, float]
    spread: float


def upright(points: ArrayLike, flip: ArrayLike) -> FloatArray:
    """(K, 2) turned so that its line of left-right symmetry is vertical, centroid at 0.

    flip: (K,) index of the point that takes each point's place in a mirrored face, -1 for none.
    The turn is the smaller of the two possible ones (under a quarter circle); none when no point
    has a partner.
    """
    shape = np.asarray(points, dtype=np.float64)
    partner = np.asarray(flip, dtype=np.intp)
    z = _complex(shape - shape.mean(axis=0))
    paired = partner >= 0
    if not paired.any():
        return _pairs(z)
    own = z[paired] - z[paired].mean()
    mirror = -np.conj(z[partner[paired]] - z[paired].mean())
    angle = float(np.angle(np.vdot(mirror, own))) / 2
    return _pairs(z * np.exp(-1j * angle))


def symmetric(points: ArrayLike, flip: ArrayLike, axis_x: float = 0.0) -> FloatArray:
    """The mean of (K, 2) points and their mirror image about the line x = ``axis_x``.

    flip: (K,) partners as in ``upright``; a point without one stays where it is.
    """
    shape = np.asarray(points, dtype=np.float64)
    partner = np.asarray(flip, dtype=np.intp)
    mirror = shape[partner] * (-1.0, 1.0) + (2 * axis_x, 0.0)
    return np.where((partner >= 0)[:, None], (shape + mirror) / 2, shape)


def centred_in_square(points: ArrayLike, side: float) -> FloatArray:
    """(K, 2) scaled and shifted: box centred in the unit square, its longer side ``side``."""
    shape = np.asarray(points, dtype=np.float64)
    low, high = shape.min(axis=0), shape.max(axis=0)
    return np.asarray((shape - (low + high) / 2) * (side / float((high - low).max())) + 0.5)


def place(points: ArrayLike, source: ArrayLike, target: ArrayLike) -> FloatArray:
    """``points`` (K, 2) carried by the best similarity from ``source`` to ``target`` (n, 2)."""
    z, w = _complex(source), _complex(target)
    centre, goal = z.mean(), w.mean()
    factor = np.vdot(z - centre, w - goal) / max(float((np.abs(z - centre) ** 2).sum()), 1e-12)
    return _pairs((_complex(points) - centre) * factor + goal)


def carried_vectors(vectors: ArrayLike, source: ArrayLike, faces: ArrayLike) -> FloatArray:
    """Vectors (m, 2) turned and sized as the best similarity takes ``source`` (n, 2) to each face.

    faces: (..., n, 2), NaN where unknown. Returns (..., m, 2); zeros for a face with fewer than
    two different points.
    """
    given = np.asarray(faces, dtype=np.float64)
    known = np.asarray(~np.isnan(given).any(axis=-1))
    z = np.broadcast_to(_complex(source), known.shape)
    w = _complex(np.where(known[..., None], given, 0.0))
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    z, w = (np.where(known, x - (x * known).sum(-1, keepdims=True) / count, 0.0) for x in (z, w))
    factor = (np.conj(z) * w).sum(axis=-1) / np.maximum((np.abs(z) ** 2).sum(axis=-1), 1e-12)
    return _pairs(_complex(vectors) * factor[..., None])


def constrained_field(
    shapes: Sequence[FloatArray],
    fixed: Sequence[bool],
    constraints: Sequence[Constraint],
    prior: FieldPrior | None = None,
) -> list[FloatArray]:
    """The shapes, each (K, 2), moved so that the constraints hold.

    fixed: which shapes may not move. Returns new arrays; without constraints, copies.
    """
    prior = prior or FieldPrior()
    points = np.concatenate(shapes)
    if not constraints:
        return [shape.copy() for shape in shapes]
    rows = constraint_matrix(constraints, len(points))
    covariance = np.zeros((len(points), len(points)))
    start = 0
    for shape, still in zip(shapes, fixed, strict=True):
        if not still:
            block = slice(start, start + len(shape))
            covariance[block, block] = _covariance(shape, prior)
        start += len(shape)
    spreads = np.array([constraint.spread for constraint in constraints])
    gain = covariance @ rows.T
    system = rows @ gain + np.diag(spreads**2)
    moved = points - gain @ np.linalg.solve(system, rows @ points)
    return [np.asarray(part) for part in np.split(moved, np.cumsum([len(s) for s in shapes])[:-1])]


def constraint_matrix(constraints: Sequence[Constraint], count: int) -> FloatArray:
    """(len(constraints), count) weights as a dense matrix."""
    rows = np.zeros((len(constraints), count))
    for row, constraint in zip(rows, constraints, strict=True):
        row[list(constraint.weights)] = list(constraint.weights.values())
    return rows


def folded_triangles(before: ArrayLike, after: ArrayLike) -> int:
    """How many triangles of the Delaunay mesh of ``before`` (K, 2) are turned over in ``after``.

    Slivers (height under 2 % of their longest side, or nearly no area) are left out: they turn
    over without a visible fold. Points on one line have no triangles.
    """
    from scipy.spatial import Delaunay, QhullError

    old, new = np.asarray(before, float), np.asarray(after, float)
    if len(old) < 4:
        return 0
    try:
        corners = Delaunay(old).simplices
    except QhullError:
        return 0
    area_old, area_new = _areas(old[corners]), _areas(new[corners])
    sides = np.linalg.norm(old[corners] - np.roll(old[corners], 1, axis=1), axis=2).max(axis=1)
    thick = np.abs(area_old) > 0.05 * sides**2
    return int((thick & (np.sign(area_old) != np.sign(area_new))).sum())


def close_pairs(points: ArrayLike, within: float) -> list[tuple[int, int]]:
    """Pairs of (K, 2) points closer than ``within``, by index, in order; works for many points."""
    from scipy.spatial import KDTree

    shape = np.asarray(points, dtype=np.float64)
    if len(shape) < 2:
        return []
    return sorted((int(i), int(j)) for i, j in KDTree(shape).query_pairs(within))


def smallest_spacing(points: ArrayLike) -> float:
    """The smallest distance between two of (K, 2) points."""
    shape = np.asarray(points, dtype=np.float64)
    distance = np.linalg.norm(shape[:, None] - shape[None], axis=2)
    return float(distance[np.triu_indices(len(shape), 1)].min())


def lagrange_weights(nodes: ArrayLike, t: float) -> FloatArray:
    """Weights w with ``sum w_i f(nodes_i)`` the polynomial through the nodes, taken at ``t``."""
    at = np.asarray(nodes, dtype=np.float64)
    weights = np.ones(len(at))
    for i in range(len(at)):
        for j in range(len(at)):
            if i != j:
                weights[i] *= (t - at[j]) / (at[i] - at[j])
    return weights


def _covariance(shape: FloatArray, prior: FieldPrior) -> FloatArray:
    squared = ((shape[:, None] - shape[None]) ** 2).sum(axis=2)
    smooth = prior.smooth**2 * np.exp(-squared / (2 * prior.reach**2))
    return np.asarray(smooth + prior.free**2 * np.eye(len(shape)))


def _areas(triangles: FloatArray) -> FloatArray:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return np.asarray((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2)


def _complex(points: ArrayLike) -> NDArray[np.complex128]:
    array = np.asarray(points, dtype=np.float64)
    return np.asarray(array[..., 0] + 1j * array[..., 1])


def _pairs(z: NDArray[np.complex128]) -> FloatArray:
    return np.stack([z.real, z.imag], axis=-1)
