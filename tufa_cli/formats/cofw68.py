"""COFW-68: ``test_annotations/K_points.mat``, 68 points on COFW's test photos, 1-based.

``Points`` (68, 2) and ``Occ`` (1, 68), 1 where a point is hidden; ``cofw68_test_bboxes.mat`` holds
``bboxes``, x, y, w, h of face K in row K. K counts COFW's test photos from 1, which lie inside
``COFW_test_color.mat``: the ``cofw`` format names them ``001346.png`` and so on. That the numbers
count from 1 as COFW's do is taken for granted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import first_root, sniff_any, source_files
from tufa_cli.formats._layout import written
from tufa_cli.formats._mat5 import FloatArray, mat_bytes, matrix, read_mat
from tufa_cli.formats.cofw import TRAINING_PHOTOS, photo_of
from tufa_cli.writing import filling, write_bytes

NAME = "cofw68"
TITLE = "COFW-68 .mat, 68 points on COFW's test photos, 1-based"
SCHEME = "ibug68"
POINTS = 68
CAPABILITIES = Capabilities(
    visibility=True,
    float_box=False,
    box=True,
    one_face=True,
    points=POINTS,
    index_base=1,
    streams=True,
)
SUFFIXES = (".mat",)
FOLDER = "test_annotations"
BOXES = "cofw68_test_bboxes.mat"
_FILE = re.compile(r"([1-9]\d{0,5})_points\.mat")
_PHOTO = re.compile(r"(\d{6,7})\.png")
_MOST_BYTES = 2_000_000


def _sniff_file(path: Path) -> Sniff:
    if not _FILE.fullmatch(path.name):
        return Sniff(False, "its name is not 1_points.mat")
    names = read_mat(path, limit=_MOST_BYTES)
    if not {"Points", "Occ"} <= names.keys():
        return Sniff(False, "a MATLAB file without Points and Occ")
    return Sniff(True, "a MATLAB file with Points and Occ")


def sniff(path: Path) -> Sniff:
    """Yes for MATLAB files (before 7.3) named ``1_points.mat`` with Points and Occ."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per file in the order of K; the photo is the one ``cofw`` would extract."""
    files = source_files(source, SUFFIXES)
    numbered = sorted((int(m[1]), path) for path in files if (m := _FILE.fullmatch(path.name)))
    if not numbered:
        problem = "no 1_points.mat in the folder" if source.is_dir() else "not named 1_points.mat"
        raise InputError(source, problem)
    folder = numbered[0][1].parent
    base = folder.parent if folder.name == FOLDER else folder
    boxes = _boxes([base / BOXES, folder / BOXES])
    root = options.root
    for (number, path), before in zip(numbered, [(0, None), *numbered], strict=False):
        try:
            if number == before[0]:
                raise InputError(path, f"face {number} again: it is in {before[1]} already")
            face = _face(path, options, boxes[number - 1] if number <= len(boxes) else None)
        except InputError as error:
            options.failed(error)
            continue
        photo = photo_of(TRAINING_PHOTOS + number)
        if root is None:
            root = first_root([base / "COFW_test_color", base / "images", base], photo)
        yield AnnotatedImage(photo, (face,), root=str(root))


def _boxes(candidates: list[Path]) -> FloatArray:
    """(N, 4) of the file that is there, or none."""
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        return np.zeros((0, 4))
    return matrix(path, read_mat(path, ["bboxes"], _MOST_BYTES), "bboxes", (None, 4))


def _face(path: Path, options: ReadOptions, box: FloatArray | None) -> Face:
    found = read_mat(path, ["Points", "Occ"], _MOST_BYTES)
    rows = matrix(path, found, "Points", (POINTS, 2))
    hidden = matrix(path, found, "Occ", (1, POINTS))[0]
    if not np.isin(hidden, (0, 1)).all():
        raise InputError(path, "'Occ' holds something that is neither 0 nor 1")
    first_pixel = options.base(CAPABILITIES.index_base)
    if box is not None and (box[2:] < 0).any():
        raise InputError(path, f"the box in {BOXES} has a negative size")
    known = box is not None and box.any()
    return Face(
        rows - first_pixel,
        scheme=options.scheme or SCHEME,
        visibility=np.where(hidden == 1, OCCLUDED, VISIBLE).astype(np.uint8),
        box=box - (first_pixel, first_pixel, 0, 0) if box is not None and known else None,
    )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """``test_annotations/K_points.mat`` and the boxes, for COFW's test photos; missing is -1, -1.

    Raises OutputError for photos that are not named ``001346.png`` and so on.
    """
    first_pixel = options.base(CAPABILITIES.index_base)
    boxes: dict[int, NDArray[np.float64]] = {}
    with filling(target, options.overwrite) as staged:
        for image in images:
            number = _number(image)
            path = staged / FOLDER / f"{number}_points.mat"
            if path.exists():
                raise OutputError(f"{image.path}: two photos have this name", "rename one of them")
            for face in image.faces:
                rows = np.where(face.labelled[:, None], face.points_px + first_pixel, -1.0)
                hidden = np.array([[state == OCCLUDED for state in states(face)]], dtype=np.uint8)
                write_bytes(path, mat_bytes({"Points": rows, "Occ": hidden}))
                if face.box is not None:
                    boxes[number] = np.round(face.box)
                    boxes[number][:2] += first_pixel
        if boxes:
            table = np.zeros((max(boxes), 4))
            table[np.array(list(boxes)) - 1] = np.array(list(boxes.values()))
            small = np.abs(table).max() < 2**15
            kind = np.int16 if small else np.int32
            write_bytes(staged / BOXES, mat_bytes({"bboxes": table.astype(kind)}))
        return written(target, staged)


def _number(image: AnnotatedImage) -> int:
    """K of a photo; raises OutputError."""
    found = _PHOTO.fullmatch(image.path)
    number = int(found[1]) - TRAINING_PHOTOS if found else 0
    if not 1 <= number < 10**6:
        raise OutputError(
            f"{image.path}: no test photo of COFW; {NAME} holds {photo_of(TRAINING_PHOTOS + 1)} on",
            "write pts or coco, which take any photo",
        )
    return number
