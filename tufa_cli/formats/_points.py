"""Files of one face: a first line, then a point a line (HELEN, LaPa, JD)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Sniff
from tufa_cli.formats._files import head_lines, read_lines
from tufa_cli.formats._numbers import decimals, is_number, number

FloatArray = NDArray[np.float64]

#: A file of one face is a few kilobytes.
MOST_BYTES = 1_000_000


def read_points(path: Path, points: int, comma: bool = False) -> tuple[str, FloatArray]:
    """The first line and the (points, 2) numbers as they stand on disk; raises InputError.

    comma: ``x , y`` instead of ``x y``.
    """
    lines = read_lines(path, MOST_BYTES)
    rows: list[tuple[float, float]] = []
    for line, text in enumerate(lines[1:], start=2):
        if not text.strip():
            continue
        columns = text.split("," if comma else None)
        try:
            if len(columns) != 2:
                raise ValueError(f"expected two numbers, found '{text.strip()[:40]}'")
            rows.append((number(columns[0].strip()), number(columns[1].strip())))
        except ValueError as error:
            raise InputError(path, str(error), line) from None
    if len(rows) != points:
        raise InputError(path, f"expected {points} points, found {len(rows)}", len(lines))
    return lines[0].strip(), np.array(rows, dtype=np.float64)


def read_counted(path: Path, points: int) -> FloatArray:
    """(points, 2) numbers of a file whose first line says how many there are."""
    lines = read_lines(path, MOST_BYTES)
    if lines[0].strip() != str(points):
        problem = f"expected {points}, the number of points, found '{lines[0].strip()[:40]}'"
        raise InputError(path, problem, 1)
    return read_points(path, points)[1]


def sniff_counted(path: Path, points: int) -> Sniff:
    """Whether a text begins with that number and goes on with two numbers a line."""
    lines = head_lines(path)
    if lines[0].strip() != str(points):
        return Sniff(False, f"its first line is not {points}")
    columns = lines[1].split() if len(lines) > 1 else []
    if len(columns) != 2 or not all(map(is_number, columns)):
        return Sniff(False, "its second line is not two numbers")
    return Sniff(True, f"'{points}' and a point a line")


def point_lines(face: Face, first_pixel: int, separator: str = " ") -> list[str]:
    """A point a line with six decimals; a missing one is -1, -1."""
    places = np.where(face.labelled[:, None], face.points_px + first_pixel, -1.0)
    return [f"{decimals(x)}{separator}{decimals(y)}" for x, y in places.tolist()]
