"""The vocabulary of parts: what a scheme's points can mean.

A point belongs to a part at a fraction t in 0..1 along it, or is a named point. Two points with
the same part and t mean the same (DESIGN section 4, "Semantics").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import yaml

from tufa_cli.errors import ProblemsError
from tufa_cli.schemes.files import YAML_LOADER, builtin_text

#: Two fractions, or two coordinates of free places, closer than this are the same place.
T_TOLERANCE = 1e-4

#: The part of places that are given by their coordinates on the plane.
FREE = "plane"


@dataclass(frozen=True)
class Part:
    """A curve from one named point to another, or (``start`` None) a named point itself.

    curve, at: the curve and fraction where a named point lies, if it lies on one (chin: jaw, 0.5).
    reverse: whether mirroring turns a curve's t into 1 - t.
    mean_of: the places whose mean a named point is, or the curves (at the same t) that a curve
        runs in the middle of.
    """

    name: str
    mirror: str
    group: str
    start: str | None = None
    end: str | None = None
    curve: str | None = None
    at: float = 0.0
    reverse: bool = False
    mean_of: tuple[str, ...] = ()

    @property
    def is_curve(self) -> bool:
        return self.start is not None


@dataclass(frozen=True, order=True)
class Meaning:
    """A place on the face: a part and a fraction along it (0 for a named point).

    Or, for a point that no part describes, ``FREE`` with its ``place``: x, y on the plane.
    """

    part: str
    t: float = 0.0
    place: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.place is not None:
            return f"{FREE}({self.place[0]:g}, {self.place[1]:g})"
        return self.part if self.t == 0 else f"{self.part}@{self.t:g}"

    @property
    def group(self) -> str:
        """The row under which reports and pictures put it (jaw, left_eye ...)."""
        return FREE if self.place is not None else load_parts()[self.part].group


@lru_cache(maxsize=1)
def load_parts() -> Mapping[str, Part]:
    """All parts by name, in the order of ``schemes/_parts.yaml``."""
    raw = yaml.load(builtin_text("_parts.yaml"), Loader=YAML_LOADER)
    parts = {}
    for name, entry in raw.items():
        is_self = entry["mirror"] == name
        entry.setdefault("reverse", is_self and "start" in entry)
        entry["mean_of"] = tuple(entry.get("mean_of", ()))
        parts[name] = Part(name=name, **entry)
    problems = _problems(parts)
    if problems:
        raise ProblemsError("_parts.yaml", problems)
    return MappingProxyType(parts)


def _problems(parts: Mapping[str, Part]) -> list[str]:
    problems = []
    for part in parts.values():
        mirror = parts.get(part.mirror)
        if mirror is None or mirror.mirror != part.name:
            problems.append(f"{part.name}: its mirror {part.mirror} does not point back")
        if (part.start is None) != (part.end is None):
            problems.append(f"{part.name}: a curve needs both start and end")
        for end in (part.start, part.end):
            if end is not None and (end not in parts or parts[end].is_curve):
                problems.append(f"{part.name}: its end {end} is not a named point")
        if part.curve is not None and (part.curve not in parts or not parts[part.curve].is_curve):
            problems.append(f"{part.name}: it lies on {part.curve}, which is not a curve")
        for place in part.mean_of:
            other = parts.get(place.split("@")[0])
            if other is None or (other.is_curve and not part.is_curve and "@" not in place):
                problems.append(f"{part.name}: mean_of has {place}, which is not a place")
    return problems


def canonical(part: str, t: float | None = None) -> Meaning:
    """The one way to write a place.

    The ends of a curve become the named points they are; a named point that lies on a curve
    becomes a place on that curve.
    """
    entry = load_parts()[part]
    if not entry.is_curve:
        return Meaning(part) if entry.curve is None else canonical(entry.curve, entry.at)
    if t is None or t < T_TOLERANCE:
        return canonical(str(entry.start))
    if t > 1 - T_TOLERANCE:
        return canonical(str(entry.end))
    return Meaning(part, round(float(t), 6))


def parse_place(text: str) -> Meaning:
    """A place written as ``part`` or ``part@t``."""
    part, _, t = text.partition("@")
    return canonical(part, float(t) if t else None)


def mean_places(meaning: Meaning) -> tuple[Meaning, ...]:
    """The places whose mean ``meaning`` is by definition; empty for most places."""
    if meaning.place is not None:
        return ()
    entry = load_parts()[meaning.part]
    if entry.is_curve:
        return tuple(canonical(part, meaning.t) for part in entry.mean_of)
    return tuple(parse_place(place) for place in entry.mean_of)


def free_place(x: float, y: float) -> Meaning:
    """A place by its coordinates on the plane (points_plane)."""
    return Meaning(FREE, 0.0, (round(float(x), 6), round(float(y), 6)))


def mirrored(meaning: Meaning) -> Meaning:
    """The place that ``meaning`` becomes when the face is flipped left to right."""
    if meaning.place is not None:
        return free_place(1 - meaning.place[0], meaning.place[1])
    part = load_parts()[meaning.part]
    t = 1 - meaning.t if part.reverse else meaning.t
    return Meaning(part.mirror, round(t, 6) if part.is_curve else 0.0)


def same(a: Meaning, b: Meaning) -> bool:
    """Whether two places are equal within the tolerance."""
    if a.place is not None and b.place is not None:
        return all(abs(u - v) <= T_TOLERANCE for u, v in zip(a.place, b.place, strict=True))
    return a.part == b.part and abs(a.t - b.t) <= T_TOLERANCE


class PlaceIndex:
    """Finds which of many places is the same as a given one, without comparing with each."""

    def __init__(self, meanings: Iterable[Meaning] = ()) -> None:
        self._cells: dict[tuple[str, int, int], list[tuple[int, Meaning]]] = {}
        self._count = 0
        for meaning in meanings:
            self.add(meaning)

    def add(self, meaning: Meaning) -> None:
        """Add a place under the next index."""
        part, u, v = _cell(meaning)
        self._cells.setdefault((part, u, v), []).append((self._count, meaning))
        self._count += 1

    def find(self, meaning: Meaning) -> int | None:
        """The lowest index of a place that is the same, or None."""
        part, u, v = _cell(meaning)
        found = [
            index
            for du in (-1, 0, 1)
            for dv in ((-1, 0, 1) if meaning.place is not None else (0,))
            for index, other in self._cells.get((part, u + du, v + dv), ())
            if same(meaning, other)
        ]
        return min(found, default=None)


def _cell(meaning: Meaning) -> tuple[str, int, int]:
    u, v = (meaning.t, 0.0) if meaning.place is None else meaning.place
    return meaning.part, math.floor(u / (2 * T_TOLERANCE)), math.floor(v / (2 * T_TOLERANCE))
