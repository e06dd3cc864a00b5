"""The vocabulary of parts: what a scheme's points can mean.

A point belongs to a part at a fraction t in 0..1 along it, or is a named point. Two points with
the same part and t mean the same (DESIGN section 4, "Semantics").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import yaml

from tufa_cli.errors import ProblemsError
from tufa_cli.schemes.files import builtin_text

#: Two fractions closer than this are the same place on a part.
T_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Part:
    """A curve from one named point to another, or (``start`` None) a named point itself."""

    name: str
    mirror: str
    group: str
    start: str | None = None
    end: str | None = None
    reverse: bool = False

    @property
    def is_curve(self) -> bool:
        return self.start is not None


@dataclass(frozen=True, order=True)
class Meaning:
    """A place on the face: a part and a fraction along it (0 for a named point)."""

    part: str
    t: float = 0.0

    def __str__(self) -> str:
        return self.part if self.t == 0 else f"{self.part}@{self.t:g}"


@lru_cache(maxsize=1)
def load_parts() -> Mapping[str, Part]:
    """All parts by name, in the order of ``schemes/_parts.yaml``."""
    raw = yaml.safe_load(builtin_text("_parts.yaml"))
    parts = {}
    for name, entry in raw.items():
        is_self = entry["mirror"] == name
        entry.setdefault("reverse", is_self and "start" in entry)
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
    return problems


def canonical(part: str, t: float | None) -> Meaning:
    """The one way to write a place: the ends of a curve become the named points they are."""
    entry = load_parts()[part]
    if not entry.is_curve or t is None:
        return Meaning(part)
    if t < T_TOLERANCE:
        return Meaning(str(entry.start))
    if t > 1 - T_TOLERANCE:
        return Meaning(str(entry.end))
    return Meaning(part, round(float(t), 6))


def mirrored(meaning: Meaning) -> Meaning:
    """The place that ``meaning`` becomes when the face is flipped left to right."""
    part = load_parts()[meaning.part]
    t = 1 - meaning.t if part.reverse else meaning.t
    return Meaning(part.mirror, round(t, 6) if part.is_curve else 0.0)


def same(a: Meaning, b: Meaning) -> bool:
    """Whether two places are equal within the tolerance on t."""
    return a.part == b.part and abs(a.t - b.t) <= T_TOLERANCE
