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

A stored crop shows the window enlarged by ``context`` about its middle, so that augmentation can
turn, shift and shrink the face without running into black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, TufaError

KIND = "tufa-pack"
VERSION = 1
_NAMED = ("scheme", "source", "split")


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


def write_rows(path: Path, rows: Sequence[Row], attributes: dict[str, Any]) -> None:
    """Write rows to a new file at ``path`` (no renaming: the caller decides when it counts)."""
    with h5py.File(path, "w", libver="v110") as file:
        file.attrs.update({"kind": KIND, "version": VERSION, **attributes})
        for field in _NAMED:
            names = sorted({getattr(row, field) for row in rows})
            file.attrs[f"{field}s"] = names
            codes = [names.index(getattr(row, field)) for row in rows]
            file.create_dataset(field, data=np.asarray(codes, dtype=np.int32))
        for field, start, dtype, shape in (
            ("jpeg", "jpeg_start", np.uint8, (0,)),
            ("points_crop", "point_start", np.float64, (0, 2)),
        ):
            parts = [getattr(row, field) for row in rows]
            data = np.concatenate(parts) if parts else np.empty(shape, dtype)
            file.create_dataset("points" if field == "points_crop" else field, data=data)
            file.create_dataset(start, data=np.cumsum([0, *map(len, parts)], dtype=np.int64))
        flags = [row.visibility for row in rows] or [np.empty(0, np.uint8)]
        file.create_dataset("visibility", data=np.concatenate(flags))
        weights = np.asarray([row.weight for row in rows], np.float32)
        file.create_dataset("weight", data=weights)
        maps = np.asarray([row.crop_to_px for row in rows], np.float64).reshape(-1, 2, 3)
        file.create_dataset("crop_to_px", data=maps)
        file.create_dataset("key", data=np.asarray([row.key for row in rows], dtype="S32"))


def merge(parts: Sequence[Path], out: Path, attributes: dict[str, Any]) -> None:
    """Copy the rows of several pack files, in order, into a new one at ``out``.

    Memory stays flat: the crops are copied part by part into datasets of the final size.
    """
    sizes = [_sizes(part) for part in parts]
    names = {field: sorted({n for s in sizes for n in s[field]}) for field in _NAMED}
    rows, points, data = (sum(s[k] for s in sizes) for k in ("rows", "points", "bytes"))
    with h5py.File(out, "w", libver="v110") as file:
        file.attrs.update({"kind": KIND, "version": VERSION, **attributes})
        for field in _NAMED:
            file.attrs[f"{field}s"] = names[field]
            file.create_dataset(field, (rows,), np.int32)
        file.create_dataset("jpeg", (data,), np.uint8)
        file.create_dataset("jpeg_start", (rows + 1,), np.int64)
        file.create_dataset("points", (points, 2), np.float64)
        file.create_dataset("point_start", (rows + 1,), np.int64)
        file.create_dataset("visibility", (points,), np.uint8)
        file.create_dataset("weight", (rows,), np.float32)
        file.create_dataset("crop_to_px", (rows, 2, 3), np.float64)
        file.create_dataset("key", (rows,), "S32")
        row = point = byte = 0
        for part in parts:
            with h5py.File(part, "r") as source:
                n, p, m = (len(source[k]) for k in ("key", "points", "jpeg"))
                for field in _NAMED:
                    table = [names[field].index(name) for name in source.attrs[f"{field}s"]]
                    codes = np.asarray(table, np.int32)[source[field][:]]
                    file[field][row : row + n] = codes
                for field in ("weight", "crop_to_px", "key"):
                    file[field][row : row + n] = source[field][:]
                for field in ("points", "visibility"):
                    file[field][point : point + p] = source[field][:]
                file["jpeg"][byte : byte + m] = source["jpeg"][:]
                file["jpeg_start"][row : row + n + 1] = source["jpeg_start"][:] + byte
                file["point_start"][row : row + n + 1] = source["point_start"][:] + point
            row, point, byte = row + n, point + p, byte + m


def _sizes(path: Path) -> dict[str, Any]:
    with open_pack(path) as file:
        sizes: dict[str, Any] = {f: list(file.attrs[f"{f}s"]) for f in _NAMED}
        return sizes | {
            "rows": len(file["key"]),
            "points": len(file["points"]),
            "bytes": len(file["jpeg"]),
        }


def open_pack(path: Path) -> h5py.File:
    """Open a pack for reading; raises InputError when it is missing or is no pack."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        reason = "no such file" if not Path(path).exists() else "not a readable HDF5 file"
        raise InputError(path, reason, hint="make a pack with 'tufa-cli pack'") from error
    if file.attrs.get("kind") != KIND or file.attrs.get("version") != VERSION:
        file.close()
        raise InputError(path, f"not a pack of version {VERSION}")
    return file


def require_same(parts: Sequence[Path], names: Sequence[str]) -> None:
    """Raise TufaError unless all parts agree on the named attributes (plane, context ...)."""
    first: dict[str, Any] = {}
    for part in parts:
        with open_pack(part) as file:
            for name in names:
                value = file.attrs[name]
                if first.setdefault(name, value) != value:
                    raise TufaError(
                        f"{part}: packed with another {name} than {parts[0]}",
                        "pack everything again with the same plane and options",
                    )
