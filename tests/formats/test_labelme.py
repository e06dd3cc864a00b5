"""labelme's JSON: as labelme and X-AnyLabeling write it, what labelme takes back, broken files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write
from tufa_cli.schemes import get_scheme

Put = Callable[[str, str | bytes], Path]
NAMES = get_scheme("mtfl5").names


def shape(label: str, *points: list[float], kind: str = "point", **more: Any) -> dict[str, Any]:
    row = {"label": label, "points": list(points), "group_id": None, "shape_type": kind}
    return row | {"flags": {}} | more


def points(names: Any = NAMES, **more: Any) -> list[dict[str, Any]]:
    return [shape(str(name), [i + 0.5, 9], **more) for i, name in enumerate(names)]


def labels(*shapes: Any, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"version": "5.5.0", "flags": {}, "shapes": list(shapes)}
    row |= {"imagePath": "a.jpg", "imageData": None, "imageHeight": 48, "imageWidth": 64}
    return row | more


def load(put: Put, data: Any, name: str = "a.json", **options: Any) -> AnnotatedImage:
    (image,) = read(put(name, json.dumps(data)), "labelme", **options)
    return image


def test_groups_are_faces(put: Put, tmp_path: Path) -> None:
    box = shape("person", [11, 2], [1, 22.5], kind="rectangle", group_id=7, flags={"blurred": True})
    box |= {"attributes": {"age": 3}, "description": "in the back"}  # X-AnyLabeling has these
    rows = [*points(group_id=3), box, *points(NAMES[:2], group_id=7)]
    rows[1]["flags"] = {"occluded": True}
    notes: list[str] = []
    image = load(put, labels(*rows, flags={"ok": True}), scheme="mtfl5", on_note=notes.append)
    assert choose_format(tmp_path) == "labelme"
    assert (image.path, image.width, image.height, image.root) == ("a.jpg", 64, 48, str(tmp_path))
    assert image.attributes == {"ok": True}
    first, second = image.faces
    assert first.points_px.tolist() == [[i + 0.5, 9] for i in range(5)]
    assert first.visibility is not None and first.visibility.tolist() == [2, 1, 2, 2, 2]
    assert second.labelled.tolist() == [True, True, False, False, False]
    assert second.box is not None and second.box.tolist() == [1, 2, 10, 20.5]
    assert second.attributes == {"blurred": True, "age": 3, "description": "in the back"}
    assert not notes


def test_without_groups_there_is_one_face(put: Put) -> None:
    rows = [*points(), shape("face", [1, 2], [3, 4], kind="rectangle")]
    rows[0]["label"] = f"{NAMES[0]}-occluded"
    face = load(put, labels(*rows), scheme="mtfl5").faces[0]
    assert face.visibility is not None and face.visibility.tolist() == [1, 2, 2, 2, 2]
    assert face.box is not None and face.box.tolist() == [1, 2, 2, 2]


def test_points_that_have_no_names_are_in_their_order(put: Put) -> None:
    face = load(put, labels(*points(["landmark"] * 5)), scheme="mtfl5").faces[0]
    assert face.points_px[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


@pytest.mark.parametrize("kind", ["linestrip", "polygon"])
def test_a_line_with_as_many_points_as_the_scheme(put: Put, kind: str) -> None:
    line = shape("face", *[[i, 2 * i] for i in range(5)], kind=kind)
    short = shape("hair", [1, 1], [2, 2], [3, 3], kind=kind)
    notes: list[str] = []
    image = load(put, labels(short, line), scheme="mtfl5", on_note=notes.append)
    assert [face.points_px[4].tolist() for face in image.faces] == [[4, 8]]
    assert "1 shapes of other kinds belong to no face" in notes[0]
    assert load(put, labels(short | {"label": "mtfl5"})).faces == ()


def test_names_of_other_files_tell_the_order(put: Put, tmp_path: Path) -> None:
    put("x/a.json", json.dumps(labels(*points(["nose", "chin"]))))
    put("x/b.json", json.dumps(labels(*points(["brow", "chin"]), imagePath="b.jpg")))
    put("x/c.json", json.dumps(labels(*points(["1", "3"]), imagePath="c.jpg")))
    first, second = list(read(tmp_path / "x", "labelme", on_error=lambda error: None))[:2]
    assert [len(image.faces[0].points_px) for image in (first, second)] == [5, 5]
    (tmp_path / "x/c.json").unlink()
    first, second = read(tmp_path / "x", "labelme")
    assert first.faces[0].points_px[:, 0].tolist()[:2] == [0.5, 1.5]
    assert second.faces[0].labelled.tolist() == [False, True, True]


def test_numbers_count_from_1_when_no_file_has_a_0(put: Put, tmp_path: Path) -> None:
    put("a.json", json.dumps(labels(*points(["2", "3"]))))
    put("b.json", json.dumps(labels(*points(["1", "5"]), imagePath="b.jpg")))
    first, second = read(tmp_path, scheme="mtfl5")
    assert first.faces[0].labelled.tolist() == [False, True, True, False, False]
    assert second.faces[0].labelled.tolist() == [True, False, False, False, True]


def test_rectangles_alone_are_no_faces(put: Put) -> None:
    notes: list[str] = []
    dog = shape("dog", [1, 2], [3, 4], kind="rectangle")
    assert load(put, labels(dog, dog), on_note=notes.append).faces == ()
    assert "2 rectangles belong to no face" in notes[0]


@pytest.mark.parametrize(
    ("name", "path", "root", "photo"),
    [
        ("a.json", "a.jpg", ".", "a.jpg"),
        ("sub/a.json", "a.jpg", ".", "sub/a.jpg"),
        ("labels/a.json", "../images/a.jpg", ".", "images/a.jpg"),
        ("a.json", "../images/a.jpg", "..", "images/a.jpg"),
        ("a.json", r"..\images\a.jpg", "..", "images/a.jpg"),
        ("a.json", r"sub\a.jpg", ".", "sub/a.jpg"),
    ],
)
def test_the_photo_is_where_the_label_says(
    put: Put, tmp_path: Path, name: str, path: str, root: str, photo: str
) -> None:
    put(f"in/{name}", json.dumps(labels(*points(), imagePath=path)))
    (image,) = read(tmp_path / "in")
    assert image.path == photo
    assert Path(str(image.root)).resolve() == (tmp_path / "in" / root).resolve()


def test_photos_in_another_folder(put: Put, tmp_path: Path) -> None:
    put("in/sub/a.json", json.dumps(labels(imagePath="../../elsewhere/a.jpg")))
    put("photos/sub/a.jpg", b"")
    (image,) = read(tmp_path / "in", root=tmp_path / "photos")
    assert (image.path, image.root) == ("sub/a.jpg", str(tmp_path / "photos"))


def test_other_files_of_the_folder_are_said(put: Put, tmp_path: Path) -> None:
    put("a.json", json.dumps(labels(*points())))
    put("config.json", '{"a": 1}\n')
    notes: list[str] = []
    assert len(list(read(tmp_path, on_note=notes.append))) == 1
    assert "1 other .json files are not labelme's" in notes[0]


def broken(change: dict[str, Any], number: int = 0) -> dict[str, Any]:
    rows = points()
    rows[number] |= change
    return labels(*rows)


GOOD = json.dumps(labels(*points()), indent=1)


@pytest.mark.parametrize(
    ("data", "line", "problem"),
    [
        (b"", 1, "empty"),
        (GOOD[: len(GOOD) // 2], None, "not valid JSON"),
        (GOOD[:200], 17, "not valid JSON"),
        (GOOD.replace("a.jpg", "é.jpg").encode("latin-1"), 66, "not UTF-8"),
        ("[]", None, "no object"),
        ("{}", None, "no list 'shapes'"),
        ("[" * 100_000, None, "nested too deeply"),
        (GOOD.replace('"shapes": [', '"shapes": [' + "9" * 5000 + ","), None, "not valid JSON"),
        (GOOD.replace('"flags": {},', '"flags": {}, "flags": {},', 1), None, "flags' is there"),
        (labels(imagePath=None), None, "imagePath is missing"),
        (labels(imagePath=""), None, "imagePath is missing"),
        (labels(imagePath=7), None, "imagePath is not a path"),
        (labels(imageWidth="wide"), None, "imageWidth is not a size"),
        (labels(flags=[]), None, "flags is not an object"),
        (labels(5), None, r"shapes\[0\]: not an object"),
        (broken({"label": None}, 2), None, r"shapes\[2\]: label is missing"),
        (broken({"points": None}), None, "points is not a list"),
        (broken({"points": []}), None, "points is not a list"),
        (broken({"points": [[1, 2], [3, 4]]}), None, "a point with 2 places"),
        (broken({"points": [[1]]}), None, "a point is not a list of 2 numbers"),
        (broken({"points": [[1, None]]}), None, "not a number"),
        (broken({"points": [[1, True]]}), None, "not a number"),
        (broken({"points": [[1, math.nan]]}), None, "not a place"),
        (broken({"points": [[1, math.inf]]}), None, "not a place"),
        (broken({"points": [[1e300, 1]]}), None, "not a place"),
        (broken({"group_id": True}), None, "group_id is not a whole number"),
        (broken({"group_id": "1"}), None, "group_id is not a whole number"),
        (broken({"flags": [1]}), None, "flags is not an object"),
        (broken({"score": "high"}), None, "score holds something"),
        (broken({"label": NAMES[1]}), None, f"two points of one face are called '{NAMES[1]}'"),
        (broken({"shape_type": "rectangle"}), None, "a rectangle with 1 corners"),
    ],
)  # fmt: skip
def test_broken(put: Put, data: Any, line: int | None, problem: str) -> None:
    path = put("a.json", data if isinstance(data, (str, bytes)) else json.dumps(data))
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "labelme"))
    assert caught.value.path == path
    if line is not None:
        assert caught.value.line == line


def test_two_faces_without_groups_get_a_hint(put: Put) -> None:
    with pytest.raises(InputError) as caught:
        load(put, labels(*points(), *points()))
    assert "share a group_id" in str(caught.value.hint)


def test_a_damaged_file_is_not_passed_over(put: Put, tmp_path: Path) -> None:
    put("a.json", GOOD)
    put("b.json", GOOD[:60])
    put("c.json", "")
    (tmp_path / "loop.json").symlink_to("loop.json")
    failures: list[InputError] = []
    assert len(list(read(tmp_path, "labelme", on_error=failures.append))) == 1
    assert [Path(str(error.path)).name for error in failures] == ["b.json", "c.json"]


@pytest.mark.parametrize("change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n")])
def test_text_as_it_comes(put: Put, change: Callable[[str], str]) -> None:
    (image,) = read(put("a.json", change(GOOD)))
    assert len(image.faces) == 1


def face(count: int = 5, **given: Any) -> Face:
    return Face(np.arange(2.0 * count).reshape(-1, 2) + 0.125, **given)


HIDDEN = np.array([2, 1, 0, 2, 2], dtype=np.uint8)


def test_what_is_written(tmp_path: Path) -> None:
    given = face(scheme="mtfl5", visibility=HIDDEN, score=0.5, attributes={"a": [1]}, source="auto")
    images = [AnnotatedImage("s/b.jpg", (face(2), given), 64, 48, attributes={"k": True, "n": 1})]
    report = write(images, tmp_path / "out", "labelme")
    assert report.files == (tmp_path / "out/s/b.json",)
    data = json.loads(report.files[0].read_text(encoding="utf-8"))
    assert data["imagePath"] == "b.jpg" and data["imageData"] is None
    assert (data["imageWidth"], data["imageHeight"]) == (64, 48)
    assert (data["flags"], data["attributes"]) == ({"k": True}, {"n": 1})
    box, *rest = [row for row in data["shapes"] if row["group_id"] == 1]
    assert (box["label"], box["shape_type"], box["box_source"]) == ("mtfl5", "rectangle", "points")
    assert (box["score"], box["source"], box["attributes"]) == (0.5, "auto", {"a": [1]})
    assert [row["label"] for row in rest] == [NAMES[i] for i in (0, 1, 3, 4)]
    assert [row["flags"] for row in rest] == [{}, {"occluded": True}, {}, {}]


def test_by_labelmes_own_rules(tmp_path: Path) -> None:
    """What the reader of labelme 6 insists on."""
    faces = (face(scheme="mtfl5", visibility=HIDDEN), Face(np.full((3, 2), np.nan)))
    write([AnnotatedImage("b.jpg", faces, 64, 48)], tmp_path / "b.json", "labelme")
    data = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert {"version", "flags", "shapes", "imagePath", "imageData"} <= set(data)
    for row in data["shapes"]:
        assert row["shape_type"] in ("point", "rectangle") and isinstance(row["label"], str)
        assert type(row["group_id"]) is int
        assert len(row["points"]) == (1 if row["shape_type"] == "point" else 2)
        assert all(math.isfinite(number) for place in row["points"] for number in place)
        assert all(isinstance(value, bool) for value in row["flags"].values())


def test_the_size_is_that_of_the_upright_photo(tmp_path: Path, checkout: Path) -> None:
    photos = checkout / "examples/photos"
    report = write([AnnotatedImage("astronaut.jpg", root=str(photos))], tmp_path / "o", "labelme")
    data = json.loads(report.files[0].read_text(encoding="utf-8"))
    assert data["imageWidth"] and data["imageHeight"]


def test_files_that_are_in_the_way(tmp_path: Path) -> None:
    twins = [AnnotatedImage("a.jpg", (face(),)), AnnotatedImage("a.png", (face(),))]
    with pytest.raises(OutputError, match=r"both a\.jpg and a\.png would go here"):
        write(twins, tmp_path / "out", "labelme")
    with pytest.raises(OutputError, match="several photos do not fit"):
        write(twins, tmp_path / "out.json", "labelme")
    with pytest.raises(OutputError, match="leaves its folder"):
        write([AnnotatedImage("../a.jpg", (face(),))], tmp_path / "out", "labelme")
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.json").write_text("mine")
    images = [AnnotatedImage("a.jpg", (face(),)), AnnotatedImage("b.jpg", (face(),))]
    with pytest.raises(OutputError, match=r"b\.json: exists already"):
        write(images, tmp_path / "out", "labelme")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_losses() -> None:
    scored = face(visibility=HIDDEN, confidence=np.ones(5))
    assert losses([AnnotatedImage("a.jpg", (scored,))], "labelme") == [
        "the confidence of missing points: 1 face, first in a.jpg"
    ]
    odd = AnnotatedImage("a.jpg", (face(attributes={"x": {1}}),), attributes={"y": math.nan})
    assert losses([odd], "labelme") == [
        "the photo's attributes: 1 photo, first a.jpg",
        "attributes of faces (x): 1 face, first in a.jpg",
    ]  # fmt: skip


def test_sniffing_says_why_not(put: Put, tmp_path: Path) -> None:
    put("a.json", '{"shapes": []}')
    assert sniff(tmp_path)["labelme"].reason == "JSON without imagePath"
    put("a.json", "[1]")
    assert sniff(tmp_path)["labelme"].reason == "not a JSON object"
