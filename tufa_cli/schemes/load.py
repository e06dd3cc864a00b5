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
      - {place: [0.2, 0.6]}     # a point of no part, by its coordinates on the plane
    flip: [[0, 32]]             # only where the meanings do not tell
    skeleton: [[0, 1]]          # only where the parts do not tell; replaces the derived one
    skeleton_also: [[4, 5]]     # lines to draw beside the derived ones
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from tufa_cli.errors import InputError, ProblemsError, UnknownNameError, nearest
from tufa_cli.schemes.derive import default_name, derived_flip, derived_skeleton, told_apart
from tufa_cli.schemes.files import YAML_LOADER, builtin_names, builtin_text
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import (
    Meaning,
    PlaceIndex,
    canonical,
    free_place,
    load_parts,
    same,
)

#: How names begin of schemes that people ask for and that cannot ship.
_ORDER_UNKNOWN = ("helen", "imm")

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
#: Guards against a slip of the finger in `count`.
_MOST_POINTS = 10_000
#: And in `place`: coordinates on the plane, of which the face fills the unit square.
_FARTHEST = 10.0
#: Equal mistakes of which a file has many are listed so often.
_LISTED = 20
_POINT_KEYS = {"part", "t", "from", "to", "count", "name", "names", "place"}


def get_scheme(name_or_file: str) -> Scheme:
    """A shipped scheme by name or alias, or a scheme file by its path.

    Raises UnknownNameError with the nearest names, InputError or ProblemsError for a bad file.
    """
    if name_or_file in _own_names():
        return builtin_scheme(name_or_file)  # without a look into the others for their aliases
    known = _by_any_name()
    if name_or_file.lower() in known:
        return builtin_scheme(known[name_or_file.lower()])
    if is_scheme_file(name_or_file):
        return read_scheme(Path(name_or_file))
    hint = "see 'tufa-cli schemes list', or give a scheme's YAML file"
    if name_or_file.lower().startswith(_ORDER_UNKNOWN):
        hint = (
            "which of its points is which is not published; where you have its labels, "
            "docs/plane.md says how they make a scheme"
        )
    raise UnknownNameError("scheme", name_or_file, known, hint)


def is_scheme_file(name_or_file: str) -> bool:
    """Whether ``get_scheme`` takes this for a file, not for a shipped scheme's name."""
    path = Path(name_or_file)
    looks = path.suffix in (".yaml", ".yml") or path.is_file()
    return looks and not is_shipped_name(name_or_file)


def is_shipped_name(name: str) -> bool:
    """Whether a name or alias is that of a shipped scheme."""
    return name.lower() in _by_any_name()


def scheme_names() -> list[str]:
    """Names of the shipped schemes."""
    return builtin_names()


@cache
def builtin_scheme(name: str) -> Scheme:
    """A shipped scheme by its own name."""
    return parse_scheme(builtin_text(f"{name}.yaml"), f"{name}.yaml")


@cache
def _own_names() -> frozenset[str]:
    return frozenset(builtin_names())


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
    return parse_scheme(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a scheme file; raises InputError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(path, f"cannot read the scheme: {reason}") from None


def parse_scheme(text: str, where: str) -> Scheme:
    """A scheme from YAML text; ``where`` names it in errors.

    Raises InputError when the text is not YAML and ProblemsError with every mistake it has.
    """
    scheme, problems = inspect_scheme(text, where)
    if problems:
        raise ProblemsError(where, problems, "the keys are described in docs/schemes.md")
    return scheme


def inspect_scheme(text: str, where: str) -> tuple[Scheme, list[str]]:
    """What can be read of a scheme file, and every mistake in it.

    Where there are mistakes the scheme holds the sound points alone, and its indices mean little.
    Raises InputError when the text is no YAML mapping.
    """
    try:
        raw = yaml.load(text, Loader=YAML_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise InputError(where, "not valid YAML", line) from None
    if not isinstance(raw, dict):
        raise InputError(where, "a scheme file is a mapping with name, source and points")
    problems: list[str] = []
    return _build(raw, problems), problems


def _build(raw: dict[str, Any], problems: list[str]) -> Scheme:
    for key in raw:
        if key not in _KEYS:
            near = nearest(str(key), _KEYS, 1)
            problems.append(f"unknown key '{key}'" + (f", did you mean {near[0]}?" if near else ""))
    for key in ("name", "source"):
        if not isinstance(raw.get(key), str) or not raw.get(key):
            problems.append(f"'{key}' is missing: a short text")
    meanings, names, count = _points(raw.get("points"), problems)
    # What follows from the meanings is not checked when some are missing: the mistake is there.
    sound = count == len(meanings)
    return Scheme(
        name=str(raw.get("name")),
        title=str(raw.get("title", raw.get("name"))),
        source=str(raw.get("source")),
        meanings=tuple(meanings),
        names=tuple(names),
        flip=_flip(raw.get("flip"), meanings if sound else [], count, problems),
        skeleton=_skeleton(raw, meanings if sound else [], count, problems),
        normaliser=_normaliser(raw.get("normaliser"), count, problems),
        aliases=_aliases(raw.get("aliases"), problems),
    )


def _aliases(raw: Any, problems: list[str]) -> tuple[str, ...]:
    if isinstance(raw, str):
        return (raw,)
    if raw is not None and not isinstance(raw, list):
        problems.append("'aliases' is a list of names")
        return ()
    return tuple(str(alias) for alias in raw or ())


def _points(raw: Any, problems: list[str]) -> tuple[list[Meaning], list[str], int]:
    """Meanings and names of the points without a mistake, and how many points there are."""
    if not isinstance(raw, list) or not raw:
        problems.append("'points' is missing: a list of {part, t}")
        return [], [], 0
    meanings: list[Meaning] = []
    names: list[str] = []
    derived: set[int] = set()
    numbers: list[int] = []  # of the meanings; points with a mistake count too
    count = 0
    for number, entry in enumerate(raw):
        before = len(meanings)
        points = _entry(entry, f"points[{number}]", meanings, names, derived, problems)
        numbers += range(count, count + len(meanings) - before)
        count += points
    names = told_apart(names, meanings, derived)
    problems += _doubles(meanings, names, numbers)
    return meanings, names, count


def _entry(
    entry: Any,
    where: str,
    meanings: list[Meaning],
    names: list[str],
    derived: set[int],
    problems: list[str],
) -> int:
    """How many points an entry has; meanings and names are added, of points without a mistake.

    derived: indices of the names that nobody gave.
    """
    if not isinstance(entry, dict):
        problems.append(f"{where}: expected a mapping such as {{part: jaw, t: [0, 0.5, 1]}}")
        return 1
    for key in entry:
        if key not in _POINT_KEYS:
            problems.append(f"{where}: unknown key '{key}'")
    if "place" in entry:
        _free_points(entry, where, meanings, names, problems)
        return 1
    part = str(entry.get("part"))
    if "part" not in entry:
        problems.append(f"{where}: give a part or a place")
    elif part not in load_parts():
        near = nearest(part, load_parts())
        offer = f", did you mean {' or '.join(near)}?" if near else ""
        problems.append(f"{where}: unknown part '{part}'{offer}")
    curve = part not in load_parts() or load_parts()[part].is_curve
    fractions = _fractions(entry, curve, where, problems)
    if part in load_parts() and all(0 <= t <= 1 for t in fractions):
        given = _names(entry, fractions, where, problems)
        derived |= set() if given else set(range(len(meanings), len(meanings) + len(fractions)))
        meanings += [canonical(part, t) for t in fractions]
        names += given or [default_name(part, t) for t in fractions]
    return max(len(fractions), 1)


def _free_points(
    entry: dict[str, Any],
    where: str,
    meanings: list[Meaning],
    names: list[str],
    problems: list[str],
) -> None:
    """A point by its coordinates on the plane."""
    for key in ("part", "t", "from", "to", "count", "names"):
        if key in entry:
            problems.append(f"{where}: a place takes no '{key}'")
    try:
        x, y = (float(value) for value in entry["place"])
    except (TypeError, ValueError):
        problems.append(f"{where}: place is [x, y] on the plane")
        return
    if not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST):
        problems.append(f"{where}: place {x:g}, {y:g} lies far from the face; it fills about 0..1")
        return
    names.append(str(entry.get("name", f"place_{len(meanings):03d}")))
    meanings.append(free_place(x, y))


def _doubles(meanings: list[Meaning], names: list[str], numbers: list[int]) -> list[str]:
    problems: list[str] = []
    index = PlaceIndex()
    first: dict[str, Meaning] = {}
    again: dict[str, None] = {}
    for i, (meaning, name) in enumerate(zip(meanings, names, strict=True)):
        twin = index.find(meaning)
        if twin is not None:
            problems.append(f"points {numbers[twin]} and {numbers[i]} both mean {meaning}")
        index.add(meaning)
        # Names that follow from equal meanings are no mistake of their own.
        if not same(first.setdefault(name, meaning), meaning):
            again[name] = None
    if len(problems) > _LISTED:
        problems[_LISTED:] = [f"{len(problems) - _LISTED} more pairs of points mean the same"]
    return problems + [
        f"point name '{name}' is used twice; give the points `names:`" for name in again
    ]


def _fractions(entry: dict[str, Any], curve: bool, where: str, problems: list[str]) -> list[float]:
    if not curve:
        if {"t", "from", "to", "count"} & set(entry):
            problems.append(f"{where}: {entry['part']} is one named point and takes no t")
        return [0.0]
    if not {"t", "from", "to", "count"} & set(entry) and entry.get("part") not in load_parts():
        return [0.0]
    try:
        if "count" in entry:
            first, last = float(entry.get("from", 0)), float(entry.get("to", 1))
            count = int(entry["count"])
            if not 1 <= count <= _MOST_POINTS:
                raise ValueError
            step = (last - first) / max(count - 1, 1)
            fractions = [first + i * step for i in range(count)]
        else:
            value = entry["t"]
            fractions = [float(t) for t in (value if isinstance(value, list) else [value])]
    except (KeyError, TypeError, ValueError):
        problems.append(f"{where}: {entry.get('part')} needs t, or from, to and count")
        return []
    outside = [t for t in fractions if not -1e-9 <= t <= 1 + 1e-9]
    if outside:
        problems.append(f"{where}: t must lie in 0..1, found {outside[0]:g}")
        return fractions
    return [min(max(t, 0.0), 1.0) for t in fractions]


def _names(
    entry: dict[str, Any], fractions: list[float], where: str, problems: list[str]
) -> list[str]:
    """The names that an entry gives its points; empty where it gives none."""
    given = entry.get("names", [entry["name"]] if "name" in entry else None)
    if given is None:
        return []
    if not isinstance(given, list) or len(given) != len(fractions):
        problems.append(f"{where}: {len(fractions)} names expected")
        return []
    return [str(name) for name in given]


def _flip(raw: Any, meanings: list[Meaning], count: int, problems: list[str]) -> tuple[int, ...]:
    given = dict(pair for a, b in _pairs(raw, "flip", count, problems) for pair in ((a, b), (b, a)))
    flip = [given.get(i, partner) for i, partner in enumerate(derived_flip(meanings))]
    if not problems:
        for i, j in enumerate(flip):
            if j >= 0 and flip[j] != i:
                problems.append(f"flip is not its own inverse: {i} -> {j} -> {flip[j]}")
    return tuple(flip)


def _skeleton(
    raw: dict[str, Any], meanings: list[Meaning], count: int, problems: list[str]
) -> tuple[tuple[int, int], ...]:
    edges = _pairs(raw.get("skeleton"), "skeleton", count, problems)
    if "skeleton" not in raw:
        edges += derived_skeleton(meanings)
    return tuple(edges + _pairs(raw.get("skeleton_also"), "skeleton_also", count, problems))


def _pairs(raw: Any, key: str, count: int, problems: list[str]) -> list[tuple[int, int]]:
    try:
        pairs = [(int(a), int(b)) for a, b in raw or ()]
    except (TypeError, ValueError):
        problems.append(f"'{key}' is a list of index pairs")
        return []
    for a, b in pairs:
        if not (0 <= a < count and 0 <= b < count):
            problems.append(f"{key}: pair {a}, {b}: the scheme has points 0 to {count - 1}")
    return pairs


def _normaliser(raw: Any, count: int, problems: list[str]) -> tuple[int, int] | None:
    if raw == "plane_box":
        return None
    try:
        first, second = (int(index) for index in raw)
    except (TypeError, ValueError):
        problems.append("'normaliser' is a pair of point indices, or plane_box")
        return None
    for index in (first, second):
        if count and not 0 <= index < count:
            problems.append(f"normaliser: no point {index}, the last is {count - 1}")
    if first == second:
        problems.append("normaliser: the two points are the same")
    return first, second
