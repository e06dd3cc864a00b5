"""COCO results: a JSON list of detections, 0-based, the third number of a point being its score.

``image_id`` and ``category_id`` belong to a COCO file: ours count as ``coco`` does when it writes
the same records, so the two fit together. Each row also has the photo's name and the scheme, which
pycocotools does not mind. A point at 0, 0 with score 0 is missing. What a row must have but the
face has not (a score, a box) is made up and listed in ``assumed``.
Source: https://cocodataset.org/#format-results
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._coco_results import ResultsFile, sniff_results
from tufa_cli.formats._coco_write import kind_of, listed, written_box
from tufa_cli.formats._files import list_files, sniff_any, write_lines
from tufa_cli.formats._ids import ids_for
from tufa_cli.formats._json import load_json
from tufa_cli.formats._photo_names import written_name

NAME = "coco-results"
TITLE = "COCO results JSON, scored points of a model, 0-based"
CAPABILITIES = Capabilities(
    ids=("photos",),
    missing=True,
    box=True,
    several_faces=True,
    confidence="labelled",
    score=True,
    source=True,
    attributes=None,
)
SUFFIXES = (".json",)


def _sniff_file(path: Path) -> Sniff:
    return sniff_results(path, NAME, "not a JSON list of objects with image_id and keypoints")


def sniff(path: Path) -> Sniff:
    """Yes for a JSON list whose first object has ``image_id`` and ``keypoints``."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo that has results.

    Rows without the photos' names need the COCO file that the ids are from beside them.
    """
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from ResultsFile(file, load_json(file, unique=False), options).records()


def unholdable(face: Face, options: WriteOptions) -> NDArray[np.bool_]:
    """(K,) points at the first pixel with confidence 0: those numbers mean missing."""
    if face.confidence is None:
        return np.zeros(len(face.points_px), dtype=bool)
    origin = (face.points_px + options.base(CAPABILITIES.index_base) == 0).all(axis=1)
    return np.asarray(face.labelled & origin & (face.confidence == 0))


def remarks(images: Sequence[AnnotatedImage]) -> list[str]:
    """What a row must have though the face has it not."""
    faces = [face for image in images for face in image.faces]
    made = [sum(what in _assumed(face) for face in faces) for what in ("confidence", "score")]
    said = []
    if made[0]:
        said.append(f"{made[0]} faces without confidences got 1 for each point")
    if made[1]:
        said.append(f"{made[1]} faces without a score got the mean confidence of their points")
    return said


def _assumed(face: Face) -> list[str]:
    given = {"confidence": face.confidence, "score": face.score, "bbox": face.box}
    return [what for what, value in given.items() if value is None]


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One JSON file, a detection a line; raises OutputError."""
    first_pixel = options.base(CAPABILITIES.index_base)
    categories: dict[Any, int] = {}
    found = []
    image_ids, lost = ids_for((image.id for image in images), words=False)
    options.tell({"ids of photos are not unique numbers: all are counted anew": lost})
    for image_id, image in zip(image_ids, images, strict=True):
        name = written_name(image.path, target)
        for face in image.faces:
            category = categories.setdefault(kind_of(face), len(categories) + 1)
            start = {"image_id": image_id, "category_id": category, "file_name": name}
            found.append(start | _row(face, first_pixel))
    write_lines(target, listed(found, target, "[", "]"), options.overwrite)
    return [target]


def _row(face: Face, first_pixel: int) -> dict[str, Any]:
    confidence = np.ones(len(face.points_px)) if face.confidence is None else face.confidence
    values = np.column_stack([face.points_px + first_pixel, confidence])
    values = np.where(face.labelled[:, None], values, 0.0)
    known = confidence[face.labelled]
    mean = float(known.mean()) if len(known) else 0.0
    row: dict[str, Any] = {
        "keypoints": values.ravel().tolist(),
        "score": face.score if face.score is not None else mean,
        "bbox": written_box(face, first_pixel),
    }
    if face.scheme is not None:
        row["scheme"] = face.scheme
    if face.source == "manual":
        row["source"] = "manual"
    if assumed := _assumed(face):
        row["assumed"] = assumed
    if face.attributes:
        row["attributes"] = dict(face.attributes)
    return row
