"""MERL-RAV: iBUG ``.pts`` text in which the signs tell whether a point is hidden.

Both positive: visible. Both negative: hidden by something at (-x, -y). ``-1 -1``: hidden by the
face itself or outside the photo, without a place. Of 19,314 files none mixes the signs of a pair.
Pixels are counted from 1 as in ``pts``; the data set's page does not say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import write_lines
from tufa_cli.formats._pts import faces_in_files, folder_of, parse_pts, pts_text, write_face_files
from tufa_cli.formats.pts import sniff_pts

NAME = "merl-rav"
TITLE = "MERL-RAV .pts, 68 points with hidden ones, 1-based"
SCHEME = "ibug68"
POINTS = 68
CAPABILITIES = Capabilities(
    visibility=True, missing=True, points=POINTS, index_base=1, streams=True
)

#: Half of the last digit written: a coordinate closer to zero than this is written as zero.
_ROUNDS_TO_ZERO = 5e-7


def sniff(path: Path) -> Sniff:
    """Yes for text .pts files with a pair of negative numbers."""
    return sniff_pts(path, negatives=True)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; see ``formats.read``."""
    base = folder_of(source)
    first_pixel = options.base(CAPABILITIES.index_base)
    points = options.points or POINTS

    def load(path: Path) -> Face:
        rows, lines = parse_pts(path, points)
        negative = np.signbit(rows)
        mixed = negative[:, 0] != negative[:, 1]
        if mixed.any():
            line = lines[int(mixed.argmax())]
            raise InputError(path, "one number is negative and the other is not", line)
        visibility = np.where(negative[:, 0], OCCLUDED, VISIBLE)
        visibility[(rows == -1).all(axis=1)] = UNLABELLED
        return Face(
            np.abs(rows) - first_pixel,
            scheme=options.scheme or SCHEME,
            visibility=visibility.astype(np.uint8),
        )

    yield from faces_in_files(source, base, options.root or base, options, load)


def unholdable(face: Face, options: WriteOptions) -> NDArray[np.bool_]:
    """(K,) labelled points that this format has no way to write.

    Those above or left of the photo, since a minus means hidden, and a hidden one at (1, 1).
    """
    rows = face.points_px + options.base(CAPABILITIES.index_base)
    outside = (rows < -_ROUNDS_TO_ZERO).any(axis=1)
    as_missing = (np.abs(rows - 1) <= _ROUNDS_TO_ZERO).all(axis=1) & (face.visibility == OCCLUDED)
    return np.asarray(face.labelled & (outside | as_missing))


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A file per face under ``target`` in the photos' sub-folders."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def write_face(path: Path, face: Face) -> None:
        rows = [
            _row(x + first_pixel, y + first_pixel, int(seen))
            for (x, y), seen in zip(face.points_px.tolist(), states(face), strict=True)
        ]
        write_lines(path, pts_text(rows), options.overwrite)

    return write_face_files(images, target, options, write_face)


def _row(x: float, y: float, seen: int) -> tuple[str, str]:
    if math.isnan(x) or seen == UNLABELLED:
        return "-1", "-1"
    sign = "-" if seen == OCCLUDED else ""
    return f"{sign}{abs(x):.6f}", f"{sign}{abs(y):.6f}"
