"""AFLW's database ``aflw.sqlite``: 21 points, boxes and poses; read only.

A point without a row is missing; some faces have no box (FaceRect) and some no points. Photos are
named relative to ``flickr``; a few have another ending than the database says. FacePose is in
radians. Whether the authors count pixels from 0 is not written down: the numbers are left as they
are. ``--scheme aflw19`` leaves the two ears out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import (
    PhotoFinder,
    first_root,
    is_photo,
    list_files,
    photo_name,
    sniff_any,
)
from tufa_cli.formats._numbers import FAR_PX

NAME = "aflw-sqlite"
TITLE = "AFLW's database, 21 points (read only)"
SCHEME = "aflw21"
POINTS = 21
#: Ears, counted from 0: what AFLW's 19-point scheme leaves out.
EARS = (12, 16)
READ_ONLY = "it is AFLW's own database, whose programs come with it and read no other"
CAPABILITIES = Capabilities(
    missing=True,
    box=True,
    several_faces=True,
    empty_images=True,
    attributes=None,
    points=(POINTS, POINTS - len(EARS)),
    read_only=READ_ONLY,
)
SUFFIXES = (".sqlite", ".sqlite3", ".db")
_TABLES = {
    "Faces": {"face_id", "file_id"},
    "FaceImages": {"file_id", "filepath"},
    "FeatureCoords": {"face_id", "feature_id", "x", "y"},
}
_MORE = ("FaceRect", "FaceMetaData", "FacePose", "FaceEllipse")
_MAGIC = b"SQLite format 3\x00"
#: Python fails to decode the messages of some damaged databases.
_DAMAGE = (sqlite3.Error, UnicodeError)
#: Columns that say which row it is, not what the face is like.
_KEYS = {"face_id", "annot_type_id"}


def _open(path: Path) -> sqlite3.Connection:
    """Never writes, nor leaves a journal beside; raises InputError."""
    try:
        with path.open("rb") as stream:
            if stream.read(16) != _MAGIC:
                raise InputError(path, "not an SQLite database")
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True)
        connection.execute("PRAGMA trusted_schema = OFF")
    except (OSError, sqlite3.Error) as error:
        raise InputError(path, f"cannot be read: {error}") from None
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    """Names of a table's columns in small letters; none when there is no such table.

    A view is none: it may run without end.
    """
    kinds = database.execute(
        "SELECT COUNT(*) FROM main.sqlite_master WHERE type = 'table' AND lower(name) = ?",
        (table.lower(),),
    )
    if not kinds.fetchone()[0]:
        return set()
    return {str(row[1]).lower() for row in database.execute(f"PRAGMA main.table_info({table})")}


def _index(database: sqlite3.Connection) -> None:
    """Copies of the tables with an index, in SQLite's temporary file; they hide the originals.

    The database need not have one, and without it each face would cost a walk through all points.
    """
    for table in (*_TABLES, *_MORE):
        if _columns(database, table):
            key = "file_id" if table in ("Faces", "FaceImages") else "face_id"
            database.execute(f"CREATE TEMP TABLE {table} AS SELECT * FROM main.{table}")
            database.execute(f"CREATE INDEX temp.{table}_{key} ON {table}({key})")


def _lacking(database: sqlite3.Connection) -> list[str]:
    return [name for name, columns in _TABLES.items() if not columns <= _columns(database, name)]


def _sniff_file(path: Path) -> Sniff:
    try:
        with closing(_open(path)) as database:
            lacking = _lacking(database)
    except _DAMAGE as error:
        raise InputError(path, f"the database is damaged: {error}") from None
    if lacking:
        return Sniff(False, f"a database without AFLW's tables {' and '.join(lacking)}")
    return Sniff(True, "a database with Faces, FaceImages and FeatureCoords")


def sniff(path: Path) -> Sniff:
    """Yes for SQLite databases with AFLW's tables."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo, ordered by name; photos are looked for in ``flickr`` near the file."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        with closing(_open(file)) as database:
            try:
                yield from _Database(file, database, options).records()
            except _DAMAGE as error:
                raise InputError(file, f"the database is damaged: {error}") from None


class _Database:
    """One database while it is read."""

    def __init__(self, path: Path, database: sqlite3.Connection, options: ReadOptions) -> None:
        self.path, self.database, self.options = path, database, options
        lacking = _lacking(database)
        if lacking:
            raise InputError(path, f"no database of AFLW: no table {' and '.join(lacking)}")
        self.keep = [i for i in range(POINTS) if options.points != 19 or i not in EARS]
        self.scheme = options.scheme or SCHEME
        self.first_pixel = options.base(CAPABILITIES.index_base)
        held = {table: _columns(database, table) for table in _MORE}
        self.extras = {t: sorted(c - _KEYS) for t, c in held.items() if t != "FaceRect" and c}
        self.has_rect = {"face_id", "x", "y", "w", "h"} <= held["FaceRect"]
        for table, columns in held.items():
            if columns and "face_id" not in columns:
                raise InputError(path, f"no database of AFLW: no face_id in {table}")
        _index(database)
        self.finder: PhotoFinder | None = None
        self.bare = 0

    def records(self) -> Iterator[AnnotatedImage]:
        """Raises InputError and sqlite3.Error."""
        sized = {"width", "height"} <= _columns(self.database, "FaceImages")
        sides = "i.width, i.height" if sized else "NULL, NULL"
        rows = self.database.execute(
            f"SELECT i.rowid, i.filepath, {sides}, f.face_id FROM FaceImages i "
            "LEFT JOIN Faces f ON f.file_id = i.file_id ORDER BY i.filepath, i.rowid, f.face_id"
        )
        before = None
        for (number, name, width, height), members in groupby(rows, key=lambda row: row[:4]):
            ids = [row[4] for row in members if row[4] is not None]
            try:
                path = self._photo(name)
                if name == before:
                    raise ValueError(f"photo {name!r} again: its faces may be mixed up")
                before = name
                size = [_size(width), _size(height)]
            except ValueError as error:
                self._failed(f"FaceImages row {number}: {error}")
                continue
            faces = [face for face in map(self._face_or_none, ids) if face is not None]
            assert self.finder is not None
            yield AnnotatedImage(
                path, tuple(faces), width=size[0], height=size[1], root=str(self.finder.root)
            )
        self._remarks()

    def _failed(self, problem: str) -> None:
        self.options.failed(InputError(self.path, problem))

    def _remarks(self) -> None:
        lost = self.database.execute(
            "SELECT COUNT(*) FROM Faces WHERE file_id NOT IN "
            "(SELECT file_id FROM FaceImages WHERE file_id IS NOT NULL) OR file_id IS NULL"
        ).fetchone()[0]
        if lost:
            self._failed(f"{lost} rows of Faces name a file that is not in FaceImages")
        if self.bare:
            self.options.note(f"{self.path}: {self.bare} faces have no points at all")

    def _photo(self, name: Any) -> str:
        """The photo's name, with the ending that it has on disk where it is there."""
        if not isinstance(name, str):
            raise ValueError("filepath is not a text")
        path = photo_name(name)
        if self.finder is None:
            folder = self.path.parent
            candidates = [folder / "flickr", folder.parent / "flickr", folder]
            self.finder = PhotoFinder(self.options.root or first_root(candidates, path))
        if is_photo(self.finder.root / path):
            return path
        return self.finder.find(str(PurePosixPath(path).with_suffix(""))) or path

    def _face_or_none(self, face_id: Any) -> Face | None:
        try:
            return self._face(face_id)
        except ValueError as error:
            self._failed(f"face {face_id}: {error}")
            return None

    def _face(self, face_id: Any) -> Face:
        points = np.full((POINTS, 2), np.nan)
        for feature, x, y in self.database.execute(
            "SELECT feature_id, x, y FROM FeatureCoords WHERE face_id = ?", (face_id,)
        ):
            if not isinstance(feature, int) or not 1 <= feature <= POINTS:
                raise ValueError(f"feature_id {feature!r} is none of 1 to {POINTS}")
            if not np.isnan(points[feature - 1, 0]):
                raise ValueError(f"feature {feature} has two places")
            points[feature - 1] = (_number(x, "x"), _number(y, "y"))
        self.bare += bool(np.isnan(points).all())
        return Face(
            points[self.keep] - self.first_pixel,
            scheme=self.scheme,
            box=self._box(face_id),
            attributes=self._attributes(face_id),
        )

    def _box(self, face_id: Any) -> Any:
        if not self.has_rect:
            return None
        row = self.database.execute(
            "SELECT x, y, w, h FROM FaceRect WHERE face_id = ? ORDER BY rowid LIMIT 1", (face_id,)
        ).fetchone()
        if row is None:
            return None
        x, y, w, h = (_number(value, side) for value, side in zip(row, "xywh", strict=True))
        if w < 0 or h < 0:
            raise ValueError("the box has a negative size")
        return np.array([x - self.first_pixel, y - self.first_pixel, w, h])

    def _attributes(self, face_id: Any) -> dict[str, Any]:
        """What the other tables say of a face: pose and metadata by column, the ellipse as one."""
        attributes: dict[str, Any] = {}
        for table, columns in self.extras.items():
            names = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
            row = self.database.execute(
                f"SELECT {names} FROM {table} WHERE face_id = ? ORDER BY rowid LIMIT 1", (face_id,)
            ).fetchone()
            if row is None:
                continue
            held = {
                column: value
                for column, value in zip(columns, row, strict=True)
                if isinstance(value, (int, float, str))
            }
            attributes.update({"ellipse": held} if table == "FaceEllipse" else held)
        return attributes


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= FAR_PX:
        raise ValueError(f"{what} {value!r} is not a place in a photo")
    return float(value)


def _size(value: Any) -> int | None:
    """A side of a photo in pixels, None where it is not known; raises ValueError."""
    return int(_number(value, "side")) or None if value is not None else None


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Raises OutputError: this format is read only."""
    raise OutputError(f"{target}: {NAME} is read only: {READ_ONLY}")
