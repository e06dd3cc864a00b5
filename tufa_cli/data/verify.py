"""What a pack holds, and whether it is sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.data.shards import pack_files
from tufa_cli.data.store import (
    VERSION,
    Row,
    head_checksum,
    joint_head,
    jpeg_size,
    open_pack,
    read_rows,
    row_checksum,
)
from tufa_cli.errors import InputError, TufaError
from tufa_cli.schemes.plane import Plane, plane_from_json


@dataclass
class Verdict:
    """What ``verify`` found.

    rows: how many were looked at. has_checksums: False for packs of version 1.
    bad: (row, what is wrong with it); row None for the file as a whole.
    """

    rows: int = 0
    has_checksums: bool = True
    bad: list[tuple[int | None, str]] = field(default_factory=list)


def verify(path: Path) -> Verdict:
    """Read every row of a pack, or of all shards of a folder, and look at it; memory stays flat.

    Rows are numbered over all files. Raises InputError when the file is missing or is no pack at
    all, or shards are missing.
    """
    verdict = Verdict()
    keys: set[bytes] = set()
    files = pack_files(path)
    for file in files:
        before = len(verdict.bad)
        _verify_file(file, verdict, keys)
        if len(files) > 1:
            found = verdict.bad[before:]
            verdict.bad[before:] = [(row, f"{problem} ({file.name})") for row, problem in found]
    if not any(row is None for row, _ in verdict.bad):  # else a plane may be what is damaged
        try:
            joint_head(files)
        except TufaError as error:
            verdict.bad.append((None, error.message))
    return verdict


def _verify_file(path: Path, verdict: Verdict, keys: set[bytes]) -> None:
    start = verdict.rows
    with open_pack(path) as file:
        has_checksums = bool(file.attrs["version"] > 1)
    verdict.has_checksums &= has_checksums
    try:
        with _damage_of(path):
            with open_pack(path) as file:
                plane = plane_from_json(file.attrs["plane"], f"{path}: plane")
                if has_checksums and "checksum" not in file:
                    raise InputError(path, "the checksums are missing")
                if file.attrs.get("head_checksum", head_checksum(file.attrs)) != head_checksum(
                    file.attrs
                ):
                    raise InputError(path, "the checksum of the plane does not fit")
            for first, rows, checksums in read_rows(path):
                for i, row in enumerate(rows):
                    wrong = list(_problems(row, plane))
                    if checksums is not None and checksums[i] != row_checksum(row):
                        wrong.insert(0, "the checksum does not fit")
                    if row.key in keys:
                        wrong.append("its face comes twice")
                    keys.add(row.key)
                    verdict.bad += [(start + first + i, problem) for problem in wrong]
                verdict.rows += len(rows)
    except TufaError as error:
        verdict.bad.append((None, error.message))


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """HDF5's complaints about a damaged file as an InputError."""
    try:
        yield
    except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise InputError(path, f"the file is damaged ({reason})") from error


def _problems(row: Row, plane: Plane) -> Iterator[str]:
    """What is wrong with one row, beside its checksum."""
    data = row.jpeg.tobytes()
    size = jpeg_size(row.jpeg)
    # A decoder fills a crop that ends too early with grey and says nothing.
    if size is None or not data.endswith(b"\xff\xd9"):
        yield "the crop is no whole JPEG file"
    else:
        picture = cv2.imdecode(row.jpeg, cv2.IMREAD_COLOR)
        if picture is None:
            yield "the crop cannot be decoded"
        elif picture.shape[0] != picture.shape[1]:
            yield "the crop is not square"
    known = row.visibility > 0
    finite = np.isfinite(row.points_crop).all(axis=1)
    if (known & ~finite).any():
        yield f"{int((known & ~finite).sum())} labelled points are not finite"
    if not np.isfinite(row.crop_to_px).all() or abs(np.linalg.det(row.crop_to_px[:, :2])) < 1e-9:
        yield "the map to the photo is not one"
    if not np.isfinite(row.weight) or row.weight < 0:
        yield "the weight is not a number of 0 or more"
    try:
        expected = len(plane.layout(row.scheme))
    except TufaError as error:
        yield error.message
    else:
        if len(row.points_crop) != expected:
            yield f"{len(row.points_crop)} points, {row.scheme} has {expected}"


def describe(path: Path) -> dict[str, Any]:
    """What a pack or a folder of shards holds, as plain values: counts of faces, sizes, the plane.

    crop_px, crop_bytes: smallest, median and largest side of the stored crops, and size of their
    files. labelled_points: points with a place. Raises InputError, and TufaError when the files'
    planes do not go together.
    """
    faces: Counter[tuple[str, str, str]] = Counter()
    sides: list[int] = []
    sizes: list[int] = []
    labelled = 0
    files = pack_files(path)
    version = 0
    with _damage_of(path):
        plane, context = joint_head(files)
        for one in files:
            with open_pack(one) as file:
                version = min(version or VERSION, int(file.attrs["version"]))
        for row in (row for one in files for _, rows, _ in read_rows(one) for row in rows):
            faces[row.split, row.source, row.scheme] += 1
            sides.append((jpeg_size(row.jpeg) or (0, 0))[0])
            sizes.append(len(row.jpeg))
            labelled += int((row.visibility > 0).sum())
    window = plane.window
    return {
        "pack": str(path),
        "version": version,
        "checksums": version > 1,
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "faces": sum(faces.values()),
        "labelled_points": labelled,
        "groups": [
            {"split": split, "source": source, "scheme": scheme, "faces": count}
            for (split, source, scheme), count in sorted(faces.items())
        ],
        "crop_px": _spread(sides),
        "crop_bytes": _spread(sizes),
        "context": context,
        "plane": {
            "name": plane.name,
            "reference": plane.reference,
            "window": [window.x, window.y, window.side],
            "schemes": sorted(plane.anchors),
        },
    }


def _spread(values: list[int]) -> list[int]:
    """Smallest, median and largest."""
    array: NDArray[np.int64] = np.asarray(values or [0])
    return [int(array.min()), int(np.median(array)), int(array.max())]
