"""JD-landmark: ``landmark/NAME.jpg.txt`` beside ``picture/NAME.jpg``, 106 points, 0-based.

The first line is the number of points. ``rect/NAME.jpg.rect`` (``bbox`` in some copies) holds the
face's box as ``x1 y1 x2 y2``. Whether the authors count pixels from 0 is not written down: that is
taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import PHOTO_SUFFIXES, read_lines, sniff_any, write_lines
from tufa_cli.formats._layout import Layout, face_files_in, written
from tufa_cli.formats._numbers import decimals, number
from tufa_cli.formats._points import MOST_BYTES, point_lines, read_counted, sniff_counted
from tufa_cli.writing import filling

NAME = "jd"
TITLE = "JD-landmark, 106 points, a .jpg.txt per photo, 0-based"
SCHEME = "lapa106"
POINTS = 106
CAPABILITIES = Capabilities(box=True, one_face=True, points=POINTS, streams=True)
LAYOUT = Layout("landmark", "picture", ".txt", None)
SUFFIXES = (".txt",)
_BOXES = ("rect", "bbox")


def is_jd_name(path: Path) -> bool:
    """Whether a file's name holds its photo's whole name: ``a.jpg.txt``."""
    return Path(path.stem).suffix.lower() in PHOTO_SUFFIXES


def _sniff_file(path: Path) -> Sniff:
    if not is_jd_name(path):
        return Sniff(False, "its name does not end as .jpg.txt")
    return sniff_counted(path, POINTS)


def sniff(path: Path) -> Sniff:
    """Yes for texts named ``a.jpg.txt`` that begin with 106 and have a point a line."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per file; its box is read where there is one."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def load(path: Path) -> Face:
        rows = read_counted(path, POINTS)
        return Face(
            rows - first_pixel,
            scheme=options.scheme or SCHEME,
            box=_box(path, first_pixel),
        )

    files = face_files_in(source, SUFFIXES, _sniff_file, LAYOUT.labels)
    yield from LAYOUT.records(source, files, options, load)


def _box_files(landmarks: Path) -> list[Path]:
    """Where the box of a file may stand, likeliest first; none outside the usual folders."""
    above = next((p for p in landmarks.parents if p.name == LAYOUT.labels), None)
    if above is None:
        return []
    name = landmarks.relative_to(above).with_suffix(".rect")
    return [above.parent / folder / name for folder in _BOXES]


def _box(landmarks: Path, first_pixel: int) -> NDArray[np.float64] | None:
    path = next((path for path in _box_files(landmarks) if path.is_file()), None)
    if path is None:
        return None
    tokens = read_lines(path, MOST_BYTES)[0].split()
    try:
        if len(tokens) != 4:
            raise ValueError(f"expected x1 y1 x2 y2, found {len(tokens)} fields")
        left, top, right, bottom = (number(token) for token in tokens)
        if right < left or bottom < top:
            raise ValueError("the box's far corner lies before its near one")
    except ValueError as error:
        raise InputError(path, str(error), 1) from None
    return np.array([left - first_pixel, top - first_pixel, right - left, bottom - top])


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos that a reader will look for elsewhere: they belong in ``picture``."""
    return LAYOUT.renamed


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Files in ``landmark``, and in ``rect`` for faces with a box; a missing point is ``-1 -1``."""
    first_pixel = options.base(CAPABILITIES.index_base)
    with filling(target, options.overwrite) as staged:
        for image in images:
            for face in image.faces:
                path = LAYOUT.target(image, staged)
                lines = [str(POINTS), *point_lines(face, first_pixel)]
                write_lines(path, lines, overwrite=False)
                if face.box is not None:
                    write_lines(_box_files(path)[0], [_corners(face, first_pixel)], overwrite=False)
        return written(target, staged)


def _corners(face: Face, first_pixel: int) -> str:
    assert face.box is not None
    x, y, w, h = face.box.tolist()
    corners = (x + first_pixel, y + first_pixel, x + w + first_pixel, y + h + first_pixel)
    return " ".join(map(decimals, corners))
