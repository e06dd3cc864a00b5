"""Anchors for a scheme that a plane does not hold: by what its points mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError, UnknownNameError
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.load import get_scheme, is_shipped_name
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import load_parts
from tufa_cli.schemes.plane import Plane

FloatArray = NDArray[np.float64]


def anchors_for(scheme: Scheme, plane: Plane) -> FloatArray:
    """(K, 2) points_plane of a scheme: the plane's own, or found by meaning.

    A plane's own anchors are used only for the scheme of that name with those points. Otherwise
    each point is put where the plane's curves have its part and t. Raises TufaError that names the
    points for which the plane has no place.
    """
    return plane[scheme.name] if is_on(scheme, plane) else place_by_meaning(scheme, plane)


def place_by_meaning(
    scheme: Scheme, plane: Plane, layouts: Mapping[str, Scheme] | None = None
) -> FloatArray:
    """(K, 2) points_plane found by meaning alone; raises TufaError as ``anchors_for`` does.

    layouts: the plane's schemes by name; the shipped ones when left out.
    """
    curves = curves_of(plane) if layouts is None else _curves(plane, layouts)
    places = [curves.at(meaning) for meaning in scheme.meanings]
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


@lru_cache(maxsize=8)
def curves_of(plane: Plane) -> Curves:
    """The parts of a plane as curves, of the schemes on it that ship or have a mean shape."""
    own = plane.schemes
    layouts = {name: own[name] for name in own if name not in plane.by_meaning}
    layouts |= {
        name: get_scheme(name) for name in plane.anchors if name not in own and _loads(name)
    }
    return _curves(plane, layouts)


def face_outline(plane: Plane, points: int = 41) -> list[FloatArray]:
    """The mean face as lines, each (points, 2) points_plane: the curves of the plane's reference.

    Where the reference does not ship, the curves of whatever is on the plane.
    """
    curves = curves_of(plane)
    own = get_scheme(plane.reference).meanings if _loads(plane.reference) else ()
    used = {meaning.part for meaning in own}
    lines = [
        curve.at(np.linspace(0, 1, points))
        for name, part in load_parts().items()
        if part.is_curve and not part.mean_of and (not used or name in used)
        if (curve := curves.curve(name)) is not None
    ]
    return lines


def _curves(plane: Plane, layouts: Mapping[str, Scheme]) -> Curves:
    return Curves(plane.anchors, layouts, plane.reference)


def is_on(scheme: Scheme, plane: Plane) -> bool:
    """Whether the plane's anchors of a scheme's name are those of its points (a user's file may
    borrow a name)."""
    own = plane.anchors.get(scheme.name)
    if own is None or len(own) != len(scheme):
        return False
    try:
        return plane.layout(scheme.name).means_as(scheme)
    except TufaError:
        return True  # a plane of the user's own schemes that carries none: the name is all there is


def is_shipped(scheme: Scheme) -> bool:
    """Whether a scheme is the one that ships under its name."""
    return is_shipped_name(scheme.name) and get_scheme(scheme.name).means_as(scheme)


def borrows_name(scheme: Scheme) -> bool:
    """Whether a scheme has the name of one that ships, and other points."""
    return is_shipped_name(scheme.name) and not is_shipped(scheme)


def _loads(name: str) -> bool:
    """A plane may hold schemes of which only the user has the file."""
    try:
        get_scheme(name)
    except UnknownNameError:
        return False
    return True
