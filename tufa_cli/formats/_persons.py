"""Data sets of whole persons whose faces are a part of each annotation: what the two share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tufa_cli.annotation import Face
from tufa_cli.formats._base import BOX_FROM_POINTS
from tufa_cli.formats._coco_write import ours, written_box
from tufa_cli.formats._numbers import FAR_PX

#: The face of both is iBUG's.
SCHEME = "ibug68"
POINTS = 68

#: A person's box that was made from the face's, since there was none.
BOX_FROM_FACE = "face"

#: A face's box of zeros that is meant, and does not stand for none.
_LABELLED = "labelled"

#: COCO's body points, 1-based lines between them: https://cocodataset.org/#keypoints-2020
BODY = ["nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"]  # fmt: skip
BODY_LINES = [[16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8],
              [7, 9], [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6],
              [5, 7]]  # fmt: skip


def filled(values: Any) -> bool:
    """Whether a list of numbers holds more than zeros."""
    return isinstance(values, list) and any(value != 0 for value in values)


def is_numbers(values: Any, count: int) -> bool:
    """Whether a value is a list of ``count`` numbers that can be places."""
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        and all(abs(v) <= FAR_PX for v in values)
    )


def person_box(face: Face, first_pixel: int) -> dict[str, Any]:
    """``bbox`` and what belongs to it: the person's if known, else the face's, marked."""
    row: dict[str, Any] = {}
    box = face.attributes.get("bbox")
    if not is_numbers(box, 4):
        box = written_box(face, first_pixel)
        row["bbox_source"] = BOX_FROM_FACE
    assert box is not None
    return {"bbox": box, "area": box[2] * box[3], "iscrowd": 0, "segmentation": []} | row


def face_box_of(row: Mapping[str, Any]) -> Any:
    """The face's box of a row, or None where there is none or it was made from the points."""
    box, source = row.get("face_box"), row.get("face_box_source")
    empty = isinstance(box, list) and not filled(box) and source != _LABELLED
    return None if source == BOX_FROM_POINTS or empty else box


def face_box(face: Face, first_pixel: int) -> dict[str, Any]:
    """``face_box`` and, where it does not tell itself, where it is from."""
    row: dict[str, Any] = {"face_box": written_box(face, first_pixel)}
    if face.box is None:
        row["face_box_source"] = BOX_FROM_POINTS
    elif not filled(row["face_box"]):
        row["face_box_source"] = _LABELLED
    return row


def with_ours(
    row: dict[str, Any], face: Face, attributes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A row and what it carries beside: attributes that do not stand in it already, scores.

    attributes: the face's that are to be written, all when None.
    """
    given = face.attributes if attributes is None else attributes
    rest = {k: v for k, v in given.items() if k not in row or repr(v) != repr(row[k])}
    return row | ours(replace(face, attributes=rest))
