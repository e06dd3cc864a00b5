"""OpenFace's csv, 0-based, read only: 68 points (or another model's) and what else it measured.

One file is one photo (of the file's name), a row a face; or one video, a row a frame and face.
Cells have a space in front. Poses, gaze and action units become attributes; eye landmarks, 3-D
points and shape parameters are left aside. Frames of a video ``a.csv`` are ``a/000001.jpg`` and so
on, or the photo there with such a name. Frames where tracking failed (success 0) have no face.
Source: https://github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import PhotoFinder, list_files, sniff_any
from tufa_cli.formats._lists import whole
from tufa_cli.formats._numbers import number
from tufa_cli.formats._pts import folder_of
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

NAME = "openface"
TITLE = "OpenFace csv, read only, 0-based"
SCHEME = "ibug68"
CAPABILITIES = Capabilities(
    box=False,
    several_faces=True,
    empty_images=True,
    source=True,
    score=True,
    attributes=None,
    read_only="its other columns (gaze, head pose, action units) are what OpenFace measured",
)
SUFFIXES = (".csv",)
#: Columns that become attributes, beside ``face_id`` and ``timestamp``.
_KEPT = re.compile(r"(?:pose_|gaze_|AU\d).*|face_id|timestamp")


def _sniff_file(path: Path) -> Sniff:
    names = set(open_table(path).names)
    if {"x_0", "y_0", "confidence"} <= names and names & {"success", "face"}:
        return Sniff(True, "columns confidence, x_0, y_0 and success or face")
    return Sniff(False, "no columns confidence, x_0, y_0 and success or face")


def sniff(path: Path) -> Sniff:
    """Yes for a csv with the columns confidence, x_0, y_0 and success (or face)."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """A record per photo or frame; photos are looked for beside the csv, or in ``options.root``."""
    base = folder_of(source)
    finder = PhotoFinder(options.root or base)
    said = False
    for file in list_files(source, SUFFIXES, _sniff_file):
        stem = file.relative_to(base).as_posix()[: -len(file.suffix)]
        reading = _Reading(open_table(file), options, finder, stem)
        if not said and "X_0" in reading.column:
            options.note(f"{file}: eye landmarks, 3-D points and shape parameters are left aside")
            said = True
        yield from reading.records()


class _Reading:
    """One file while it is read. stem: its path without the ending, below the source's folder."""

    def __init__(self, table: Table, options: ReadOptions, finder: PhotoFinder, stem: str) -> None:
        self.table, self.options, self.finder, self.stem = table, options, finder, stem
        check_unique(table)
        try:
            self.xs, self.ys = axis_columns(table.names)
        except ValueError as error:
            raise InputError(table.path, str(error), 1) from None
        if options.points not in (None, len(self.xs)):
            raise InputError(table.path, f"{len(self.xs)} points, expected {options.points}", 1)
        self.column = {name: index for index, name in enumerate(table.names)}
        self.kept = {name: i for name, i in self.column.items() if _KEPT.fullmatch(name)}
        self.failed = 0
        self.video = "frame" in self.column and self._has_frames()
        if "confidence" not in self.column:
            raise InputError(table.path, "no column confidence", 1)

    def _has_frames(self) -> bool:
        """Whether some frame's number is beyond 1: that of a photo is 0 or 1."""
        for row, (_, _, text) in enumerate(text_lines(self.table.path)):
            try:
                if row and whole(self.table.cells(text)[self.column["frame"]].strip(), "") > 1:
                    return True
            except ValueError:
                continue  # said when the row is read
        return False

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per photo or frame."""
        roots = [self.finder.root]
        yield from table_records(self.table, self.options, self._name, self._face, roots)
        if self.failed:
            what = f"{self.failed} rows without success have no face"
            self.options.note(f"{self.table.path}: {what}")

    def _name(self, cells: list[str]) -> str:
        stem = self.stem
        if self.video:
            stem += f"/{whole(cells[self.column['frame']].strip(), 'frame'):06d}"
        return self.finder.find(stem) or f"{stem}.jpg"

    def _face(self, cells: list[str]) -> Face | None:
        if "success" in self.column and number(cells[self.column["success"]].strip()) == 0:
            self.failed += 1
            return None
        first_pixel = self.options.base(CAPABILITIES.index_base)
        own = SCHEME if len(self.xs) == 68 else None
        return Face(
            points_of(cells, self.xs, self.ys, first_pixel),
            scheme=self.options.scheme or own,
            score=number(cells[self.column["confidence"]].strip()),
            attributes=values_of(cells, self.kept),
            source="auto",
        )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Raises OutputError: see ``CAPABILITIES.read_only``."""
    raise OutputError(f"{NAME} is read only: {CAPABILITIES.read_only}", "write csv or coco")
