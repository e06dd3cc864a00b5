"""HELEN-194: ``annotation/1.txt`` to ``2330.txt``, 194 points, 0-based.

The first line is the photo's stem (its ending is .jpg), then ``x , y`` a line. ``trainnames.txt``
and ``testnames.txt`` beside the folder name the two parts of the data set, a stem a line. Whether
the authors count pixels from 0 is not written down: that is taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import (
    PhotoFinder,
    check_name,
    first_root,
    head_lines,
    photo_name,
    read_lines,
    sniff_any,
    write_lines,
)
from tufa_cli.formats._layout import face_files_in, written
from tufa_cli.formats._numbers import is_number
from tufa_cli.formats._points import point_lines, read_points
from tufa_cli.writing import filling

NAME = "helen"
TITLE = "HELEN, 194 points, a .txt per face, 0-based"
SCHEME = "helen194"
POINTS = 194
LISTS = {"train": "trainnames.txt", "test": "testnames.txt"}
CAPABILITIES = Capabilities(several_faces=True, split=tuple(LISTS), points=POINTS, streams=True)
SUFFIXES = (".txt",)
FOLDER = "annotation"


def _sniff_file(path: Path) -> Sniff:
    lines = head_lines(path)
    columns = lines[1].split(",") if len(lines) > 1 else []
    if len(columns) != 2 or not all(map(is_number, columns)):
        return Sniff(False, "its second line is not 'x , y'")
    if "," in lines[0]:
        return Sniff(False, "its first line is not a name")
    return Sniff(True, "a name and lines 'x , y'")


def sniff(path: Path) -> Sniff:
    """Yes for texts of a name and lines ``x , y``."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo, looked for in ``images``, ``image`` and beside the folder."""
    base = source if source.is_dir() else source.parent
    if base.name == FOLDER:
        base = base.parent
    splits = _splits(base)
    root = options.root
    finder: PhotoFinder | None = None
    for stem, files in _by_photo(source).items():
        if root is None:
            root = first_root([base / "images", base / "image", base], f"{stem}.jpg")
        finder = finder or PhotoFinder(root)
        faces = []
        for file in files:
            try:
                faces.append(_face(file, options))
            except InputError as error:
                options.failed(error)
        if faces:
            photo = finder.find(stem) or f"{stem}.jpg"
            yield AnnotatedImage(photo, tuple(faces), split=splits.get(stem), root=str(root))


def _by_photo(source: Path) -> dict[str, list[Path]]:
    """The files of each photo, in the order of their numbers; one without a name stands alone."""
    files = sorted(
        face_files_in(source, SUFFIXES, _sniff_file, FOLDER),
        key=lambda path: (path.parent, not path.stem.isdecimal(), len(path.stem), path.stem),
    )
    found: dict[str, list[Path]] = {}
    for file in files:
        try:
            stem = photo_name(head_lines(file, 4096)[0])
        except (InputError, ValueError):
            stem = f"{file.stem} "  # no photo's name ends so; reading the file says what is wrong
        found.setdefault(stem, []).append(file)
    return found


def _face(path: Path, options: ReadOptions) -> Face:
    name, rows = read_points(path, POINTS, comma=True)
    try:
        photo_name(name)
    except ValueError as error:
        raise InputError(path, str(error), 1) from None
    first_pixel = options.base(CAPABILITIES.index_base)
    return Face(rows - first_pixel, scheme=options.scheme or SCHEME)


def _splits(base: Path) -> dict[str, str]:
    """Stem to part of the data set, as far as the lists are there."""
    found = {}
    for split, name in LISTS.items():
        if (base / name).is_file():
            for line in read_lines(base / name):
                found[line.strip()] = split
    return found


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos with another ending than .jpg: only the stem is written."""
    return lambda image: PurePosixPath(image.path).suffix != ".jpg"


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """Files from ``annotation/1.txt`` on and the lists of splits; a missing point is -1, -1."""
    first_pixel = options.base(CAPABILITIES.index_base)
    names: dict[str, list[str]] = {split: [] for split in LISTS}
    stems: set[str] = set()
    count = 0
    with filling(target, options.overwrite) as staged:
        for image in images:
            suffix = PurePosixPath(image.path).suffix
            stem = check_name(image.path[: len(image.path) - len(suffix)], target, marks=",")
            if stem in stems:
                raise OutputError(
                    f"{target}: {image.path} and another photo have the same stem, and only that "
                    "is written",
                    "rename one of them, or write coco",
                )
            stems.add(stem)
            if image.split in names and image.faces:
                names[image.split].append(stem)
            for face in image.faces:
                count += 1
                lines = [stem, *point_lines(face, first_pixel, " , ")]
                write_lines(staged / FOLDER / f"{count}.txt", lines, overwrite=False)
        for split, lines in names.items():
            if lines:
                write_lines(staged / LISTS[split], lines, overwrite=False)
        return written(target, staged)
