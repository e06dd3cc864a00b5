"""Placing a set of points on a face by its shape alone: no order, no names, any similarity.

Two ways. Against a scheme with as many points: iterated closest points (Besl and McKay 1992) with
one-to-one assignment from many starts. Against the face itself: a search over turns, sizes and
places, then closest points again; the cost looks both ways, from the points to the face's lines
and from the face's main landmarks to the points, and what lies far off counts no more than what
lies a little off.

Reflections are never tried: a set of points and its mirror image are equally good faces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from tufa_cli.geometry.mirror import (
    mirror_axis,
    principal_angle,
    spread_subset,
    to_complex,
    to_pairs,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
ComplexArray = NDArray[np.complex128]

#: Beyond these distances (plane units) a point is simply off, and a landmark not covered.
_OFF, _BARE = 0.06, 0.1
#: The weight of uncovered landmarks: less than one, since a scheme need not have all of a face.
_COVER = 0.5
#: Two placements are the same when their points lie this close on average.
_SAME = 0.05
#: Points used in the search (all are used in the end), and starts that are followed up.
_SEARCHED, _FOLLOWED = 120, 60
#: So many of the placements found are finished with all points.
_FINISHED = 3
#: Points that are moved onto the face's lines (the others follow), from how far, how exactly, and
#: how the displacement looks before: its size and over what distance it is alike (plane units).
_SETTLED, _NEAR, _SETTLE_NOISE, _SETTLE_SMOOTH, _SETTLE_REACH = 400, 0.05, 0.005, 0.02, 0.15
#: The grid on which a first, rough look is taken.
_CELL = 0.01
#: A line of symmetry is believed when half of the mirrored points lie this close to a partner, in
#: units of the points' root mean square distance from their centre.
SYMMETRIC = 0.1


class Face:
    """What a set of points is laid on.

    places: (n, 2) points along all lines of the face, evenly spaced; landmarks: (m, 2) the places
    that most schemes have; axis_x: the line of left-right symmetry. All points_plane.
    """

    def __init__(self, places: ArrayLike, landmarks: ArrayLike, axis_x: float = 0.5) -> None:
        self.places: FloatArray = np.asarray(places, dtype=np.float64)
        self.landmarks: FloatArray = np.asarray(landmarks, dtype=np.float64)
        self.axis_x = axis_x
        self._tree = cKDTree(self.places)

    def nearest(self, points: FloatArray) -> tuple[FloatArray, IntArray]:
        """Distance of each of (..., 2) points to the nearest place, and which it is."""
        distance, index = self._tree.query(points)
        return np.asarray(distance), np.asarray(index, dtype=np.intp)

    @cached_property
    def _map(self) -> FloatArray:
        """Distances from the nearest place, one every ``_CELL`` from (-1, -1) to (2, 2)."""
        at = np.arange(-1.0, 2.0, _CELL)
        return self.nearest(np.stack(np.meshgrid(at, at), axis=-1))[0]

    def costs(self, candidates: FloatArray, rough: bool = False) -> tuple[FloatArray, FloatArray]:
        """How far the points of (c, K, 2) candidates lie off, and how bare the landmarks; 0..1.

        rough: look distances up on a grid instead of finding them.
        """
        if rough:
            cell = np.rint((candidates + 1.0) / _CELL).astype(np.intp)
            cell = np.clip(cell, 0, len(self._map) - 1)
            distance = self._map[cell[..., 1], cell[..., 0]]
        else:
            distance = self.nearest(candidates)[0]
        off = np.minimum(distance, _OFF).mean(axis=-1) / _OFF
        z, landmarks = to_complex(candidates), to_complex(self.landmarks)
        gap = np.stack([np.abs(z - landmark).min(axis=-1) for landmark in landmarks], axis=-1)
        return off, np.minimum(gap, _BARE).mean(axis=-1) / _BARE


@dataclass(frozen=True, eq=False)
class Placement:
    """Points laid on a face.

    points_plane: (K, 2). off, bare: see ``Face.costs``; residual: median distance of the points
    from the nearest line (plane units).
    """

    points_plane: FloatArray
    off: float
    bare: float
    residual: float

    @property
    def cost(self) -> float:
        return self.off + _COVER * self.bare


@dataclass(frozen=True, eq=False)
class Match:
    """Points recognised as a scheme's.

    order: (K,) the scheme's point that each is. residual: root mean square distance after the
    similarity (plane units); next_best: the same of the best different assignment.
    """

    order: IntArray
    residual: float
    next_best: float


def shape_problem(points: ArrayLike) -> str | None:
    """Why (K, 2) points have no shape to go by, or None."""
    shape = np.asarray(points, dtype=np.float64)
    if len(shape) < 2:
        return "one point has no shape"
    spread = np.linalg.svd(shape - shape.mean(axis=0), compute_uv=False)
    if not spread[0] > 1e-12 * max(float(np.abs(shape).max()), 1e-300):
        return "all points lie at one place"
    if spread[1] < 1e-3 * spread[0]:
        return "all points lie on a line"
    return None


def match_scheme(points: ArrayLike, anchors: ArrayLike) -> Match:
    """Which of (K, 2) ``anchors`` each of (K, 2) ``points`` is: the best turn, scale, shift, order.

    anchors: points_plane of a scheme with as many points.
    """
    z, w = to_complex(points), to_complex(anchors)
    z, centre = z - z.mean(), w.mean()
    size = float(np.sqrt((np.abs(w - centre) ** 2).sum() / (np.abs(z) ** 2).sum()))
    tree = cKDTree(np.asarray(anchors, dtype=np.float64))
    turns = size * np.exp(1j * (np.arange(36) * np.pi / 18 - principal_angle(z)))
    near = [float(tree.query(to_pairs(z * turn + centre))[0].mean()) for turn in turns]
    found: dict[tuple[int, ...], float] = {}
    for index in np.argsort(near, kind="stable")[:8]:
        order, residual = _assigned(z, w, turns[index], centre)
        found[tuple(order)] = residual
    best = min(found, key=lambda order: found[order])
    # Orders that differ in a few neighbours are no other way to read the shape.
    others = [
        residual
        for order, residual in found.items()
        if np.abs(w[list(order)] - w[list(best)]).mean() > _SAME
    ]
    return Match(np.array(best, dtype=np.intp), found[best], min(others, default=np.inf))


def _assigned(
    z: ComplexArray, w: ComplexArray, factor: complex, shift: complex
) -> tuple[IntArray, float]:
    order: IntArray | None = None
    for _ in range(30):
        cost = np.abs((z * factor + shift)[:, None] - w[None]) ** 2
        new = np.asarray(linear_sum_assignment(cost)[1], dtype=np.intp)
        if order is not None and np.array_equal(new, order):
            break
        order = new
        factor = np.vdot(z, w[order]) / (np.abs(z) ** 2).sum()
        shift = w[order].mean()
    assert order is not None
    return order, float(np.sqrt((np.abs(z * factor + shift - w[order]) ** 2).mean()))


def place_by_shape(points: ArrayLike, face: Face) -> list[Placement]:
    """Where (K, 2) points, any frame, may lie on a face; the best first, all of them different.

    A shape with a line of left-right symmetry is laid with that line on the face's. Turning,
    scaling, shifting and re-ordering the points changes nothing but the order; mirroring them
    mirrors the placements.
    """
    z = to_complex(points)
    z = z - z.mean()
    z = z / np.abs(z).max()
    few = spread_subset(to_pairs(z), _SEARCHED)
    angle, asymmetry = mirror_axis(to_pairs(z))
    symmetric = asymmetry <= SYMMETRIC
    if symmetric:
        z = z * np.exp(1j * (np.pi / 2 - angle))
        starts = list(_upright_starts(z[few], face))
    else:
        z = z * np.exp(-1j * principal_angle(z))
        starts = list(_free_starts(z[few], face))
    found: dict[Placement, tuple[complex, complex]] = {}
    for start in _best(starts, z[few], face):
        factor, shift = _closest(z[few], *start, face, symmetric)
        found[placement(to_pairs(z[few] * factor + shift), face)] = factor, shift
    placed = []
    for rough in _different(sorted(found, key=lambda item: item.cost))[:_FINISHED]:
        factor, shift = _closest(z, *found[rough], face, symmetric)
        placed.append(placement(to_pairs(z * factor + shift), face))
    return _different(sorted(placed, key=lambda item: item.cost))


def settle(points_plane: FloatArray, face: Face) -> FloatArray:
    """(K, 2) points that lie on a face up to their own proportions, moved smoothly onto its lines.

    The displacement is the mean of a Gaussian process that has seen, for each point, the nearest
    place; the farther that is, the less it counts. Repeated, since who is nearest changes.
    """
    few = spread_subset(points_plane, _SETTLED)
    known = points_plane[few]
    kernel, own = _smooth(points_plane, known), _smooth(known, known)
    moved = points_plane
    for _ in range(20):
        distance, index = face.nearest(moved[few])
        near = distance < 0.99 * _NEAR
        noise = _SETTLE_NOISE**2 / _weight(distance[near], _NEAR)
        system = own[np.ix_(near, near)] + np.diag(noise)
        pull = np.linalg.solve(system, face.places[index[near]] - known[near])
        moved = points_plane + kernel[:, near] @ pull
    return moved


def _smooth(a: FloatArray, b: FloatArray) -> FloatArray:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return np.asarray(_SETTLE_SMOOTH**2 * np.exp(-squared / (2 * _SETTLE_REACH**2)))


def placement(points_plane: FloatArray, face: Face) -> Placement:
    """Points (K, 2) that lie on a face already, with their costs."""
    off, bare = face.costs(points_plane[None])
    residual = float(np.median(face.nearest(points_plane)[0]))
    return Placement(points_plane, float(off[0]), float(bare[0]), residual)


def _different(placed: Sequence[Placement]) -> list[Placement]:
    """The placements without those that nearly repeat a better one."""
    kept: list[Placement] = []
    for item in placed:
        if all(_distance(item, other) >= _SAME for other in kept):
            kept.append(item)
    return kept


def _distance(a: Placement, b: Placement) -> float:
    return float(np.linalg.norm(a.points_plane - b.points_plane, axis=1).mean())


def _upright_starts(z: ComplexArray, face: Face) -> Iterator[tuple[complex, complex]]:
    """Factor and shift of upright and upside-down placements with the symmetry line on x."""
    half = float(np.abs(z.real).max())
    for side in (1.0, -1.0):
        low, high = float((side * z.imag).min()), float((side * z.imag).max())
        for size in np.geomspace(0.06, 0.65, 28) / max(half, 0.05):
            if size * (high - low) > 1.6:
                continue
            for y in np.arange(-0.35 - low * size, 1.05 - high * size, 0.03):
                yield side * size, complex(face.axis_x, y)


def _free_starts(z: ComplexArray, face: Face) -> Iterator[tuple[complex, complex]]:
    """Factor and shift of placements turned by steps of 15 degrees."""
    x = face.axis_x + np.arange(-7, 8) * 0.065
    y = np.arange(-0.1, 1.0, 0.065)
    shifts = (x[:, None] + 1j * y[None]).ravel()
    for turn in np.exp(2j * np.pi * np.arange(24) / 24):
        for size in np.geomspace(0.08, 0.65, 9):
            height = (z * turn * size).imag[:, None] + shifts.imag
            inside = np.mean((height < -0.3) | (height > 1.1), axis=0) < 0.1
            yield from ((turn * size, shift) for shift in shifts[inside])


def _best(
    starts: Sequence[tuple[complex, complex]], z: ComplexArray, face: Face
) -> list[tuple[complex, complex]]:
    """The starts of lowest cost; a first, coarse look at a few points sorts out most."""
    total = np.array(starts)
    if len(total) > 5000:
        costs = _cost(total, z[:24], face, rough=True)
        total = total[np.argsort(costs, kind="stable")[:1500]]
    order = np.argsort(_cost(total, z, face), kind="stable")[:_FOLLOWED]
    return [(complex(factor), complex(shift)) for factor, shift in total[order]]


def _cost(starts: ComplexArray, z: ComplexArray, face: Face, rough: bool = False) -> FloatArray:
    costs = []
    for block in np.array_split(starts, max(1, len(starts) // 500)):
        off, bare = face.costs(to_pairs(z[None] * block[:, :1] + block[:, 1:]), rough)
        costs.append(off + _COVER * bare)
    return np.concatenate(costs)


def _closest(
    z: ComplexArray, factor: complex, shift: complex, face: Face, symmetric: bool
) -> tuple[complex, complex]:
    """The similarity that fits the pairs of closest points it makes, until it stands still.

    Both ways, with weights that fall to nothing where a point is off. A symmetric shape stays
    upright on the axis: two unknowns instead of four.
    """
    places, landmarks = to_complex(face.places), to_complex(face.landmarks)
    cover = 0.3 * _COVER * len(z) / max(len(landmarks), 1)
    for _ in range(60):
        moved = z * factor + shift
        distance, index = face.nearest(to_pairs(moved))
        gap = np.abs(landmarks[:, None] - moved[None])
        owner = gap.argmin(axis=1)
        back = gap[np.arange(len(landmarks)), owner]
        weight = np.concatenate([_weight(distance, 1.5 * _OFF), cover * _weight(back, 1.5 * _BARE)])
        source = np.concatenate([z, z[owner]])
        target = np.concatenate([places[index], landmarks])
        if not weight.sum() > 0:
            break
        if symmetric:  # both sides of every pair mirrored as well: the turn cancels out
            source = np.concatenate([source, -source.conj()])
            target = np.concatenate([target, 2 * face.axis_x - target.conj()])
            weight = np.concatenate([weight, weight])
        new = _weighted_similarity(source, target, weight)
        # A fit to nothing shrinks: such a start leads nowhere.
        if not abs(new[0]) > 1e-3:
            break
        change = abs(new[0] - factor) + abs(new[1] - shift)
        factor, shift = new
        if change < 1e-12:
            break
    return factor, shift


def _weight(distance: ArrayLike, limit: float) -> FloatArray:
    """Tukey's: one at no distance, nothing from ``limit`` on."""
    ratio = np.asarray(distance, dtype=np.float64) / limit
    return np.asarray(np.maximum(0.0, 1 - ratio**2) ** 2)


def _weighted_similarity(
    source: ComplexArray, target: ComplexArray, weight: FloatArray
) -> tuple[complex, complex]:
    total = weight.sum()
    a, b = (weight * source).sum() / total, (weight * target).sum() / total
    spread = (weight * np.abs(source - a) ** 2).sum()
    if not spread > 0:
        return 0j, 0j
    factor = complex((weight * (source - a).conj() * (target - b)).sum() / spread)
    return factor, complex(b - factor * a)
