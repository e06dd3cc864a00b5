"""The document that the ``coco`` format writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tufa_cli.annotation import UNLABELLED, AnnotatedImage, Face
from tufa_cli.formats._base import BOX_FROM_POINTS, states
from tufa_cli.formats._json import dump_json
from tufa_cli.formats._names import point_names, skeleton_of

#: Says in ``info`` that 1 means occluded even where no point of the file is visible.
STRICT = "strict"

#: Extras that other programs look for beside the keypoints, not in ``attributes``.
_TOP_LEVEL = ("area", "center", "iscrowd", "scale", "segmentation")


def document(images: Sequence[AnnotatedImage], target: Path, first_pixel: int) -> str:
    """The JSON text, one image or annotation a line; raises OutputError for odd attributes."""
    categories: dict[tuple[str | None, int], int] = {}
    image_rows: list[Any] = []
    face_rows: list[Any] = []
    for image_id, image in enumerate(images, start=1):
        image_rows.append(_image_row(image, image_id))
        for face in image.faces:
            key = (face.scheme, len(face.points_px))
            category = categories.setdefault(key, len(categories) + 1)
            face_rows.append(
                {"id": len(face_rows) + 1, "image_id": image_id, "category_id": category}
                | _face_row(face, first_pixel)
            )
    info = {"description": "face landmarks", "keypoint_visibility": STRICT}
    category_rows = [_category_row(*key, number) for key, number in categories.items()]
    parts = [
        f'"info": {dump_json(info, target)}',
        '"licenses": []',
        f'"images": {_rows(image_rows, target)}',
        f'"annotations": {_rows(face_rows, target)}',
        f'"categories": {_rows(category_rows, target)}',
    ]
    return "{\n" + ",\n".join(parts) + "\n}"


def _rows(rows: Sequence[Any], target: Path) -> str:
    return "[" + ",".join("\n" + dump_json(row, target) for row in rows) + "\n]"


def _image_row(image: AnnotatedImage, image_id: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": image_id, "file_name": image.path}
    for key in ("width", "height", "split"):
        value = getattr(image, key)
        if value is not None:
            row[key] = value
    if image.attributes:
        row["attributes"] = dict(image.attributes)
    return row


def _face_row(face: Face, first_pixel: int) -> dict[str, Any]:
    shown = states(face)
    keypoints: list[float | int] = []
    for (x, y), state in zip(face.points_px.tolist(), shown, strict=True):
        known = state != UNLABELLED
        keypoints += [x + first_pixel, y + first_pixel, state] if known else [0, 0, 0]
    box = face.box if face.box is not None else face.tight_box()
    x, y, w, h = (0.0, 0.0, 0.0, 0.0) if box is None else box.tolist()
    row: dict[str, Any] = {
        "bbox": [x + first_pixel, y + first_pixel, w, h],
        "area": w * h,
        "iscrowd": 0,
        "segmentation": [],
        "num_keypoints": sum(state != UNLABELLED for state in shown),
        "keypoints": keypoints,
    }
    if face.box is None:
        row["bbox_source"] = BOX_FROM_POINTS
    if face.score is not None:
        row["score"] = face.score
    if face.confidence is not None:
        row["keypoint_scores"] = face.confidence.tolist()
    if face.source == "auto":
        row["source"] = "auto"
    row |= {key: value for key, value in face.attributes.items() if key in _TOP_LEVEL}
    nested = {key: value for key, value in face.attributes.items() if key not in _TOP_LEVEL}
    if nested:
        row["attributes"] = nested
    return row


def _category_row(scheme: str | None, count: int, number: int) -> dict[str, Any]:
    # COCO counts joints from 1.
    skeleton = [[a + 1, b + 1] for a, b in skeleton_of(scheme, count)]
    row: dict[str, Any] = {
        "id": number,
        "name": scheme if scheme is not None else "face",
        "supercategory": "face",
        "keypoints": point_names(scheme, count),
        "skeleton": skeleton,
    }
    if scheme is not None:
        row["scheme"] = scheme
    return row
