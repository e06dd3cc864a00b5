"""Formats with one face a line: rows of one photo become one record with several faces."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import ReadOptions, Sniff
from tufa_cli.formats._files import first_root, list_files, photo_name
from tufa_cli.formats._text import lines_at, text_lines

SUFFIXES = (".txt",)


def read_rows(
    source: Path,
    options: ReadOptions,
    sniff_file: Callable[[Path], Sniff],
    parse: Callable[[str], tuple[str, Face]],
    name_of: Callable[[str], str],
    roots: Callable[[Path], Sequence[Path]],
) -> Iterator[AnnotatedImage]:
    """Records of a list, or of every list in a folder, in the order of their first rows.

    parse: a line to the photo's name and the face; raises ValueError with the reason.
    name_of: a line to the photo's name only, at less cost; raises ValueError.
    roots: the folders that a list's photos may lie in, likeliest first.
    """
    repeats = Repeats()
    for file in list_files(source, SUFFIXES, sniff_file):
        yield from list_records(file, options, parse, name_of, roots(file), repeats=repeats)
    repeats.tell(source, options)


def list_records(
    file: Path,
    options: ReadOptions,
    parse: Callable[[str], tuple[str, Face]],
    name_of: Callable[[str], str],
    roots: Sequence[Path],
    header: int = 0,
    repeats: Repeats | None = None,
) -> Iterator[AnnotatedImage]:
    """Records of one list; see ``read_rows``. header: lines (not blank ones) before the first row.

    repeats: keeps account of the photos of several lists.

    Memory does not grow with the faces but for some 40 bytes each.
    """
    root = options.root
    photos = PhotoRows(file, name_of, header)
    if repeats is not None:
        repeats.add(photos)
    for rows in photos:
        name, faces = "", []
        for line, text in rows:
            try:
                name, face = parse(text)
                name = photo_name(name)
            except ValueError as error:
                options.failed(InputError(file, str(error), line))
                continue
            faces.append(face)
        if faces:
            root = root or first_root(roots, name)
            yield AnnotatedImage(name, tuple(faces), root=str(root))


class Repeats:
    """Photos that stand in several lists of a folder: WFLW's lists of subsets repeat its test list,
    and who reads them all has a photo more than once.
    """

    def __init__(self) -> None:
        self._keys: list[NDArray[np.int64]] = []

    def add(self, rows: PhotoRows) -> None:
        """Take account of one more list; 8 bytes a photo."""
        self._keys.append(np.unique(rows.keys))

    def tell(self, source: Path, options: ReadOptions) -> None:
        """A note of how many there are."""
        if len(self._keys) > 1:
            counts = np.unique(np.concatenate(self._keys), return_counts=True)[1]
            if (counts > 1).any():
                several = int((counts > 1).sum())
                options.note(f"{source}: {several} photos stand in several of its lists")


class PhotoRows:
    """(line, text) of the rows of each photo together, in the order of the photos' first rows.

    The list is read twice: at first only to learn which names occur again, and where. Rows of one
    photo that follow each other are one run, which takes 40 bytes: a table with a row per point is
    held as one with a row per face. A row whose name cannot be had stands alone. header: lines
    (not blank ones) before the first row.
    """

    def __init__(self, file: Path, name_of: Callable[[str], str], header: int = 0) -> None:
        self.file, self.name_of, self.header = file, name_of, header
        keys, places = array("q"), array("q")
        self._rows, last = 0, None
        for line, offset, text in islice(text_lines(file), header, None):
            self._rows += 1
            try:
                name = photo_name(name_of(text))
                key = hash(name)
            except ValueError:
                name, key = None, hash((line, "a row of its own"))
            if name is not None and name == last:
                places[-1] += 1
                continue
            last = name
            keys.append(key)
            places.extend((line, offset, 1))
        self.places = np.array(places, dtype=np.int64).reshape(-1, 3)
        found = np.array(keys, dtype=np.int64)
        self.order = np.argsort(found, kind="stable")
        ordered = found[self.order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(found) else found
        sizes = np.diff(np.r_[starts, len(found)])
        # The runs of group g are order[starts[g] : starts[g] + sizes[g]].
        self.group_of = np.empty(len(found), dtype=np.int64)
        self.group_of[self.order] = np.repeat(np.arange(len(starts)), sizes)
        self.starts, self.sizes, self.keys = starts, sizes, ordered
        self.repeated = sizes[self.group_of] > 1

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

    def __iter__(self) -> Iterator[list[tuple[int, str]]]:
        rows = ((line, text) for line, _, text in islice(text_lines(self.file), self.header, None))
        for run, again in enumerate(self.repeated):
            members = list(islice(rows, int(self.places[run, 2])))
            if again:
                yield from self.group(run)
            else:
                yield members

    def find(self, name: str) -> list[tuple[int, str]]:
        """The rows of a photo, wherever they stand; none when it is not in the list."""
        key = hash(name)
        start, end = np.searchsorted(self.keys, [key, key + 1])  # a key is below 2 ** 61
        return [
            (line, text)
            for line, text in self._at(self.order[start:end])
            if photo_name(self.name_of(text)) == name
        ]

    def group(self, run: int) -> Iterator[list[tuple[int, str]]]:
        """The rows of a photo when ``run`` is the first of its runs, else nothing."""
        start = self.starts[self.group_of[run]]
        members = self.order[start : start + self.sizes[self.group_of[run]]]
        if members[0] != run:
            return
        by_name: dict[str, list[tuple[int, str]]] = {}
        for line, text in self._at(members):  # two names may share a key, if never so far
            by_name.setdefault(photo_name(self.name_of(text)), []).append((line, text))
        yield from by_name.values()

    def _at(self, runs: NDArray[np.int64]) -> list[tuple[int, str]]:
        return lines_at(self.file, [(a, b, c) for a, b, c in self.places[runs].tolist()])


class Companion:
    """A list that says more of the photos of another: a row is found at once where both lists are
    in the same order, and by an index where they are not. header as for ``PhotoRows``.
    """

    def __init__(self, file: Path, name_of: Callable[[str], str], header: int = 0) -> None:
        self.file, self.name_of, self.header = file, name_of, header
        self._next = islice(text_lines(file), header, None)
        self._index: PhotoRows | None = None

    def find(self, name: str) -> tuple[int, str] | None:
        """(line, text) of a photo's row, or None; raises InputError for a row without a name."""
        if self._index is None:
            line, _, text = next(self._next, (0, 0, ""))
            if line and self._checked(line, text) == name:
                return line, text
            for line, _, text in islice(text_lines(self.file), self.header, None):
                self._checked(line, text)
            self._index = PhotoRows(self.file, self.name_of, self.header)
        rows = self._index.find(name)
        if len(rows) > 1:
            problem = f"'{name}' again: it stands in line {rows[0][0]} already"
            raise InputError(self.file, problem, rows[1][0])
        return rows[0] if rows else None

    def _checked(self, line: int, text: str) -> str:
        try:
            return photo_name(self.name_of(text))
        except ValueError as error:
            raise InputError(self.file, str(error), line) from None


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
