"""VIA 1 and 2: CSV and JSON as VIA writes them and as people use its attributes; broken files."""

from __future__ import annotations

import csv
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
Refused = Callable[..., InputError]
NAMES = get_scheme("mtfl5").names
HEAD = (
    "filename,file_size,file_attributes,region_count,region_id,"
    "region_shape_attributes,region_attributes\n"
)


def region(x: float, y: float = 9, **said: Any) -> dict[str, Any]:
    shape = {"name": "point", "cx": x, "cy": y}
    return {"shape_attributes": shape, "region_attributes": said}


def rect(**said: Any) -> dict[str, Any]:
    shape = {"name": "rect", "x": 1, "y": 2, "width": 30, "height": 40}
    return {"shape_attributes": shape, "region_attributes": said}


def five(**said: Any) -> list[dict[str, Any]]:
    return [region(x, name=name, **said) for x, name in enumerate(NAMES)]


def photo(*regions: dict[str, Any], name: str = "a.jpg", **said: Any) -> dict[str, Any]:
    return {"filename": name, "size": 123, "regions": list(regions), "file_attributes": said}


def table(*photos: dict[str, Any]) -> str:
    """The same photos as a CSV of VIA 2."""

    def cell(value: Any) -> str:
        return '"' + json.dumps(value).replace('"', '""') + '"'

    rows = []
    for row in photos:
        regions = row["regions"] or [{"shape_attributes": {}, "region_attributes": {}}]
        for number, one in enumerate(regions):
            rows.append(
                f"{row['filename']},{row['size']},{cell(row['file_attributes'])},"
                f"{len(row['regions'])},{number},{cell(one['shape_attributes'])},"
                f"{cell(one['region_attributes'])}\n"
            )
    return HEAD + "".join(rows)


def files(put: Put, *photos: dict[str, Any]) -> list[Path]:
    """These photos as VIA 1 and 2 write them: JSON, project and CSV."""
    two = {f"{row['filename']}{row['size']}": row for row in photos}
    one = {
        key: row | {"regions": {str(i): r for i, r in enumerate(row["regions"])}}
        for key, row in two.items()
    }
    project = {"_via_settings": {}, "_via_img_metadata": two, "_via_attributes": {"region": {}}}
    return [
        put("v2.json", json.dumps(two)),
        put("v1.json", json.dumps(one)),
        put("project.json", json.dumps(project)),
        put("v2.csv", table(*photos)),
        put("v1.csv", "#" + table(*photos)),
    ]


def test_faces_by_attribute_in_every_kind_of_file(put: Put, tmp_path: Path) -> None:
    put("images/a.jpg", b"")
    rows = [*five(face="0"), rect(face="1", blur="1"), *five(face="1")[1:], region(7)]
    rows[1]["region_attributes"]["occluded"] = {"true": True}
    for path in files(put, photo(*rows[:-1], caption="x"), photo(name="b.jpg")):
        assert choose_format(path) == "via"
        first, second = read(path, scheme="mtfl5")
        assert (first.path, second.path, second.faces) == ("a.jpg", "b.jpg", ())
        assert first.root == str(tmp_path / "images")
        assert first.attributes == {"caption": "x"}
        one, two = first.faces
        assert one.points_px.tolist() == [[x, 9] for x in range(5)]
        assert one.visibility is not None and one.visibility.tolist() == [2, 1, 2, 2, 2]
        assert two.labelled.tolist() == [False, True, True, True, True]
        assert two.box is not None and two.box.tolist() == [1, 2, 30, 40]
        assert two.attributes == {"blur": 1}


def read_one(put: Put, *regions: dict[str, Any], **options: Any) -> AnnotatedImage:
    (image,) = read(put("v.json", json.dumps({"a.jpg123": photo(*regions)})), "via", **options)
    return image


def test_without_attributes_there_is_one_face_in_the_order_of_the_regions(put: Put) -> None:
    rows = {str(i): region(i) for i in range(12)}  # as text, 10 and 11 would come after 1
    shuffled = {key: rows[key] for key in sorted(rows)}
    data = {"a.jpg123": photo() | {"regions": shuffled}}
    (image,) = read(put("v.json", json.dumps(data)))
    assert image.faces[0].points_px[:, 0].tolist() == list(range(12))


def test_names_that_come_in_runs_are_faces(put: Put) -> None:
    rows = [region(x, name=f"face{f}") for f in (1, 2) for x in range(5)]
    rows.append(rect(name="face2"))
    faces = read_one(put, *rows, scheme="mtfl5").faces
    assert [face.points_px[:, 0].tolist() for face in faces] == [[0, 1, 2, 3, 4]] * 2
    assert [face.box is None for face in faces] == [True, False]


def test_names_that_repeat_need_a_face(put: Put) -> None:
    with pytest.raises(InputError, match="two points of one face are called") as caught:
        read_one(put, *five(), *five())
    assert "the setting face" in str(caught.value.hint)


def test_attributes_that_are_called_otherwise(put: Put) -> None:
    rows = [region(x, who=str(f), part=name) for f in (1, 2) for x, name in enumerate(NAMES)]
    settings = {"face": "who", "point": "part"}
    faces = read_one(put, *rows, scheme="mtfl5", settings=settings).faces
    assert [face.labelled.all() for face in faces] == [True, True]


def test_ticked_names_and_numbers(put: Put) -> None:
    rows = [region(x, name={NAMES[x]: True, "other": False}) for x in (2, 0)]
    face = read_one(put, *rows, scheme="mtfl5").faces[0]
    assert face.labelled.tolist() == [True, False, True, False, False]
    face = read_one(put, *[region(x, id=x + 1) for x in (4, 0)], scheme="mtfl5").faces[0]
    assert face.points_px[[0, 4], 0].tolist() == [0, 4]


def test_a_line_with_as_many_points_as_the_scheme(put: Put) -> None:
    line = {"name": "polyline", "all_points_x": [0, 1, 2, 3, 4], "all_points_y": [5] * 5}
    notes: list[str] = []
    rows = [{"shape_attributes": line, "region_attributes": {}}]
    rows.append({"shape_attributes": {"name": "circle", "cx": 1, "cy": 2, "r": 3}})
    face = read_one(put, *rows, scheme="mtfl5", on_note=notes.append).faces[0]
    assert face.points_px[4].tolist() == [4, 5]
    assert "1 regions of other kinds belong to no face" in notes[0]


def test_the_only_rectangle_belongs_to_the_only_face(put: Put) -> None:
    assert read_one(put, rect(), *five()).faces[0].box is not None
    notes: list[str] = []
    assert read_one(put, rect(), rect(), on_note=notes.append).faces == ()
    assert "2 rectangles belong to no face" in notes[0]


def test_rows_of_a_photo_in_any_place(put: Put) -> None:
    rows = table(photo(*five()), photo(*five(), name="b.jpg")).splitlines(keepends=True)
    mixed = [rows[0], *[row for pair in zip(rows[1:6], rows[6:], strict=True) for row in pair]]
    first, second = read(put("v.csv", "".join(mixed)))
    assert [len(image.faces[0].points_px) for image in (first, second)] == [5, 5]


def test_photos_of_one_name_are_told_apart_by_their_size(put: Put) -> None:
    notes: list[str] = []
    text = table(photo(*five()), photo(*five()) | {"size": 9})
    images = list(read(put("v.csv", text), on_note=notes.append))
    assert [len(image.faces) for image in images] == [1, 1]
    assert "1 photos are named more than once" in notes[0]


ROW = table(photo(region(1), region(2)))


@pytest.mark.parametrize("change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"),
                                    lambda t: t.rstrip("\n")])  # fmt: skip
def test_text_as_it_comes(put: Put, change: Callable[[str], str]) -> None:
    (image,) = read(put("v.csv", change(ROW)))
    assert len(image.faces[0].points_px) == 2


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "empty"),
        (ROW[:-30], 3, "not a line of comma-separated cells|not valid JSON"),
        (ROW.replace("region_shape_attributes", "shape"), 1, "no column region_shape_attributes"),
        (ROW.replace("filename", "name"), 1, "no column filename"),
        (ROW + "a.jpg,1\n", 4, "2 cells, the first line has 7"),
        (ROW.replace("2,1,", "2,0,"), 3, "two regions with the id 0"),
        (ROW.replace("a.jpg", "../a.jpg"), 2, "leads out of its folder"),
        (ROW.replace("a.jpg", "/etc/a.jpg"), 2, "leads out of its folder"),
        (ROW.replace("a.jpg", ""), 2, "missing"),
        (ROW.replace('""cx"": 2', '""cx"": null'), 3, "a point without cx"),
        (ROW.replace('""cx"": 2', '""cx"": NaN'), 3, "not a place"),
        (ROW.replace('""cx"": 2', '""cx"": 1e99'), 3, "not a place"),
        (ROW.replace('""cx"": 2', '""cx"": ""2""'), 3, "not a number"),
        (ROW.replace('""cx"": 2', '""cx"" 2'), 3, "region_shape_attributes is not valid JSON"),
        (ROW.replace('""cx"": 2', '""cx"": 1, ""cx"": 2'), 3, "the key 'cx' is there twice"),
        (ROW.replace('"{}"', '"[]"'), 2, "file_attributes is not an object"),
        (ROW.replace("a.jpg", "é.jpg").encode("latin-1"), 2, "not UTF-8"),
        (ROW + "x" * 2_000_000, None, "line 4: a line of more than"),
    ],
)  # fmt: skip
def test_broken_csv(
    put: Put, refused: Refused, text: str | bytes, line: int | None, problem: str
) -> None:
    path = put("v.csv", text)
    if line is None:
        with pytest.raises(InputError, match=problem):
            list(read(path, "via"))
        return
    assert refused(path, "via", problem, line).path == path


def changed(**change: Any) -> dict[str, Any]:
    return {"a.jpg123": photo(region(1), region(2)) | change}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("", "empty"),
        ('{"a": {', "not valid JSON"),
        ("[]", "no object"),
        ({"a": 5}, "'a': not an object"),
        (changed(filename=None), "'a.jpg123': .*missing"),
        (changed(filename="../a.jpg"), "leads out of its folder"),
        (changed(regions=5), "neither a list nor an object"),
        (changed(regions=[5]), r"regions\[0\] is not an object"),
        (changed(regions=[{"shape_attributes": []}]), "shape_attributes is not an object"),
        (changed(file_attributes=[]), "file_attributes is not an object"),
        (changed(regions=[region(math.nan)]), r"regions\[0\]: .*not a place"),
        (changed(regions=[region(1, score="high")]), "score holds something"),
        (changed(regions=[{"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": -1,
                                                "height": 2}}, region(1)]), "negative size"),
        ('{"a": {"filename": "a"}, "a": {"filename": "a"}}', "the key 'a' is there twice"),
    ],
)  # fmt: skip
def test_broken_json(put: Put, data: Any, problem: str) -> None:
    path = put("v.json", data if isinstance(data, str) else json.dumps(data))
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "via"))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("v.json", json.dumps({"project": {}, "config": {}, "attribute": {}, "file": {},
                               "metadata": {"x": {"vid": "1", "xy": [1, 2, 3], "av": {}}}})),
        ("v.csv", "# Exported using VGG Image Annotator (http://x)\n# CSV_HEADER = metadata_id\n"),
    ],
)  # fmt: skip
def test_via_3_is_refused_with_a_hint(put: Put, tmp_path: Path, name: str, text: str) -> None:
    path = put(name, text)
    assert sniff(tmp_path)["via"].reason == "a file of VIA 3, which is another format"
    with pytest.raises(InputError, match="VIA 3") as caught:
        list(read(path, "via"))
    assert "VIA 2" in str(caught.value.hint)


def face(count: int = 5, **given: Any) -> Face:
    return Face(np.arange(2.0 * count).reshape(-1, 2) + 0.125, **given)


HIDDEN = np.array([2, 1, 0, 2, 2], dtype=np.uint8)


def test_what_is_written(tmp_path: Path, put: Put) -> None:
    put("photos/s/b c.jpg", b"12345")
    given = face(scheme="mtfl5", visibility=HIDDEN, score=0.5, attributes={"a": "7"})
    images = [AnnotatedImage("s/b c.jpg", (given,), root=str(tmp_path / "photos")),
              AnnotatedImage("e.jpg", split="val")]  # fmt: skip
    report = write(images, tmp_path / "o.json", "via")
    assert report.remarks == ("1 faces without a box got that of their points, marked so",)
    data = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert list(data) == ["s/b c.jpg5", "e.jpg-1"]
    box, *points = data["s/b c.jpg5"]["regions"]
    assert box["region_attributes"] == {
        "face": "0", "label": "mtfl5", "score": "0.5", "box_source": "points", "a": '"7"',
    }  # fmt: skip
    assert points[1] == {
        "shape_attributes": {"name": "point", "cx": 2.125, "cy": 3.125},
        "region_attributes": {"face": "0", "name": NAMES[1], "visibility": "occluded"},
    }
    write(images, tmp_path / "o.csv", "via")
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["filename"] for row in rows] == ["s/b c.jpg"] * 5 + ["e.jpg"]
    assert [row["region_id"] for row in rows] == ["0", "1", "2", "3", "4", "0"]
    assert {row["region_count"] for row in rows[:5]} == {"5"}
    as_json = [json.loads(row["region_shape_attributes"]) for row in rows]
    assert as_json[:5] == [one["shape_attributes"] for one in data["s/b c.jpg5"]["regions"]]
    assert (as_json[5], rows[5]["region_count"]) == ({}, "0")


@pytest.mark.parametrize("name", ["o.json", "o.csv"])
def test_a_photo_has_one_entry(tmp_path: Path, name: str) -> None:
    twice = [AnnotatedImage("a.jpg", (face(),))] * 2
    with pytest.raises(OutputError, match=r"a\.jpg is there twice"):
        write(twice, tmp_path / name, "via")
    for path in ("../a.jpg", "a\nb.jpg"):
        with pytest.raises(OutputError, match=r"leads out|does not fit"):
            write([AnnotatedImage(path)], tmp_path / name, "via")
    assert not list(tmp_path.iterdir())


def test_losses() -> None:
    odd = AnnotatedImage("a.jpg", (face(attributes={"face": 1, "name": 2, "x": {1}}),),
                         attributes={"split": 1})  # fmt: skip
    assert losses([odd], "via") == [
        "the photo's attributes: 1 photo, first a.jpg",
        "attributes of faces (face, name, x): 1 face, first in a.jpg",
    ]  # fmt: skip
    scored = face(visibility=HIDDEN, confidence=np.ones(5))
    assert "the confidence of missing points" in losses([AnnotatedImage("a", (scored,))], "via")[0]
