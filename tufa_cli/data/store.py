"""The pack file: HDF5, one row per face and scheme.

Datasets (N rows, P points, M bytes)::

    jpeg       (M,)    uint8    the crops' JPEG files, one after another
    jpeg_start (N + 1) int64    where each begins
    points     (P, 2)  float64  points_crop of the window, NaN where not labelled
    visibility (P,)    uint8    0 unlabelled, 1 occluded, 2 visible
    point_start(N + 1) int64
    scheme, source, split (N,)  indices into the lists of names in the file's attributes
    weight     (N,)    float32  how much a label counts in training, 1 for people's
    crop_to_px (N, 2, 3)        window's crop units to pixels of the photo
    key        (N,)    S32      hash of source, photo, face and scheme: photo names are personal
                                data and stay out
    checksum   (N,)    uint32   CRC-32 of everything above that belongs to the row (version 2; the
                                attribute head_checksum is that of the plane and the context)

A stored crop shows the window enlarged by ``context`` about its middle, so that augmentation can
turn, shift and shrink the face without running into black. The crops lie one after another and not
in HDF5 chunks: training reads single rows at random, and a chunk must be read whole. Packs of
version 1, which have no checksums, are read as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, TufaError
from tufa_cli.schemes.plane import Plane, merged, plane_from_json

KIND = "tufa-pack"
VERSION = 2
_READABLE = (1, 2)
_NAMED = ("scheme", "source", "split")
#: Bytes of crops in memory at a time when a pack is copied or checked.
_BLOCK = 8 << 20


#: The JPEG markers that carry a picture's size: FFC0..FFCF but DHT, JPG and DAC.
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(eq=False)
class Row:
    """One face as stored (see the module's docstring)."""

    key: bytes
    scheme: str
    source: str
    split: str
    jpeg: NDArray[np.uint8]
    points_crop: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    crop_to_px: NDArray[np.float64]
    weight: float = 1.0


def row_checksum(row: Row) -> int:
    """CRC-32 of all that a row holds, numbers in little-endian order."""
    names = "\0".join((row.scheme, row.source, row.split)).encode()
    total = zlib.crc32(names + b"\0" + row.key)
    for values, kind in (
        (row.jpeg, "u1"),
        (row.points_crop, "<f8"),
        (row.visibility, "u1"),
        (row.crop_to_px, "<f8"),
        (row.weight, "<f4"),
    ):
        total = zlib.crc32(np.ascontiguousarray(values, kind).tobytes(), total)
    return total


def head_checksum(attributes: Mapping[str, Any]) -> int:
    """CRC-32 of what holds for all rows: the plane and the context."""
    return zlib.crc32(f"{float(attributes['context'])!r}\0{attributes['plane']}".encode())


def write_rows(path: Path, rows: Sequence[Row], attributes: dict[str, Any]) -> None:
    """Write rows to a new file at ``path`` (no renaming: the caller decides when it counts)."""
    with _Writer(path, rows_sizes(rows), attributes) as writer:
        writer.add(rows)


@dataclass(frozen=True)
class Span:
    """Rows ``first`` to before ``last`` of a pack file."""

    path: Path
    first: int
    last: int


def whole(path: Path) -> Span:
    """All rows of a pack file."""
    with open_pack(path) as file:
        return Span(path, 0, len(file["key"]))


def merge(spans: Sequence[Span], out: Path, attributes: dict[str, Any]) -> None:
    """Copy rows of several pack files, in order, into a new one at ``out``.

    Memory stays flat: rows are copied block by block into datasets of the final size. Rows of
    version 1 get their checksums here. The bytes depend on the rows and their order alone.
    """
    sizes = [_sizes(span) for span in spans]
    total = Sizes(
        {field: sorted({n for s in sizes for n in s.names[field]}) for field in _NAMED},
        *(sum(getattr(s, k) for s in sizes) for k in ("rows", "points", "data")),
    )
    with _Writer(out, total, attributes) as writer:
        for span in spans:
            for _, rows, checksums in read_rows(span.path, span.first, span.last):
                writer.add(rows, checksums)


@dataclass(frozen=True)
class Sizes:
    """What a pack holds: the names in use, and how many rows, points and bytes of crops."""

    names: dict[str, list[str]]
    rows: int
    points: int
    data: int


def rows_sizes(rows: Sequence[Row]) -> Sizes:
    """The sizes of a pack of these rows."""
    return Sizes(
        {field: sorted({getattr(row, field) for row in rows}) for field in _NAMED},
        len(rows),
        sum(len(row.points_crop) for row in rows),
        sum(len(row.jpeg) for row in rows),
    )


def _sizes(span: Span) -> Sizes:
    names, at = {}, slice(span.first, span.last)
    with open_pack(span.path) as file:
        for field in _NAMED:
            known = [str(name) for name in file.attrs[f"{field}s"]]
            names[field] = [known[code] for code in np.unique(file[field][at])]
        points, data = (
            int(file[f"{name}_start"][span.last]) - int(file[f"{name}_start"][span.first])
            for name in ("point", "jpeg")
        )
    return Sizes(names, span.last - span.first, points, data)


class _Writer:
    """A pack file of known size that is filled from front to back."""

    def __init__(self, path: Path, sizes: Sizes, attributes: dict[str, Any]) -> None:
        self.names, rows = sizes.names, sizes.rows
        self._row = self._point = self._byte = 0
        self.file = h5py.File(path, "w", libver="v110")
        self.file.attrs.update({"kind": KIND, "version": VERSION, **attributes})
        self.file.attrs["head_checksum"] = np.uint32(head_checksum(attributes))
        for field in _NAMED:
            self.file.attrs[f"{field}s"] = self.names[field]
        for name, shape, kind in (
            *((field, (rows,), np.int32) for field in _NAMED),
            ("jpeg", (sizes.data,), np.uint8),
            ("jpeg_start", (rows + 1,), np.int64),
            ("points", (sizes.points, 2), np.float64),
            ("point_start", (rows + 1,), np.int64),
            ("visibility", (sizes.points,), np.uint8),
            ("weight", (rows,), np.float32),
            ("crop_to_px", (rows, 2, 3), np.float64),
            ("key", (rows,), "S32"),
            ("checksum", (rows,), np.uint32),
        ):
            self.file.create_dataset(name, shape, kind)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def add(self, rows: Sequence[Row], checksums: Sequence[int] | None = None) -> None:
        """Rows that come next; their checksums are computed where they are not given, so that
        a damaged row that is copied stays a damaged row."""
        if not rows:
            return
        at = slice(self._row, self._row + len(rows))
        for field in _NAMED:
            codes = [self.names[field].index(getattr(row, field)) for row in rows]
            self.file[field][at] = np.asarray(codes, np.int32)
        if checksums is None:
            checksums = [row_checksum(row) for row in rows]
        self.file["checksum"][at] = np.asarray(checksums, np.uint32)
        self.file["weight"][at] = [row.weight for row in rows]
        self.file["crop_to_px"][at] = np.stack([row.crop_to_px for row in rows])
        self.file["key"][at] = np.asarray([row.key for row in rows], "S32")
        self._point = self._fill("point_start", at, self._point, [r.points_crop for r in rows])
        self._byte = self._fill("jpeg_start", at, self._byte, [row.jpeg for row in rows])
        points = self.file["point_start"][at.start]
        self.file["visibility"][points : self._point] = np.concatenate([r.visibility for r in rows])
        self._row = at.stop

    def _fill(self, start: str, at: slice, first: int, values: list[NDArray]) -> int:
        """Write values of rows one after another, and where each begins; where they end."""
        ends = first + np.cumsum([0, *map(len, values)], dtype=np.int64)
        self.file[start][at.start : at.stop + 1] = ends
        name = "jpeg" if start == "jpeg_start" else "points"
        self.file[name][first : ends[-1]] = np.concatenate(values)
        return int(ends[-1])


def read_rows(
    path: Path, first: int = 0, end: int | None = None
) -> Iterator[tuple[int, list[Row], list[int] | None]]:
    """Rows from ``first`` to before ``end`` in order, in blocks: the number of the first, the rows,
    their checksums (None in version 1).

    Raises InputError when the file is no pack or its tables do not fit together.
    """
    with open_pack(path) as file:
        starts = {name: file[f"{name}_start"][:] for name in ("jpeg", "point")}
        count = len(file["key"])
        end = count if end is None else end
        lengths = {"jpeg": len(file["jpeg"]), "point": len(file["points"])}
        for name, start in starts.items():
            ordered = len(start) == count + 1 and (np.diff(start) >= 0).all() and start[0] == 0
            if not ordered or start[-1] != lengths[name]:
                raise InputError(path, f"the table {name}_start is damaged", hint="pack again")
        while first < end:
            limit = starts["jpeg"][first] + _BLOCK
            last = int(np.searchsorted(starts["jpeg"], limit, side="right")) - 1
            last = min(max(last, first + 1), end)
            stored = file["checksum"][first:last].tolist() if "checksum" in file else None
            yield first, _read_block(path, file, starts, first, last), stored
            first = last


def _read_block(
    path: Path, file: h5py.File, starts: dict[str, NDArray], first: int, last: int
) -> list[Row]:
    jpeg_at, point_at = (starts[name][first : last + 1] for name in ("jpeg", "point"))
    data = file["jpeg"][jpeg_at[0] : jpeg_at[-1]]
    points = file["points"][point_at[0] : point_at[-1]]
    visibility = file["visibility"][point_at[0] : point_at[-1]]
    jpeg_at, point_at = jpeg_at - jpeg_at[0], point_at - point_at[0]
    columns = {}
    for field in _NAMED:
        names, codes = list(file.attrs[f"{field}s"]), file[field][first:last]
        if len(codes) and not (codes.min() >= 0 and codes.max() < len(names)):
            raise InputError(path, f"the table {field} is damaged", hint="pack again")
        columns[field] = [str(names[code]) for code in codes]
    weight, maps = file["weight"][first:last], file["crop_to_px"][first:last]
    return [
        Row(
            key,
            columns["scheme"][i],
            columns["source"][i],
            columns["split"][i],
            data[jpeg_at[i] : jpeg_at[i + 1]],
            points[point_at[i] : point_at[i + 1]],
            visibility[point_at[i] : point_at[i + 1]],
            maps[i],
            float(weight[i]),
        )
        for i, key in enumerate(file["key"][first:last].tolist())
    ]


def open_pack(path: Path) -> h5py.File:
    """Open a pack for reading; raises InputError when it is missing or is no pack."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        reason = "no such file" if not Path(path).exists() else "not a readable HDF5 file"
        raise InputError(path, reason, hint="make a pack with 'tufa-cli pack'") from error
    if file.attrs.get("kind") != KIND or file.attrs.get("version") not in _READABLE:
        file.close()
        raise InputError(path, f"not a pack of version {' or '.join(map(str, _READABLE))}")
    return file


def joint_head(packs: Sequence[Path]) -> tuple[Plane, float]:
    """The plane of several packs, with the schemes of all, and their context.

    Raises TufaError when the planes differ in more than the schemes they hold, or the contexts do.
    """
    texts: dict[str, str] = {}
    contexts: dict[float, Path] = {}
    for path in packs:
        with open_pack(path) as file:
            texts.setdefault(file.attrs["plane"], str(path))
            contexts.setdefault(float(file.attrs["context"]), path)
    if len(contexts) > 1:
        first, second = list(contexts.values())[:2]
        raise TufaError(
            f"{second}: packed with another context than {first}",
            "pack everything again with the same plane and options",
        )
    planes = {path: plane_from_json(text, path) for text, path in texts.items()}
    return merged(planes), next(iter(contexts))


def keys_of(paths: Iterable[Path]) -> set[bytes]:
    """The keys of all rows of some packs."""
    keys: set[bytes] = set()
    for path in paths:
        with open_pack(path) as file:
            keys.update(file["key"][:].tolist())
    return keys


class PackTables:
    """A pack open for reading single rows at random: one of these in each process.

    The crops and points are mapped into memory, which takes a few microseconds a row where HDF5
    takes 250; processes that read the same pack share the pages.
    """

    def __init__(self, path: Path) -> None:
        with open_pack(path) as file:
            self._jpeg_start = file["jpeg_start"][:].tolist()
            self._point_start = file["point_start"][:].tolist()
            self._jpeg, self._points = (_mapped(path, file[name]) for name in ("jpeg", "points"))

    def row(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """A row's JPEG file and its (K, 2) points_crop; read-only."""
        start, end = self._jpeg_start[row : row + 2]
        first, last = self._point_start[row : row + 2]
        return self._jpeg[start:end], self._points[first:last]


def _mapped(path: Path, data: h5py.Dataset) -> NDArray:
    """The dataset's place in the file as an array, or the whole read where it lies in pieces."""
    offset = data.id.get_offset()
    if offset is None or not data.size:
        return data[:]
    return np.asarray(np.memmap(path, data.dtype, "r", offset, data.shape))


def jpeg_size(jpeg: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Width and height in a JPEG file's header (ITU T.81, B.2.2), or None when there is none."""
    data, at = jpeg[:1024].tobytes(), 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _SIZE_MARKERS:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
