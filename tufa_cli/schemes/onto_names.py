"""What the points of a loose mean shape say by their names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, nearest
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.load import get_scheme, scheme_names
from tufa_cli.schemes.outlines import place_named
from tufa_cli.schemes.parts import Meaning, PlaceIndex, load_parts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: Of names that are no part's: how many are looked at for misspellings and listed, and how alike a
#: misspelt one is to what was meant (difflib's ratio).
_LOOKED_AT, _LISTED, _NEAR = 500, 8, 0.8


@dataclass(frozen=True, eq=False)
class LooseShape:
    """A mean shape in a frame of its own.

    points: (K, 2), x right, y down, any turn, size and place. names: (K), None where there is
    none. where: what errors call it.
    """

    points: FloatArray
    names: tuple[str | None, ...]
    where: str


def meanings_of(shape: LooseShape) -> tuple[list[Meaning | None], list[str]]:
    """What the names mean, and those that mean nothing to us; raises InputError."""
    meanings: list[Meaning | None] = []
    unknown, index = [], PlaceIndex()
    where: list[int] = []
    for number, name in enumerate(shape.names):
        meaning = _meaning(shape, number, name) if name else None
        meanings.append(meaning)
        if meaning is not None:
            twin = index.find(meaning)
            if twin is not None:
                raise InputError(
                    shape.where, f"points {where[twin]} and {number} are both named {meaning}"
                )
            index.add(meaning)
            where.append(number)
        elif name:
            unknown.append(name)
    return meanings, unknown


def _meaning(shape: LooseShape, number: int, name: str) -> Meaning | None:
    """The place a name says: a part's, or a shipped scheme's point's; None for a name of its own.

    Raises InputError for a part that is a curve without saying where, and ``part@t`` with either
    wrong.
    """
    word = name.strip().lower().replace(" ", "_").replace("-", "_")
    try:
        return place_named(word)
    except ValueError as error:
        base = word.partition("@")[0]
        if "@" not in word and base not in load_parts():
            return _point_names().get(word)
        near = "" if base in load_parts() else " or ".join(nearest(base, load_parts(), 2))
        problem = f"point {number} is named '{name}': {error}"
        hint = f"did you mean {near}?" if near else "see docs/schemes.md for the parts"
        raise InputError(shape.where, problem, hint=hint) from None


def not_known(unknown: Sequence[str]) -> str:
    """The names that mean nothing to us in a line, those first that look misspelt."""
    known = sorted({*load_parts(), *_point_names()})
    meant = {
        name: near[0]
        for name in unknown[:_LOOKED_AT]
        if (near := difflib.get_close_matches(name.strip().lower(), known, 1, _NEAR))
    }
    listed = [f"{name} (did you mean {near}?)" for name, near in meant.items()]
    listed = (listed + [name for name in unknown if name not in meant])[:_LISTED]
    more = f" and {len(unknown) - len(listed)} more" if len(unknown) > len(listed) else ""
    return f"names that are no part's: {', '.join(listed)}{more}"


@lru_cache(maxsize=1)
def _point_names() -> dict[str, Meaning]:
    """Points' names of the shipped schemes, where all that have a name mean the same by it."""
    found: dict[str, set[Meaning]] = {}
    for scheme in map(get_scheme, scheme_names()):
        for name, meaning in zip(scheme.names, scheme.meanings, strict=True):
            if meaning.place is None:
                found.setdefault(name.lower(), set()).add(meaning)
    return {name: next(iter(m)) for name, m in found.items() if len(m) == 1}


def pins_of(
    shape: LooseShape, meanings: Sequence[Meaning | None], curves: Curves
) -> tuple[IntArray, FloatArray]:
    """Indices of the points that have a known place, and the places; raises InputError."""
    pins, targets = [], []
    for number, meaning in enumerate(meanings):
        if meaning is None:
            continue
        place = curves.at(meaning)
        if place is None:
            raise InputError(
                shape.where,
                f"point {number} is named '{shape.names[number]}', for which the plane has no "
                "place",
                hint="give the point another name, or a plane that has the part",
            )
        pins.append(number)
        targets.append(place)
    return np.array(pins, dtype=np.intp), np.array(targets).reshape(-1, 2)
