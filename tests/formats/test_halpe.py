"""Halpe: 68 points of the face among a person's 136, as annotations and as AlphaPose's results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

#: Point i lies at (i, i + 0.5), so each tells its index.
KEYPOINTS = [value for i in range(136) for value in (i, i + 0.5, 2)]
PERSON = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "keypoints": KEYPOINTS}


def halpe(*persons: dict[str, Any]) -> str:
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": list(persons),
            "categories": [{"id": 1, "name": "person"}],
        }
    )


def test_the_face_is_points_26_to_93(put: Any) -> None:
    path = put("a.json", halpe(PERSON))
    assert choose_format(path) == "halpe"
    assert "136" in sniff(path)["coco"].reason
    (image,) = read(path)
    (face,) = image.faces
    assert face.scheme == "ibug68"
    np.testing.assert_array_equal(face.points_px[:, 0], np.arange(26, 94))
    assert face.box is None
    assert face.attributes["bbox"] == [1, 2, 3, 4]
    assert face.attributes["body_keypoints"] == KEYPOINTS[: 26 * 3]
    assert face.attributes["hand_keypoints"] == KEYPOINTS[94 * 3 :]


def test_the_person_comes_back_out(put: Any, tmp_path: Path) -> None:
    images = list(read(put("a.json", halpe(PERSON))))
    assert losses(images, "halpe") == []
    write(images, tmp_path / "b.json", "halpe")
    data = json.loads((tmp_path / "b.json").read_text())
    (row,) = data["annotations"]
    assert (row["keypoints"], row["bbox"], row["num_keypoints"]) == (KEYPOINTS, [1, 2, 3, 4], 136)
    assert len(data["categories"][0]["keypoints"]) == 136
    assert choose_format(tmp_path / "b.json") == "halpe"


def test_a_face_alone(tmp_path: Path) -> None:
    visibility = np.array([1, 0] + [2] * 66, dtype=np.uint8)
    face = Face(np.full((68, 2), 3.0), scheme="ibug68", visibility=visibility, box=np.ones(4))
    empty = Face(np.full((68, 2), np.nan), scheme="ibug68")
    write([AnnotatedImage("a.jpg", (face, empty))], tmp_path / "a.json", "halpe")
    row, _ = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert row["keypoints"][: 28 * 3] == [0] * 78 + [3, 3, 1, 0, 0, 0]
    (image,) = read(tmp_path / "a.json")
    first, second = image.faces
    assert first.visibility is not None and first.visibility[:3].tolist() == [1, 0, 2]
    assert first.box is not None and first.box.tolist() == [1, 1, 1, 1]
    assert not second.labelled.any()


def test_persons_without_a_face_are_said(put: Any) -> None:
    notes: list[str] = []
    faceless = PERSON | {"keypoints": KEYPOINTS[:78] + [0] * 204 + KEYPOINTS[282:]}
    (image,) = read(put("a.json", halpe(PERSON, faceless)), on_note=notes.append)
    assert len(image.faces) == 1
    assert "1 annotations have no labelled face" in notes[0]


def test_alphapose_results(put: Any) -> None:
    scores = [value for i in range(136) for value in (i, i + 0.5, 0.5)]
    row = {"image_id": "a.jpg", "category_id": 1, "keypoints": scores, "score": 2.9, "idx": 0.0}
    (image,) = read(put("alphapose-results.json", json.dumps([row])))
    (face,) = image.faces
    assert (image.path, face.scheme, face.source, face.score) == ("a.jpg", "ibug68", "auto", 2.9)
    assert face.points_px[0].tolist() == [26, 26.5]
    assert face.confidence is not None and len(face.confidence) == 68
    assert set(face.attributes) == {"idx", "body_keypoints", "hand_keypoints"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"keypoints": KEYPOINTS[:-3]}, "136 times x, y, v"),
        ({"keypoints": None}, "136 times x, y, v"),
        ({"keypoints": ["x", *KEYPOINTS[1:]]}, None),
        ({"keypoints": [*KEYPOINTS[:80], 9, *KEYPOINTS[81:]]}, "visibility 9 is none of"),
        ({"keypoints": [*KEYPOINTS[:78], None, *KEYPOINTS[79:]]}, "not a number"),
        ({"image_id": 9}, "no image has the id 9"),
    ],
)
def test_broken_persons(put: Any, change: dict[str, Any], problem: str | None) -> None:
    path = put("a.json", halpe(PERSON, PERSON | change))
    if problem is None:  # not of the face, so kept as it is
        assert next(read(path)).faces[1].attributes["body_keypoints"][0] == "x"
        return
    with pytest.raises(InputError, match=rf"annotations\[1\] \(id 1\): .*{problem}"):
        list(read(path, "halpe"))
