"""SCUT-FBP5500: binary ``.pts``, 86 points, little-endian int32 n and n pairs of float32, 0-based.

Layout: ``facial landmark/NAME.pts`` with ``images/NAME.jpg`` beside that folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, written_points
from tufa_cli.formats._files import read_bytes, sniff_any
from tufa_cli.formats._numbers import FAR_PX
from tufa_cli.formats._pts import MOST_BYTES, SUFFIXES, faces_in_files, folder_of, write_face_files
from tufa_cli.writing import write_bytes

NAME = "scut"
TITLE = "SCUT-FBP5500 binary .pts, 86 points, 0-based"
SCHEME = "scut86"
CAPABILITIES = Capabilities(points=86, streams=True)
FOLDER = "facial landmark"


def _sniff_file(path: Path) -> Sniff:
    data = read_bytes(path, MOST_BYTES)
    count = int.from_bytes(data[:4], "little", signed=True)
    if len(data) > 4 and len(data) == 4 + 8 * count:
        return Sniff(True, f"binary .pts of {count} points")
    return Sniff(False, "not a binary .pts: the length does not fit the count in front")


def sniff(path: Path) -> Sniff:
    """Yes for .pts files whose first four bytes count the pairs of float32 that follow."""
    return sniff_any(path, SUFFIXES, _sniff_file, most=8)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo, looked up in ``images/`` beside ``facial landmark/``."""
    base = folder_of(source)
    if (base / FOLDER).is_dir():
        base = base / FOLDER
    if source.is_dir():
        source = base
    images = base.parent / "images"
    root = options.root or (images if images.is_dir() else base)
    first_pixel = options.base(CAPABILITIES.index_base)
    points = options.points or CAPABILITIES.points

    def load(path: Path) -> Face:
        data = read_bytes(path, MOST_BYTES)
        count = int.from_bytes(data[:4], "little", signed=True)
        if data.lstrip(b"\xef\xbb\xbf")[:7].lower() == b"version":
            raise InputError(path, "a text .pts, not a binary one", 1, "read it as pts")
        if len(data) < 4 or count < 1:
            raise InputError(path, "not a binary .pts of SCUT-FBP5500")
        if len(data) != 4 + 8 * count:
            problem = f"{count} points take {4 + 8 * count} bytes, the file has {len(data)}"
            raise InputError(path, problem, hint="it is cut off, or not a binary .pts")
        if count != points:
            raise InputError(path, f"expected {points} points, found {count}")
        rows = np.frombuffer(data, dtype="<f4", offset=4).reshape(-1, 2).astype(np.float64)
        bad = ~(np.abs(rows) <= FAR_PX).all(axis=1)
        if bad.any():
            raise InputError(path, f"point {int(bad.argmax())} is not a place in a photo")
        return Face(rows - first_pixel, scheme=options.scheme or SCHEME)

    yield from faces_in_files(source, base, root, options, load)


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Files under ``target/facial landmark``; float32; a missing point is (-1, -1)."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def write_face(path: Path, face: Face) -> None:
        rows = written_points(face, first_pixel)
        data = len(rows).to_bytes(4, "little") + rows.astype("<f4").tobytes()
        write_bytes(path, data, options.overwrite)

    one_file = target.suffix.lower() == ".pts"
    return write_face_files(images, target if one_file else target / FOLDER, options, write_face)
