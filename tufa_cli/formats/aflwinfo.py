"""AFLWinfo_release.mat: AFLW's 19 points of 24,386 faces as CCL's authors gave them out.

``nameList`` are the photos' names, ``data`` 19 x then 19 y, ``bbox`` left, right, top, bottom,
``mask_new`` 1 where a point is visible; hidden ones have a place too. ``ra`` is a permutation from
1: its first 20,000 faces are the training part, the rest the test part, and "frontal" are those of
the test part whose points are all visible and inside the box. The first pixel's number is not
written down; the numbers are left as they are (0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import first_root, list_files, photo_name, sniff_any
from tufa_cli.formats._mat5 import Cells, FloatArray, matrix, read_mat

NAME = "aflwinfo"
TITLE = "AFLWinfo_release.mat, AFLW's 19 points (read only)"
SCHEME = "aflw19"
POINTS = 19
READ_ONLY = "the file fixes the parts of AFLW for one paper's tables, and programs read no other"
CAPABILITIES = Capabilities(
    visibility=True,
    box=True,
    several_faces=True,
    split=("train", "test"),
    attributes=("frontal",),
    points=POINTS,
    read_only=READ_ONLY,
)
SUFFIXES = (".mat",)
VARIABLES = ("nameList", "data", "bbox", "mask_new", "ra")
_TRAINING = 20000


def _sniff_file(path: Path) -> Sniff:
    names = read_mat(path)
    lacking = [name for name in VARIABLES if name not in names]
    if lacking:
        return Sniff(False, f"a MATLAB file without {' and '.join(lacking)}")
    return Sniff(True, "a MATLAB file with nameList, data, bbox, mask_new and ra")


def sniff(path: Path) -> Sniff:
    """Yes for MATLAB files (before 7.3) with nameList, data, bbox, mask_new and ra."""
    return sniff_any(path, SUFFIXES, _sniff_file)


@dataclass(frozen=True)
class _Table:
    """The rows of a file: names (None where one cannot be had), numbers, and parts."""

    path: Path
    names: tuple[Any, ...]
    points: FloatArray
    boxes: FloatArray
    visible: NDArray[np.bool_]
    training: NDArray[np.bool_]

    def face(self, row: int, options: ReadOptions) -> Face:
        """Raises ValueError."""
        first_pixel = options.base(CAPABILITIES.index_base)
        left, right, top, bottom = self.boxes[row].tolist()
        if right < left or bottom < top:
            raise ValueError("the box's far corner lies before its near one")
        points = self.points[row]
        inside = bool(((points >= (left, top)) & (points <= (right, bottom))).all())
        frontal = inside and bool(self.visible[row].all()) and not self.training[row]
        return Face(
            points - first_pixel,
            scheme=options.scheme or SCHEME,
            visibility=np.where(self.visible[row], VISIBLE, OCCLUDED).astype(np.uint8),
            box=np.array([left - first_pixel, top - first_pixel, right - left, bottom - top]),
            attributes={"frontal": True} if frontal else {},
        )


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo and part; photos are looked for in ``flickr``, ``images``, beside it.

    A photo with faces in both parts gives two records, which is said.
    """
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _records(_load(file), options)


def _load(path: Path) -> _Table:
    found = read_mat(path, VARIABLES)
    data = matrix(path, found, "data", (None, 2 * POINTS))
    count = len(data)
    boxes = matrix(path, found, "bbox", (count, 4))
    mask = matrix(path, found, "mask_new", (count, POINTS))
    order = matrix(path, found, "ra", (1, count))[0] - 1
    if sorted(order.tolist()) != list(range(count)):
        raise InputError(path, f"'ra' is not a permutation of 1 to {count}")
    if not np.isin(mask, (0, 1)).all():
        raise InputError(path, "'mask_new' holds something that is neither 0 nor 1")
    names = found.get("nameList")
    if not isinstance(names, Cells) or len(names.items) != count:
        raise InputError(path, f"'nameList' does not hold {count} names")
    training = np.zeros(count, dtype=bool)
    training[order[:_TRAINING].astype(int)] = True
    points = data.reshape(count, 2, POINTS).transpose(0, 2, 1)
    return _Table(path, names.items, points, boxes, mask == 1, training)


def _records(table: _Table, options: ReadOptions) -> Iterator[AnnotatedImage]:
    rows: dict[tuple[str, bool], list[int]] = {}
    for row, name in enumerate(table.names):
        try:
            if not isinstance(name, str):
                raise ValueError("the name of the photo is missing")
            rows.setdefault((photo_name(name), bool(table.training[row])), []).append(row)
        except ValueError as error:
            options.failed(InputError(table.path, f"face {row + 1}: {error}"))
    folder = table.path.parent
    root = options.root
    for (name, training), members in rows.items():
        faces = []
        for row in members:
            try:
                faces.append(table.face(row, options))
            except ValueError as error:
                options.failed(InputError(table.path, f"face {row + 1}: {error}"))
        if faces:
            root = root or first_root([folder / "flickr", folder / "images", folder], name)
            split = "train" if training else "test"
            yield AnnotatedImage(name, tuple(faces), split=split, root=str(root))
    both = sum((name, False) in rows for name, training in rows if training)
    if both:
        options.note(f"{table.path}: {both} photos have faces in the training and the test part")


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Raises OutputError: this format is read only."""
    raise OutputError(f"{target}: {NAME} is read only: {READ_ONLY}")
