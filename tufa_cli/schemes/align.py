"""Mean shapes of any number of schemes onto one plane, by what their points mean.

The reference stays where the design puts it. Every other scheme is carried onto those already
placed by a similarity, and then all of them get one displacement per point (the semantic
alignment embedding), found together so that equal places coincide and the fields stay smooth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import (
    Constraint,
    FieldPrior,
    centred_in_square,
    constrained_field,
    place,
    symmetric,
    upright,
)
from tufa_cli.schemes.align_report import PairResidual, alignment_report, residual, value_at
from tufa_cli.schemes.anchors import borrows_name, is_on, is_shipped, place_by_meaning
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import Meaning
from tufa_cli.schemes.places import CURVE, POINT, SharedPlace, shared_places
from tufa_cli.schemes.plane import FACE_BOX_SIDE, Plane

FloatArray = NDArray[np.float64]

REFERENCE = "wflw98"
#: How far two equal places may stay apart, by how they are known (plane units).
SPREAD = {POINT: 0.0003, "mean": 0.001, CURVE: 0.002}
_AXIS = 0.5


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
    on_curves: bool = True,
    keep: Callable[[Meaning], bool] | None = None,
) -> Alignment:
    """Put mean shapes (K, 2), any frame with y down, on one plane.

    schemes: the scheme of every shape, by the same key. on_curves: put every point on its part's
    curve in the end, so that equal places coincide. keep: which shared places the fit may use (all
    when left out; for checks that leave some out). Raises TufaError when the reference is
    missing, a shape does not fit its scheme, or a scheme shares fewer than three places with
    the others.
    """
    _check(shapes, schemes, reference)
    schemes = {key: schemes[key] for key in shapes}
    pairs = _shared(schemes)
    used = {pair: _kept(places, keep) for pair, places in pairs.items()}
    placed = _placed(shapes, schemes, used, reference)
    order = list(placed)
    moved = constrained_field(
        [placed[key] for key in order],
        [key == reference for key in order],
        _constraints(placed, used),
        prior,
    )
    anchors = {
        key: placed[key] if key == reference else symmetric(points, schemes[key].flip, _AXIS)
        for key, points in zip(order, moved, strict=True)
    }
    if on_curves:
        anchors = _on_curves(anchors, schemes, reference)
    anchors = {key: np.round(anchors[key], 6) for key in sorted(anchors)}
    residuals = tuple(
        residual(schemes[a], schemes[b], pairs[a, b], placed, anchors) for a, b in pairs
    )
    report = alignment_report(placed, anchors, schemes, residuals, faces or {})
    own = {key: schemes[key] for key in anchors if not is_shipped(schemes[key])}
    plane = Plane(name, reference, anchors, report=report, schemes=own)
    return Alignment(plane, placed, residuals)


def _on_curves(
    anchors: Mapping[str, FloatArray], schemes: Mapping[str, Scheme], reference: str
) -> dict[str, FloatArray]:
    """Every point put on the place that its part and t are on the curves through all anchors.

    The reference stays: the curves pass its points.
    """
    curves = Curves(anchors, schemes, reference)
    snapped = {}
    for key, points in anchors.items():
        places = [curves.at(meaning) for meaning in schemes[key].meanings]
        snapped[key] = (
            points
            if key == reference
            else np.array(
                [
                    point if place is None else place
                    for point, place in zip(points, places, strict=True)
                ]
            )
        )
    return snapped


def with_schemes(
    plane: Plane, extra: Sequence[Scheme], layouts: Mapping[str, Scheme] | None = None
) -> Plane:
    """The plane with schemes added that have no mean shape, placed by meaning alone.

    layouts: the plane's schemes by name; the shipped ones when left out. Raises TufaError when a
    point has no place on the plane.
    """
    anchors = {
        scheme.name: np.round(place_by_meaning(scheme, plane, layouts), 6) for scheme in extra
    }
    own = {scheme.name: scheme for scheme in extra if not is_shipped(scheme)}
    return plane.with_anchors(anchors, own, anchors)


def with_own(plane: Plane, scheme: Scheme) -> Plane:
    """The plane with a scheme, placed by meaning; as it is when it holds the scheme already.

    Raises TufaError when a point has no place on the plane, or another scheme has the name.
    """
    held = is_shipped(scheme) or scheme.name in plane.schemes
    if held and is_on(scheme, plane):
        return plane
    if borrows_name(scheme) or (scheme.name in plane.anchors and not is_on(scheme, plane)):
        raise TufaError(
            f"{scheme.name} is also the name of another scheme, with other points",
            "give yours another 'name' in its file",
        )
    if scheme.name in plane.anchors:  # a plane file of before planes carried schemes
        return plane.with_anchors({}, {scheme.name: scheme}, plane.by_meaning)
    return with_schemes(plane, [scheme])


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


def _kept(
    places: Sequence[SharedPlace], keep: Callable[[Meaning], bool] | None
) -> list[SharedPlace]:
    return [place for place in places if keep is None or keep(place.meaning)]


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
            links.append((value_at(shape, here), value_at(other, there)))
    return links


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
