"""Datumaro's JSON: points and skeletons, groups with boxes, [height, width], subsets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, write
from tufa_cli.schemes import get_scheme

POINTS = {
    "type": "points", "label_id": 0, "group": 3, "points": [1.5, 2, 3, 4, 0, 0],
    "visibility": [2, 1, 0], "attributes": {"score": 0.5, "smile": True},
}  # fmt: skip
BOX = {"type": "bbox", "label_id": 0, "group": 3, "bbox": [1, 2, 30, 40], "attributes": {}}
SKELETON = {"type": "skeleton", "label_id": 1, "points": [1.5, 2, 2, 3, 4, 1, 0, 0, 0]}
LABELS = {
    "label": {"labels": [{"name": "person"}, {"name": "mtfl5"}, {"name": "x", "scheme": "y"}]}
}


def item(*annotations: Any, **more: Any) -> dict[str, Any]:
    photo = {"path": "s/a.jpg", "size": [20, 30]}
    return {"id": "s/a", "annotations": list(annotations), "image": photo} | more


def data(*items: Any, **more: Any) -> str:
    return json.dumps({"info": {}, "categories": LABELS, "items": list(items)} | more)


def test_points_and_their_box(put: Any, tmp_path: Path) -> None:
    put("annotations/train.json", data(item(POINTS, BOX)))
    put("images/train/s/a.jpg", b"photo")
    assert choose_format(tmp_path) == "datumaro"
    (image,) = read(tmp_path)
    assert (image.path, image.width, image.height, image.split) == ("s/a.jpg", 30, 20, "train")
    assert image.root == str(tmp_path / "images/train")
    (face,) = image.faces
    np.testing.assert_array_equal(face.points_px[:2], [[1.5, 2], [3, 4]])
    assert face.visibility is not None and face.visibility.tolist() == [2, 1, 0]
    assert face.box is not None and face.box.tolist() == [1, 2, 30, 40]
    assert (face.scheme, face.score, dict(face.attributes)) == (None, 0.5, {"smile": True})


def test_a_skeleton_of_cvats_fork(put: Any) -> None:
    (image,) = read(put("a.json", data(item(SKELETON))))
    (face,) = image.faces
    assert face.visibility is not None and face.visibility.tolist() == [2, 1, 0]
    assert face.points_px[0].tolist() == [1.5, 2]
    assert image.split is None  # only a file in "annotations" is a subset


@pytest.mark.parametrize(
    ("label", "count", "scheme"),
    [(0, 5, None), (1, 5, "mtfl5"), (1, 3, None), (2, 3, "y"), (9, 5, None), (None, 5, None)],
)
def test_scheme_by_label(put: Any, label: Any, count: int, scheme: str | None) -> None:
    row = {"type": "points", "label_id": label, "points": [1, 2] * count}
    (image,) = read(put("a.json", data(item(row))))
    assert image.faces[0].scheme == scheme
    assert image.faces[0].visibility is not None
    assert image.faces[0].visibility.tolist() == [2] * count  # none said: visible


def test_the_photo_by_path_or_id(put: Any, tmp_path: Path) -> None:
    put("images/default/b.png", b"photo")
    put(
        "annotations/default.json",
        data(
            item(image={"path": ""}, media={"path": "m.jpg"}, id="m"),
            item(image=None, id="b"),
            item(image=None, id="c"),
        ),
    )
    images = list(read(tmp_path))
    assert [image.path for image in images] == ["m.jpg", "b.png", "c.jpg"]
    assert {image.split for image in images} == {None}


def test_absolute_paths_are_made_relative(put: Any, tmp_path: Path) -> None:
    photo = put("photos/x/a.jpg", b"photo")
    other = put("photos/y/b.jpg", b"photo")
    items = [item(image={"path": str(p)}, id=p.name) for p in (photo, other)]
    images = list(read(put("a.json", data(*items))))
    assert [image.path for image in images] == ["x/a.jpg", "y/b.jpg"]
    assert {image.root for image in images} == {str(tmp_path / "photos")}


def test_other_annotations_and_schemes_are_said(put: Any) -> None:
    notes: list[str] = []
    five = {"type": "points", "points": [1, 2] * 5}
    path = put("a.json", data(item(POINTS, five, {"type": "mask"}, "x")))
    (image,) = read(path, scheme="mtfl5", on_note=notes.append)
    assert [face.scheme for face in image.faces] == ["mtfl5"]
    assert sorted(note.partition(": ")[2] for note in notes) == [
        "1 annotations are not faces of this scheme",
        "2 annotations are neither points nor boxes",
    ]
    with pytest.raises(InputError, match="no face has the 98 points of wflw98"):
        list(read(path, scheme="wflw98"))


def test_written_as_datumaro_has_it(tmp_path: Path) -> None:
    face = Face(
        np.arange(10.0).reshape(5, 2) / 3, scheme="mtfl5", box=np.ones(4), score=0.5,
        visibility=np.array([2, 1, 0, 2, 2], dtype=np.uint8),
    )  # fmt: skip
    images = [
        AnnotatedImage("s/a.jpg", (face, face), width=30, height=20, split="val"),
        AnnotatedImage("b.jpg"),
    ]
    report = write(images, tmp_path / "out", "datumaro")
    names = ["annotations/val.json", "annotations/default.json"]
    assert report.files == tuple(tmp_path / "out" / name for name in names)
    val = json.loads(report.files[0].read_text())
    (row,) = val["items"]
    assert (row["id"], row["image"]) == ("s/a", {"path": "s/a.jpg", "size": [20, 30]})
    assert [(a["id"], a["type"], a["group"], a["label_id"]) for a in row["annotations"]] == [
        (0, "points", 1, 0), (1, "bbox", 1, 0), (2, "points", 2, 0), (3, "bbox", 2, 0),
    ]  # fmt: skip
    points = row["annotations"][0]
    assert points["points"][:6] == [0, 1 / 3, 2 / 3, 1, 0, 0]  # every digit; 0 0 for missing
    assert (points["visibility"], points["attributes"]) == ([2, 1, 0, 2, 2], {"score": 0.5})
    (category,) = val["categories"]["points"]["items"]
    assert (category["label_id"], len(category["labels"])) == (0, 5)
    assert json.loads(report.files[1].read_text())["items"][0]["annotations"] == []


def test_lines_count_from_one(tmp_path: Path) -> None:
    face = Face(np.ones((68, 2)), scheme="ibug68")
    (file,) = write([AnnotatedImage("a.jpg", (face,))], tmp_path / "out", "datumaro").files
    (category,) = json.loads(file.read_text())["categories"]["points"]["items"]
    joints = {joint for line in category["joints"] for joint in line}
    assert joints == set(range(1, 69))


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    face = Face(np.ones((2, 2)), attributes={"score": 1, "source": "x", "y": float("nan"), "z": 1})
    images = [AnnotatedImage("a.jpg", (face,), split="default")]
    assert losses(images, "datumaro") == [
        "the split 'default', which means none: 1 photo, first a.jpg",
        "attributes of faces (score, source, y): 1 face, first in a.jpg",
    ]
    write(images, tmp_path / "out", "datumaro")
    (image,) = read(tmp_path / "out")
    assert (image.split, dict(image.faces[0].attributes)) == (None, {"z": 1})


@pytest.mark.parametrize(
    ("target", "split", "problem"),
    [
        ("out.json", None, "a file per subset"),
        ("out", "../x", "leaves its folder"),
        ("out", "a/b", "does not fit in a file's name"),
    ],
)
def test_refused_targets(tmp_path: Path, target: str, split: str | None, problem: str) -> None:
    images = [AnnotatedImage("a.jpg", (Face(np.ones((2, 2))),), split=split)]
    with pytest.raises(OutputError, match=problem):
        write(images, tmp_path / target, "datumaro")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"points": [1, 2, 3]}, "points is not a list of x, y"),
        ({"points": []}, "no points"),
        ({"points": None}, "no points"),
        ({"points": "1 2"}, "not a list of numbers"),
        ({"points": [1, "2", 3, 4, 5, 6]}, "not a number"),
        ({"points": [1, float("nan"), 3, 4, 5, 6]}, "not a place"),
        ({"points": [1, 1e30, 3, 4, 5, 6]}, "not a place"),
        ({"visibility": [2, 2]}, "2 flags of visibility for 3 points"),
        ({"visibility": [2, 2, 5]}, "none of 0, 1 and 2"),
        ({"type": "skeleton"}, "none of 0, 1 and 2"),
        ({"type": "skeleton", "points": [1, 2, 2, 3]}, "points is not a list of x, y, v"),
        ({"attributes": []}, "attributes is not an object"),
        ({"attributes": {"score": "high"}}, "score holds"),
        ({"attributes": {"keypoint_scores": [1]}}, "keypoint_scores is not a list of 3"),
        ({"group": 4}, None),
    ],
)
def test_broken_annotations(put: Any, change: dict[str, Any], problem: str | None) -> None:
    path = put("a.json", data(item(POINTS, BOX, POINTS | change)))
    if problem is None:
        assert len(next(read(path)).faces) == 2
        return
    with pytest.raises(InputError, match=rf"a\.json: items\[0\]: annotations\[2\]: .*{problem}"):
        list(read(path))
    failures: list[InputError] = []
    (image,) = read(path, on_error=failures.append)
    assert (len(image.faces), len(failures)) == (1, 1)


BROKEN = [
    ("", 1, "empty"),
    (data(item(POINTS))[:50], 1, "not valid JSON"),
    (b'{"items":\n"M\xfcller"}', 2, "not UTF-8"),
    ("[]", None, "no object"),
    ('{"categories": {}}', None, "no list 'items'"),
    (data(5), None, r"items\[0\]: not an object"),
    (data(item(id=None, image=None)), None, "id is missing"),
    (data(item(image={"path": "../x.jpg"})), None, "path '../x.jpg' leads out"),
    (data(item(), item()), None, "two items are s/a.jpg"),
    (data(item(image={"path": "a.jpg", "size": [1]})), None, r"size is not \[height, width\]"),
    (data(item(image={"path": "a.jpg", "size": ["x", 1]})), None, "height is not a size"),
    (data(item(annotations={})), None, "annotations is not a list"),
    (data(item(POINTS, BOX | {"bbox": [1, 2, 3]})), None, "bbox is not a list of 4"),
    (data(item(POINTS, BOX | {"bbox": [1, 2, -3, 4]})), None, "negative size"),
]


@pytest.mark.parametrize(("content", "line", "problem"), BROKEN)
def test_broken_files(refused: Any, put: Any, content: Any, line: int | None, problem: str) -> None:
    refused(put("a.json", content), "datumaro", problem, line)


def test_two_entries_of_one_photo_are_refused(tmp_path: Path) -> None:
    """Datumaro knows an item by its id; a file with two of one could not be read."""
    one = AnnotatedImage("a.jpg", (Face(np.zeros((2, 2))),))
    with pytest.raises(OutputError, match=r"a\.jpg: has two entries"):
        write([one, one], tmp_path / "out", "datumaro")
    assert not list(tmp_path.iterdir())
    write([one, AnnotatedImage("a.jpg", split="val")], tmp_path / "out", "datumaro")
    assert len(list(read(tmp_path / "out"))) == 2


def test_what_is_not_kept_is_said(put: Any) -> None:
    points = {"label_id": 0, "labels": ["a", "b", "c"], "joints": [[1, 2]]}
    categories = {**LABELS, "points": {"items": [points]}}
    rows = [POINTS | {"z_order": 2}, BOX, BOX, BOX | {"group": 0}, BOX | {"group": 9}]
    rows.append({"type": "polygon", "points": [1, 2, 3, 4, 5, 6]})
    text = data(item(*rows), categories=categories, info={"author": "x"})
    notes: list[str] = []
    (image,) = read(put("a.json", text), "datumaro", on_note=notes.append)
    assert image.faces[0].box is not None
    assert [note.partition(".json: ")[2] for note in notes] == [
        "what the file says of itself (info) is not kept",
        "the names of the points (a, b, c) and the lines between the points are of no known "
        "scheme and are not kept; --from-scheme names one",
        "3 boxes belong to no face",
        "1 annotations are neither points nor boxes",
        "1 shapes have an order in depth (z_order), which is not kept",
    ]


def test_a_box_has_attributes_too(put: Any) -> None:
    box = BOX | {"attributes": {"smile": False, "pose": 3}}
    (image,) = read(put("a.json", data(item(box, POINTS))))
    assert dict(image.faces[0].attributes) == {"smile": True, "pose": 3}


def test_names_of_points_tell_the_scheme(put: Any) -> None:
    names = list(get_scheme("mtfl5").names)
    categories = {**LABELS, "points": {"items": [{"label_id": 0, "labels": names}]}}
    five = {"type": "points", "label_id": 0, "points": [1.0] * 10}
    (image,) = read(put("a.json", data(item(five), categories=categories)))
    assert image.faces[0].scheme == "mtfl5"
