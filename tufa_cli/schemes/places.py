"""Which combinations of points of two schemes mean the same place.

A scheme knows a place when one of its points means it, when the place lies between its points on
a curve, or when the place is by definition the mean of places that it knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tufa_cli.geometry.plane_fit import lagrange_weights
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import T_TOLERANCE, Meaning, canonical, load_parts, mean_places

#: A curve is followed between two points only when their t differ by no more than this.
LARGEST_GAP = 0.34

POINT, MEAN, CURVE = "point", "mean", "curve"


@dataclass(frozen=True)
class Estimate:
    """A place as a weighted sum of a scheme's points.

    weights: index of a point to its weight; they sum to one.
    how: "point" (it is a point), "mean" (a mean of points) or "curve" (between points).
    """

    weights: dict[int, float]
    how: str


@dataclass(frozen=True)
class SharedPlace:
    """One place, known to two schemes."""

    meaning: Meaning
    first: Estimate
    second: Estimate

    @property
    def equal(self) -> bool:
        """Whether both know it without following a curve."""
        return CURVE not in (self.first.how, self.second.how)


def shared_places(first: Scheme, second: Scheme) -> list[SharedPlace]:
    """Places that a point of either scheme means and that the other knows too."""
    found = list(_places_of(first, second))
    for place in _places_of(second, first):
        if place.second.how != POINT:
            found.append(SharedPlace(place.meaning, place.second, place.first))
    return found


def _places_of(owner: Scheme, other: Scheme) -> Iterator[SharedPlace]:
    for index, meaning in enumerate(owner.meanings):
        estimate = estimate_place(other, meaning)
        if estimate is not None:
            yield SharedPlace(meaning, Estimate({index: 1.0}, POINT), estimate)


def estimate_place(scheme: Scheme, meaning: Meaning) -> Estimate | None:
    """Where ``scheme`` has the place ``meaning``, or None when it does not tell."""
    index = scheme.places.find(meaning)
    if index is not None:
        return Estimate({index: 1.0}, POINT)
    if meaning.place is not None:
        return None
    return _as_mean(scheme, meaning) or _on_curve(scheme, meaning)


def _as_mean(scheme: Scheme, meaning: Meaning) -> Estimate | None:
    places = mean_places(meaning)
    if not places:
        return None
    total: dict[int, float] = {}
    how = MEAN
    for place in places:
        estimate = estimate_place(scheme, place)
        if estimate is None:
            return None
        how = CURVE if estimate.how == CURVE else how
        for index, weight in estimate.weights.items():
            total[index] = total.get(index, 0.0) + weight / len(places)
    return Estimate(total, how)


def _on_curve(scheme: Scheme, meaning: Meaning) -> Estimate | None:
    part = load_parts()[meaning.part]
    if not part.is_curve:
        return None
    ends = {canonical(str(part.start)): 0.0, canonical(str(part.end)): 1.0}
    along = [(m.t, i) for i, m in enumerate(scheme.meanings) if m.part == part.name]
    along += [(ends[m], i) for i, m in enumerate(scheme.meanings) if m in ends]
    below = sorted((t, i) for t, i in along if t < meaning.t)
    above = sorted((t, i) for t, i in along if t > meaning.t)
    if not below or not above or above[0][0] - below[-1][0] > LARGEST_GAP + T_TOLERANCE:
        return None
    nodes = below[-2:] + above[:2]
    weights = lagrange_weights([t for t, _ in nodes], meaning.t)
    return Estimate({i: float(w) for (_, i), w in zip(nodes, weights, strict=True)}, CURVE)
