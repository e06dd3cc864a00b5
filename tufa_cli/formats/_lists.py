"""Formats with one face a line: rows of one photo become one record with several faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import ReadOptions, Sniff
from tufa_cli.formats._files import first_root, list_files, read_lines

SUFFIXES = (".txt",)


def read_rows(
    source: Path,
    options: ReadOptions,
    sniff_file: Callable[[Path], Sniff],
    parse: Callable[[str], tuple[str, Face]],
    roots: Callable[[Path], Sequence[Path]],
) -> Iterator[AnnotatedImage]:
    """Records of a list, or of every list in a folder, in the order of their first rows.

    parse: a line to the photo's name and the face; raises ValueError with the reason.
    roots: the folders that a list's photos may lie in, likeliest first.
    """
    for file in list_files(source, SUFFIXES, sniff_file):
        faces: dict[str, list[Face]] = {}
        for line, text in enumerate(read_lines(file), start=1):
            if not text.strip():
                continue
            try:
                name, face = parse(text)
            except ValueError as error:
                options.failed(InputError(file, str(error), line))
                continue
            faces.setdefault(name.replace("\\", "/"), []).append(face)
        root = options.root or first_root(roots(file), next(iter(faces), ""))
        for name, members in faces.items():
            yield AnnotatedImage(name, tuple(members), root=str(root))


def whole(token: str, what: str) -> int:
    """A whole number of a field; raises ValueError."""
    try:
        if "_" in token or not token.isascii():
            raise ValueError
        return int(token)
    except ValueError:
        raise ValueError(f"{what} '{token[:40]}' is not a whole number") from None


def whole_value(value: object) -> int | None:
    """An attribute as a whole number, or None when it is no such thing."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None
