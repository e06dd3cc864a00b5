"""What a user may write for many points at once: ``jaw:33, left_eye:8, chin``.

A part's curve is divided evenly. A group (left_eye, mouth ...) has an outline, which is divided in
the order that ``ibug68`` and ``wflw98`` have: from the left corner along the top, back along the
bottom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tufa_cli.errors import ProblemsError, nearest
from tufa_cli.schemes.parts import Meaning, PlaceIndex, canonical, load_parts, parse_place

#: Most points that one item may ask for: a guard against a slip of the finger.
MOST = 10_000

#: Names for both sides of what comes in pairs.
BOTH_SIDES = {
    "eyes": ("left_eye", "right_eye"),
    "brows": ("left_brow", "right_brow"),
    "pupils": ("left_pupil", "right_pupil"),
    "ears": ("left_ear", "right_ear"),
}


def group_names() -> list[str]:
    """The groups of the parts, in the order of the parts."""
    return list(dict.fromkeys(part.group for part in load_parts().values()))


def places_of(text: str) -> list[Meaning]:
    """The places that a list of parts asks for, in order.

    text: items with commas between, each ``NAME:COUNT``, ``PART@T`` or the name of one point.
    NAME is a curve, a group with an outline, or ``eyes``, ``brows`` for both sides with that many
    points each. Where a curve begins or ends at a point that an earlier item has, the count is
    spread over the rest of the curve, so that nothing comes twice.
    Raises ProblemsError with every mistake.
    """
    found = _Places()
    problems: list[str] = []
    items = [item.strip() for item in text.split(",")]
    for item in items:
        if item:
            _read_item(item, found, problems)
    if not any(items):
        problems.append('no parts in it, write for example "jaw:33, left_eye:8, chin"')
    if problems:
        raise ProblemsError("--parts", problems, "docs/schemes.md lists the parts")
    return found.meanings


class _Places:
    """Places in order, and which of them are there already."""

    def __init__(self) -> None:
        self.meanings: list[Meaning] = []
        self._index = PlaceIndex()

    def add(self, meanings: Iterable[Meaning]) -> None:
        for meaning in meanings:
            self.meanings.append(meaning)
            self._index.add(meaning)

    def has(self, meaning: Meaning) -> bool:
        return self._index.find(meaning) is not None

    def spread(self, curve: str, count: int, backwards: bool = False) -> None:
        """``count`` places along a curve, evenly, without an end that is there already."""
        ends = [canonical(curve, 0.0), canonical(curve, 1.0)]
        first, last = (1 if self.has(end) else 0 for end in ends)
        steps = count - 1 + first + last
        middle = 0.5 if steps == 0 else None
        fractions = [middle or (i + first) / max(steps, 1) for i in range(count)]
        places = [canonical(curve, t) for t in fractions]
        self.add(reversed(places) if backwards else places)


def _read_item(item: str, found: _Places, problems: list[str]) -> None:
    name, colon, number = (word.strip() for word in item.partition(":"))
    count = _count(number) if colon else None
    if colon and count is None:
        problems.append(f"'{item}': after the colon comes a number of points, 1 to {MOST}")
        return
    names = BOTH_SIDES.get(name, (name,))
    for each in names:
        problem = _add(each, count, found)
        if problem:
            problems.append(f"'{item}': {problem}")
            return


def _count(text: str) -> int | None:
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return count if 1 <= count <= MOST else None


def _add(name: str, count: int | None, found: _Places) -> str | None:
    """Add the places of one name; the problem in words when that does not go."""
    parts = load_parts()
    base, at, _ = name.partition("@")
    if base in parts and (at or not parts[base].is_curve):
        return _add_one(name, count, found)
    if name in parts:
        if count is None:
            return f"{name} is a curve: say how many points, such as {name}:5, or {name}@0.5"
        found.spread(name, count)
        return None
    if name in group_names():
        return _add_group(name, count, found)
    known = [*parts, *group_names(), *BOTH_SIDES]
    near = nearest(base, known)
    offer = f"did you mean {' or '.join(near)}?" if near else "see docs/schemes.md for the parts"
    return f"unknown part or group '{base}', {offer}"


def _add_one(name: str, count: int | None, found: _Places) -> str | None:
    if count not in (None, 1):
        return f"{name} is one point"
    try:
        meaning = place_named(name)
    except ValueError as error:
        return str(error)
    if found.has(meaning):
        return f"{name} is among the points before it already"
    found.add([meaning])
    return None


def place_named(name: str) -> Meaning:
    """The place that ``PART`` or ``PART@T`` names; raises ValueError with a reason."""
    base, at, fraction = name.partition("@")
    part = load_parts().get(base)
    if part is None:
        raise ValueError(f"unknown part '{base}'")
    if part.is_curve != bool(at):
        shape = f"a curve: say where, such as {base}@0.5" if part.is_curve else "one point"
        raise ValueError(f"{base} is {shape}")
    try:
        inside = not at or 0 <= float(fraction) <= 1
    except ValueError:
        inside = False
    if not inside:
        raise ValueError(f"'{fraction}' is no fraction: 0 to 1 along {base}")
    return parse_place(name)


def _add_group(name: str, count: int | None, found: _Places) -> str | None:
    outline = _OUTLINES.get(name)
    if outline is None:
        members = [part.name for part in load_parts().values() if part.group == name]
        return f"{name} has no outline; its parts are {', '.join(members)}"
    if count is None:
        return f"{name} is an outline: say how many points, such as {name}:8"
    outline(found, count)
    return None


def _loop(found: _Places, upper: str, lower: str, count: int, start: float) -> None:
    """A closed outline: ``upper`` from the corner at t = ``start``, and back along ``lower``."""
    above = (count - 2 + 1) // 2 + 2
    found.spread(upper, min(above, count), backwards=start > 0.5)
    if count > above:
        found.spread(lower, count - above, backwards=start < 0.5)


def _left_eye(found: _Places, count: int) -> None:
    if count == 1:
        found.add([canonical("left_pupil")])
    else:
        _loop(found, "left_eye_upper", "left_eye_lower", count, 0.0)


def _right_eye(found: _Places, count: int) -> None:
    # t runs from the outer corner, which is on the right: the left corner is at its end.
    if count == 1:
        found.add([canonical("right_pupil")])
    else:
        _loop(found, "right_eye_upper", "right_eye_lower", count, 1.0)


def _mouth(found: _Places, count: int) -> None:
    """Up to 12 points on the outer edge; of more, three fifths (ibug68: 12 and 8 of 20)."""
    if count == 1:
        found.add([canonical("mouth_centre")])
        return
    outer = count if count <= 12 else round(0.6 * count)
    _loop(found, "outer_lip_upper", "outer_lip_lower", outer, 0.0)
    if count > outer:
        _loop(found, "inner_lip_upper", "inner_lip_lower", count - outer, 0.0)


def _nose(found: _Places, count: int) -> None:
    """Down the bridge, then the base from left to right (ibug68: 4 and 5 of 9)."""
    bridge = count if count <= 2 else max(1, round(4 * count / 9))
    if bridge == 1:
        found.add([canonical("nose_tip")])
    else:
        found.spread("nose_bridge", bridge)
    if count > bridge:
        found.spread("nose_base", count - bridge)


#: Groups whose name is no part; `jaw`, `forehead`, `left_brow`, `right_brow` are curves too.
_OUTLINES: dict[str, Callable[[_Places, int], None]] = {
    "left_eye": _left_eye,
    "right_eye": _right_eye,
    "mouth": _mouth,
    "nose": _nose,
}
