"""The documents that ``coco``, ``coco-wholebody`` and ``halpe`` write."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tufa_cli.annotation import UNLABELLED, AnnotatedImage, Face
from tufa_cli.formats._base import BOX_FROM_POINTS, WriteOptions, states
from tufa_cli.formats._ids import Id, ids_for
from tufa_cli.formats._json import Numbers, dump_json, dump_row
from tufa_cli.formats._names import Own, point_names, skeleton_of
from tufa_cli.formats._photo_names import written_name

#: Says in ``info`` that 1 means occluded even where no point of the file is visible.
STRICT = "strict"

#: Extras that other programs look for beside the keypoints, not in ``attributes``.
_TOP_LEVEL = frozenset(["area", "center", "iscrowd", "scale", "segmentation"])

#: The same for photos.
_OF_IMAGES = ("license", "coco_url", "flickr_url", "date_captured")
#: What ``info`` says in files of ours.
ABOUT = "face landmarks"


class Dialect(NamedTuple):
    """How a kind of COCO document writes faces.

    category_of: a face to what tells its category from others. category: that to the rest of the
    category's row. face: a face and the number of the first pixel to the rest of its row.
    strict: whether 1 means occluded.
    """

    category_of: Callable[[Face], Hashable]
    category: Callable[[Any], dict[str, Any]]
    face: Callable[[Face, int], dict[str, Any]]
    strict: bool = True


def document(
    images: Sequence[AnnotatedImage], target: Path, options: WriteOptions, dialect: Dialect
) -> Iterator[str]:
    """The lines of the JSON, one per image or annotation, made while they are written.

    Raises OutputError for odd names and attributes.
    """
    image_ids, lost = ids_for(image.id for image in images)
    face_ids, faces_lost = ids_for(face.id for image in images for face in image.faces)
    again = "ids of {} are numbered anew, as some are there twice"
    options.tell({again.format("photos"): lost, again.format("faces"): faces_lost})
    for image in images:
        written_name(image.path, target)
    categories: dict[Hashable, int] = {}
    info = {"description": ABOUT}
    if dialect.strict:
        info["keypoint_visibility"] = STRICT
    yield f'{{\n"info": {dump_json(info, target)},\n"licenses": [],'
    image_rows = map(_image_row, images, image_ids)
    yield from listed(image_rows, target, '"images": [', "],")
    face_rows = _face_rows(
        zip(image_ids, images, strict=True), iter(face_ids), options, dialect, categories
    )
    yield from listed(face_rows, target, '"annotations": [', "],")
    category_rows = ({"id": n} | dialect.category(key) for key, n in categories.items())
    yield from listed(category_rows, target, '"categories": [', "]\n}")


def _face_rows(
    images: Iterable[tuple[Id, AnnotatedImage]],
    face_ids: Iterator[Id],
    options: WriteOptions,
    dialect: Dialect,
    categories: dict[Hashable, int],
) -> Iterator[dict[str, Any]]:
    """The annotations; new categories are put into ``categories``."""
    first_pixel = options.base(0)
    for image_id, image in images:
        for face in image.faces:
            category = categories.setdefault(dialect.category_of(face), len(categories) + 1)
            row = {"id": next(face_ids), "image_id": image_id, "category_id": category}
            row.update(dialect.face(face, first_pixel))
            yield row


def listed(
    rows: Iterable[dict[str, Any]], target: Path, opening: str, closing: str
) -> Iterator[str]:
    """The lines of a JSON list with one object a line; raises OutputError."""
    yield opening
    last: str | None = None
    for row in rows:
        if last is not None:
            yield f"{last},"
        last = dump_row(row, target)
    if last is not None:
        yield last
    yield closing


def _image_row(image: AnnotatedImage, image_id: Id) -> dict[str, Any]:
    row: dict[str, Any] = {"id": image_id, "file_name": image.path}
    for key in ("width", "height", "split"):
        value = getattr(image, key)
        if value is not None:
            row[key] = value
    own = dict(image.attributes)
    row |= {key: own.pop(key) for key in _OF_IMAGES if key in own}
    if own:
        row["attributes"] = own
    return row


def triplets(face: Face, first_pixel: int, flags: Mapping[int, int] | None = None) -> Numbers:
    """x, y, v of each point in one list; 0, 0, 0 for one that is not labelled.

    flags: what is written for each state, where it is not the state itself.
    """
    found, places = states(face), face.points_px
    values = Numbers([0] * (3 * len(found)))
    values[0::3], values[1::3] = ((places + first_pixel) if first_pixel else places).T.tolist()
    values[2::3] = found if flags is None else [flags[state] for state in found]
    if not all(found):
        for index, state in enumerate(found):
            if state == UNLABELLED:
                values[3 * index : 3 * index + 3] = [0, 0, 0]
    return values


def written_box(face: Face, first_pixel: int) -> list[float]:
    """x, y, w, h of the face's box, else of its points, else zeros."""
    box = face.box if face.box is not None else face.tight_box()
    if box is None:
        return [0.0, 0.0, 0.0, 0.0]
    x, y, w, h = box.tolist()
    return [x + first_pixel, y + first_pixel, w + 0.0, h + 0.0]  # no minus before a zero


def ours(face: Face, top_level: frozenset[str] = _TOP_LEVEL) -> dict[str, Any]:
    """What a row carries beside its keypoints: scores, source, attributes.

    top_level: attributes that stand in the row itself, where other programs look for them.
    """
    row: dict[str, Any] = {}
    if face.score is not None:
        row["score"] = face.score
    if face.confidence is not None:
        row["keypoint_scores"] = face.confidence.tolist()
    if face.source == "auto":
        row["source"] = "auto"
    nested = dict(face.attributes)
    for key in [key for key in nested if key in top_level]:
        row[key] = nested.pop(key)
    if nested:
        row["attributes"] = nested
    return row


def _face_row(face: Face, first_pixel: int) -> dict[str, Any]:
    assert face.visibility is not None
    box = written_box(face, first_pixel)
    row: dict[str, Any] = {
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
        "segmentation": [],
        "num_keypoints": int(np.count_nonzero(face.visibility)),
        "keypoints": triplets(face, first_pixel),
    }
    if face.box is None:
        row["bbox_source"] = BOX_FROM_POINTS
    return row | ours(face)


def _category_row(key: tuple[str | None, int], own: Own) -> dict[str, Any]:
    scheme, count = key
    row: dict[str, Any] = {
        "name": scheme if scheme is not None else "face",
        "supercategory": "face",
        "keypoints": point_names(scheme, count, own),
        # COCO counts from 1.
        "skeleton": [[a + 1, b + 1] for a, b in skeleton_of(scheme, count, own)],
    }
    if scheme is not None:
        row["scheme"] = scheme
    return row


def keypoints(own: Own) -> Dialect:
    """COCO keypoints, with the names of the points. own: schemes of the user's."""
    return Dialect(kind_of, partial(_category_row, own=own), _face_row)


def kind_of(face: Face) -> tuple[str | None, int]:
    """What tells its category from others: the scheme and the number of points."""
    return face.scheme, len(face.points_px)
