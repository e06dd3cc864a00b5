"""MATLAB's files before 7.3 ("level 5"): numbers, text and cells, read with limits and written.

The layout is MathWorks' "MAT-File Format" (header of 128 bytes; elements of type, size and data;
each variable an element, often compressed). scipy.io reads it too, but ends the whole program on
damaged files (a segmentation fault), and it writes the time into them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError
from tufa_cli.formats._files import read_bytes
from tufa_cli.formats._numbers import FAR_PX

FloatArray = NDArray[np.float64]

#: What a variable may take unpacked: AFLW's 24,386 faces take 8 MB.
MOST_BYTES = 256_000_000

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_CELL, _CHAR, _LAST_CLASS = 1, 4, 15
#: Type of stored numbers -> numpy's.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
            13: "u8"}  # fmt: skip
_TEXTS = {1: "utf-8", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
#: MATLAB's classes of numbers: double to uint64.
_CLASSES = {"f8": 6, "f4": 7, "i1": 8, "u1": 9, "i2": 10, "u2": 11, "i4": 12, "u4": 13,
            "i8": 14, "u8": 15}  # fmt: skip


class _Damage(Exception):
    """What is wrong with a file, in words; becomes an InputError."""


@dataclass(frozen=True)
class Cells:
    """A cell array: its sides, and what the cells hold, down the columns."""

    dims: tuple[int, ...]
    items: tuple[Any, ...]


def read_mat(
    path: Path, wanted: Collection[str] | None = None, limit: int = MOST_BYTES
) -> dict[str, Any]:
    """Variables of a file by name: float64 arrays, str, ``Cells``, or None for other kinds.

    wanted: the names to read; None lists all names and unpacks none (all values are None).
    limit: bytes that the file, and each variable unpacked, may take.

    Raises InputError.
    """
    order = _byte_order(path)
    data = read_bytes(path, limit)
    found: dict[str, Any] = {}
    start = _HEADER
    try:
        while start < len(data):
            if len(data) - start < 8:
                raise _Damage("it ends within a variable")
            kind, size = struct.unpack_from(f"{order}II", data, start)
            body = memoryview(data)[start + 8 : start + 8 + size]
            if len(body) < size:
                raise _Damage("it ends within a variable")
            _take(found, kind, body, order, wanted, limit)
            start += 8 + size
    except _Damage as damage:
        raise InputError(path, f"{damage} (variable at byte {start})", hint=_HINT) from None
    return found


def _byte_order(path: Path) -> str:
    """ "<" or ">" by a file's header; raises InputError when it is no file of this format."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    if len(head) == _HEADER and head[124:] in (b"\x00\x01IM", b"\x01\x00MI"):
        return "<" if head.endswith(b"IM") else ">"
    if head.startswith((b"MATLAB 7.3", b"\x89HDF\r\n\x1a\n")):
        raise InputError(path, "MATLAB 7.3 (HDF5), where an older MATLAB file is expected")
    raise InputError(path, "not a MATLAB file (version 5 to 7)")


_HINT = "it looks cut off or damaged"


def _take(
    found: dict[str, Any],
    kind: int,
    body: memoryview,
    order: str,
    wanted: Collection[str] | None,
    limit: int,
) -> None:
    """Put the variable of an element into ``found``; other elements are passed over."""
    if kind == _COMPRESSED:
        # The names come first, so a variable that nobody wants is not unpacked.
        head = _unpack(body, 1024, cut=True)
        name = _Element(memoryview(head)[8:], order).name()
        if wanted is not None and name in wanted:
            whole = _unpack(body, limit)
            kind, size = struct.unpack_from(f"{order}II", whole)
            body = memoryview(whole)[8 : 8 + size]
            if kind != _MATRIX or len(body) < size:
                raise _Damage("a compressed variable ends too early")
    elif kind == _MATRIX:
        name = _Element(body, order).name()
    else:
        return
    if name and name in found:
        raise _Damage(f"the variable '{name}' comes twice")
    found[name] = _Element(body, order).value() if wanted is not None and name in wanted else None


def _unpack(body: memoryview, limit: int, cut: bool = False) -> bytes:
    """Unpacked bytes, at most ``limit``; raises _Damage when there are more, unless ``cut``."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(body, limit)
    except zlib.error:
        raise _Damage("a compressed variable is damaged") from None
    if not cut and unpacker.unconsumed_tail:
        raise _Damage(f"a variable takes more than {limit // 10**6} MB")
    if len(data) < 8:
        raise _Damage("a compressed variable ends too early")
    return data


class _Element:
    """The parts of one variable, read one after the other."""

    def __init__(self, body: memoryview, order: str, depth: int = 0) -> None:
        self.body, self.order, self.depth = body, order, depth
        self.at = 0

    def part(self) -> tuple[int, memoryview]:
        """Type and data of the next part."""
        if len(self.body) - self.at < 8:
            raise _Damage("a variable ends too early")
        kind, size = struct.unpack_from(f"{self.order}II", self.body, self.at)
        start = self.at + 8
        if kind >> 16:  # up to four bytes fit where the size would stand
            kind, size, start = kind & 0xFFFF, kind >> 16, self.at + 4
            if size > 4:
                raise _Damage("a variable is damaged")
            self.at += 8
        else:
            self.at = start + size + (-size % 8)
        data = self.body[start : start + size]
        if len(data) < size:
            raise _Damage("a variable ends too early")
        return kind, data

    def _head(self) -> tuple[int, tuple[int, ...], str]:
        """Class, sides and name."""
        kind, flags = self.part()
        if kind != 6 or len(flags) != 8:
            raise _Damage("a variable has no class")
        number = struct.unpack_from(f"{self.order}I", flags)[0]
        if number & 0x800:
            raise _Damage("complex numbers")
        if number & 0xFF > _LAST_CLASS:  # functions and objects, whose parts are others
            return number & 0xFF, (0, 0), ""
        kind, sides = self.part()
        if kind != 5 or not 8 <= len(sides) <= 32 or len(sides) % 4:
            raise _Damage("a variable has no size")
        dims = tuple(np.frombuffer(sides, f"{self.order}i4").tolist())
        if min(dims) < 0:
            raise _Damage("a variable has a negative size")
        kind, name = self.part()
        if kind not in (1, 2) or len(name) > 255:
            raise _Damage("a variable has no name")
        return number & 0xFF, dims, bytes(name).decode("latin-1")

    def name(self) -> str:
        """The variable's name."""
        return self._head()[2]

    def value(self) -> Any:
        """Numbers, text or cells; None for what is none of these (structures, sparse numbers)."""
        kind, dims, _ = self._head()
        count = 1
        for side in dims:
            count *= side
        if kind == _CELL:
            return self._cells(dims, count)
        if kind != _CHAR and kind not in _CLASSES.values():
            return None
        stored, data = self.part()
        if kind == _CHAR:
            return self._text(stored, data, dims)
        if stored not in _NUMBERS:
            raise _Damage("a variable holds no numbers")
        dtype = np.dtype(f"{self.order}{_NUMBERS[stored]}")
        if len(data) != count * dtype.itemsize:
            raise _Damage(f"a variable of {count} numbers takes {len(data)} bytes")
        return np.frombuffer(data, dtype).astype(np.float64).reshape(dims, order="F")

    def _cells(self, dims: tuple[int, ...], count: int) -> Cells:
        if self.depth > 3:
            raise _Damage("cells within cells")
        if count > len(self.body):
            raise _Damage("a variable ends too early")
        items = []
        for _ in range(count):
            kind, data = self.part()
            if kind != _MATRIX:
                raise _Damage("a cell holds no variable")
            items.append(_Element(data, self.order, self.depth + 1).value() if len(data) else None)
        return Cells(dims, tuple(items))

    def _text(self, stored: int, data: memoryview, dims: tuple[int, ...]) -> str | None:
        if len(dims) != 2 or dims[0] > 1:
            return None  # several lines of text stand across each other
        if stored not in _TEXTS:
            raise _Damage("a text is damaged")
        encoding = _TEXTS[stored]
        if encoding != "utf-8":
            encoding += "-le" if self.order == "<" else "-be"
        try:
            return bytes(data).decode(encoding)
        except UnicodeDecodeError:
            raise _Damage("a text is not Unicode") from None


def matrix(
    path: Path,
    found: Mapping[str, Any],
    name: str,
    shape: tuple[int | None, int | None],
    rows: int | None = None,
) -> FloatArray:
    """A variable as numbers of this shape (None: any side); raises InputError.

    Every number must be small enough for a place in a photo. rows: only so many, the others may be
    anything.
    """
    value = found.get(name)
    wanted = " x ".join("N" if side is None else str(side) for side in shape)
    if not isinstance(value, np.ndarray):
        raise InputError(path, f"no {wanted} numbers '{name}' in it")
    fits = value.ndim == 2 and all(
        side in (None, has) for side, has in zip(shape, value.shape, strict=True)
    )
    if not fits:
        has = " x ".join(map(str, value.shape))
        raise InputError(path, f"'{name}' is {has}, expected {wanted}")
    value = value[:rows]
    bad = ~(np.abs(value) <= FAR_PX)
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        raise InputError(
            path, f"'{name}' row {row + 1}, column {column + 1} is not a place in a photo"
        )
    return value


def mat_bytes(variables: Mapping[str, NDArray[Any]]) -> bytes:
    """A file of these two-dimensional arrays; the same arrays give the same bytes."""
    text = b"MATLAB 5.0 MAT-file, written by tufa-cli"
    parts = [text.ljust(116) + bytes(8) + b"\x00\x01IM"]
    for name, value in variables.items():
        dtype = value.dtype.newbyteorder("<")
        kind = dtype.str[1:]
        stored = next(number for number, known in _NUMBERS.items() if known == kind)
        body = (
            _part(6, struct.pack("<II", _CLASSES[kind], 0))
            + _part(5, struct.pack(f"<{value.ndim}i", *value.shape))
            + _part(1, name.encode("ascii"))
            + _part(stored, value.astype(dtype).tobytes(order="F"))
        )
        parts.append(struct.pack("<II", _MATRIX, len(body)) + body)
    return b"".join(parts)


def _part(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)
