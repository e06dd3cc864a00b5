"""Schemes from YAML, checked: every mistake in a file is reported at once.

A scheme file::

    name: wflw98
    title: WFLW, 98 points
    aliases: [wflw]
    source: https://wywu.github.io/projects/LAB/WFLW.html
    normaliser: [60, 72]        # or plane_box
    points:                     # in index order
      - {part: jaw, from: 0, to: 1, count: 33}
      - {part: left_eye_upper, t: [0, 0.25, 0.5, 0.75]}
      - {part: left_pupil}      # a named point; `name:`/`names:` may rename points
    flip: [[0, 32]]             # only where the meanings do not tell
    skeleton: [[0, 1]]          # only where the parts do not tell; replaces the derived one
    skeleton_also: [[4, 5]]     # lines to draw beside the derived ones
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tufa_cli.errors import InputError, ProblemsError, UnknownNameError, nearest
from tufa_cli.schemes.files import builtin_names, builtin_text
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import Meaning, canonical, load_parts, mirrored, same

_KEYS = {
    "name",
    "title",
    "aliases",
    "source",
    "normaliser",
    "points",
    "flip",
    "skeleton",
    "skeleton_also",
}
_POINT_KEYS = {"part", "t", "from", "to", "count", "name", "names"}


def get_scheme(name_or_file: str) -> Scheme:
    """A shipped scheme by name or alias, or a scheme file by its path.

    Raises UnknownNameError with the nearest names, InputError or ProblemsError for a bad file.
    """
    known = _by_any_name()
    if name_or_file.lower() in known:
        return builtin_scheme(known[name_or_file.lower()])
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return read_scheme(path)
    raise UnknownNameError(
        "scheme", name_or_file, known, "see 'tufa-cli schemes list', or give a scheme's YAML file"
    )


def scheme_names() -> list[str]:
    """Names of the shipped schemes."""
    return builtin_names()


@cache
def builtin_scheme(name: str) -> Scheme:
    """A shipped scheme by its own name."""
    return parse_scheme(builtin_text(f"{name}.yaml"), f"{name}.yaml")


@lru_cache(maxsize=1)
def _by_any_name() -> Mapping[str, str]:
    table = {}
    for name in builtin_names():
        table[name.lower()] = name
        for alias in builtin_scheme(name).aliases:
            table[alias.lower()] = name
    return table


def read_scheme(path: Path) -> Scheme:
    """A scheme from a YAML file of the user's."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(path, f"cannot read the scheme: {reason}") from None
    return parse_scheme(text, str(path))


def parse_scheme(text: str, where: str) -> Scheme:
    """A scheme from YAML text; ``where`` names it in errors.

    Raises InputError when the text is not YAML and ProblemsError with every mistake it has.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise InputError(where, "not valid YAML", line) from None
    if not isinstance(raw, dict):
        raise InputError(where, "a scheme file is a mapping with name, source and points")
    problems: list[str] = []
    scheme = _build(raw, problems)
    if problems:
        raise ProblemsError(where, problems, "the keys are described in docs/schemes.md")
    return scheme


def _build(raw: dict[str, Any], problems: list[str]) -> Scheme:
    for key in raw:
        if key not in _KEYS:
            near = nearest(str(key), _KEYS, 1)
            problems.append(f"unknown key '{key}'" + (f", did you mean {near[0]}?" if near else ""))
    for key in ("name", "source"):
        if not isinstance(raw.get(key), str) or not raw.get(key):
            problems.append(f"'{key}' is missing: a short text")
    meanings, names = _points(raw.get("points"), problems)
    return Scheme(
        name=str(raw.get("name")),
        title=str(raw.get("title", raw.get("name"))),
        source=str(raw.get("source")),
        meanings=tuple(meanings),
        names=tuple(names),
        flip=_flip(raw.get("flip"), meanings, problems),
        skeleton=_skeleton(raw, meanings, problems),
        normaliser=_normaliser(raw.get("normaliser"), len(meanings), problems),
        aliases=tuple(str(alias) for alias in raw.get("aliases") or ()),
    )


def _points(raw: Any, problems: list[str]) -> tuple[list[Meaning], list[str]]:
    if not isinstance(raw, list) or not raw:
        problems.append("'points' is missing: a list of {part, t}")
        return [], []
    meanings: list[Meaning] = []
    names: list[str] = []
    for number, entry in enumerate(raw):
        where = f"points[{number}]"
        if not isinstance(entry, dict):
            problems.append(f"{where}: expected a mapping such as {{part: jaw, t: [0, 0.5, 1]}}")
            continue
        for key in entry:
            if key not in _POINT_KEYS:
                problems.append(f"{where}: unknown key '{key}'")
        part = str(entry.get("part"))
        if part not in load_parts():
            near = nearest(part, load_parts())
            offer = f", did you mean {' or '.join(near)}?" if near else ""
            problems.append(f"{where}: unknown part '{part}'{offer}")
            continue
        fractions = _fractions(entry, load_parts()[part].is_curve, where, problems)
        meanings += [canonical(part, t) for t in fractions]
        names += _names(entry, part, fractions, where, problems)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            problems.append(f"point name '{name}' is used twice; give the points `names:`")
        seen.add(name)
    return meanings, names


def _fractions(entry: dict[str, Any], curve: bool, where: str, problems: list[str]) -> list[float]:
    if not curve:
        if {"t", "from", "to", "count"} & set(entry):
            problems.append(f"{where}: {entry['part']} is one named point and takes no t")
        return [0.0]
    try:
        if "count" in entry:
            first, last = float(entry.get("from", 0)), float(entry.get("to", 1))
            count = int(entry["count"])
            if count < 1:
                raise ValueError
            step = (last - first) / max(count - 1, 1)
            fractions = [first + i * step for i in range(count)]
        else:
            value = entry["t"]
            fractions = [float(t) for t in (value if isinstance(value, list) else [value])]
    except (KeyError, TypeError, ValueError):
        problems.append(f"{where}: {entry['part']} is a curve and needs t, or from, to and count")
        return []
    outside = [t for t in fractions if not -1e-9 <= t <= 1 + 1e-9]
    if outside:
        problems.append(f"{where}: t must lie in 0..1, found {outside[0]:g}")
    return fractions


def _names(
    entry: dict[str, Any], part: str, fractions: list[float], where: str, problems: list[str]
) -> list[str]:
    given = entry.get("names", [entry["name"]] if "name" in entry else None)
    if given is not None:
        if not isinstance(given, list) or len(given) != len(fractions):
            problems.append(f"{where}: {len(fractions)} names expected")
            return []
        return [str(name) for name in given]
    if not load_parts()[part].is_curve:
        return [part]
    return [f"{part}_{round(t * 1000):04d}" for t in fractions]


def _flip(raw: Any, meanings: list[Meaning], problems: list[str]) -> tuple[int, ...]:
    flip: list[int | None] = [None] * len(meanings)
    try:
        for a, b in raw or ():
            flip[int(a)], flip[int(b)] = int(b), int(a)
    except (TypeError, ValueError, IndexError):
        problems.append("'flip' is a list of index pairs within the points")
    for i, meaning in enumerate(meanings):
        if flip[i] is None:
            want = mirrored(meaning)
            flip[i] = next((j for j, m in enumerate(meanings) if same(m, want)), None)
            if flip[i] is None:
                problems.append(f"point {i} ({meaning}): no point at its mirror {want}; add flip")
    complete = [i if j is None else j for i, j in enumerate(flip)]
    for i, j in enumerate(complete):
        if complete[j] != i and flip[i] is not None and flip[j] is not None:
            problems.append(f"flip is not its own inverse: {i} -> {j} -> {complete[j]}")
    return tuple(complete)


def _skeleton(
    raw: dict[str, Any], meanings: list[Meaning], problems: list[str]
) -> tuple[tuple[int, int], ...]:
    edges = _edges(raw, "skeleton", len(meanings), problems)
    if "skeleton" not in raw:
        for part in load_parts().values():
            if not part.is_curve or not any(m.part == part.name for m in meanings):
                continue
            ends = {canonical(str(part.start)): 0.0, canonical(str(part.end)): 1.0}
            along = [(m.t, i) for i, m in enumerate(meanings) if m.part == part.name]
            along += [(ends[m], i) for i, m in enumerate(meanings) if m in ends]
            edges += list(pairwise(i for _, i in sorted(along)))
    return tuple(edges + _edges(raw, "skeleton_also", len(meanings), problems))


def _edges(raw: dict[str, Any], key: str, count: int, problems: list[str]) -> list[tuple[int, int]]:
    try:
        edges = [(int(a), int(b)) for a, b in raw.get(key) or ()]
    except (TypeError, ValueError):
        problems.append(f"'{key}' is a list of index pairs")
        return []
    for a, b in edges:
        if not (0 <= a < count and 0 <= b < count):
            problems.append(f"{key}: edge {a}-{b}: no such point")
    return edges


def _normaliser(raw: Any, count: int, problems: list[str]) -> tuple[int, int] | None:
    if raw == "plane_box":
        return None
    try:
        first, second = (int(index) for index in raw)
    except (TypeError, ValueError):
        problems.append("'normaliser' is a pair of point indices, or plane_box")
        return None
    for index in (first, second):
        if not 0 <= index < count:
            problems.append(f"normaliser: no point {index}, the scheme has {count}")
    if first == second:
        problems.append("normaliser: the two points are the same")
    return first, second
