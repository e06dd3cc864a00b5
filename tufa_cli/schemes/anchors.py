"""Anchors for a scheme that a plane does not hold: by what its points mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError, UnknownNameError
from tufa_cli.schemes.load import get_scheme
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import Meaning
from tufa_cli.schemes.places import CURVE, MEAN, POINT, Estimate, estimate_place
from tufa_cli.schemes.plane import Plane

FloatArray = NDArray[np.float64]

_RANK = {POINT: 0, MEAN: 1, CURVE: 2}


def anchors_for(scheme: Scheme, plane: Plane) -> FloatArray:
    """(K, 2) points_plane of a scheme: the plane's own, or found by meaning.

    A plane's own anchors are used only for the scheme of that name with as many points. Otherwise
    each point is put where a scheme of the plane has its place: as a point if one does, else as a
    mean, else between the points of a curve (the closest two). Raises TufaError that names the
    points for which no scheme on the plane has a place.
    """
    own = plane.anchors.get(scheme.name)
    if own is not None and len(own) == len(scheme) and is_shipped(scheme):
        return own
    return place_by_meaning(scheme, plane)


def place_by_meaning(
    scheme: Scheme, plane: Plane, layouts: Mapping[str, Scheme] | None = None
) -> FloatArray:
    """(K, 2) points_plane found by meaning alone; raises TufaError as ``anchors_for`` does.

    layouts: the plane's schemes by name; the shipped ones when left out.
    """
    if layouts is None:
        layouts = {name: get_scheme(name) for name in plane.anchors if _loads(name)}
    known = [(layouts[name], points) for name, points in _in_order(plane) if name in layouts]
    places = [_place(meaning, known) for meaning in scheme.meanings]
    lost = [
        f"{name} ({meaning})" if str(meaning) != name else name
        for name, meaning, place in zip(scheme.names, scheme.meanings, places, strict=True)
        if place is None
    ]
    if lost:
        raise TufaError(
            f"scheme {scheme.name}: the plane has no place for {', '.join(lost[:8])}"
            + (f" and {len(lost) - 8} more" if len(lost) > 8 else ""),
            "use parts that a scheme on the plane has, see 'tufa-cli schemes show'",
        )
    return np.array([place for place in places if place is not None])


def _place(meaning: Meaning, known: list[tuple[Scheme, FloatArray]]) -> FloatArray | None:
    best: tuple[tuple[int, float], FloatArray] | None = None
    for scheme, points in known:
        estimate = estimate_place(scheme, meaning)
        if estimate is None:
            continue
        used = points[list(estimate.weights)]
        place = np.array(list(estimate.weights.values())) @ used
        rank = (_RANK[estimate.how], _reach(estimate, used, place))
        if best is None or rank < best[0]:
            best = (rank, place)
    return None if best is None else best[1]


def _reach(estimate: Estimate, used: FloatArray, place: FloatArray) -> float:
    """Distance to the nearest point that the estimate rests on; 0 unless on a curve."""
    if estimate.how != CURVE:
        return 0.0
    return float(np.sort(np.linalg.norm(used - place, axis=1))[:2].sum())


def _in_order(plane: Plane) -> list[tuple[str, FloatArray]]:
    """The plane's schemes, the reference first: among equals it decides."""
    return sorted(plane.anchors.items(), key=lambda item: item[0] != plane.reference)


def is_shipped(scheme: Scheme) -> bool:
    """Whether a scheme is what its name stands for (a user's file may borrow a shipped name)."""
    try:
        return get_scheme(scheme.name).meanings == scheme.meanings
    except TufaError:
        return True  # a plane of the user's own schemes: the name is all there is


def _loads(name: str) -> bool:
    """A plane may hold schemes of which only the user has the file."""
    try:
        get_scheme(name)
    except UnknownNameError:
        return False
    return True
