"""COCO keypoints: the dialects that occur, and what must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats import read, write

POINTS = [1.5, 2, 2, 3, 4, 1, 0, 0, 0, 5, 6, 2, 7, 8, 2]


def coco(*faces: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A file of one photo and these annotations."""
    rows = [{"id": i, "image_id": 7, "category_id": 1, **face} for i, face in enumerate(faces)]
    return {
        "images": [{"id": 7, "file_name": "a/b.jpg", "width": 30, "height": 20}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "face", "keypoints": [], "skeleton": []}],
    } | top


def load(folder: Path, data: Any, **options: Any) -> list[AnnotatedImage]:
    path = folder / "in.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return list(read(path, "coco", **options))


def face_of(folder: Path, *faces: dict[str, Any], **options: Any) -> Face:
    (image,) = load(folder, coco(*faces), **options)
    return image.faces[0]


def test_a_face(tmp_path: Path) -> None:
    row = {"keypoints": POINTS, "bbox": [1, 2, 6, 6], "num_keypoints": 4, "area": 36, "iscrowd": 0}
    (image,) = load(tmp_path, coco(row))
    face = image.faces[0]
    assert (image.path, image.width, image.height, image.root) == ("a/b.jpg", 30, 20, str(tmp_path))
    assert face.visibility is not None and face.visibility.tolist() == [2, 1, 0, 2, 2]
    np.testing.assert_array_equal(face.points_px[[0, 1, 3]], [[1.5, 2], [3, 4], [5, 6]])
    assert np.isnan(face.points_px[2]).all()
    assert face.box is not None and face.box.tolist() == [1, 2, 6, 6]
    assert (face.scheme, dict(face.attributes), face.source) == (None, {}, "manual")


@pytest.mark.parametrize(
    ("mode", "keypoints", "info", "expected"),
    [
        ("auto", [1, 1, 1, 2, 2, 0], {}, [2, 0]),
        ("strict", [1, 1, 1, 2, 2, 0], {}, [1, 0]),
        ("auto", [1, 1, 1, 2, 2, 2], {}, [1, 2]),
        ("auto", [1, 1, 1.0, 2, 2, 2.0], {}, [1, 2]),
        ("auto", [1, 1, 1, 2, 2, 0], {"keypoint_visibility": "strict"}, [1, 0]),
    ],
)
def test_one_means_visible_in_files_without_two(
    tmp_path: Path, mode: str, keypoints: list[float], info: dict[str, str], expected: list[int]
) -> None:
    (image,) = load(tmp_path, coco({"keypoints": keypoints}, info=info), coco_visibility=mode)
    assert image.faces[0].visibility is not None
    assert image.faces[0].visibility.tolist() == expected


def test_missing_bbox_scores_and_extras(tmp_path: Path) -> None:
    face = face_of(
        tmp_path,
        {
            "keypoints": POINTS,
            "score": 0.75,
            "keypoint_scores": [0.1, 0.2, 0.3, 0.4, 1],
            "center": [4, 5],
            "scale": 0.03,
            "attributes": {"gender": 2},
            "track": "x",
        },
    )
    assert face.box is None
    assert face.score == 0.75
    assert face.confidence is not None and face.confidence.tolist() == [0.1, 0.2, 0.3, 0.4, 1]
    assert face.attributes == {"center": [4, 5], "scale": 0.03, "gender": 2, "track": "x"}


def test_extras_come_out_where_others_look_for_them(tmp_path: Path) -> None:
    row = {"keypoints": POINTS, "center": [4, 5], "scale": 0.03, "attributes": {"gender": 2}}
    images = load(tmp_path, coco(row))
    write(images, tmp_path / "out.json", "coco")
    (written,) = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert (written["center"], written["scale"]) == ([4, 5], 0.03)
    assert written["attributes"] == {"gender": 2}
    assert written["bbox"] == [1.5, 2, 5.5, 6]  # pycocotools wants one; marked as made
    assert {"area", "iscrowd", "num_keypoints", "segmentation"} <= set(written)
    assert load(tmp_path, (tmp_path / "out.json").read_text())[0].faces[0].box is None


def test_ids_are_unique_and_whole(tmp_path: Path) -> None:
    face = Face(np.zeros((5, 2)), scheme="mtfl5")
    other = Face(np.ones((3, 2)))
    images = [AnnotatedImage("a.jpg", (face, other)), AnnotatedImage("b.jpg", (face,))]
    write(images, tmp_path / "out.json", "coco")
    data = json.loads((tmp_path / "out.json").read_text())
    assert [row["id"] for row in data["annotations"]] == [1, 2, 3]
    assert [row["id"] for row in data["images"]] == [1, 2]
    assert [(row["name"], len(row["keypoints"])) for row in data["categories"]] == [
        ("mtfl5", 5), ("face", 3),
    ]  # fmt: skip
    edges = [index for edge in data["categories"][0]["skeleton"] for index in edge]
    assert all(1 <= index <= 5 for index in edges)  # COCO counts joints from 1


@pytest.mark.parametrize(
    ("name", "asked", "scheme"),
    [
        ("face", None, None),
        ("mtfl5", None, "mtfl5"),
        ("mtfl", None, "mtfl5"),
        ("wflw98", None, None),
        ("face", "mtfl5", "mtfl5"),
        ("wflw98", "mtfl", "mtfl5"),
    ],
)
def test_scheme_by_category_or_by_request(
    tmp_path: Path, name: str, asked: str | None, scheme: str | None
) -> None:
    names = [str(i) for i in range(5)]
    data = coco({"keypoints": POINTS}, categories=[{"id": 1, "name": name, "keypoints": names}])
    (image,) = load(tmp_path, data, scheme=asked)
    assert image.faces[0].scheme == scheme


def test_faces_of_other_schemes_are_left_out_and_said(tmp_path: Path) -> None:
    notes: list[str] = []
    rows = ({"keypoints": POINTS}, {"keypoints": POINTS * 2})
    (image,) = load(tmp_path, coco(*rows), scheme="mtfl5", on_note=notes.append)
    assert len(image.faces) == 1
    assert "1 annotations are not faces of this scheme" in notes[0]
    with pytest.raises(InputError, match="no face has the 98 points of wflw98"):
        load(tmp_path, coco(*rows), scheme="wflw")


def test_wholebody_faces(tmp_path: Path) -> None:
    body = {"keypoints": [0] * 51, "bbox": [0, 0, 9, 9]}
    valid = body | {"face_kpts": [1, 2, 1] * 68, "face_box": [1, 2, 3, 4], "face_valid": True}
    (image,) = load(tmp_path, coco(valid, valid | {"face_valid": False}))
    (face,) = image.faces
    assert (face.scheme, len(face.points_px)) == ("ibug68", 68)
    assert face.visibility is not None and set(face.visibility.tolist()) == {2}
    assert face.box is not None and face.box.tolist() == [1, 2, 3, 4]


def test_all_zero_keypoints_keep_the_box(tmp_path: Path) -> None:
    face = face_of(tmp_path, {"keypoints": [0] * 15, "bbox": [1, 2, 3, 4]})
    assert not face.labelled.any()
    assert face.box is not None and face.box.tolist() == [1, 2, 3, 4]


def test_photos_in_images_beside(tmp_path: Path) -> None:
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/b.jpg").touch()
    assert load(tmp_path, coco({"keypoints": POINTS}))[0].root == str(tmp_path / "images")


def test_huge_sniff_needs_no_parsing(tmp_path: Path) -> None:
    filler = json.dumps([{"id": i, "file_name": "x" * 50} for i in range(5000)])
    path = tmp_path / "big.json"
    path.write_text(f'\ufeff\n{{"images": {filler}, "annotations": [], "categories": []}}', "utf-8")
    assert len(list(read(path))) == 5000


BAD_FACES = [
    ({"keypoints": [1, 2]}, "not a list of x, y, v"),
    ({"keypoints": "1 2 2"}, "not a list of x, y, v"),
    ({"keypoints": [1, 2, 3]}, "visibility 3 is none of"),
    ({"keypoints": [1, 2, 0.5]}, "visibility 0.5 is none of"),
    ({"keypoints": [1, 2, True]}, "visibility True is none of"),
    ({"keypoints": [1, None, 2]}, "not a number"),
    ({"keypoints": [1, "2", 2]}, "not a number"),
    ({"keypoints": [1, float("nan"), 2]}, "not a place"),
    ({"keypoints": [float("inf"), 1, 2]}, "not a place"),
    ({"keypoints": [1e30, 1, 2]}, "not a place"),
    ({"keypoints": POINTS, "bbox": [1, 2, 3]}, "bbox is not a list of 4"),
    ({"keypoints": POINTS, "bbox": [1, 2, -3, 4]}, "negative size"),
    ({"keypoints": POINTS, "keypoint_scores": [1]}, "keypoint_scores is not a list of 5"),
    ({"keypoints": POINTS, "score": "high"}, "score holds something"),
    ({"keypoints": POINTS, "image_id": 99}, "no image has the id 99"),
    ({"keypoints": POINTS, "image_id": None}, "no image has the id None"),
]


@pytest.mark.parametrize(("row", "problem"), BAD_FACES)
def test_broken_annotation(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    good = {"keypoints": POINTS}
    with pytest.raises(InputError, match=rf"in.json: annotations\[1\] \(id 1\): .*{problem}"):
        load(tmp_path, coco(good, row))
    failures: list[InputError] = []
    (image,) = load(tmp_path, coco(good, row, good), on_error=failures.append)
    assert (len(image.faces), len(failures)) == (2, 1)


GOOD_TEXT = json.dumps(coco({"keypoints": POINTS}), indent=1)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (GOOD_TEXT[: len(GOOD_TEXT) // 2], r"line \d+: not valid JSON"),
        ("{}", "no list 'images'"),
        ("[1, 2]", "a list"),
        ("7", "no object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": [' + "9" * 5000 + "]}", "not valid JSON|not a COCO"),
        (coco(images={}), "no list 'images'"),
        (coco(annotations=None), "no list 'annotations'"),
        (coco(images=[{"id": 7}]), r"images\[0\]: file_name is missing"),
        (coco(images=[3]), r"images\[0\]: not an object"),
        (coco(images=[{"id": 7, "file_name": "a", "width": "x"}]), "width is not a size"),
        (coco(images=[{"id": 7, "file_name": "a"}, {"id": 7.0, "file_name": "b"}]), "two images"),
        (coco(annotations=[5]), r"annotations\[0\]: not an object"),
    ],
)
def test_broken_file(tmp_path: Path, data: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        load(tmp_path, data)
    assert caught.value.path == tmp_path / "in.json"


def test_repeated_ids_are_said(tmp_path: Path) -> None:
    notes: list[str] = []
    rows = [{"keypoints": POINTS, "id": 4}] * 3
    (image,) = load(tmp_path, coco(*rows), on_note=notes.append)
    assert len(image.faces) == 3
    assert notes == [f"{tmp_path / 'in.json'}: 2 annotations repeat another's id"]
