"""What the columns of a wide csv hold, told by their headings.

Recognised: ``NAME_x, NAME_y`` in any order (``part_0_x``, ``left_eye_center_x``, ``pt1x``, ``P1X``,
``x_0 ... y_0 ...``); headings that are mere numbers; no headings at all. A column for the photo,
four for a box (``face_x``, ``face_y``, ``face_w``, ``face_h``), and others, which are attributes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tufa_cli.errors import TufaError, UnknownNameError
from tufa_cli.formats._numbers import is_number

_BEFORE = re.compile(r"([xy])[_\- .]?(\d+)", re.IGNORECASE)
_AFTER = re.compile(r"(.*?[^_\- .])([_\- .]?)([xy])", re.IGNORECASE)
_SIDES = (("_w", "_h"), ("_width", "_height"))

#: Headings of the column that names the photo, in small letters.
_PHOTO = frozenset(
    {"", "image", "image_name", "image_path", "image_id", "imageid", "img", "img_name", "filename"}
    | {"file_name", "file", "path", "name", "name_id", "photo", "picture", "unnamed: 0"}
)

#: Of these, what pandas calls the column of the rows' numbers, where another names the photo.
_INDEX = frozenset({"", "unnamed: 0"})

#: Headings of other formats: the name of each and what tells it.
_OTHERS = (
    ("openface", ({"x_0", "confidence", "success"}, {"x_0", "confidence", "face"})),
    ("py-feat", ({"facerectx", "x_0"},)),
    ("HRNet's lists", ({"original_0_x"}, {"center_w", "center_h"})),
    ("muct", ({"name", "tag", "x00"},)),
    ("via", ({"region_shape_attributes"},)),
)


@dataclass(frozen=True)
class Headings:
    """Columns by what they hold.

    photo: of its name. xs, ys: (K) of the points. names: (K) of the points, or None. box: of x, y,
    w, h, or None. others: the rest by heading. rows: lines before the first row.
    """

    photo: int
    xs: tuple[int, ...]
    ys: tuple[int, ...]
    names: tuple[str, ...] | None
    box: tuple[int, ...] | None = None
    others: Mapping[str, int] = field(default_factory=dict)
    rows: int = 1


def other_format(names: Sequence[str]) -> str | None:
    """The format whose own headings these are, or None."""
    found = {name.lower() for name in names}
    for other, signs in _OTHERS:
        if any(sign <= found for sign in signs):
            return other
    return None


def headings(names: Sequence[str], settings: Mapping[str, str]) -> Headings:
    """What the columns hold; raises ValueError with the reason when that cannot be told.

    Raises TufaError for settings that are wrong.

    settings: those of the caller: image-col, layout, columns.
    """
    layout = settings.get("layout", "xy")
    if layout not in ("xy", "xxyy"):
        raise TufaError(f"layout is xy or xxyy, not '{layout[:20]}'")
    if "columns" in settings:
        wanted = [name.strip() for name in settings["columns"].split(",")]
        places = [_column(names, name) for name in wanted]
        photo = _photo(names, settings, set(places))
        return _in_sequence(names, places, layout, photo)
    sequence = _numbered(names, settings)
    if sequence is not None:
        return _in_sequence(names, sequence, layout, _photo(names, settings, set(sequence)))
    if _is_row(names):
        places = [i for i, name in enumerate(names) if is_number(name)]
        photo = next(i for i, name in enumerate(names) if not is_number(name))
        found = _in_sequence(names, places, layout, photo)
        return Headings(photo, found.xs, found.ys, None, rows=0)
    return _by_name(names, settings)


def _column(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise UnknownNameError("column", name[:40], filter(None, names))
    return names.index(name)


def _photo(names: Sequence[str], settings: Mapping[str, str], taken: set[int]) -> int:
    """The column that names the photo: as asked for, by its heading, or else the first."""
    if "image-col" in settings:
        return _column(names, settings["image-col"].strip())
    free = [i for i in range(len(names)) if i not in taken]
    known = [i for i in free if names[i].lower() in _PHOTO]
    if known or (free and free[0] == 0):
        telling = [i for i in known if names[i].lower() not in _INDEX]
        return (telling or known or free)[0]
    raise ValueError("no column names the photo (setting image-col)")


def _in_sequence(names: Sequence[str], places: Sequence[int], layout: str, photo: int) -> Headings:
    """Columns that alternate between x and y, or have all x first."""
    if len(places) % 2 or not places:
        raise ValueError(f"{len(places)} columns of coordinates are no pairs of x and y")
    half = len(places) // 2
    xs, ys = (places[::2], places[1::2]) if layout == "xy" else (places[:half], places[half:])
    used = {photo, *places}
    others = {name: i for i, name in enumerate(names) if i not in used and name}
    return Headings(photo, tuple(xs), tuple(ys), None, others=others)


def _numbered(names: Sequence[str], settings: Mapping[str, str]) -> list[int] | None:
    """Columns headed 0, 1, 2 and so on, as pandas names what has no names; else None."""
    photo = settings.get("image-col", "").strip()
    places = [i for i, name in enumerate(names) if name.isascii() and name.isdigit()]
    places = [i for i in places if not photo or names[i] != photo]
    found = [int(names[i][:9]) for i in places]
    if len(found) < 2 or len(found) < len(names) - 3:
        return None
    return places if found in (_count(found, 0), _count(found, 1)) else None


def _count(found: Sequence[int], start: int) -> list[int]:
    return list(range(start, start + len(found)))


def _is_row(names: Sequence[str]) -> bool:
    """Whether the first line is a row itself: a name and nothing but numbers."""
    return len(names) >= 3 and sum(map(is_number, names)) == len(names) - 1


def _by_name(names: Sequence[str], settings: Mapping[str, str]) -> Headings:
    pairs: dict[str, dict[str, int]] = {}
    apart: set[str] = set()
    for column, name in enumerate(names):
        before, after = _BEFORE.fullmatch(name), _AFTER.fullmatch(name)
        if before is not None:
            pairs.setdefault(before[2], {})[before[1].lower()] = column
            apart.add(before[2])
        elif after is not None:
            pairs.setdefault(after[1], {})[after[3].lower()] = column
            if after[2]:
                apart.add(after[1])
    for key in list(pairs):
        if len(pairs[key]) == 2:
            continue
        if key in apart:
            axis, column = next(iter(pairs[key].items()))
            raise ValueError(f"'{names[column][:40]}' has no column {'y' if axis == 'x' else 'x'}")
        del pairs[key]  # "sex" and "city" are no coordinates
    box = _box(names, pairs)
    if not pairs:
        raise ValueError("no columns NAME_x, NAME_y (setting columns)")
    xs, ys = ([pair[axis] for pair in pairs.values()] for axis in "xy")
    photo = _photo(names, settings, {*xs, *ys, *(box or ())})
    used = {photo, *xs, *ys, *(box or ())}
    others = {name: i for i, name in enumerate(names) if i not in used and name}
    return Headings(photo, tuple(xs), tuple(ys), tuple(pairs), box, others)


def _box(names: Sequence[str], pairs: dict[str, dict[str, int]]) -> tuple[int, ...] | None:
    """The columns of a box, which is taken out of the pairs; None when there is none."""
    for key, pair in pairs.items():
        for w, h in _SIDES:
            if key + w in names and key + h in names:
                del pairs[key]
                return pair["x"], pair["y"], names.index(key + w), names.index(key + h)
    return None
