"""A scheme given only by its mean shape, laid on a plane without a photo.

Points whose names are places of ours go where the plane has them, and the others follow; when no
name helps, the shape alone says where the points lie (``geometry.shape_match``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.mirror import averaged, mirror_partners, symmetrised
from tufa_cli.geometry.pinned import fit_named, follow_pins
from tufa_cli.geometry.plane_fit import close_pairs, folded_triangles
from tufa_cli.geometry.shape_match import (
    SYMMETRIC,
    Face,
    Placement,
    match_scheme,
    place_by_shape,
    placement,
    settle,
    shape_problem,
)
from tufa_cli.schemes.anchors import curves_of
from tufa_cli.schemes.check import COLLAPSED
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.derive import derived_flip
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.new import Draft, from_places, make_scheme
from tufa_cli.schemes.onto_names import LooseShape, meanings_of, not_known, pins_of
from tufa_cli.schemes.parts import Meaning, canonical, free_place, load_parts
from tufa_cli.schemes.plane import Plane

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: More points than this are no landmark scheme.
MOST_POINTS = 10_000
#: Fewer points than this are a face in too many ways when no name helps.
FEWEST = 5
#: A shape is a known scheme's when it is no farther off than this (plane units, root mean square;
#: the mean shapes of the shipped schemes are up to 0.022 from their anchors), and any other order
#: is farther by this factor.
RECOGNISED, APART = 0.03, 1.3
#: By shape alone the next best placement must cost so much more than the best. Of the shapes that
#: docs/plane.md tells of, none above this is placed wrong.
SURE = 1.07
#: Named points that miss their places by more than this (plane units, root mean square) have
#: another face's proportions, or wrong names.
MISFIT = 0.1
#: A shape is made symmetric first when nearly all its points have a partner within this distance of
#: their mirror image, in units of their root mean square distance from the centre (about a third
#: of the plane): a mean shape is as lopsided as that.
LOPSIDED, NEARLY_ALL = 0.35, 0.9
#: How far partners may be from each other's mirror image about the face's line (plane units).
_ON_AXIS = 0.04
#: How densely the face's lines are laid out (plane units).
_STEP = 0.01

#: What most schemes have points at.
_LANDMARKS = (
    *("left_eye_outer", "left_eye_inner", "right_eye_inner", "right_eye_outer"),
    *("nose_tip", "nose_base_middle", "mouth_left", "mouth_right"),
    *("upper_lip_top", "lower_lip_bottom", "chin", "jaw_left_end", "jaw_right_end"),
    *("left_brow_outer", "left_brow_inner", "right_brow_inner", "right_brow_outer"),
)

NAME_THEM = "name a few points in 'names', such as chin, nose_tip, left_eye_outer, jaw@0.25"


@dataclass(frozen=True, eq=False)
class Placed:
    """A scheme laid on a plane, the text of its file, and how sure that is.

    points_plane: (K, 2) in the order of the input. report: plain values.
    """

    scheme: Scheme
    text: str
    points_plane: FloatArray
    report: dict[str, Any] = field(default_factory=dict)


def place_onto(
    shape: LooseShape, plane: Plane, name: str, source: str, snap: float | None = None
) -> Placed:
    """Lay a mean shape on a plane and write it as a scheme.

    Named points become their part and t, the others places of their own, or with ``snap`` (plane
    units) the part's place that lies so near. Raises InputError for points and names that cannot
    be used or leave in doubt where the points lie, ProblemsError for points that fall together.
    """
    curves = curves_of(plane)
    _check_points(shape)
    meanings, unknown = meanings_of(shape)
    pins, targets = pins_of(shape, meanings, curves)
    face = face_of(curves)
    try:
        points, partner, report = _laid(shape, plane, face, pins, targets)
    except InputError as error:
        if error.hint != NAME_THEM or not unknown:
            raise
        hint = f"{NAME_THEM}; {not_known(unknown)}"
        raise InputError(shape.where, error.problem, hint=hint) from None
    points = np.round(points, 6)
    _check_apart(shape, points)
    draft = _draft(points, meanings, shape.names, curves, snap)
    draft = replace(draft, flip=_flip(draft, partner))
    scheme, text = make_scheme(draft, name, plane, source=source)
    residual = 100 * float(np.median(face.nearest(points)[0]))
    return Placed(
        scheme,
        text,
        points,
        {
            "points": len(scheme),
            "named": len(pins),
            "unknown_names": unknown,
            "free_places": sum(m.place is not None for m in scheme.meanings),
            "has_flip": scheme.has_flip,
            "off_lines_percent": round(residual, 3),
            **report,
        },
    )


def _laid(
    shape: LooseShape, plane: Plane, face: Face, pins: IntArray, targets: FloatArray
) -> tuple[FloatArray, IntArray, dict[str, Any]]:
    """(K, 2) points_plane, (K,) mirror partners or -1, and what is to be reported.

    The shape is made symmetric about a line of its own first, if it has one that lies on the
    face's in the end. One with several lines, such as a grid, may have another there.
    """

    def lay(points: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        given = replace(shape, points=points)
        if len(pins) > 1 or len(pins) == len(points):
            return _by_names(given, face, pins, targets)
        return _by_shape(given, plane, face, pins, targets)

    if shape_problem(shape.points) is None:
        even, partner = symmetrised(shape.points, LOPSIDED, NEARLY_ALL, SYMMETRIC)
        points, report = lay(even)
        paired = np.flatnonzero(partner >= 0)
        mirror = points[partner[paired]] * (-1.0, 1.0) + (2 * face.axis_x, 0.0)
        if not len(paired) or np.median(np.abs(mirror - points[paired])) < _ON_AXIS:
            done = "recognised" in report
            return points if done else _even(points, partner, pins, face.axis_x), partner, report
    points, report = lay(shape.points)
    partner = mirror_partners(points, face.axis_x, _ON_AXIS)
    if (partner >= 0).mean() < NEARLY_ALL:
        partner[:] = -1
    return _even(points, partner, pins, face.axis_x), partner, report


def face_of(curves: Curves) -> Face:
    """A plane's parts as a face to lay points on; raises TufaError when there are too few."""
    places: list[FloatArray] = []
    for name, part in load_parts().items():
        curve = curves.curve(name) if part.is_curve else None
        if curve is not None:
            fine = curve.at(np.linspace(0, 1, 401))
            along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
            even = np.linspace(0, along[-1], max(2, int(np.ceil(along[-1] / _STEP)) + 1))
            places.append(curve.at(np.interp(even, along, np.linspace(0, 1, 401))))
        elif not part.is_curve and (place := curves.at(canonical(name))) is not None:
            places.append(place[None])
    known = [curves.at(canonical(name)) for name in _LANDMARKS]
    landmarks = [place for place in known if place is not None]
    if len(landmarks) < 5:
        raise TufaError(
            f"the plane has {len(landmarks)} of the {len(_LANDMARKS)} places that shapes are "
            "laid on by",
            "use a plane with a whole face, such as the shipped one",
        )
    return Face(np.concatenate(places), np.array(landmarks))


def _check_points(shape: LooseShape) -> None:
    points = shape.points
    if points.ndim != 2 or points.shape[1:] != (2,) or not len(points):
        raise InputError(shape.where, "no points in it")
    if len(points) > MOST_POINTS:
        raise InputError(shape.where, f"{len(points)} points, {MOST_POINTS} are the most")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InputError(shape.where, f"point {bad[0]} is not a number")
    size = float(np.ptp(points, axis=0).max())
    equal = close_pairs(points, 1e-6 * size) if size > 0 else []
    if equal:
        raise InputError(shape.where, f"points {equal[0][0]} and {equal[0][1]} lie at one place")


def _check_apart(shape: LooseShape, points_plane: FloatArray) -> None:
    pairs = close_pairs(points_plane, COLLAPSED)
    if pairs:
        i, j = pairs[0]
        more = f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
        raise InputError(
            shape.where,
            f"points {i} and {j} are closer than {100 * COLLAPSED:g} % of the plane{more}",
            hint="leave one of them out: to a network they are one point",
        )


def _by_names(
    shape: LooseShape, face: Face, pins: IntArray, targets: FloatArray
) -> tuple[FloatArray, dict[str, Any]]:
    """Two or more named points: a similarity, then all of them exactly, the rest smoothly."""
    if len(pins) == len(shape.points):
        return targets, {"by": "names"}
    fits = fit_named(shape.points, pins, targets)
    if not fits:
        raise InputError(shape.where, "the named points lie at one place", hint=NAME_THEM)
    # As the points stand, unless mirrored fits clearly better: by the named ones, then as a face.
    straight, mirrored = (
        fit.misfit + 0.06 * placement(fit.points_plane, face).cost for fit in fits
    )
    fit = fits[1] if mirrored < 0.9 * straight - 1e-6 else fits[0]
    if fit.misfit > MISFIT:
        worst = int(pins[int(fit.miss.argmax())])
        raise InputError(
            shape.where,
            f"the named points miss their places by {100 * fit.misfit:.0f} % of the plane, most "
            f"of all point {worst}, '{shape.names[worst]}'",
            hint="are the names in the order of the points, left and right as in the image?",
        )
    points, folds = follow_pins(fit.points_plane, pins, targets)
    report = {
        "by": "names",
        "mirrored": fit is fits[1],
        "named_moved_percent": round(100 * fit.misfit, 3),
        "folded_triangles": folds,
    }
    return points, report


def _by_shape(
    shape: LooseShape, plane: Plane, face: Face, pins: IntArray, targets: FloatArray
) -> tuple[FloatArray, dict[str, Any]]:
    """At most one named point: a known scheme's shape, or the best way to lay it on the face."""
    problem = shape_problem(shape.points)
    if problem is None and len(shape.points) < FEWEST:
        problem = f"{len(shape.points)} points are a face in many ways"
    if problem is not None:
        raise InputError(shape.where, f"{problem}, and no name says where they lie", hint=NAME_THEM)
    known = _recognised(shape.points, plane) if not len(pins) else None
    if known is not None:
        return known
    found = place_by_shape(shape.points, face)
    if len(pins):
        found = sorted(found, key=lambda item: _with_pin(item, pins, targets))
    margin = _margin(found, pins, targets)
    if not found or margin < SURE:
        raise InputError(
            shape.where,
            "the shape alone does not tell where the points lie: the best place costs "
            f"{found[0].cost:.3f}, another one {margin * found[0].cost:.3f}"
            if found
            else "the shape fits no part of a face",
            hint=NAME_THEM,
        )
    best = found[0].points_plane
    points = settle(best, face)
    if _folds(best, points):
        points = best
    if len(pins):
        points, _ = follow_pins(points, pins, targets)
    report = {
        "by": "shape",
        "cost": round(found[0].cost, 4),
        "margin": round(min(margin, 100.0), 3),
        "settled_percent": round(100 * float(np.linalg.norm(points - best, axis=1).mean()), 3),
        "folded_triangles": _folds(best, points),
    }
    return points, report


def _folds(before: FloatArray, after: FloatArray) -> int:
    return folded_triangles(before, after) if shape_problem(before) is None else 0


def _with_pin(item: Placement, pins: IntArray, targets: FloatArray) -> float:
    """The cost of a placement, and how far the one named point is off, in units of the cost's."""
    off = np.linalg.norm(item.points_plane[pins] - targets, axis=1)
    return item.cost + float(off.sum()) / 0.06


def _margin(found: Sequence[Placement], pins: IntArray, targets: FloatArray) -> float:
    costs = [_with_pin(item, pins, targets) for item in found[:2]]
    return costs[1] / max(costs[0], 1e-9) if len(costs) > 1 else np.inf


def _recognised(points: FloatArray, plane: Plane) -> tuple[FloatArray, dict[str, Any]] | None:
    """The anchors of a scheme on the plane whose shape this is in another order, or None."""
    found = [
        (match_scheme(points, anchors), name, anchors)
        for name, anchors in sorted(plane.anchors.items())
        if len(anchors) == len(points)
    ]
    if not found:
        return None
    match, name, anchors = min(found, key=lambda item: item[0].residual)
    if match.residual > RECOGNISED or match.next_best < APART * match.residual:
        return None
    report = {
        "by": "shape",
        "recognised": name,
        "order": match.order.tolist(),
        "residual_percent": round(100 * match.residual, 3),
        "margin": round(min(match.next_best / max(match.residual, 1e-9), 100.0), 3),
    }
    return anchors[match.order], report


def _even(points: FloatArray, partner: IntArray, pins: IntArray, axis_x: float) -> FloatArray:
    """Points and partners made each other's mirror images; pins stay, their partners yield."""
    even = averaged(points, partner, axis_x)
    even[pins] = points[pins]
    for pin in pins:
        if partner[pin] >= 0 and partner[pin] not in pins:
            even[partner[pin]] = points[pin] * (-1.0, 1.0) + (2 * axis_x, 0.0)
    return even


def _draft(
    points: FloatArray,
    meanings: Sequence[Meaning | None],
    names: Sequence[str | None],
    curves: Curves,
    snap: float | None,
) -> Draft:
    """What the points mean: what their names say, else the near part's place, else their own."""
    if snap is not None:
        words = [str(m) if m else own for m, own in zip(meanings, names, strict=True)]
        return from_places(points, words, curves, snap)
    return Draft(
        tuple(m or free_place(*point) for m, point in zip(meanings, points, strict=True)),
        tuple(None if m else own for m, own in zip(meanings, names, strict=True)),
    )


def _flip(draft: Draft, partner: IntArray) -> tuple[int, ...]:
    """The partners that the meanings tell, else those that the shape tells."""
    told = derived_flip(draft.meanings)
    free = [i for i, j in enumerate(told) if j < 0 <= partner[i] and told[partner[i]] < 0]
    for i in free:
        told[i] = int(partner[i])
    return tuple(told)
