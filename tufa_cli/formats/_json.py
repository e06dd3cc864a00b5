"""JSON of several formats: loading with errors a user can act on, numbers, and values as text."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._fast import json_text, json_value, list_text
from tufa_cli.formats._files import read_bytes
from tufa_cli.formats._numbers import FAR_PX, are_places, array_of

_NOT_XML = re.compile("[\x00-\x1f\ufffe\uffff]")
_NO_JSON = object()
_NUMBERS = frozenset([int, float])

#: How much of a file is looked at for the first object of a list.
_HEAD_BYTES = 1 << 20


class _RepeatedKey(ValueError):
    pass


def load_json(path: Path, unique: bool = True) -> Any:
    """A file's JSON value; raises InputError with the line for what is no JSON.

    unique: refuse a key that an object has twice, of which Python would silently keep the last.
    """
    return parse_json(path, read_bytes(path), unique)


def parse_json(path: Path, raw: bytes, unique: bool = True) -> Any:
    """The JSON value of some bytes; as ``load_json``, which names ``path`` in its errors."""
    if not raw[:64].strip() and not raw.strip():
        raise InputError(path, "the file is empty", 1)
    text = ""
    try:
        if not unique:
            return json_value(raw)
        text = raw.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise InputError(path, "not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from None
    except json.JSONDecodeError as error:
        cut = "it looks cut off" if not error.doc[error.pos :].strip() else None
        raise InputError(path, f"not valid JSON: {error.msg}", error.lineno, cut) from None
    except _RepeatedKey as error:
        line = _line_of_second(text, str(error))
        raise InputError(path, f"the key {str(error)[:60]!r} is there twice", line) from None
    except RecursionError:
        raise InputError(path, "not valid JSON: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(path, f"not valid JSON: {error}") from None


def parse_json_text(text: str, what: str) -> Any:
    """JSON inside of another file; raises ValueError that says what it is."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _RepeatedKey as error:
        raise ValueError(f"{what}: the key {str(error)[:60]!r} is there twice") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise ValueError(f"{what} is not valid JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKey(key)
            seen.add(key)
    return found


def _line_of_second(text: str, key: str) -> int | None:
    """The line where a key stands a second time, when it stands twice in the text only."""
    quoted = json.dumps(key, ensure_ascii=False)
    places = text.split(quoted, 3)
    return places[0].count("\n") + places[1].count("\n") + 1 if len(places) == 3 else None


def json_lacks(path: Path, opening: bytes, keys: Sequence[str]) -> str | None:
    """Why a file is not JSON that opens so and has these keys, or None when it looks like it.

    The keys may be gigabytes apart and are looked for without parsing or loading the file; each
    may be several, one of which is enough: "annotations|predictions".
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not start.startswith(opening):
                return "not a JSON " + ("object" if opening == b"{" else "list")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                lacking = [
                    key.replace("|", " or ")
                    for key in keys
                    if all(data.find(f'"{name}"'.encode()) < 0 for name in key.split("|"))
                ]
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    return f"JSON without {' and '.join(lacking)}" if lacking else None


def first_object(path: Path) -> dict[str, Any] | None:
    """The first object of a file that is a list of objects, or None.

    Only the head of the file is read. Raises InputError when that cannot be.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    text = raw.decode("utf-8-sig", errors="replace").lstrip()
    if not text.startswith("["):
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def entry(row: Any, key: str, kind: type, what: str) -> Any:
    """``row[key]`` when it is of this kind, None when it is absent or null.

    what: the kind in words, for the ValueError: "a list".
    """
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{key} is not {what}")
    return value


def numbers(values: Any, key: str, count: int | None = None) -> NDArray[np.float64] | None:
    """(count,) float64, or None for None; raises ValueError for anything but places.

    count: how many there must be, or None for any number of them.
    """
    if values is None:
        return None
    if not isinstance(values, list) or count not in (None, len(values)):
        of = "" if count is None else f"{count} "
        raise ValueError(f"{key} is not a list of {of}numbers")
    if not are_numbers(values):
        raise ValueError(f"{key} holds something that is not a number")
    return places_in(values, key)


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether all of some JSON values are numbers."""
    return _NUMBERS.issuperset(map(type, values))


def places_in(values: list[float], key: str) -> NDArray[np.float64]:
    """(N,) float64 of numbers; raises ValueError where one is no place in a photo."""
    try:
        found = array_of(values)
    except OverflowError:
        found = np.array([np.inf])
    if not are_places(found):
        raise ValueError(f"{key} holds a number that is not a place in a photo")
    return found


def without_unlabelled(values: list[Any], key: str) -> list[float]:
    """x, y, v of each point, with 0, 0 where v is 0: what stands there may be anything.

    Raises ValueError for what is no number, or no v.
    """
    flags = values[2::3]
    if not are_numbers(flags) or not {0, 1, 2}.issuperset(flags):
        bad = [flag for flag in flags if isinstance(flag, bool) or flag not in (0, 1, 2)]
        raise ValueError(f"{key}: visibility {bad[0]!r:.40} is none of 0, 1 and 2")
    kept = list(values)
    for first in (0, 1):
        kept[first::3] = [v if flag else 0 for v, flag in zip(values[first::3], flags, strict=True)]
    if not are_numbers(kept):
        raise ValueError(f"{key} holds something that is not a number")
    return kept


def one_number(value: Any, key: str) -> float | None:
    """A finite number, or None for None; raises ValueError."""
    found = numbers(None if value is None else [value], key, 1)
    return None if found is None else float(found[0])


def box_of(values: Any, key: str, first_pixel: int = 0) -> NDArray[np.float64] | None:
    """(4,) x, y, w, h, or None for None; raises ValueError for anything else."""
    box = numbers(values, key, 4)
    if box is None:
        return None
    if box[2] < 0 or box[3] < 0:
        raise ValueError(f"{key} has a negative size")
    box[:2] -= first_pixel
    return box


def photo_side(value: Any, side: str) -> int | None:
    """A photo's width or height, None where it is null or 0; raises ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < FAR_PX:
        raise ValueError(f"{side} is not a size")
    return int(value) or None


def dump_json(value: Any, target: Path, indent: int | None = None, spaces: bool = True) -> str:
    """JSON text; raises OutputError for what JSON does not have.

    spaces: after commas and colons.
    """
    marks = None if spaces else (",", ":")
    try:
        return json.dumps(
            value,
            allow_nan=False,
            default=_plain,
            ensure_ascii=False,
            indent=indent,
            separators=marks,
        )
    except (TypeError, ValueError) as error:
        raise OutputError(f"{target}: an attribute cannot be written as JSON: {error}") from None


class Numbers(list[float]):
    """A list of nothing but finite floats and whole numbers: nobody need look at each of them."""


def dump_row(row: dict[str, Any], target: Path) -> str:
    """An object as one line of JSON, without spaces; raises OutputError as ``dump_json`` does.

    Lists of the kind ``Numbers`` come last; there must be something beside them.
    """
    lists = {key: value for key, value in row.items() if type(value) is Numbers}
    rest = without(row, lists) if lists else row
    text = json_text(rest)
    if text is None:
        text = dump_json(rest, target, spaces=False)
    for key, values in lists.items():
        text = f'{text[:-1]},"{key}":{list_text(values)}}}'
    return text


def _plain(value: Any) -> Any:
    """numpy's numbers and arrays as JSON has them."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def is_json(value: Any) -> bool:
    """Whether JSON can hold a value as it is: no NaN, no objects, keys that are text."""
    if isinstance(value, (str, int)):
        return True
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_json, value))
    try:
        json.dumps(value, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def to_text(value: Any) -> str:
    """A JSON value as text that ``from_text`` takes back: words as they are, the rest as JSON.

    Words that would be read as something else, and those with spaces around or control characters
    in them, are put in quotes. The text holds no character that XML does not.
    """
    if isinstance(value, str) and not _needs_quotes(value):
        return value
    if type(value) is int:
        return str(value)
    text = json.dumps(value, allow_nan=False, default=_plain, ensure_ascii=False)
    if _not_xml(text):
        text = json.dumps(value, allow_nan=False, default=_plain)
    return text


def from_text(text: str) -> Any:
    """The value that ``to_text`` wrote so; any other text stays text ("007", "NaN", "1e5")."""
    value = _parsed(text)
    if value is _NO_JSON:
        return text
    try:
        return value if to_text(value) == text else text
    except ValueError:  # 1e999 is infinite
        return text


def _needs_quotes(text: str) -> bool:
    return text != text.strip() or _not_xml(text) or _parsed(text) is not _NO_JSON


def _not_xml(text: str) -> bool:
    """Whether some character has no place in XML, or is changed by XML parsers (line ends)."""
    return _NOT_XML.search(text) is not None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _parsed(text: str) -> Any:
    """The JSON value, or _NO_JSON where the text is none."""
    if not text or text[0] not in '"[{-0123456789tfn':
        return _NO_JSON
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _NO_JSON


def without(row: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """The entries of an object that have none of these names."""
    return {key: value for key, value in row.items() if key not in keys}


def with_nested(row: Mapping[str, Any], read_elsewhere: Collection[str]) -> dict[str, Any]:
    """What else a row carries: its unknown keys and its ``attributes``, which win."""
    nested = row.get("attributes")
    found = without(row, read_elsewhere)
    found.pop("attributes", None)
    if isinstance(nested, dict):
        found.update(nested)
    elif nested is not None:
        found["attributes"] = nested
    return found
