"""Odd but legitimate files, as other projects' tools and hands leave them, made anew.

What each is like was seen in those projects' own examples or tests, or is what a format's
description allows; the numbers are ours.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, read

Put = Callable[[str, "str | bytes"], Path]

PTS = {
    "comments": "# drawn by hand\nversion: 1\n// twice\nn_points: 2\n{\n11.5 21\n12 22\n}\n",
    "brace behind the count": "version: 1\nn_points: 2 {\n11.5 21\n12 22\n}\n",
    "braces on the points' lines": "version: 1\nn_points: 2\n{ 11.5 21\n12 22 }\n",
    "no spaces": "version:1\nn_points:2\n{\n11.5 21\n12 22\n}",
    "another version": "version: 2.0\r\nn_points: 2\r\n{\r\n11.5\t21\r\n12\t22\r\n}\r\n\r\n",
    "commas": "version: 1\nn_points: 2\n{\n11.5, 21\n12,22\n}\n",
    "commas and no header": "11.5,21\n12,22\n",
}


@pytest.mark.parametrize("variant", PTS)
def test_pts(put: Put, variant: str) -> None:
    (image,) = read(put("a.pts", PTS[variant]))
    assert image.faces[0].points_px.tolist() == [[10.5, 20], [11, 21]]


@pytest.mark.parametrize("row", ["11,5 21,5", "11,5 21", "1,2,3"])
def test_pts_with_decimal_commas_are_no_points(put: Put, row: str) -> None:
    with pytest.raises(InputError, match=r"not a number|two numbers"):
        list(read(put("a.pts", f"version: 1\nn_points: 1\n{{\n{row}\n}}\n"), "pts"))


ROW = {"id": 1, "image_id": 7, "category_id": 1, "keypoints": [1.5, 2, 2, 3, 4, 1]}
COCO: dict[str, dict[str, Any]] = {
    "ids as text": {"image_id": "7", "category_id": "1"},
    "an empty box": {"bbox": []},
    "no box": {"bbox": None},
    "flags as floats": {"keypoints": [1.5, 2, 2.0, 3, 4, 1.0]},
}


def coco(row: dict[str, Any], **document: Any) -> str:
    category = {"id": 1, "name": "face", "keypoints": ["a", "b"]}
    image = {"id": 7, "file_name": "a.jpg", "width": 9, "height": 8}
    found = {"images": [image], "annotations": [row], "categories": [category]} | document
    return json.dumps({key: value for key, value in found.items() if value is not None})


def only(path: Path, **options: Any) -> AnnotatedImage:
    (image,) = read(path, **options)
    return image


@pytest.mark.parametrize("variant", COCO)
def test_coco(put: Put, variant: str) -> None:
    (face,) = only(put("a.json", coco(ROW | COCO[variant]))).faces
    assert face.points_px.tolist() == [[1.5, 2], [3, 4]]
    assert face.visibility is not None
    assert face.visibility.tolist() == [2, 1]
    assert face.box is None


def test_coco_with_one_id_as_text_and_as_number_keeps_them_apart(put: Put) -> None:
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": "7", "file_name": "b.jpg"}]
    records = list(read(put("a.json", coco(ROW | {"image_id": "7"}, images=images))))
    assert [len(record.faces) for record in records] == [0, 1]


def test_coco_without_categories(put: Put) -> None:
    path = put("a.json", coco(ROW, categories=None))
    assert choose_format(path) == "coco"
    assert only(path).faces[0].points_px.tolist() == [[1.5, 2], [3, 4]]


@pytest.mark.parametrize("keypoints", [[], None, [0, 0, 0, 0, 0, 0]])
def test_coco_face_of_which_no_point_is_labelled_keeps_its_box(
    put: Put, keypoints: list[int] | None
) -> None:
    row = ROW | {"keypoints": keypoints, "bbox": [1, 2, 3, 4]}
    (face,) = only(put("a.json", coco(row))).faces
    assert np.isnan(face.points_px).all()
    assert face.points_px.shape == (2, 2)
    assert face.box is not None
    assert face.box.tolist() == [1, 2, 3, 4]


def test_zip_of_cocos_tasks_is_read_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("annotations/instances_val.json", coco({"id": 1, "image_id": 7}))
        archive.writestr("annotations/person_keypoints_val.json", coco(ROW))
    assert len(only(tmp_path / "a.zip").faces) == 1


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><image id="0" name="a.jpg" width="9" height="8">
<skeleton label="face"><points label="2" points="3.00,4.00" occluded="1"/>
<points label="1" points="1.50,2.00"/></skeleton></image></annotations>
"""


def archive_with(path: Path, text: str, name: str = "annotations.xml") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, text)
        archive.writestr("images/a.jpg", b"no picture")
    return path


def test_cvats_zip(tmp_path: Path) -> None:
    path = archive_with(tmp_path / "task.zip", CVAT)
    assert choose_format(path) == "cvat"
    (face,) = only(path).faces
    assert face.points_px.tolist() == [[1.5, 2], [3, 4]]
    assert face.visibility is not None
    assert face.visibility.tolist() == [2, 1]


def test_photos_of_cvats_zip_lie_where_it_was_unpacked(tmp_path: Path) -> None:
    (tmp_path / "task" / "images").mkdir(parents=True)
    (tmp_path / "task" / "images" / "a.jpg").touch()
    image = only(archive_with(tmp_path / "task.zip", CVAT))
    assert image.root is not None
    assert Path(image.root, image.path).is_file()


BAD_ZIPS = [
    (CVAT[:-20], "annotations.xml, line 4: not valid XML: unclosed token"),
    ("<!DOCTYPE a>" + CVAT[CVAT.index("<annotations") :], r"document type \(DTD\)"),
]


@pytest.mark.parametrize(("text", "problem"), BAD_ZIPS)
def test_broken_xml_in_cvats_zip(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        list(read(archive_with(tmp_path / "task.zip", text)))


def test_cvats_zip_that_is_damaged(tmp_path: Path) -> None:
    path = archive_with(tmp_path / "task.zip", CVAT)
    path.write_bytes(path.read_bytes().replace(b"1.50", b"1.51"))
    with pytest.raises(InputError, match="not a whole zip archive: Bad CRC-32"):
        list(read(path))


def test_zip_of_something_else(tmp_path: Path) -> None:
    path = archive_with(tmp_path / "data.zip", "train: images", "data.yaml")
    with pytest.raises(InputError, match="nothing known was found") as caught:
        choose_format(path)
    assert "unpack" in str(caught.value.hint)
    with pytest.raises(InputError, match=r"a zip without annotations.xml"):
        list(read(path, "cvat"))


def region(identity: str, name: str, x: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": 50.0, "width": 0.5, "keypointlabels": [name]}
    return {"id": identity, "type": "keypointlabels", "value": value} | more


def label_studio(*results: dict[str, Any]) -> str:
    task = {"id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-a.png"}}
    return json.dumps([task | {"annotations": [{"result": list(results)}]}])


def test_label_studio_takes_the_size_of_the_photo(put: Put, tmp_path: Path) -> None:
    path = put("a.json", label_studio(region("1", "0", 25.0), region("2", "1", 50.0)))
    with pytest.raises(InputError, match="no original_width and original_height, and its photo"):
        list(read(path))
    Image.new("RGB", (32, 24)).save(tmp_path / "a.png")
    image = only(path)
    assert (image.width, image.height) == (32, 24)
    assert image.faces[0].points_px.tolist() == [[8, 12], [16, 12]]


def test_label_studio_parents_that_were_left_out(put: Put) -> None:
    size = {"original_width": 100, "original_height": 100}
    results = [
        region(f"{face}{name}", name, x, parentID=face, **size)
        for x, (face, name) in enumerate([("p", "0"), ("q", "0"), ("p", "1"), ("q", "1")])
    ]
    faces = only(put("a.json", label_studio(*results))).faces
    assert [face.points_px[:, 0].tolist() for face in faces] == [[0, 2], [1, 3]]


PARTS = "<part name='0' x='1' y='2'/><part name='1' x='3' y='4'/>"


def imglab(inside: str) -> str:
    box = f"<box top='1' left='2' width='3' height='4'>{inside}</box>"
    return f"<dataset><images><image file='a.jpg'>{box}</image></images></dataset>"


def test_folder_of_dlibs_examples(put: Put, tmp_path: Path) -> None:
    put("training.xml", imglab(""))
    put("training_with_face_landmarks.xml", imglab(PARTS))
    notes: list[str] = []
    (image,) = read(tmp_path, on_note=notes.append)
    assert image.faces[0].points_px.tolist() == [[1, 2], [3, 4]]
    assert notes == [f"{tmp_path}: 1 files without parts not read"]


def test_photo_in_two_files_of_dlib_is_said(put: Put, tmp_path: Path) -> None:
    put("a.xml", imglab(PARTS))
    put("b.xml", imglab(PARTS))
    notes: list[str] = []
    assert len(list(read(tmp_path, on_note=notes.append))) == 2
    assert notes == [f"{tmp_path / 'b.xml'}: 1 photos are named more than once"]


def test_retinafaces_validation_list_has_boxes_only(put: Put) -> None:
    first, second = read(put("label.txt", "# 0--Parade/a.jpg\n1 2 30 40\n5 6 7 8\n# b.jpg\n"))
    assert [face.box.tolist() for face in first.faces if face.box is not None] == [
        [1, 2, 30, 40],
        [5, 6, 7, 8],
    ]
    assert np.isnan(first.faces[0].points_px).all()
    assert second.faces == ()


def test_csv_of_pandas_with_its_index(put: Put) -> None:
    image = only(put("a.csv", ",image,x0,y0,x1,y1\n0,a.jpg,1,2,3,4\n"))
    assert image.path == "a.jpg"
    assert image.faces[0].points_px.tolist() == [[1, 2], [3, 4]]


def muct(tag: str, x: int, y: int) -> str:
    head = "name,tag," + ",".join(f"x{i:02d},y{i:02d}" for i in range(76))
    return f"{head}\ni000qa-fn,{tag}" + f",{x},{y}" * 76 + "\n"


def test_muct_tag_with_the_sign_of_hexadecimal(put: Put) -> None:
    assert only(put("muct76-opencv.csv", muct("0x0010", 1, 2))).faces[0].attributes == {"tag": 16}


def test_folder_of_muct_has_one_table_twice(put: Put, tmp_path: Path) -> None:
    put("muct76-opencv.csv", muct("0000", 200, 350))
    put("muct76.csv", muct("0000", -40, -30))
    notes: list[str] = []
    images = list(read(tmp_path, on_note=notes.append))
    assert {tuple(face.points_px[0]) for image in images for face in image.faces} == {(200, 350)}
    assert f"{tmp_path}: 1 photos stand in several of its lists" in notes


def test_wflw_line_with_a_number_too_few_is_said_to_be_one(put: Put) -> None:
    line = " ".join(["1.5"] * 195 + ["1 2 3 4 0 0 0 0 0 0 a--b/c.jpg"])
    with pytest.raises(InputError, match=r"as wflw: .* but 205 and one"):
        choose_format(put("list_98pt_test.txt", f"{line}\n"))


def test_data_yaml_that_names_a_part_that_is_not_there(put: Put, tmp_path: Path) -> None:
    put("data.yaml", "train: images/train\ntest: images/test\nnames: [face]\nkpt_shape: [1, 3]\n")
    put("labels/train/a.txt", "0 0.5 0.5 0.5 0.5 0.25 0.5 2\n")
    (tmp_path / "images/train").mkdir(parents=True)
    Image.new("RGB", (32, 24)).save(tmp_path / "images/train/a.png")
    notes: list[str] = []
    (image,) = read(tmp_path, on_note=notes.append)
    assert image.faces[0].points_px.tolist() == [[8, 12]]
    assert notes == [f"{tmp_path / 'data.yaml'}: test is left out, as there is no images/test"]


@pytest.mark.parametrize("start", ["", "./", "data/", "/of/another/machine/"])
def test_list_of_photos_that_begins_elsewhere(put: Put, tmp_path: Path, start: str) -> None:
    put("data.yaml", "train: train.txt\nnames: [a]\nkpt_shape: [1, 3]\n")
    put("train.txt", f"{start}images/train/a.png\n{start}images/train/gone.png\n")
    put("labels/train/a.txt", "0 0.5 0.5 0.5 0.5 0.25 0.5 2\n")
    (tmp_path / "images/train").mkdir(parents=True)
    Image.new("RGB", (32, 24)).save(tmp_path / "images/train/a.png")
    notes: list[str] = []
    first, second = read(tmp_path, on_note=notes.append)
    assert first.faces[0].points_px.tolist() == [[8, 12]]
    assert second.faces == ()
    assert any("1 photos are not there, and no labels of theirs either" in note for note in notes)


def supervisely_graph() -> str:
    face = {"classTitle": "face", "tags": [], "nodes": {"u": {"loc": [1.5, 2]}}}
    size = {"height": 8, "width": 9}
    return json.dumps({"description": "", "tags": [], "size": size, "objects": [face]})


def test_supervisely_kinds_are_the_classes(put: Put, tmp_path: Path) -> None:
    nodes = {"nodes": {"u": {"label": "0", "loc": [0, 0]}}}
    known = {"title": "face", "shape": "graph", "geometry_config": nodes}
    put("meta.json", json.dumps({"classes": [known], "tags": []}))
    put("ds/ann/a.jpg.json", supervisely_graph())
    assert only(tmp_path).faces[0].points_px.tolist() == [[1.5, 2]]


def test_supervisely_annotation_alone_is_said_to_lack_its_project(put: Put) -> None:
    with pytest.raises(InputError, match=r"as supervisely: no meta.json"):
        choose_format(put("a.jpg.json", supervisely_graph()))


def test_text_of_label_studio_is_no_photo(put: Put) -> None:
    task = {"data": {"text": "two words"}, "annotations": [{"result": []}]}
    with pytest.raises(InputError, match="its data names no photo"):
        list(read(put("a.json", json.dumps([task]))))


def test_labelme_labels_that_are_numbers(put: Put) -> None:
    shapes = [{"label": i, "points": [[i, 2]], "shape_type": "point"} for i in (1, 0)]
    document = {"shapes": shapes, "imagePath": "a.jpg", "imageHeight": 9, "imageWidth": 9}
    (face,) = only(put("a.json", json.dumps(document | {"version": "5.0", "flags": {}}))).faces
    assert face.points_px.tolist() == [[0, 2], [1, 2]]


def test_unnamed_points_are_not_said_to_lose_their_names(put: Put) -> None:
    point = {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {}}
    entry = {"filename": "a.jpg", "size": -1, "regions": [point], "file_attributes": {}}
    notes: list[str] = []
    list(read(put("via.json", json.dumps({"a.jpg-1": entry})), on_note=notes.append))
    assert notes == []
