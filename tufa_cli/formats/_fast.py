"""The one place that knows orjson, the extra ``fast``: numbers and JSON by compiled code.

orjson takes 16 nanoseconds for a number's text, Python 240. Whatever is asked for here is the same,
byte for byte and bit for bit, with it and without: what it reads or writes in another way than
Python does is left to Python, which also finds the words for what is wrong with a text.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Kinds of values that orjson writes as Python does.
_SCALARS = frozenset([str, int, float, bool])
_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
#: Digits of a whole number that orjson may take for a float.
_LONG = b"0" * 19
_PIECE = 1 << 20
#: Of the eight bytes of a word, what all digits share.
_HIGH_HALVES, _OF_DIGITS = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x3030303030303030)


@cache
def compiled() -> Any:
    """The module orjson, or None where it is not installed or writes numbers in another way."""
    try:
        import orjson
    except ImportError:
        return None
    # Older ones write 1e16 for Python's 1e+16, newer ones may change again.
    return orjson if orjson.dumps([1e16, 1.5e-7, 2.5]) == b"[1e+16,1.5e-7,2.5]" else None


def float_list(text: str) -> list[float]:
    """Plain decimal numbers, with commas between; raises ValueError for what ``float`` refuses.

    text: of digits, points, signs and commas only. Whole numbers may come as int.
    """
    orjson = compiled()
    # It takes -0 for 0.
    if orjson is not None and ("-" not in text or "-0," not in f"{text},"):
        try:
            found: list[float] = orjson.loads(f"[{text}]")
            return found
        except ValueError:
            pass  # it is stricter: no "1.", no "007"
    return list(map(float, text.split(",")))


def list_text(values: list[float] | NDArray[np.float64]) -> str:
    """``repr`` of a list of finite numbers without its spaces.

    values: N, or a C-contiguous array of any shape, which makes lists of lists.
    """
    orjson = compiled()
    if orjson is not None:
        text: str = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        if "e" not in text and "0.0000" not in text:
            return text
    values = values if isinstance(values, list) else values.tolist()
    return repr(values).replace(" ", "")


def json_text(value: dict[str, Any]) -> str | None:
    """An object as JSON without spaces, as Python's ``json`` writes it; None where that has to."""
    orjson = compiled()
    if orjson is None or not _is_plain(value):
        return None
    try:
        raw: bytes = orjson.dumps(value)
    except (TypeError, ValueError):  # keys that are no text, halves of letters, large numbers
        return None
    # "null" is NaN, for None is not plain; the others are numbers that Python writes otherwise.
    if b"null" in raw or b"0.0000" in raw or b"e-" in raw or b"e+" in raw:
        return None
    return raw.decode()


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return type(value) in _SCALARS
    if _SCALARS.issuperset(map(type, value)):
        return True
    return all(_is_plain(inner) for inner in value if type(inner) not in _SCALARS)


def json_value(raw: bytes) -> Any:
    """The JSON value of some bytes; a key that is there twice has its last value.

    Raises ValueError (UnicodeDecodeError, JSONDecodeError, others) or RecursionError.
    """
    orjson = compiled()
    with uncollected() if len(raw) > _PIECE else nullcontext():
        if orjson is not None and not _has_long(raw):
            try:
                return orjson.loads(raw)
            except ValueError:
                pass  # what is wrong with it, if anything is: orjson knows no NaN
        return json.loads(raw.decode("utf-8-sig"))


def _has_long(raw: bytes) -> bool:
    """Whether 19 digits stand in a row anywhere."""
    view = memoryview(raw)
    for start in range(0, len(raw), _PIECE):
        piece = view[start : start + _PIECE + len(_LONG)]
        # They fill eight bytes at a multiple of eight, which little else does.
        eights = np.frombuffer(piece, dtype=np.uint64, count=len(piece) // 8)
        likely = bool((eights & _HIGH_HALVES == _OF_DIGITS).any())
        if likely and _LONG in bytes(piece).translate(_TO_ZERO):
            return True
    return False


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles, of which records have none.

    While hundreds of thousands of them are made, it would look through all of them many times, and
    thrice afterwards: as young, as older and as old. They are old at once when the block ends.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if not gc.get_freeze_count():  # nobody else's is undone
                gc.freeze()
                gc.unfreeze()
            gc.enable()
