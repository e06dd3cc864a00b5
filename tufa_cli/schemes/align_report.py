"""What an alignment achieved, in numbers: per pair of schemes and per scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.plane_fit import folded_triangles, smallest_spacing, symmetric
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.places import Estimate, SharedPlace

FloatArray = NDArray[np.float64]

_AXIS = 0.5


@dataclass(frozen=True)
class PairResidual:
    """How far apart the places are that two schemes share, in % of the plane's side.

    equal_points: places both have as points (or means of points); curve_points: places that one of
    them has between the points of a curve. ``before`` is after the similarity, ``after`` with the
    displacements.
    nearest_*: the share (0..1) of points whose nearest point of the other scheme is the one that
    means the same, both ways; None when no point of one means what a point of the other does.
    """

    first: str
    second: str
    equal_points: int
    before: float
    after: float
    worst: float
    curve_points: int
    curve_before: float
    curve_after: float
    nearest_before: float | None
    nearest_after: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "equal_points": self.equal_points,
            "mean_distance_percent": {"before": self.before, "after": self.after},
            "largest_distance_percent": self.worst,
            "nearest_neighbour_accuracy": self.nearest_after,
            "nearest_neighbour_accuracy_before": self.nearest_before,
            "curve_points": self.curve_points,
            "curve_distance_percent": {"before": self.curve_before, "after": self.curve_after},
        }


def value_at(points: FloatArray, estimate: Estimate) -> FloatArray:
    """(2,) where a scheme's (K, 2) points put a place."""
    indices, weights = list(estimate.weights), list(estimate.weights.values())
    return np.asarray(np.array(weights) @ points[indices])


def residual(
    first: Scheme,
    second: Scheme,
    places: Sequence[SharedPlace],
    placed: Mapping[str, FloatArray],
    anchors: Mapping[str, FloatArray],
) -> PairResidual:
    """The figures of a pair; placed and anchors by scheme name, before and after."""

    def distances(points: Mapping[str, FloatArray], equal: bool) -> list[float]:
        return [
            100 * float(np.linalg.norm(value_at(a, s.first) - value_at(b, s.second)))
            for s in places
            if s.equal == equal
            for a, b in [(points[first.name], points[second.name])]
        ]

    before, after = distances(placed, True), distances(anchors, True)
    curve_before, curve_after = distances(placed, False), distances(anchors, False)
    return PairResidual(
        first=first.name,
        second=second.name,
        equal_points=len(after),
        before=_mean(before),
        after=_mean(after),
        worst=round(max(after, default=0.0), 3),
        curve_points=len(curve_after),
        curve_before=_mean(curve_before),
        curve_after=_mean(curve_after),
        nearest_before=nearest_accuracy(first, second, placed),
        nearest_after=nearest_accuracy(first, second, anchors),
    )


def nearest_accuracy(
    first: Scheme, second: Scheme, points: Mapping[str, FloatArray]
) -> float | None:
    """The share of equal points that are each other's nearest, counted both ways."""
    shared = list(first.shared_with(second))
    if not shared:
        return None
    a, b = points[first.name], points[second.name]
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    right = sum(
        int(distance[i].argmin() == j) + int(distance[:, j].argmin() == i) for i, j in shared
    )
    return round(right / (2 * len(shared)), 4)


def symmetry_error(points: FloatArray, flip: Sequence[int]) -> float:
    """The largest distance of a point from its mirrored partner's place, plane units."""
    moved = np.linalg.norm(points - symmetric(points, flip, _AXIS), axis=1)
    return 2 * float(moved.max())


def alignment_report(
    placed: Mapping[str, FloatArray],
    anchors: Mapping[str, FloatArray],
    schemes: Mapping[str, Scheme],
    residuals: Sequence[PairResidual],
    faces: Mapping[str, int],
) -> dict[str, Any]:
    """What a plane file keeps of its making."""
    rows = {}
    for key, points in anchors.items():
        moved = 100 * np.linalg.norm(points - placed[key], axis=1)
        rows[key] = {
            "points": len(points),
            "faces": faces.get(key),
            "moved_mean_percent": round(float(moved.mean()), 3),
            "moved_max_percent": round(float(moved.max()), 3),
            "symmetry_error_percent": round(100 * symmetry_error(points, schemes[key].flip), 3),
            "smallest_spacing_percent": round(100 * smallest_spacing(points), 3),
            "smallest_spacing_before_percent": round(100 * smallest_spacing(placed[key]), 3),
            "folded_triangles": folded_triangles(placed[key], points),
        }
    return {
        "unit": "percent of the plane's side; accuracies are shares of one",
        "schemes": rows,
        "pairs": [pair.to_dict() for pair in residuals],
    }


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0
