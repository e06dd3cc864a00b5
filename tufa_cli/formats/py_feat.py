"""Py-Feat's csv, 0-based, read only: box, score and points of each face, with the photo's path.

``frame``, ``FaceRectX/Y/Width/Height``, ``FaceScore``, ``x_0 ... y_0 ...``, ``input``; emotions,
action units and pose become attributes. Empty cells: no face was found. Paths that are absolute are
made relative to the folder they have in common. Frames of a video ``a.mp4`` are ``a/000000.jpg``
and so on, counted as Py-Feat does. Source: https://py-feat.org, class Fex.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import list_files, sniff_any
from tufa_cli.formats._lists import whole
from tufa_cli.formats._numbers import numbers
from tufa_cli.formats._photo_names import common_folder, stored_name
from tufa_cli.formats._tables import (
    Table,
    axis_columns,
    check_unique,
    open_table,
    points_of,
    table_records,
    values_of,
)
from tufa_cli.formats._text import text_lines

NAME = "py-feat"
TITLE = "Py-Feat csv, read only, 0-based"
SCHEME = "ibug68"
CAPABILITIES = Capabilities(
    box=True,
    several_faces=True,
    empty_images=True,
    source=True,
    score=True,
    attributes=None,
    read_only="its other columns (emotions, action units, pose) are what Py-Feat measured",
)
SUFFIXES = (".csv",)
_BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
_NOT_KEPT = re.compile(r"[xyz]_\d+|input|frame|FaceScore|Unnamed.*|")
_VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".wmv", ".mpg", ".mpeg")


def _sniff_file(path: Path) -> Sniff:
    names = set(open_table(path).names)
    if {"x_0", "y_0", *_BOX} <= names:
        return Sniff(True, "columns FaceRectX, x_0 and y_0")
    return Sniff(False, "no columns FaceRectX, x_0 and y_0")


def sniff(path: Path) -> Sniff:
    """Yes for a csv with the columns FaceRectX, FaceRectY, x_0 and y_0."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """A record per photo or frame, also where no face was found."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _Reading(open_table(file), options).records()


class _Reading:
    """One file while it is read."""

    def __init__(self, table: Table, options: ReadOptions) -> None:
        self.table, self.options = table, options
        check_unique(table)
        self.column = {name: index for index, name in enumerate(table.names)}
        try:
            self.xs, self.ys = axis_columns(table.names)
            lacking = [name for name in (*_BOX, "input") if name not in self.column]
            if lacking:
                raise ValueError(f"no column {', '.join(lacking)}")
            if options.points not in (None, len(self.xs)):
                raise ValueError(f"{len(self.xs)} points, expected {options.points}")
        except ValueError as error:
            raise InputError(table.path, str(error), 1) from None
        self.kept = {
            name: index
            for name, index in self.column.items()
            if not _NOT_KEPT.fullmatch(name) and name not in _BOX
        }
        self.common = common_folder(self._inputs(), options.root)

    def _inputs(self) -> Iterator[str]:
        for row, (_, _, text) in enumerate(text_lines(self.table.path)):
            try:
                if row:
                    yield self.table.cells(text)[self.column["input"]].strip()
            except ValueError:
                continue  # said when the row is read

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per photo or frame."""
        folder = self.table.path.parent
        roots = [*([Path(self.common)] if self.common else []), folder, folder / "images"]
        yield from table_records(self.table, self.options, self._name, self._face, roots)

    def _name(self, cells: list[str]) -> str:
        name = stored_name(cells[self.column["input"]].strip(), "input", self.common)
        path = PurePosixPath(name)
        if path.suffix.lower() not in _VIDEOS or "frame" not in self.column:
            return name
        token = cells[self.column["frame"]].strip().removesuffix(".0")
        return f"{path.with_suffix('')}/{whole(token, 'frame'):06d}.jpg"

    def _face(self, cells: list[str]) -> Face | None:
        first_pixel = self.options.base(CAPABILITIES.index_base)
        points = points_of(cells, self.xs, self.ys, first_pixel)
        tokens = [cells[self.column[name]].strip() for name in _BOX]
        if np.isnan(points).all() and not any(tokens):
            return None
        box = np.array(numbers(tokens)) if all(tokens) else None
        if box is not None:
            if box[2] < 0 or box[3] < 0:
                raise ValueError("the box has a negative size")
            box[:2] -= first_pixel
        score = cells[self.column["FaceScore"]].strip() if "FaceScore" in self.column else ""
        own = SCHEME if len(self.xs) == 68 else None
        return Face(
            points,
            scheme=self.options.scheme or own,
            box=box,
            score=numbers([score])[0] if score else None,
            attributes=values_of(cells, self.kept),
            source="auto",
        )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Raises OutputError: see ``CAPABILITIES.read_only``."""
    raise OutputError(f"{NAME} is read only: {CAPABILITIES.read_only}", "write csv or coco")
