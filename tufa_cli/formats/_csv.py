"""Comma-separated lines, one face each, under a line of column names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tufa_cli.formats._text import text_lines

SUFFIXES = (".csv",)


def fields(text: str, comma: str = ",") -> list[str]:
    """The cells of a line; raises ValueError when the quotes do not close.

    comma: what stands between them.
    """
    if '"' not in text:
        return text.split(comma)
    try:
        return next(csv.reader([text], strict=True, delimiter=comma))
    except csv.Error as error:
        raise ValueError(f"not a line of comma-separated cells: {error}") from None


def line_of(cells: Sequence[str]) -> str:
    """The cells in a line, those with a comma or a quote in quotes."""
    return ",".join(
        '"' + cell.replace('"', '""') + '"' if '"' in cell or "," in cell else cell
        for cell in cells
    )


def column_names(path: Path) -> list[str]:
    """The cells of the first line that is not blank, without spaces around them.

    Raises InputError when it cannot be read.
    """
    _, _, text = next(text_lines(path))
    try:
        return [cell.strip() for cell in fields(text)]
    except ValueError:
        return []
