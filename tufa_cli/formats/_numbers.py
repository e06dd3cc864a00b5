"""Numbers in texts: one at a time with reasons for users, and many at once."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tufa_cli.formats._fast import float_list, list_text

#: A coordinate further out than this is garbage: no photo is ten million pixels wide.
FAR_PX = 1e7

#: All that ``plain_numbers`` takes: neither exponents nor the words that float() knows.
_DIGITS = b"0123456789.-,"


def number(token: str) -> float:
    """A finite decimal number; raises ValueError with a reason fit for a user."""
    try:
        value = float(token)
    except ValueError:
        raise ValueError(f"'{token[:40]}' is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"'{token[:40]}' is not a finite number")
    if "_" in token or not token.isascii():  # Python's float() takes 1_000 and digits of any script
        raise ValueError(f"'{token[:40]}' is not a number")
    if abs(value) > FAR_PX:
        raise ValueError(f"{token[:40]} is too far out to be a place in a photo")
    return value


def numbers(tokens: Sequence[str]) -> list[float]:
    """``number`` of each token, quickly where all of them are good."""
    joined = "".join(tokens)
    if joined.isascii() and "_" not in joined:
        try:
            values = list(map(float, tokens))
        except ValueError:
            pass  # which one, and why, is found below
        else:
            if are_places(array_of(values)):
                return values
    return [number(token) for token in tokens]


def are_places(values: NDArray[np.float64]) -> bool:
    """Whether all of some numbers, (N,), are finite and may be places in a photo."""
    # One sum tells it of most; NaN is never less than anything.
    return bool(np.vdot(values, values) < FAR_PX**2 or (np.abs(values) <= FAR_PX).all())


def is_number(token: str) -> bool:
    """Whether a field is meant as a number (NaN and inf are, though they are refused later)."""
    try:
        float(token)
    except ValueError:
        return False
    return True


def decimals(value: float) -> str:
    """Six decimals, and no minus before a zero."""
    text = f"{value:.6f}"
    return "0.000000" if text == "-0.000000" else text


def shortest(value: float) -> str:
    """All digits of a number, none too many: "12.5", "3"."""
    return repr(value + 0.0).removesuffix(".0")  # the zero takes the minus from another


def array_of(values: Sequence[float]) -> NDArray[np.float64]:
    """(N,) float64 of floats and whole numbers, in half the time that ``np.array`` takes.

    Raises OverflowError for a whole number that no float can be.
    """
    packed = bytearray(8 * len(values))
    try:
        struct.pack_into(f"{len(values)}d", packed, 0, *values)
    except struct.error as error:
        raise OverflowError(str(error)) from None
    return np.frombuffer(packed, dtype=np.float64)


def plain_numbers(text: str) -> NDArray[np.float64] | None:
    """(N,) numbers that stand in a text with a comma between them; those of places in photos.

    None for anything but plain decimal numbers: ``numbers`` tells what is wrong, if anything is.
    """
    if not text or text.encode().translate(None, _DIGITS):
        return None
    try:
        found = array_of(float_list(text))
    except (ValueError, OverflowError):
        return None
    return found if are_places(found) else None


def decimals_of(values: NDArray[np.float64]) -> str:
    """``decimals`` of each number, with spaces between; values: (N,)."""
    numbers = values.tolist()
    text = ("%.6f " * len(numbers))[:-1] % tuple(numbers)
    return text if "-0.000000" not in text else " ".join(map(decimals, numbers))


def shortest_text(values: NDArray[np.float64]) -> str:
    """``shortest`` of each number, with commas between: "12.5,3"; values: (N,), finite."""
    text = list_text(values + 0.0)  # takes the minus from a zero
    # Each whole number ends with ".0,".
    return f"{text[1:-1]},".replace(".0,", ",")[:-1]


def shortest_pairs(places: NDArray[np.float64]) -> list[str]:
    """ "12.5,3": ``shortest`` of x and y; places: (K, 2), finite."""
    if not len(places):
        return []
    text = list_text(np.add(places, 0.0, order="C")).replace(".0,", ",").replace(".0]", "]")
    return text[2:-2].split("],[")
