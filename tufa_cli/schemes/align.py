"""Mean shapes of any number of schemes onto one plane, by what their points mean.

The reference stays where the design puts it. Every other scheme is carried onto those already
placed by a similarity, and then all of them get one displacement per point (the semantic
alignment embedding), found together so that equal places coincide and the fields stay smooth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import (
    Constraint,
    FieldPrior,
    centred_in_square,
    constrained_field,
    folded_triangles,
    place,
    smallest_spacing,
    symmetric,
    upright,
)
from tufa_cli.schemes.anchors import place_by_meaning
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.places import CURVE, POINT, Estimate, SharedPlace, shared_places
from tufa_cli.schemes.plane import FACE_BOX_SIDE, Plane

FloatArray = NDArray[np.float64]

REFERENCE = "wflw98"
#: How far two equal places may stay apart, by how they are known (plane units).
SPREAD = {POINT: 0.0003, "mean": 0.001, CURVE: 0.002}
_AXIS = 0.5


@dataclass(frozen=True)
class PairResidual:
    """How far apart the places are that two schemes share, in % of the plane's side.

    equal: places both have as points (or means of points); curve: places that one of them has
    between the points of a curve. ``before`` is after the similarity, ``after`` with displacements.
    """

    first: str
    second: str
    equal: int
    before: float
    after: float
    worst: float
    curve: int
    curve_before: float
    curve_after: float


@dataclass(frozen=True, eq=False)
class Alignment:
    """A plane and how it came about.

    placed: (K, 2) points_plane of each scheme after the similarity, before its displacements.
    """

    plane: Plane
    placed: Mapping[str, FloatArray]
    residuals: tuple[PairResidual, ...]


def align(
    shapes: Mapping[str, FloatArray],
    schemes: Mapping[str, Scheme],
    name: str = "tufa",
    reference: str = REFERENCE,
    prior: FieldPrior | None = None,
    faces: Mapping[str, int] | None = None,
) -> Alignment:
    """Put mean shapes (K, 2), any frame with y down, on one plane.

    schemes: the scheme of every shape, by the same key. Raises TufaError when the reference is
    missing, a shape does not fit its scheme, or a scheme shares fewer than three places with
    the others.
    """
    _check(shapes, schemes, reference)
    schemes = {key: schemes[key] for key in shapes}
    pairs = _shared(schemes)
    placed = _placed(shapes, schemes, pairs, reference)
    order = list(placed)
    moved = constrained_field(
        [placed[key] for key in order],
        [key == reference for key in order],
        _constraints(placed, pairs),
        prior,
    )
    anchors = {
        key: placed[key] if key == reference else symmetric(points, schemes[key].flip_index, _AXIS)
        for key, points in zip(order, moved, strict=True)
    }
    anchors = {key: np.round(anchors[key], 6) for key in sorted(anchors)}
    residuals = tuple(_residual(a, b, pairs[a, b], placed, anchors) for a, b in pairs)
    report = _report(placed, anchors, residuals, faces or {})
    return Alignment(Plane(name, reference, anchors, report=report), placed, residuals)


def with_schemes(
    plane: Plane, extra: Sequence[Scheme], layouts: Mapping[str, Scheme] | None = None
) -> Plane:
    """The plane with schemes added that have no mean shape, placed by meaning alone.

    layouts: the plane's schemes by name; the shipped ones when left out. Raises TufaError when a
    point has no place on the plane.
    """
    anchors = dict(plane.anchors)
    for scheme in extra:
        anchors[scheme.name] = np.round(place_by_meaning(scheme, plane, layouts), 6)
    report = dict(plane.report)
    if extra:
        report["by_meaning_alone"] = sorted(scheme.name for scheme in extra)
    return replace(plane, anchors=dict(sorted(anchors.items())), report=report)


def _check(shapes: Mapping[str, FloatArray], schemes: Mapping[str, Scheme], reference: str) -> None:
    if reference not in shapes:
        raise TufaError(
            f"the plane is built on the mean shape of {reference}, which is not among "
            f"{', '.join(sorted(shapes))}",
            f"add a mean shape of {reference}",
        )
    for key, shape in shapes.items():
        if shape.shape != (len(schemes[key]), 2):
            raise TufaError(
                f"the mean shape of {key} has {len(shape)} points, its scheme {len(schemes[key])}"
            )
        if not np.isfinite(shape).all():
            raise TufaError(f"the mean shape of {key} has points that are not numbers")


def _shared(schemes: Mapping[str, Scheme]) -> dict[tuple[str, str], list[SharedPlace]]:
    keys = sorted(schemes)
    return {
        (a, b): places
        for i, a in enumerate(keys)
        for b in keys[i + 1 :]
        if (places := shared_places(schemes[a], schemes[b]))
    }


def _placed(
    shapes: Mapping[str, FloatArray],
    schemes: Mapping[str, Scheme],
    pairs: Mapping[tuple[str, str], Sequence[SharedPlace]],
    reference: str,
) -> dict[str, FloatArray]:
    """Every scheme on the plane by similarity, the one that shares most with the placed next."""
    straight = {
        key: symmetric(upright(shape, schemes[key].flip), schemes[key].flip)
        for key, shape in shapes.items()
    }
    placed = {reference: np.round(centred_in_square(straight.pop(reference), FACE_BOX_SIDE), 6)}
    while straight:
        links = {key: _links(key, straight[key], placed, pairs) for key in straight}
        best = max(sorted(links), key=lambda key: len(links[key]))
        if len(links[best]) < 3:
            raise TufaError(
                f"{best} shares {len(links[best])} places with the schemes on the plane, "
                "three are needed",
                "use parts that other schemes use, see 'tufa-cli schemes show'",
            )
        source, target = zip(*links[best], strict=True)
        moved = place(straight.pop(best), np.array(source), np.array(target))
        placed[best] = symmetric(moved, schemes[best].flip, _AXIS)
    return placed


def _links(
    key: str,
    shape: FloatArray,
    placed: Mapping[str, FloatArray],
    pairs: Mapping[tuple[str, str], Sequence[SharedPlace]],
) -> list[tuple[FloatArray, FloatArray]]:
    """(place on ``shape``, place on the plane) for all that it shares with placed schemes."""
    links = []
    for (first, second), places in pairs.items():
        for shared in places:
            if first == key and second in placed:
                here, there, other = shared.first, shared.second, placed[second]
            elif second == key and first in placed:
                here, there, other = shared.second, shared.first, placed[first]
            else:
                continue
            links.append((_at(shape, here), _at(other, there)))
    return links


def _at(points: FloatArray, estimate: Estimate) -> FloatArray:
    indices, weights = list(estimate.weights), list(estimate.weights.values())
    return np.asarray(np.array(weights) @ points[indices])


def _constraints(
    placed: Mapping[str, FloatArray],
    pairs: Mapping[tuple[str, str], Sequence[SharedPlace]],
) -> list[Constraint]:
    starts = {}
    total = 0
    for key, points in placed.items():
        starts[key] = total
        total += len(points)
    constraints = []
    for (first, second), places in pairs.items():
        for shared in places:
            weights = {starts[first] + i: w for i, w in shared.first.weights.items()}
            weights |= {starts[second] + i: -w for i, w in shared.second.weights.items()}
            spread = max(SPREAD[shared.first.how], SPREAD[shared.second.how])
            constraints.append(Constraint(weights, spread))
    return constraints


def _residual(
    first: str,
    second: str,
    places: Sequence[SharedPlace],
    placed: Mapping[str, FloatArray],
    anchors: Mapping[str, FloatArray],
) -> PairResidual:
    def distances(points: Mapping[str, FloatArray], equal: bool) -> list[float]:
        return [
            100 * float(np.linalg.norm(_at(points[first], s.first) - _at(points[second], s.second)))
            for s in places
            if s.equal == equal
        ]

    before, after = distances(placed, True), distances(anchors, True)
    curve_before, curve_after = distances(placed, False), distances(anchors, False)
    return PairResidual(
        first=first,
        second=second,
        equal=len(after),
        before=_mean(before),
        after=_mean(after),
        worst=round(max(after, default=0.0), 3),
        curve=len(curve_after),
        curve_before=_mean(curve_before),
        curve_after=_mean(curve_after),
    )


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0


def _report(
    placed: Mapping[str, FloatArray],
    anchors: Mapping[str, FloatArray],
    residuals: Sequence[PairResidual],
    faces: Mapping[str, int],
) -> dict[str, Any]:
    schemes = {}
    for key, points in anchors.items():
        moved = 100 * np.linalg.norm(points - placed[key], axis=1)
        schemes[key] = {
            "points": len(points),
            "faces": faces.get(key),
            "moved_mean_percent": round(float(moved.mean()), 3),
            "moved_max_percent": round(float(moved.max()), 3),
            "smallest_spacing_percent": round(100 * smallest_spacing(points), 3),
            "smallest_spacing_before_percent": round(100 * smallest_spacing(placed[key]), 3),
            "folded_triangles": folded_triangles(placed[key], points),
        }
    return {
        "unit": "percent of the plane's side",
        "schemes": schemes,
        "pairs": [dict(vars(residual)) for residual in residuals],
    }
