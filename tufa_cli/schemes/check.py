"""What can be wrong with a scheme beyond its file: places the plane lacks, points that collapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.crop import Window
from tufa_cli.geometry.plane_fit import close_pairs
from tufa_cli.schemes.anchors import borrows_name, curves_of, is_on
from tufa_cli.schemes.load import get_scheme, inspect_scheme, is_scheme_file, read_text
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import Meaning, mirrored, same
from tufa_cli.schemes.plane import Plane

FloatArray = NDArray[np.float64]

#: Points nearer to each other than this (plane units) are one point to every network.
COLLAPSED = 0.0005
#: A normaliser shorter than this (plane units) divides by noise.
_SHORT = 0.05
#: So many points or pairs are listed by name.
_LISTED = 8


@dataclass(frozen=True)
class Findings:
    """problems: what makes a scheme unusable. warnings: what its user should know."""

    points: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_file(name_or_file: str, plane: Plane) -> Findings:
    """All that is wrong with a scheme file, or a shipped scheme by its name.

    Mistakes in the YAML do not hide what the plane lacks. Raises UnknownNameError for a name that
    is neither, InputError for a file that cannot be read or is no YAML mapping.
    """
    path = Path(name_or_file)
    if not is_scheme_file(name_or_file):
        return check_scheme(get_scheme(name_or_file), plane)
    scheme, mistakes = inspect_scheme(read_text(path), str(path))
    if not mistakes:
        return check_scheme(scheme, plane)
    _, lost, collapsed = _places(scheme, plane)
    return Findings(len(scheme), [*mistakes, *lost, *collapsed])


def check_scheme(scheme: Scheme, plane: Plane) -> Findings:
    """All that is wrong with a scheme whose file is sound."""
    places, lost, collapsed = _places(scheme, plane)
    warnings = [*_borrowed(scheme), *_one_sided(scheme), *_few(scheme)]
    if not lost:
        warnings += [*_short_normaliser(scheme, places), *_unseen(scheme, places, plane.window)]
    return Findings(len(scheme), [*lost, *collapsed], warnings)


def one_sided(scheme: Scheme) -> list[Meaning]:
    """What the points mean that have no counterpart on the other side."""
    return [m for m, partner in zip(scheme.meanings, scheme.flip, strict=True) if partner < 0]


def missing_sides(scheme: Scheme) -> list[str]:
    """The parts, or free places, that would make a one-sided scheme two-sided."""
    return list(dict.fromkeys(_short(mirrored(meaning)) for meaning in one_sided(scheme)))


def _short(meaning: Meaning) -> str:
    return str(meaning) if meaning.place is not None else meaning.part


def _places(scheme: Scheme, plane: Plane) -> tuple[FloatArray, list[str], list[str]]:
    """(n, 2) points_plane of the points that have a place, and both kinds of problems."""
    if is_on(scheme, plane):
        own = plane[scheme.name]
        return own, [], _collapsed(scheme.names, scheme.meanings, own)
    curves = curves_of(plane)
    places = [curves.at(meaning) for meaning in scheme.meanings]
    lost: dict[str, list[str]] = {}
    names, meanings, found = [], [], []
    for name, meaning, place in zip(scheme.names, scheme.meanings, places, strict=True):
        if place is None:
            lost.setdefault(meaning.part, []).append(name)
        else:
            names.append(name)
            meanings.append(meaning)
            found.append(place)
    points = np.array(found).reshape(-1, 2)
    problems = [
        f"the plane has no place for {part}" + (f": {_first(members)}" if members != [part] else "")
        for part, members in lost.items()
    ]
    return points, problems, _collapsed(names, meanings, points)


def _collapsed(names: Sequence[str], meanings: Sequence[Meaning], points: FloatArray) -> list[str]:
    # Points of exactly equal meaning are a mistake in the file, listed with those.
    pairs = [
        (i, j) for i, j in close_pairs(points, COLLAPSED) if not same(meanings[i], meanings[j])
    ]
    listed = [f"{names[i]} and {names[j]}" for i, j in pairs[:_LISTED]]
    if not listed:
        return []
    more = f" and {len(pairs) - _LISTED} more pairs" if len(pairs) > _LISTED else ""
    return [
        f"closer to each other than {100 * COLLAPSED:g} % of the plane: {', '.join(listed)}{more}"
    ]


def _borrowed(scheme: Scheme) -> list[str]:
    if not borrows_name(scheme):
        return []
    return [f"{scheme.name} is also the name of a scheme that ships; give yours another"]


def _one_sided(scheme: Scheme) -> list[str]:
    without = one_sided(scheme)
    if not without:
        return []
    count = f"{len(without)} point" + ("s have" if len(without) > 1 else " has")
    return [
        f"{count} no counterpart on the other side (missing: {_first(missing_sides(scheme))}); "
        "photos are not mirrored in training"
    ]


def _few(scheme: Scheme) -> list[str]:
    if len(scheme) >= 3:
        return []
    return [f"{len(scheme)} points: 'evaluate' and 'pack' need three to cut faces out by labels"]


def _short_normaliser(scheme: Scheme, places: FloatArray) -> list[str]:
    if scheme.normaliser is None:
        return []
    first, second = scheme.normaliser
    length = float(np.linalg.norm(places[first] - places[second]))
    if length >= _SHORT:
        return []
    return [f"the normaliser {first}, {second} is only {100 * length:.1f} % of the plane long"]


def _unseen(scheme: Scheme, places: FloatArray, window: Window) -> list[str]:
    crop = window.to_crop(places)
    out = np.any((crop < 0) | (crop > 1), axis=1)
    outside = [scheme.names[index] for index in np.flatnonzero(out)]
    if not outside:
        return []
    return [f"outside what the network sees of the face: {_first(outside)}"]


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
