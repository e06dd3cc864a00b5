"""Label Studio's JSON: exports of people's work, tasks for pre-annotation, and broken files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write
from tufa_cli.schemes import get_scheme

Put = Callable[[str, str | bytes], Path]
NAMES = get_scheme("mtfl5").names


def result(kind: str, identity: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {"id": identity, "type": kind, "value": value, "from_name": kind, "to_name": "image"}
    row |= {"original_width": 200, "original_height": 400, "image_rotation": 0}
    return row | more


def point(name: str, x: float = 5, y: float = 10, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 0.3, "keypointlabels": [name]}
    return result("keypointlabels", more.pop("id", f"p-{name}-{x}"), value, **more)


def box(identity: str, label: str = "face", **more: Any) -> dict[str, Any]:
    value = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": more.pop("rotation", 0)}
    return result("rectanglelabels", identity, value | {"rectanglelabels": [label]}, **more)


def five(**more: Any) -> list[dict[str, Any]]:
    return [point(name, 5 * i, id=f"{more.get('parentID', '')}{i}", **more)
            for i, name in enumerate(NAMES)]  # fmt: skip


def task(*results: Any, image: str = "a.jpg", **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": 1, "data": {"image": image}}
    return row | {"annotations": [{"id": 7, "result": list(results)}], "predictions": []} | more


def load(put: Put, *tasks: Any, **options: Any) -> list[AnnotatedImage]:
    return list(read(put("t.json", json.dumps(list(tasks))), "label-studio", **options))


def faces(put: Put, *results: Any, **options: Any) -> tuple[Face, ...]:
    return load(put, task(*results), **options)[0].faces


def test_percent_become_pixels(put: Put, tmp_path: Path) -> None:
    hidden = point(NAMES[2], 10, parentID="r", meta={"text": ["occluded"]})
    rows = [box("r"), point(NAMES[0], 5, 10, parentID="r", score=0.5), hidden]
    (image,) = load(put, task(*rows), scheme="mtfl5")
    assert choose_format(tmp_path) == "label-studio"
    assert (image.path, image.width, image.height, image.root) == ("a.jpg", 200, 400, str(tmp_path))
    (face,) = image.faces
    assert face.points_px[[0, 2]].tolist() == [[10, 40], [20, 40]]
    assert face.visibility is not None and face.visibility.tolist() == [2, 0, 1, 0, 0]
    assert face.box is not None and face.box.tolist() == [20, 80, 60, 160]
    assert (face.confidence, face.source) == (None, "manual")


def test_faces_by_parent_by_relation_and_by_order(put: Put) -> None:
    parents = [box("a"), box("b"), *five(parentID="b"), *five(parentID="a")[:3]]
    assert [f.labelled.sum() for f in faces(put, *parents, scheme="mtfl5")] == [3, 5]
    loose = [point(name, 5, id=f"{k}{name}") for k in "ab" for name in NAMES]
    relations = [{"type": "relation", "from_id": k, "to_id": f"{k}{name}", "direction": "right"}
                 for k in "ab" for name in NAMES]  # fmt: skip
    mixed = [box("a"), box("b"), *loose[::2], *loose[1::2], *relations]
    assert [f.labelled.sum() for f in faces(put, *mixed, scheme="mtfl5")] == [5, 5]
    before = [box("a"), *loose[:5], box("b"), *loose[5:8]]
    assert [f.labelled.sum() for f in faces(put, *before, scheme="mtfl5")] == [5, 3]
    after = [*loose[:5], box("a"), *loose[5:8], box("b")]
    found = faces(put, *after, scheme="mtfl5")
    assert [(f.labelled.sum(), f.box is None) for f in found] == [(5, False), (3, False)]
    assert [f.labelled.sum() for f in faces(put, *loose[:5], scheme="mtfl5")] == [5]


def test_two_faces_that_nothing_tells_apart(put: Put) -> None:
    loose = [point(name, 5, id=f"{k}{name}") for k in "ab" for name in NAMES]
    with pytest.raises(InputError, match="two points of one face are called") as caught:
        faces(put, *loose)
    assert "rectangle as their parent" in str(caught.value.hint)


def test_the_first_annotation_that_was_not_cancelled(put: Put) -> None:
    one = {"id": 1, "completed_by": {"id": 4, "email": "a@x.org"}, "result": [point("0", 1)]}
    two = {"id": 2, "completed_by": 5, "result": [point("0", 2)]}
    gone = {"id": 3, "was_cancelled": True, "result": [point("0", 3)]}
    guess = {"model_version": "m", "result": [point("0", 4, score=0.25)]}
    row = task(annotations=[gone, one, two], predictions=[guess])
    notes: list[str] = []
    (image,) = load(put, row, on_note=notes.append)
    assert image.faces[0].points_px[0, 0] == 2
    assert "1 further annotations of the same task are not read" in notes[0]
    for who in ("5", "a@x.org", "4"):
        (image,) = load(put, row, settings={"annotator": who})
        assert image.faces[0].points_px[0, 0] == (4 if who == "5" else 2)
    notes.clear()
    (image,) = load(put, row, settings={"annotator": "nobody"}, on_note=notes.append)
    assert image.faces == () and "1 tasks have no annotation of that person" in notes[0]
    (image,) = load(put, row | {"annotations": [gone]})
    (face,) = image.faces
    assert (face.points_px[0, 0], face.source) == (8, "auto")
    assert face.confidence is not None and face.confidence.tolist() == [0.25]


def test_answers_about_regions_and_photos(put: Put) -> None:
    rows = [
        box("r"),
        point("0", parentID="r"),
        result("choices", "r", {"choices": ["heavy"]}, from_name="occlusion"),
        result("choices", "r", {"choices": ["a", "b"]}, from_name="kinds"),
        result("textarea", "r", {"text": ["who"]}, from_name="note"),
        result("rating", "r", {"rating": 4}, from_name="quality"),
        result("choices", "p-0-5", {"choices": ["Occluded"]}, from_name="seen"),
        result("choices", "whole", {"choices": ["night"]}, from_name="light"),
        result("polygonlabels", "z", {"points": [[1, 2]]}),
    ]
    (image,) = load(put, task(*rows))
    (face,) = image.faces
    assert face.attributes == {
        "occlusion": "heavy", "kinds": ["a", "b"], "note": "who", "quality": 4,
    }  # fmt: skip
    assert face.visibility is not None and face.visibility.tolist() == [1]
    assert image.attributes == {"light": "night"}


def test_places_and_labels_in_two_results_of_one_id(put: Put) -> None:
    """How the tags KeyPoint and Labels say it, which are not KeyPointLabels."""
    rows = []
    for i, name in enumerate(NAMES):
        rows.append(result("keypoint", f"k{i}", {"x": i, "y": 1, "width": 1}))
        rows.append(result("labels", f"k{i}", {"x": i, "y": 1, "width": 1, "labels": [name]}))
    assert faces(put, *rows, scheme="mtfl5")[0].labelled.all()


def test_a_turned_rectangle(put: Put) -> None:
    (face,) = faces(put, box("r", rotation=90), point("0", parentID="r"))
    assert face.box is not None  # turned about its corner at 20, 80
    np.testing.assert_allclose(face.box, [20 - 160, 80, 160, 60])


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"data": {"image": "/data/upload/18/1a2b3c4d-my%20face.jpg"}}, "my face.jpg"),
        ({"data": {"image": "x"}, "file_upload": "1a2b3c4d-b.jpg"}, "b.jpg"),
        ({"data": {"image": "/data/upload/18/1a2b3c4d-"}}, "1a2b3c4d-"),
        ({"data": {"image": "/data/local-files/?d=set/a%2Bb.jpg"}}, "set/a+b.jpg"),
        ({"data": {"image": "https://x.org/p/c.jpg?sig=1#f"}}, "c.jpg"),
        ({"data": {"image": "s3://bucket/p/d.png"}}, "d.png"),
        ({"data": {"image": r"sub\e.jpg"}}, "sub/e.jpg"),
        ({"data": {"text": "words", "photo": "f.jpeg"}}, "f.jpeg"),
    ],
)
def test_names_of_photos(put: Put, row: dict[str, Any], path: str) -> None:
    (image,) = load(put, task() | row)
    assert image.path == path


def test_uploads_that_kept_their_prefix(put: Put) -> None:
    put("images/1a2b3c4d-b.jpg", b"")
    (image,) = load(put, task(image="/data/upload/1/1a2b3c4d-b.jpg"))
    assert image.path == "b.jpg"
    put("images/b.jpg", b"")
    images = load(put, task(image="b.jpg"), task(image="/data/upload/1/1a2b3c4d-b.jpg", id=2))
    assert [image.path for image in images] == ["b.jpg", "1a2b3c4d-b.jpg"]


GOOD = json.dumps([task(*five())], indent=1)


def broken(change: dict[str, Any]) -> list[Any]:
    return [task(five()[0] | change)]


def value(**change: Any) -> list[Any]:
    row = five()[0]
    return [task(row | {"value": row["value"] | change})]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "line 1: the file is empty"),
        (GOOD[:300], r"line \d+: not valid JSON"),
        (GOOD.replace("a.jpg", "é.jpg").encode("latin-1"), "line 5: not UTF-8"),
        ("{}", "no list of tasks"),
        ("[" * 100_000, "nested too deeply"),
        ([5], r"\[0\]: not an object"),
        ([{"image": "a.jpg", "kp": []}], r"\[0\]: a task without data; .* not JSON-MIN"),
        ([task(image="")], r"\[0\]: .*missing"),
        ([task(image="../a.jpg")], "leads out of its folder"),
        ([task(image="/data/local-files/?d=../../etc/a.jpg")], "leads out of its folder"),
        ([task(image="/data/local-files/?d=/etc/a.jpg")], "leads out of its folder"),
        ([task(image="data:image/png;base64,AAAA")], "lies in the task itself"),
        ([task(annotations=5)], "annotations is not a list"),
        ([task(annotations=[{"result": 5}])], "result is not a list"),
        ([task(5)], r"\[0\].annotations\[0\].result\[0\]: not an object"),
        (broken({"type": 5}), "type is not a word"),
        (broken({"value": []}), "value is not an object"),
        (broken({"original_width": None}), "original_width/height holds something"),
        (broken({"original_width": 0}), "not a size"),
        (broken({"image_rotation": 90}), "turned by 90 degrees"),
        (broken({"score": "high"}), "score holds something"),
        (broken({"meta": 5}), "meta is not an object"),
        (value(x=None), "x/y holds something"),
        (value(x=True), "x/y holds something"),
        (value(x=math.nan), "not a place"),
        (value(x=1e300), "not a place"),
        (value(keypointlabels=[1]), "keypointlabels is not a list of words"),
        ([task(five()[0], five()[0])], "two regions have the id 0"),
        ([task(box("r") | {"value": {"x": 1, "y": 1, "width": -1, "height": 1}})], "negative size"),
    ],
)  # fmt: skip
def test_broken(put: Put, data: Any, problem: str) -> None:
    path = put("t.json", data if isinstance(data, (str, bytes)) else json.dumps(data))
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "label-studio"))
    assert caught.value.path == path


def test_a_bad_region_leaves_the_others(put: Put) -> None:
    rows = five(parentID="r")
    rows[1]["value"]["x"] = None
    failures: list[InputError] = []
    (image,) = load(put, task(box("r"), *rows), on_error=failures.append, scheme="mtfl5")
    assert image.faces[0].labelled.tolist() == [True, False, True, True, True]
    assert len(failures) == 1


def test_repeated_tasks_are_said(put: Put) -> None:
    notes: list[str] = []
    load(put, task(), task(), on_note=notes.append)
    assert [note.partition(": ")[2] for note in notes] == [
        "1 tasks repeat another's id", "1 photos are named more than once",
    ]  # fmt: skip


def face(count: int = 5, **given: Any) -> Face:
    return Face(np.arange(2.0 * count).reshape(-1, 2) + 0.125, **given)


HIDDEN = np.array([2, 1, 0, 2, 2], dtype=np.uint8)


def test_what_is_written(tmp_path: Path) -> None:
    auto = face(scheme="mtfl5", score=0.5, confidence=np.full(5, 0.25), source="auto")
    manual = face(scheme="mtfl5", visibility=HIDDEN, attributes={"a": 1})
    images = [AnnotatedImage("s/a b.jpg", (auto,), 200, 400),
              AnnotatedImage("b.jpg", (manual, auto), 200, 400, split="val"),
              AnnotatedImage("c.jpg")]  # fmt: skip
    report = write(images, tmp_path / "t.json", "label-studio")
    assert report.files == (tmp_path / "t.json", tmp_path / "t.label-config.xml")
    one, two, three = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert one["data"] == {"image": "/data/local-files/?d=s/a%20b.jpg"}
    (prediction,) = one["predictions"]
    assert (one["annotations"], prediction["score"]) == ([], 0.5)
    box_row, first, *_ = prediction["result"]
    assert first["parentID"] == box_row["id"]
    assert first["score"] == 0.25
    assert first["value"]["x"] == pytest.approx(0.0625)
    assert first["value"]["y"] == pytest.approx(0.28125)
    assert (two["predictions"], two["meta"]["split"]) == ([], "val")
    rows = two["annotations"][0]["result"]
    assert [row["origin"] for row in rows if row["type"] == "rectanglelabels"] == [
        "manual", "prediction",
    ]  # fmt: skip
    assert [row.get("meta") for row in rows[1:3]] == [None, {"text": ["occluded"]}]
    assert len({row["id"] for row in rows}) == len(rows)
    assert (three["annotations"], three["predictions"]) == ([], [])


def test_the_interface_has_all_labels_of_the_tasks(tmp_path: Path) -> None:
    made = (face(scheme="mtfl5"), face(7), Face(np.ones((3, 2)), scheme='mine & "yours"'))
    write([AnnotatedImage("a.jpg", made, 20, 20)], tmp_path / "t.json", "label-studio")
    (row,) = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    root = ElementTree.parse(tmp_path / "t.label-config.xml").getroot()
    controls = {tag.get("name"): tag for tag in root}
    assert controls["image"].get("value") == "$image"
    for one in row["annotations"][0]["result"]:
        control = controls[one["from_name"]]
        assert control.tag.lower() == one["type"]
        assert control.get("toName") == one["to_name"]
        known = [label.get("value") for label in control]
        assert set(one["value"][one["type"]]) <= set(known)
    indices = [label.get("model_index") for label in controls["point"]]
    assert indices == [str(i) for i in range(len(indices))]


def test_a_size_is_needed(tmp_path: Path, checkout: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.jpg: label-studio needs the photo's size"):
        write([AnnotatedImage("a.jpg", (face(),))], tmp_path / "t.json", "label-studio")
    assert not list(tmp_path.iterdir())
    there = AnnotatedImage("astronaut.jpg", (face(),), root=str(checkout / "examples/photos"))
    write([there], tmp_path / "t.json", "label-studio")
    (back,) = read(tmp_path / "t.json", root=there.root)
    np.testing.assert_allclose(back.faces[0].points_px, there.faces[0].points_px, atol=1e-9)


def test_losses() -> None:
    scored = face(visibility=HIDDEN, confidence=np.ones(5), attributes={"x": {1}})
    assert losses([AnnotatedImage("a.jpg", (scored,))], "label-studio") == [
        "the confidence of missing points: 1 face, first in a.jpg",
        "attributes of faces (x): 1 face, first in a.jpg",
    ]  # fmt: skip


def test_sniffing_says_why_not(put: Put, tmp_path: Path) -> None:
    put("t.json", '[{"image_id": 1}]')
    reason = sniff(tmp_path)["label-studio"].reason
    assert reason == "JSON without data and annotations or predictions or completions"
