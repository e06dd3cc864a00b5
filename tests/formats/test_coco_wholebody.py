"""COCO-WholeBody: the face beside the rest of a person, which is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

HAND = {"lefthand_kpts": [3, 4, 1] * 21, "lefthand_valid": True, "lefthand_box": [1, 1, 9, 9]}
NO_PARTS = {
    "foot_kpts": [0] * 18, "foot_valid": False,
    "righthand_kpts": [0] * 63, "righthand_valid": False, "righthand_box": [0.0] * 4,
}  # fmt: skip
PERSON = {
    "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 200, "segmentation": [],
    "bbox": [10, 20, 20, 10], "keypoints": [5, 6, 2] * 17, "num_keypoints": 17,
    "face_kpts": [1.5, 2, 1, *[0, 0, 0] * 2, *[7, 8, 1] * 65], "face_box": [1, 2, 7.5, 8],
    "face_valid": True, **HAND, **NO_PARTS,
}  # fmt: skip


def whole(*persons: dict[str, Any]) -> str:
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 30, "height": 20}],
            "annotations": [person | {"id": i} for i, person in enumerate(persons)],
            "categories": [{"id": 1, "name": "person", "keypoints": ["nose"] * 17}],
        }
    )


def test_a_face_and_the_rest(put: Any) -> None:
    path = put("a.json", whole(PERSON))
    assert choose_format(path) == "coco-wholebody"
    assert "face_kpts" in sniff(path)["coco"].reason
    (image,) = read(path)
    (face,) = image.faces
    assert (face.scheme, len(face.points_px)) == ("ibug68", 68)
    assert face.visibility is not None and face.visibility[:4].tolist() == [2, 0, 0, 2]
    assert face.box is not None and face.box.tolist() == [1, 2, 7.5, 8]
    assert dict(face.attributes) == {
        "bbox": [10, 20, 20, 10], "keypoints": [5, 6, 2] * 17, "num_keypoints": 17, **HAND,
    }  # fmt: skip


def test_the_rest_comes_back_out_where_it_was(put: Any, tmp_path: Path) -> None:
    images = list(read(put("a.json", whole(PERSON))))
    assert losses(images, "coco-wholebody") == []
    write(images, tmp_path / "b.json", "coco-wholebody")
    (row,) = json.loads((tmp_path / "b.json").read_text())["annotations"]
    assert row == PERSON | {"id": 0}
    assert next(read(tmp_path / "b.json")).faces[0].attributes == images[0].faces[0].attributes


def test_what_is_not_of_the_right_kind_is_kept_apart(tmp_path: Path) -> None:
    odd = {"keypoints": [1, 2], "lefthand_box": "x", "bbox": [1, 2], "foot_valid": True}
    face = Face(np.ones((68, 2)), scheme="ibug68", attributes=odd)
    write([AnnotatedImage("a.jpg", (face,))], tmp_path / "a.json", "coco-wholebody")
    (row,) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert (len(row["keypoints"]), row["bbox"], row["bbox_source"]) == (51, [1, 1, 0, 0], "face")
    (image,) = read(tmp_path / "a.json")
    assert dict(image.faces[0].attributes) == odd


def test_persons_without_a_valid_face_are_said(put: Any) -> None:
    notes: list[str] = []
    faceless = PERSON | {"face_valid": False}
    (image,) = read(put("a.json", whole(PERSON, faceless, faceless)), on_note=notes.append)
    assert len(image.faces) == 1
    assert "2 annotations have no labelled face" in notes[0]


def test_occlusion_is_a_loss() -> None:
    face = Face(np.ones((68, 2)), visibility=np.array([1] + [2] * 67, dtype=np.uint8))
    images = [AnnotatedImage("a.jpg", (face,))]
    assert losses(images, "coco-wholebody") == ["which points are occluded: 1 face, first in a.jpg"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"face_kpts": [1, 2, 1] * 67}, "67 keypoints, its category has 68"),
        ({"face_kpts": [1, 2, 1] * 67 + [1, 2]}, "not a list of x, y, v"),
        ({"face_kpts": [1, 2, 7] * 68}, "visibility 7 is none of"),
        ({"face_kpts": [1, "2", 1] * 68}, "not a number"),
        ({"face_kpts": None}, ""),
        ({"face_box": [1, 2, 3]}, "face_box is not a list of 4"),
        ({"face_box": [1, 2, -3, 4]}, "negative size"),
        ({"image_id": 5}, "no image has the id 5"),
    ],
)
def test_broken_faces(put: Any, change: dict[str, Any], problem: str) -> None:
    path = put("a.json", whole(PERSON, PERSON | change))
    if not problem:  # no list is no labelled point
        (image,) = read(path)
        assert not image.faces[1].labelled.any()
        return
    with pytest.raises(InputError, match=rf"annotations\[1\] \(id 1\): .*{problem}"):
        list(read(path))


@pytest.mark.parametrize("name", ["../a.jpg", "a/../../b.jpg", "a\\..\\..\\b.jpg", "", "a\0.jpg"])
def test_names_that_lead_out(refused: Any, put: Any, name: str) -> None:
    data = json.loads(whole(PERSON))
    data["images"][0]["file_name"] = name
    refused(put("a.json", json.dumps(data)), "coco-wholebody", "file_name")
