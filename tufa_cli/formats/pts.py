"""iBUG ``.pts``: 300-W, AFW, HELEN, LFPW, Menpo and many others; one text file per face.

Pixels are counted from 1, so 1 is subtracted on reading and added on writing: dlib's own 300-W file
and menpo (issue 160) do the same. ``index_base=0`` is for files whose authors counted from 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import source_files, spread, write_lines
from tufa_cli.formats._pts import (
    SUFFIXES,
    face_lines,
    faces_in_files,
    folder_of,
    parse_pts,
    video_frames,
    write_face_files,
)

NAME = "pts"
TITLE = "iBUG .pts text, one file per face, 1-based"
CAPABILITIES = Capabilities(index_base=1, streams=True)

#: Such points look like MERL-RAV's hidden ones to a reader.
_ODD = "faces have points above and left of the photo: read with --negatives keep"

#: All MERL-RAV faces have so many.
_MERL_RAV_POINTS = 68


def sniff(path: Path) -> Sniff:
    """Yes for text .pts files without a pair of negative numbers."""
    return sniff_pts(path, negatives=False)


def sniff_pts(path: Path, negatives: bool, most: int = 200) -> Sniff:
    """Whether .pts text is there, and pairs of negative numbers in it are or are not.

    Such pairs of 68 are what tells MERL-RAV from plain iBUG files; up to ``most`` files are looked
    at.
    """
    try:
        files = source_files(path, SUFFIXES)
    except InputError as error:
        return Sniff(False, error.problem)
    if not files or (path.is_file() and path.suffix.lower() != ".pts"):
        return Sniff(False, "no .pts file")
    frames = set(video_frames(files))
    files = [file for file in files if file not in frames]
    if not files:
        return Sniff(False, "they lie as video frames do: annot/000001.pts is 300VW's")
    texts, problem = 0, "no .pts file"
    for file in spread(files, most):
        try:
            rows, _ = parse_pts(file)
        except InputError as error:
            problem = f"{file.name}: {error.problem}"
            continue
        texts += 1
        if bool((rows < 0).all(axis=1).any()):
            found = f"{file.name} has pairs of negative numbers"
            if len(rows) == _MERL_RAV_POINTS:
                return Sniff(negatives, f"{found}, as MERL-RAV writes")
            return Sniff(not negatives, f"{found}, and not MERL-RAV's 68 points")
    if not texts:
        return Sniff(False, problem, near=not negatives and path.is_file())
    return Sniff(not negatives, ".pts text without a pair of negative numbers")


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; see ``formats.read``.

    Raises InputError on pairs of negative numbers unless ``options.negatives`` is "keep": plain
    .pts has no way to say "hidden" and MERL-RAV does it so.
    """
    base = folder_of(source)
    first_pixel = options.base(CAPABILITIES.index_base)

    def load(path: Path) -> Face:
        rows, lines = parse_pts(path, options.points)
        negative = (rows < 0).all(axis=1)
        if negative.any() and options.negatives == "error":
            line = lines[int(negative.argmax())]
            hint = "if the points do lie above and left of the photo, use --negatives keep"
            if len(rows) == 68:  # MERL-RAV's own
                hint = f"read it as merl-rav (--from merl-rav); {hint}"
            problem = "both numbers are negative, which in MERL-RAV files means hidden"
            raise InputError(path, problem, line, hint)
        return Face(rows - first_pixel, scheme=options.scheme)

    yield from faces_in_files(source, base, options.root or base, options, load)


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A file per face under ``target`` in the photos' sub-folders; a missing point is ``-1 -1``."""
    first_pixel = options.base(CAPABILITIES.index_base)
    odd: Counter[str] = Counter()

    def write_face(path: Path, face: Face) -> None:
        odd[_ODD] += bool(np.any(np.all(face.points_px < -1, axis=1)))
        write_lines(path, face_lines(face, first_pixel), options.overwrite)

    written = write_face_files(images, target, options, write_face)
    options.tell(odd)
    return written
