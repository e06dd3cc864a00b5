"""LaPa: ``landmarks/NAME.txt`` beside ``images/NAME.jpg``, 106 points, 0-based.

The first line is the number of points. The two folders lie in ``train``, ``val`` and ``test``;
``labels/NAME.png`` beside them are masks, which are not read. Whether the authors count pixels from
0 is not written down: that is taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import sniff_any, write_lines
from tufa_cli.formats._layout import SPLITS, Layout, face_files_in, written
from tufa_cli.formats._points import point_lines, read_counted, sniff_counted
from tufa_cli.formats.jd import is_jd_name
from tufa_cli.writing import filling

NAME = "lapa"
TITLE = "LaPa, 106 points, a .txt per photo, 0-based"
SCHEME = "lapa106"
POINTS = 106
CAPABILITIES = Capabilities(one_face=True, split=SPLITS, points=POINTS, streams=True)
LAYOUT = Layout("landmarks", "images", ".txt", ".jpg", SPLITS)
SUFFIXES = (".txt",)


def _sniff_file(path: Path) -> Sniff:
    if is_jd_name(path):
        return Sniff(False, "its name holds the photo's ending, as JD's does")
    return sniff_counted(path, POINTS)


def sniff(path: Path) -> Sniff:
    """Yes for texts that begin with 106 and have a point a line, named as the photo's stem."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per file; ``train``, ``val`` and ``test`` in the path are its split."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def load(path: Path) -> Face:
        rows = read_counted(path, POINTS)
        return Face(rows - first_pixel, scheme=options.scheme or SCHEME)

    files = face_files_in(source, SUFFIXES, _sniff_file, LAYOUT.labels)
    yield from LAYOUT.records(source, files, options, load)


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos that a reader will look for elsewhere: they belong in ``images`` of their split."""
    return LAYOUT.renamed


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A file per photo, in ``landmarks`` below its split; a missing point is ``-1 -1``."""
    first_pixel = options.base(CAPABILITIES.index_base)
    with filling(target, options.overwrite) as staged:
        for image in images:
            for face in image.faces:
                lines = [str(POINTS), *point_lines(face, first_pixel)]
                write_lines(LAYOUT.target(image, staged), lines, overwrite=False)
        return written(target, staged)
