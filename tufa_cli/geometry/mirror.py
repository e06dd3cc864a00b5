"""The left-right symmetry of a set of points whose order and partners are not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
ComplexArray = NDArray[np.complex128]

#: Up to so many points are paired one to one; more by who is nearest to whom.
_MOST_PAIRED = 600
_ANGLES, _BEST = 90, 4


def to_complex(points: ArrayLike) -> ComplexArray:
    """(..., 2) to (...) complex numbers."""
    array = np.asarray(points, dtype=np.float64)
    return np.asarray(array[..., 0] + 1j * array[..., 1])


def to_pairs(z: ComplexArray) -> FloatArray:
    """(...) complex numbers to (..., 2)."""
    return np.stack([z.real, z.imag], axis=-1)


def principal_angle(z: ComplexArray) -> float:
    """The angle of the longest axis of centred points, in -pi/2..pi/2."""
    return float(np.angle((z**2).sum())) / 2


def mirror_axis(points: ArrayLike) -> tuple[float, float]:
    """The angle of the best line of symmetry through the centroid, and how good it is.

    points: (K, 2). Returns radians and the median distance of a mirrored point from its partner,
    in units of the points' root mean square distance from the centroid. Turning, scaling and
    mirroring the points turns and mirrors the line.
    """
    z = to_complex(points)
    z = z - z.mean()
    z = z / np.sqrt((np.abs(z) ** 2).mean())
    tree = cKDTree(to_pairs(z))
    # Every so many degrees from the longest axis: the same lines whatever the turn of the input.
    angles = principal_angle(z) + np.arange(_ANGLES) * np.pi / _ANGLES
    some = to_pairs(_spread(z, 150))
    scores = np.array([tree.query(_mirrored(some, angle))[0].mean() for angle in angles])
    low = (scores <= np.roll(scores, 1)) & (scores <= np.roll(scores, -1))
    order = np.argsort(np.where(low, scores, np.inf), kind="stable")[:_BEST]
    few = z if len(z) <= _MOST_PAIRED else to_complex(some)
    found = [_refined(few, z, tree, float(angles[i])) for i in order if low[i]]
    angle, asymmetry, _ = min(found, key=lambda item: item[2])
    if len(few) < len(z):
        angle, asymmetry, _ = _refined(z, z, tree, angle)
    return angle, asymmetry


def _refined(
    few: ComplexArray, z: ComplexArray, tree: cKDTree, angle: float
) -> tuple[float, float, float]:
    """The line that fits the pairs it makes, repeated until the pairs stay.

    Returns its angle, the median miss, and the mean miss: an arc shifted by one point along itself
    fits all points but the last, which only the mean sees. few: those of ``z`` that are looked at.
    """
    pairs: IntArray | None = None
    for _ in range(30):
        mirror = np.exp(2j * angle) * few.conj()
        new = _pairing(mirror, z, tree)
        same = pairs is not None and np.array_equal(new, pairs)
        # The turn that carries every mirrored point best onto its partner, leaving out the worst.
        miss = np.abs(mirror - z[new])
        near = miss <= np.quantile(miss, 0.9) * (1 + 1e-9)  # partners miss by the same
        before, pairs = angle, new
        angle = float(np.angle((z[pairs] * few)[near].sum())) / 2
        if same and abs(angle - before) < 1e-14:
            break
    assert pairs is not None
    miss = np.abs(np.exp(2j * angle) * few.conj() - z[pairs])
    return angle, float(np.median(miss)), float(miss.mean())


def _pairing(first: ComplexArray, second: ComplexArray, tree: cKDTree) -> IntArray:
    """The partner in ``second`` (whose tree is given) of each of ``first``."""
    if len(second) > _MOST_PAIRED:
        return np.asarray(tree.query(to_pairs(first))[1], dtype=np.intp)
    cost = np.abs(first[:, None] - second[None]) ** 2
    return np.asarray(linear_sum_assignment(cost)[1], dtype=np.intp)


def _mirrored(points: FloatArray, angle: float) -> FloatArray:
    return to_pairs(np.exp(2j * angle) * to_complex(points).conj())


def _spread(z: ComplexArray, count: int) -> ComplexArray:
    return z if len(z) <= count else z[spread_subset(to_pairs(z), count)]


def spread_subset(points: ArrayLike, count: int) -> IntArray:
    """Indices of ``count`` of (K, 2) points, each the farthest from those before it."""
    shape = np.asarray(points, dtype=np.float64)
    far = np.linalg.norm(shape - shape.mean(axis=0), axis=1)
    chosen = [int(far.argmax())]
    far = np.linalg.norm(shape - shape[chosen[0]], axis=1)
    while len(chosen) < min(count, len(shape)):
        chosen.append(int(far.argmax()))
        far = np.minimum(far, np.linalg.norm(shape - shape[chosen[-1]], axis=1))
    return np.array(chosen, dtype=np.intp)


def mirror_partners(points: ArrayLike, axis_x: float, within: float) -> IntArray:
    """(K,) which point lies where each of (K, 2) points has its mirror image, -1 for none.

    About the line x = ``axis_x``; partners lie within a distance of each other's image, and are
    each other's; a point near the line is its own.
    """
    shape = np.asarray(points, dtype=np.float64)
    z = to_complex(shape)
    mirror = to_complex(shape * (-1.0, 1.0) + (2 * axis_x, 0.0))
    # Who is near enough to count; beyond, everyone is equally wrong.
    if len(z) > _MOST_PAIRED:
        found = np.asarray(cKDTree(shape).query(to_pairs(mirror))[1], dtype=np.intp)
    else:
        cost = np.minimum(np.abs(mirror[:, None] - z[None]), 2 * within) ** 2
        found = np.asarray(linear_sum_assignment(cost)[1], dtype=np.intp)
    partner = np.full(len(z), -1, dtype=np.intp)
    for i, j in enumerate(found):
        if found[j] == i and abs(mirror[i] - z[j]) <= within:
            partner[i] = j
    return partner


def symmetrised(
    points: ArrayLike, close: float, nearly_all: float, lopsided: float
) -> tuple[FloatArray, IntArray]:
    """(K, 2) points made equal to their mirror image about their own line of symmetry.

    close: how far a point's mirror image may lie from its partner; lopsided: how far half of them
    may; both in units of the points' root mean square distance from their centre. Returns the
    points and (K,) partners, -1 for none; the points as they were, and no partners, unless a part
    ``nearly_all`` of them has one.
    """
    z = to_complex(points)
    centre = z.mean()
    size = float(np.sqrt((np.abs(z - centre) ** 2).mean()))
    angle, asymmetry = mirror_axis(points)
    turn = size * np.exp(1j * (angle - np.pi / 2))
    own = to_pairs((z - centre) / turn)
    partner = mirror_partners(own, 0.0, close)
    if asymmetry > lopsided or (partner >= 0).mean() < nearly_all:
        return np.array(points, dtype=np.float64), np.full(len(z), -1, dtype=np.intp)
    return to_pairs(to_complex(averaged(own, partner, 0.0)) * turn + centre), partner


def averaged(points: FloatArray, partner: IntArray, axis_x: float) -> FloatArray:
    """The mean of (K, 2) points and their partners' mirror images about the line x = ``axis_x``."""
    paired = np.flatnonzero(partner >= 0)
    even = points.copy()
    even[paired] += points[partner[paired]] * (-1.0, 1.0) + (2 * axis_x, 0.0)
    even[paired] /= 2
    return even
