"""Tables with a row a face whose columns tell what they hold: the csv of many programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import ReadOptions
from tufa_cli.formats._csv import fields
from tufa_cli.formats._files import first_root, photo_name
from tufa_cli.formats._lists import PhotoRows
from tufa_cli.formats._numbers import is_number, numbers
from tufa_cli.formats._text import text_lines

SUFFIXES = (".csv", ".tsv")

_AXIS = re.compile(r"([xy])_?(\d+)")


@dataclass(frozen=True)
class Table:
    """A file and the names of its columns, as they stand in its first line, spaces stripped.

    comma: what stands between its cells: a comma, a semicolon or a tab.
    """

    path: Path
    names: tuple[str, ...]
    comma: str

    def cells(self, text: str, header: int = 1) -> list[str]:
        """The cells of a row; raises ValueError when there are not as many as columns."""
        cells = fields(text, self.comma)
        if len(cells) != len(self.names):
            named = "the first line" if header else "the first row"
            raise ValueError(f"{len(cells)} cells, {named} has {len(self.names)}")
        return cells


def open_table(path: Path) -> Table:
    """A table by its first line that is not blank; raises InputError when it is no text."""
    line, _, text = next(text_lines(path))
    comma = max(",;\t", key=text.count)
    try:
        names = tuple(cell.strip() for cell in fields(text, comma))
    except ValueError as error:
        raise InputError(path, str(error), line) from None
    return Table(path, names, comma)


def check_unique(table: Table) -> None:
    """Raise InputError when two columns have one name."""
    seen: set[str] = set()
    for name in table.names:
        if name and name in seen:
            raise InputError(table.path, f"two columns are named '{name[:40]}'", 1)
        seen.add(name)


def axis_columns(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Columns of ``x_0`` to ``x_N`` and of ``y_0`` to ``y_N``, in the order of the numbers.

    Raises ValueError when the numbers do not go from 0 without gap, or x and y differ.
    """
    found: dict[str, dict[int, int]] = {"x": {}, "y": {}}
    for column, name in enumerate(names):
        match = _AXIS.fullmatch(name)
        if match:
            found[match[1]][int(match[2])] = column
    for axis, columns in found.items():
        if sorted(columns) != list(range(len(columns))) or not columns:
            raise ValueError(f"no columns {axis}_0, {axis}_1, ... without gap")
    if len(found["x"]) != len(found["y"]):
        raise ValueError(f"{len(found['x'])} columns x_N, but {len(found['y'])} y_N")
    count = len(found["x"])
    return [found["x"][i] for i in range(count)], [found["y"][i] for i in range(count)]


def points_of(
    cells: Sequence[str], xs: Sequence[int], ys: Sequence[int], first_pixel: int
) -> NDArray[np.float64]:
    """(K, 2) points_px of a row, NaN where both cells are empty; raises ValueError."""
    tokens = [cells[column].strip() for pair in zip(xs, ys, strict=True) for column in pair]
    if "" not in tokens:
        return np.array(numbers(tokens), dtype=np.float64).reshape(-1, 2) - first_pixel
    empty = np.array([not token for token in tokens]).reshape(-1, 2)
    odd = empty.any(axis=1) & ~empty.all(axis=1)
    if odd.any():
        raise ValueError(f"point {int(odd.argmax())} has only one of x and y")
    values = numbers([token or "0" for token in tokens])
    places = np.array(values, dtype=np.float64).reshape(-1, 2) - first_pixel
    return np.where(empty, np.nan, places)


def values_of(cells: Sequence[str], columns: Mapping[str, int]) -> dict[str, Any]:
    """The cells that are not empty by name: numbers as numbers, the rest as text."""
    stripped = ((name, cells[column].strip()) for name, column in columns.items())
    return {name: _value(text) for name, text in stripped if text}


def _value(text: str) -> Any:
    if is_number(text) and np.isfinite(float(text)) and "_" not in text:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    return text


def table_records(
    table: Table,
    options: ReadOptions,
    name_of: Callable[[list[str]], str],
    face_of: Callable[[list[str]], Face | None],
    roots: Sequence[Path],
    header: int = 1,
) -> Iterator[AnnotatedImage]:
    """A record per photo, in the order of their first rows.

    name_of: the cells of a row to its photo. face_of: to its face, None when the row says that
    there is none. Both raise ValueError with the reason. header: lines before the first row.
    """

    def photo_of(text: str) -> str:
        return name_of(table.cells(text, header))

    root = options.root
    for rows in PhotoRows(table.path, photo_of, header):
        name: str | None = None
        faces = []
        for line, text in rows:
            try:
                cells = table.cells(text, header)
                face = face_of(cells)
                name = photo_name(name_of(cells))
            except ValueError as error:
                options.failed(InputError(table.path, str(error), line))
                continue
            if face is not None:
                faces.append(face)
        if name is not None:
            root = root or first_root(roots, name)
            yield AnnotatedImage(name, tuple(faces), root=str(root))
