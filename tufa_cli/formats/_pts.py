"""The text that ``pts`` and ``merl-rav`` share, and the one-file-per-face layout of three formats.

The shape is iBUG's: ``version: 1``, ``n_points: N``, ``{``, N lines ``x y``, ``}``; real files also
come with other spacing, without a header, with CRLF, with more columns, with a comma between the
numbers, with lines of comment (``#`` or ``//``), and with the braces on another's line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import ReadOptions, WriteOptions, several_files
from tufa_cli.formats._files import PhotoFinder, inside, read_lines, source_files
from tufa_cli.formats._numbers import decimals, number
from tufa_cli.writing import filling

FloatArray = NDArray[np.float64]

SUFFIXES = (".pts",)

#: Folder of a 300VW video's annotations.
FRAMES = "annot"
_FRAME = re.compile(r"\d{6}\.pts")
_BRACE = re.compile(r"([{}])")

#: Where files wait for their names, while a folder is filled.
_NUMBERED = ".faces"

#: A file of one face is a few kilobytes; 20,000 points are less than this.
MOST_BYTES = 1_000_000


def parse_pts(path: Path, points: int | None = None) -> tuple[FloatArray, list[int]]:
    """(N, 2) numbers as they stand on disk and the line of each; raises InputError.

    points: the number there must be, or None for any.
    """
    lines = read_lines(path, MOST_BYTES)
    rows: list[tuple[float, float]] = []
    places: list[int] = []
    declared: int | None = None
    opened = closed = columns = 0
    for line, text in _tokens(lines):
        key, colon, value = text.partition(":")
        if closed:
            raise InputError(path, "text after the closing brace", line)
        if colon and not opened and not rows:
            declared = _header(path, key.strip().lower(), value.strip(), line, declared)
        elif text == "{" and not opened and not rows:
            opened = line
        elif text == "}" and opened:
            closed = line
        else:
            words = _columns(text)
            rows.append(_row(path, words, line))
            columns = columns or len(words)
            if len(words) != columns:  # which of them were the place?
                problem = f"{len(words)} columns, the points before have {columns}: '{text[:40]}'"
                raise InputError(path, problem, line)
            places.append(line)
    if opened and not closed:
        problem = f"the file ends without a closing brace, after {len(rows)} points"
        raise InputError(path, problem, len(lines), "it looks cut off")
    last = closed or (places[-1] if places else 1)
    if not rows:
        raise InputError(path, "no points in it", last)
    if declared is not None and declared != len(rows):
        raise InputError(path, f"n_points says {declared}, found {len(rows)} points", last)
    if points is not None and points != len(rows):
        raise InputError(path, f"expected {points} points, found {len(rows)}", last)
    return np.array(rows, dtype=np.float64), places


def _tokens(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Line numbers and texts, a brace by itself; blank lines and comments are left out."""
    for line, text in enumerate(lines, start=1):
        text = text.strip()
        if text.startswith(("#", "//")):
            continue
        if "{" in text or "}" in text:
            yield from ((line, part) for part in map(str.strip, _BRACE.split(text)) if part)
        elif text:
            yield line, text


def _header(path: Path, key: str, value: str, line: int, declared: int | None) -> int | None:
    if key == "version":
        return declared
    if key != "n_points":
        raise InputError(path, f"unknown header '{key[:40]}'", line)
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InputError(path, f"n_points '{value[:40]}' is not a whole number", line)
    return int(value)


def _columns(text: str) -> list[str]:
    """The words of a row; two numbers may have a comma between them."""
    if text.count(",") == 1 and len(words := text.replace(",", " ").split()) == 2:
        return words
    return text.split()


def _row(path: Path, columns: Sequence[str], line: int) -> tuple[float, float]:
    if len(columns) < 2:
        raise InputError(path, f"expected two numbers, found '{' '.join(columns)[:40]}'", line)
    try:
        return number(columns[0]), number(columns[1])
    except ValueError as error:
        raise InputError(path, str(error), line) from None


def pts_text(rows: Sequence[tuple[str, str]]) -> list[str]:
    """The lines of a .pts file."""
    return ["version: 1", f"n_points: {len(rows)}", "{", *(f"{x} {y}" for x, y in rows), "}"]


def face_lines(face: Face, first_pixel: int) -> list[str]:
    """The text of a face with six decimals; a missing point is ``-1 -1``."""
    rows = [
        (decimals(x + first_pixel), decimals(y + first_pixel)) if known else ("-1", "-1")
        for (x, y), known in zip(face.points_px.tolist(), face.labelled, strict=True)
    ]
    return pts_text(rows)


def video_frames(files: Iterable[Path]) -> list[Path]:
    """Those that lie as 300VW's: ``annot/000001.pts`` with no photo of that name beside it."""
    finder = PhotoFinder(Path())
    return [
        file
        for file in files
        if file.parent.name == FRAMES
        and _FRAME.fullmatch(file.name)
        and finder.find(file.as_posix()[: -len(file.suffix)]) is None
    ]


def faces_in_files(
    source: Path, base: Path, root: Path, options: ReadOptions, load: Callable[[Path], Face]
) -> Iterator[AnnotatedImage]:
    """One record per photo, from files of one face each.

    base: the folder that an annotation's stem is relative to; root: where the photo with the same
    stem is looked for. Only files whose own photo is not there are taken for further faces
    (``NAME_2.pts``) of ``NAME.jpg``: in 300-W's AFW the photo is there once per face.
    """
    finder = PhotoFinder(root)
    groups: dict[str, list[Path]] = {}
    files = source_files(source, SUFFIXES)
    if not files:
        raise InputError(source, "no .pts file in the folder")
    for file in files:
        stem = file.relative_to(base).as_posix()[: -len(file.suffix)]
        groups.setdefault(finder.photo_of(stem), []).append(file)
    for photo, members in groups.items():
        faces = []
        for file in members:
            try:
                faces.append(load(file))
            except InputError as error:
                options.failed(error)
        if faces:
            yield AnnotatedImage(photo, tuple(faces), root=str(root))


def folder_of(source: Path) -> Path:
    """The source's folder: itself, or the one it lies in."""
    return source if source.is_dir() else source.parent


def face_places(photos: Sequence[str], target: Path) -> list[str]:
    """Where below ``target`` each face goes: ``NAME.pts``, or ``NAME_1.pts``, ``NAME_2.pts`` for
    several.

    photos: the photo of each face. Raises OutputError when two faces would go to one file, or a
    photo's path leaves the folder.
    """
    places: dict[str, str] = {}  # text takes a fraction of the memory of paths
    counts = Counter(photos)
    numbers: Counter[str] = Counter()
    for photo in photos:
        inside(target, photo)
        path = PurePosixPath(photo)
        numbers[photo] += 1
        suffix = f"_{numbers[photo]}" if counts[photo] > 1 else ""
        place = path.with_name(f"{path.stem}{suffix}.pts").as_posix()
        if place in places:
            raise OutputError(
                f"{target / place}: faces of both {places[place]} and {photo} would go here",
                "convert them to two folders, or to coco",
            )
        places[place] = photo
    return list(places)


def write_face_files(
    images: Iterable[AnnotatedImage],
    target: Path,
    options: WriteOptions,
    write_face: Callable[[Path, Face], None],
) -> list[Path]:
    """A file per face by ``write_face``, at ``face_places``; the paths written, all or none.

    ``target`` ending in .pts is the file of the one face there is. Of each face no more than its
    photo's name is kept: the files have numbers until it is known which photos have several.
    """
    if target.suffix.lower() == ".pts" and not target.is_dir():
        return [_write_only_face(images, target, write_face)]
    photos: list[str] = []
    several = 0
    with ExitStack() as stack:
        for image in images:
            several += len(image.faces) > 1
            for face in image.faces:
                if not photos:  # a folder is not made for nothing
                    staged = stack.enter_context(filling(target, options.overwrite))
                write_face(staged / _NUMBERED / str(len(photos)), face)
                photos.append(image.path)
        places = face_places(photos, target)
        for number, place in enumerate(places):
            path = staged / place
            path.parent.mkdir(parents=True, exist_ok=True)
            (staged / _NUMBERED / str(number)).rename(path)
        if places:
            (staged / _NUMBERED).rmdir()
    if several:
        options.note(several_files(several))
    return [target / place for place in places]


def _write_only_face(
    images: Iterable[AnnotatedImage], target: Path, write_face: Callable[[Path, Face], None]
) -> Path:
    only, count = None, 0
    for image in images:
        for face in image.faces:
            only, count = face, count + 1
    if only is None or count != 1:
        raise OutputError(
            f"{target}: {count} faces do not fit in one .pts file",
            "give a folder for one file per face",
        )
    write_face(target, only)
    return target
