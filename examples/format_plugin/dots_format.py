"""DotSheet, 1-based: a made-up text format, to show how a format is written for tufa-cli.

::

    DOTSHEET 1
    photo 640 480 afw/a b.jpg       width, height (- - where not known), the rest is the path
    face ibug68 10.5 20 100 120     scheme (- for none), box x y w h (left out where there is none)
    v 12.25 30.5                    a point that is seen,
    h 14 31                         one that is hidden,
    -                               one that is not labelled
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.format_toolkit import (
    Capabilities,
    ReadOptions,
    Sniff,
    WriteOptions,
    check_name,
    decimals,
    first_root,
    head_lines,
    list_files,
    numbers,
    photo_name,
    read_lines,
    sniff_any,
    states,
    write_lines,
)

NAME = "dots"
TITLE = "DotSheet text, several faces a photo, 1-based"
#: What the format can hold. All else is counted and named by tufa-cli before it is lost.
CAPABILITIES = Capabilities(
    visibility=True,
    missing=True,
    box=True,
    several_faces=True,
    empty_images=True,
    index_base=1,
    streams=True,
)

SUFFIXES = (".dots",)
HEADER = "DOTSHEET 1"
_STATES = {"v": VISIBLE, "h": OCCLUDED}
_MARKS = {VISIBLE: "v", OCCLUDED: "h"}


def _sniff_file(path: Path) -> Sniff:
    if head_lines(path)[0] != HEADER:
        return Sniff(False, f"its first line is not '{HEADER}'")
    return Sniff(True, f"a text that begins '{HEADER}'")


def sniff(path: Path) -> Sniff:
    """Yes for .dots files with the header, and for folders that hold one."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; photos are looked for in ``images/`` and beside the file."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _Reader(file, options).records()


Line = tuple[int, str]  # its number in the file, and its text


class _Reader:
    """One file. A line that is wrong costs its photo, no more."""

    def __init__(self, file: Path, options: ReadOptions) -> None:
        self.file, self.options = file, options
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.root = options.root
        self.at = 1  # the line that is looked at, for errors

    def records(self) -> Iterator[AnnotatedImage]:
        lines = list(enumerate(read_lines(self.file), start=1))
        if lines[0][1] != HEADER:
            raise InputError(self.file, f"expected '{HEADER}'", 1)
        for block in self._blocks("photo WIDTH HEIGHT PATH", lines[1:]):
            try:
                yield self._photo(block)
            except ValueError as error:
                self.options.failed(InputError(self.file, str(error), self.at))

    def _blocks(self, head: str, lines: list[Line]) -> list[list[Line]]:
        """Lines that belong together: each block begins with the first word of ``head``."""
        blocks: list[list[Line]] = []
        for line in lines:
            if line[1].split(" ")[0] == head.split(" ")[0]:
                blocks.append([])
            if not blocks:
                raise InputError(self.file, f"expected '{head}'", line[0])
            blocks[-1].append(line)
        return blocks

    def _photo(self, lines: list[Line]) -> AnnotatedImage:
        self.at, text = lines[0]
        fields = text.split(" ", 3)
        if len(fields) < 4:
            raise ValueError("expected 'photo WIDTH HEIGHT PATH'")
        path = photo_name(fields[3])
        if self.root is None:
            self.root = first_root([self.file.parent / "images", self.file.parent], path)
        width, height = (None if word == "-" else int(numbers([word])[0]) for word in fields[1:3])
        faces = [self._face(block) for block in self._blocks("face SCHEME", lines[1:])]
        return AnnotatedImage(path, faces, width, height, root=str(self.root))

    def _face(self, lines: list[Line]) -> Face:
        self.at, text = lines[0]
        scheme, *box = text.split(" ")[1:] or [""]
        if not scheme:
            raise ValueError("expected 'face SCHEME', with '-' for none")
        if len(box) not in (0, 4):
            raise ValueError(f"a box has 4 numbers, not {len(box)}")
        count = len(lines) - 1
        if self.options.points not in (None, count):
            raise ValueError(f"a face of {count} points, not {self.options.points}")
        points = np.full((count, 2), np.nan)
        visibility = np.full(count, UNLABELLED, dtype=np.uint8)
        for index, (self.at, text) in enumerate(lines[1:]):
            if text == "-":
                continue
            mark, *place = text.split(" ")
            if mark not in _STATES or len(place) != 2:
                raise ValueError(f"expected 'v X Y', 'h X Y' or '-', found {text[:40]!r}")
            visibility[index] = _STATES[mark]
            points[index] = numbers(place)
        shift = [self.first_pixel, self.first_pixel, 0, 0]
        return Face(
            points - self.first_pixel,
            scheme=self.options.scheme or (None if scheme == "-" else scheme),
            visibility=visibility,
            box=np.subtract(numbers(box), shift) if box else None,
        )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One file; the photos are written while they go by."""
    first_pixel = options.base(CAPABILITIES.index_base)
    write_lines(target, _lines(images, target, first_pixel), options.overwrite)
    return [target]


def _lines(images: Iterable[AnnotatedImage], target: Path, first_pixel: int) -> Iterator[str]:
    yield HEADER
    for image in images:
        size = ["-" if side is None else str(side) for side in (image.width, image.height)]
        yield " ".join(["photo", *size, check_name(image.path, target)])
        for face in image.faces:
            if face.scheme is not None and (" " in face.scheme or face.scheme == "-"):
                raise OutputError(f"{target}: the scheme '{face.scheme}' is no single word")
            box = [] if face.box is None else np.add(face.box, [first_pixel, first_pixel, 0, 0])
            yield " ".join(["face", face.scheme or "-", *map(decimals, box)])
            for (x, y), state in zip(face.points_px + first_pixel, states(face), strict=True):
                known = state != UNLABELLED
                yield f"{_MARKS[state]} {decimals(x)} {decimals(y)}" if known else "-"
