"""Wide csv, 0-based: a row a face, a column for the photo, two for each point.

Read: the heads of PyTorch's tutorial (``image_name,part_0_x,part_0_y,...``), of Udacity's course
(an empty cell and 0 to 135), of Kaggle's Facial Keypoints (named points, and the photo itself as
grey values in ``Image``), ``x_0 ... y_0 ...`` and the like; see ``_headings``. Empty cells: not
labelled. Rows of one photo are faces of one photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, one_of
from tufa_cli.formats._csv import line_of
from tufa_cli.formats._extract import extract_folder, extract_photo
from tufa_cli.formats._files import (
    PHOTO_SUFFIXES,
    PhotoFinder,
    check_name,
    first_root,
    head_lines,
    list_files,
    sniff_any,
    write_lines,
)
from tufa_cli.formats._headings import Headings, headings, other_format
from tufa_cli.formats._names import note_names, point_names, scheme_with_names
from tufa_cli.formats._numbers import is_number, numbers
from tufa_cli.formats._photo_names import common_folder, stored_name
from tufa_cli.formats._tables import (
    SUFFIXES,
    Table,
    check_unique,
    open_table,
    points_of,
    table_records,
    values_of,
)
from tufa_cli.formats._text import text_lines

NAME = "csv"
TITLE = "Wide csv, a row a face (PyTorch, Udacity, Kaggle), 0-based"
CAPABILITIES = Capabilities(missing=True, several_faces=True, names=True, streams=True)
SETTINGS = {
    "image-col": "heading of the column that names the photo",
    "columns": "headings of the coordinates in order, with commas between",
    "extract": "folder to write the photos to that lie inside, as PNG",
    "layout": "xy where the columns alternate, xxyy where all x come first",
}
WRITE_SETTINGS = {
    "style": "names (eye_x, eye_y), pytorch (part_0_x, part_0_y), udacity (0, 1, 2), "
    "xxyy (x_0 to x_N, y_0 to y_N)"
}
#: The fewest grey values that make a cell a photo.
_LEAST_PIXELS = 64


def _sniff_file(path: Path) -> Sniff:
    first = head_lines(path)[:2]
    table = open_table(path)
    other = other_format(table.names)
    if other is not None:
        return Sniff(False, f"the columns of {other}")
    try:
        found = headings(table.names, {})
    except ValueError as error:
        return Sniff(False, str(error))
    if not found.rows and not table.names[found.photo].lower().endswith(PHOTO_SUFFIXES):
        return Sniff(False, "its first line has neither headings nor a photo's name")
    if len(first) > found.rows:
        try:
            points_of(table.cells(first[found.rows], found.rows), found.xs, found.ys, 0)
        except ValueError as error:
            return Sniff(False, f"its first row: {error}", near=found.rows > 0)
    return Sniff(True, f"columns for {len(found.xs)} points")


def sniff(path: Path) -> Sniff:
    """Yes for a csv with pairs of columns that are coordinates, and of no more special format."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; photos are looked for beside the csv and in ``images``."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _Reading(open_table(file), options).records()


class _Reading:
    """One file while it is read."""

    def __init__(self, table: Table, options: ReadOptions) -> None:
        self.table, self.options = table, options
        try:
            self.head: Headings = headings(table.names, options.settings)
        except ValueError as error:
            raise InputError(table.path, str(error), 1) from None
        if self.head.rows:
            check_unique(table)
        count = len(self.head.xs)
        if options.points not in (None, count):
            problem = f"columns for {count} points, {options.scheme} has {options.points}"
            raise InputError(table.path, problem, 1)
        self.scheme = options.scheme or scheme_with_names(self.head.names or (), options.schemes)
        if self.scheme is None:
            note_names(options, table.path, self.head.names or ())
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.pixels = any(_is_pixels(cells[self.head.photo]) for _, cells in self._rows(1))

    def _rows(self, most: int | None = None) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of the rows that have as many cells as there are columns."""
        for row, (line, _, text) in enumerate(text_lines(self.table.path), start=-self.head.rows):
            if most is not None and row >= most:
                return
            try:
                if row >= 0:
                    yield line, self.table.cells(text, self.head.rows)
            except ValueError:
                continue  # said when the row is read

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per photo, or per row where the photos are in the rows."""
        if self.pixels:
            yield from self._with_pixels()
            return
        names = (cells[self.head.photo].strip() for _, cells in self._rows())
        common = common_folder(names, self.options.root)
        folder = self.table.path.parent
        roots = [*([Path(common)] if common else []), folder, folder / "images"]
        finder = self._finder(roots, common)

        def name_of(cells: list[str]) -> str:
            heading = self.table.names[self.head.photo] if self.head.rows else ""
            name = stored_name(cells[self.head.photo].strip(), heading or "the photo", common)
            if PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES:
                return name
            return finder.find(name) or name

        table, rows = self.table, self.head.rows
        yield from table_records(table, self.options, name_of, self._face, roots, rows)

    def _finder(self, roots: list[Path], common: str | None) -> PhotoFinder:
        for _, cells in self._rows(1):
            name = cells[self.head.photo].strip()
            found = (root for root in roots if PhotoFinder(root).find(name) is not None)
            return PhotoFinder(self.options.root or next(found, first_root(roots, name)))
        return PhotoFinder(self.options.root or roots[0])

    def _face(self, cells: list[str]) -> Face:
        box = None
        if self.head.box is not None:
            tokens = [cells[column].strip() for column in self.head.box]
            if all(tokens):
                box = np.array(numbers(tokens))
                if box[2] < 0 or box[3] < 0:
                    raise ValueError("the box has a negative size")
                box[:2] -= self.first_pixel
        return Face(
            points_of(cells, self.head.xs, self.head.ys, self.first_pixel),
            scheme=self.scheme,
            box=box,
            attributes=values_of(cells, self.head.others),
        )

    def _with_pixels(self) -> Iterator[AnnotatedImage]:
        """Kaggle: the photos are in the rows, named by the number of the row."""
        extract = extract_folder(self.options)
        if "extract" not in self.options.settings:
            what = "photos are in the rows; the setting extract writes them to a folder"
            self.options.note(f"{self.table.path}: {what}")
        root = extract or self.options.root
        for row, (line, _, text) in enumerate(text_lines(self.table.path), start=-self.head.rows):
            if row < 0:
                continue
            name = f"{self.table.path.stem}/{row + 1:05d}.png"
            try:
                cells = self.table.cells(text, self.head.rows)
                pixels = _pixels(cells[self.head.photo])
                face = self._face(cells)
            except ValueError as error:
                self.options.failed(InputError(self.table.path, str(error), line))
                continue
            if extract is not None:
                extract_photo(pixels, extract / name)
            side = len(pixels)
            where = None if root is None else str(root)
            yield AnnotatedImage(name, (face,), width=side, height=side, root=where)


def _is_pixels(cell: str) -> bool:
    tokens = cell.split()
    return len(tokens) >= _LEAST_PIXELS and all(map(is_number, tokens[:_LEAST_PIXELS]))


def _pixels(cell: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(H, W) grey values of a square photo; raises ValueError."""
    values = np.array(numbers(cell.split()))
    side = math.isqrt(len(values))
    if side * side != len(values) or not side:
        raise ValueError(f"{len(values)} grey values are no square photo")
    if ((values < 0) | (values > 255) | (values != values.round())).any():
        raise ValueError("a grey value is not a whole number from 0 to 255")
    return values.astype(np.uint8).reshape(side, side)


def _named(names: Sequence[str]) -> list[str]:
    if list(names) == [str(i) for i in range(len(names))]:
        return _pytorch(names)
    return ["image_name", *(f"{name}_{axis}" for name in names for axis in "xy")]


def _pytorch(names: Sequence[str]) -> list[str]:
    return ["image_name", *(f"part_{i}_{axis}" for i in range(len(names)) for axis in "xy")]


#: From the names of the points to the headings.
_STYLES: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "names": _named,
    "pytorch": _pytorch,
    "udacity": lambda names: ["", *map(str, range(2 * len(names)))],
    "xxyy": lambda names: [
        "image_name", *(f"{axis}_{i}" for axis in "xy" for i in range(len(names)))
    ],
}  # fmt: skip


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One csv with every digit of the numbers; raises OutputError for faces of different sizes."""
    style = one_of(options, "style", tuple(_STYLES))
    write_lines(target, _lines(images, target, options, style), options.overwrite)
    return [target]


def _lines(
    images: Iterable[AnnotatedImage], target: Path, options: WriteOptions, style: str
) -> Iterator[str]:
    first_pixel = options.base(CAPABILITIES.index_base)
    kind: tuple[str | None, int] | None = None
    for image, face in ((found, face) for found in images for face in found.faces):
        scheme = face.scheme if style == "names" else None
        if kind is None:
            kind = (scheme, len(face.points_px))
            yield line_of(_STYLES[style](point_names(*kind, options.schemes)))
        if kind != (scheme, len(face.points_px)):
            raise OutputError(
                f"{image.path}: a face of {len(face.points_px)} points"
                f"{f' ({scheme})' if scheme else ''} after faces of {kind[1]}"
                f"{f' ({kind[0]})' if kind[0] else ''}; a csv has one kind",
                "write coco, or each scheme to its own csv",
            )
        rows = [
            [repr(x + first_pixel), repr(y + first_pixel)] if known else ["", ""]
            for (x, y), known in zip(face.points_px.tolist(), face.labelled, strict=True)
        ]
        if style == "xxyy":
            rows = [list(column) for column in zip(*rows, strict=True)]
        yield line_of([check_name(image.path, target), *chain.from_iterable(rows)])
    if kind is None:
        yield "image_name"
