"""Label Studio's exports, Ultralytics' and Roboflow's data sets, and files that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, read, sniff

Put = Callable[[str, "str | bytes"], Path]

SIZE = {"original_width": 320, "original_height": 240}


def value(index: int) -> dict[str, Any]:
    return {"x": 10.0 + index, "y": 25.0, "width": 0.5, "keypointlabels": [f"p{index}"]}


def task(key: str = "annotations") -> dict[str, Any]:
    results = [
        {
            **SIZE,
            "image_rotation": 0,
            "value": value(index),
            "id": f"id{index}",
            "from_name": "kp",
            "to_name": "image",
            "type": "keypointlabels",
            "origin": "manual",
        }
        for index in range(5)
    ]
    return {
        "id": 1,
        key: [{"id": 7, "completed_by": 1, "result": results, "was_cancelled": False}],
        "file_upload": "0a1b2c3d-a.jpg",
        "drafts": [],
        "predictions": [],
        "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"},
        "meta": {},
    }


def simple(**others: Any) -> dict[str, Any]:
    """The same task in JSON-MIN."""
    said = {"annotator": 1, "annotation_id": 7, "lead_time": 3.2, "created_at": "2024-01-01"}
    points = [value(index) | SIZE for index in range(5)]
    return {"image": "/data/upload/1/0a1b2c3d-a.jpg", "id": 1, "kp": points, **said, **others}


EXPORTS = {
    "json": [task()],
    "one task": task(),
    "before 1.0": [task("completions")],
    "json-min": [simple()],
}


@pytest.mark.parametrize("export", EXPORTS)
def test_label_studio(put: Put, export: str) -> None:
    source = put("export.json", json.dumps(EXPORTS[export]))
    assert choose_format(source) == "label-studio"
    (image,) = read(source)
    assert (image.path, image.width, image.height) == ("a.jpg", 320, 240)
    (face,) = image.faces
    wanted = [[32, 60], [35.2, 60], [38.4, 60], [41.6, 60], [44.8, 60]]
    assert face.points_px.round(9).tolist() == wanted


def test_json_min_cannot_tell_faces_apart(put: Put, refused: Callable[..., InputError]) -> None:
    rectangle = {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["face"], **SIZE}
    source = put("export.json", json.dumps([simple(box=[rectangle, rectangle])]))
    refused(source, "label-studio", "does not tell which points are in which rectangle")
    (image,) = read(put("one.json", json.dumps([simple(box=[rectangle])])))
    assert image.faces[0].box is not None
    assert image.faces[0].box.round(9).tolist() == [3.2, 2.4, 16, 12]


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(path)


def row(columns: int, *states: str) -> str:
    """A face of four points; columns: 2 or 3 a point."""
    points = [
        f"{0.25 + i / 8:.6f} 0.500000" + (f" {states[i]}" if columns == 3 else "") for i in range(4)
    ]
    return "0 0.5 0.5 0.25 0.5 " + " ".join(points) + "\n"


def test_ultralytics_data_set(tmp_path: Path, put: Put) -> None:
    """Named like its folder, ``path`` is that name, and ``test`` is there but empty."""
    source = put(
        "coco8-pose/coco8-pose.yaml",
        "# a comment\npath: coco8-pose # root\ntrain: images/train\nval: images/val\n"
        "test: # optional\nkpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nnames:\n  0: person\n"
        "kpt_names:\n  0:\n    - a\n    - b\n    - c\n    - d\n"
        "download: https://example.org/coco8-pose.zip\n",
    )
    for split in ("train", "val"):
        photo(source.parent / "images" / split / "1.jpg")
        text = row(3, "2.000000", "1.000000", "0.000000", "2")
        put(f"coco8-pose/labels/{split}/1.txt", text)
    images = list(read(source.parent))
    assert [image.split for image in images] == ["train", "val"]
    (face,) = images[1].faces
    assert face.visibility is not None
    assert face.visibility.tolist() == [2, 1, 0, 2]
    assert face.points_px[[0, 1, 3]].tolist() == [[16, 24], [24, 24], [40, 24]]
    assert face.box is not None
    assert face.box.tolist() == [24, 12, 16, 24]


def test_points_without_visibility(put: Put) -> None:
    source = put(
        "tiger/data.yaml",
        "path: tiger\ntrain: train/images\nval: val/images\nkpt_shape: [4, 2]\n"
        "flip_idx: [0, 1, 2, 3]\nnames:\n  0: tiger\n",
    )
    for split in ("train", "val"):
        photo(source.parent / split / "images" / "1.jpg")
        put(f"tiger/{split}/labels/1.txt", row(2) + row(2).replace("0 0.5", "0 0.6", 1))
    assert [len(image.faces) for image in read(source)] == [2, 2]


def test_roboflow_export(put: Put) -> None:
    """Its folders are said to lie one above data.yaml, where they do not; ``valid`` is ``val``."""
    source = put(
        "roboflow/data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\n"
        "kpt_shape: [4, 3]\nflip_idx: [1, 0, 2, 3]\n\nnc: 1\nnames: ['face']\n\n"
        "roboflow:\n  workspace: w\n  version: 1\n",
    )
    put("roboflow/README.roboflow.txt", "made\n")
    for split in ("train", "valid", "test"):
        photo(source.parent / split / "images" / "a_jpg.rf.0123.jpg")
        put(f"roboflow/{split}/labels/a_jpg.rf.0123.txt", row(3, "2", "2", "2", "2"))
    images = list(read(source.parent))
    assert [image.split for image in images] == ["train", "val", "test"]
    assert all(len(image.faces) == 1 for image in images)


VIA3 = {
    "project": {"pid": "__VIA_PROJECT_ID__", "pname": "made"},
    "file": {"1": {"fid": "1", "fname": "a.jpg", "type": 2}},
    "metadata": {"1_a": {"vid": "1", "z": [], "xy": [1, 10.5, 20.5], "av": {}}},
}
SPACE = {"version": 2, "labels": [], "landmarks": {"points": [[1.0, 2.0, 3.0]]}}
SCRFD = "# 0--Parade/a.jpg 1024 1385\n449 330 571 479" + " 488.9 373.6 1.0" * 5 + "\n"
REFUSED = {
    "via3.json": (json.dumps(VIA3), "via: a file of VIA 3, which is another format"),
    "empty.json": (json.dumps({"_via_img_metadata": {}}), "via: a project without photos"),
    "bunny.ljson": (json.dumps(SPACE), "ljson: not LJSON: .* point 0 is a point in space"),
    "cut.ljson": ('{"version": 3, "groups": {', "ljson: not valid JSON"),
    "cut.pts": ("version: 1\nn_points: 3\n{\n1 2\n", "pts: the file ends without a closing brace"),
    "short.pts": ("n_points: 3\n{\n1 2\n3 4\n}\n", "pts: n_points says 3, found 2 points"),
    "det.json": (
        json.dumps([{"bbox": [1.0, 2, 3, 4], "category_id": 1, "image_id": 7, "score": 0.9}]),
        "coco-results: results without keypoints",
    ),
    "labelv2.txt": (SCRFD, "retinaface: SCRFD's list"),
    "data.yaml": ("train: a\nval: b\nnames: [cat]\n", "yolo-pose: no kpt_shape: .* boxes or masks"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_named(put: Put, name: str) -> None:
    content, problem = REFUSED[name]
    source = put(name, content)
    with pytest.raises(InputError, match=f"cannot be read as {problem}"):
        choose_format(source)
    assert [kind for kind, verdict in sniff(source).items() if verdict.yes] == []


BROKEN = {
    "cut.json": ('{"images": [', "line 1: not valid JSON"),
    "cut.xml": ("<annotations>\n<image", "line 2: not valid XML"),
    "empty.csv": ("", "the file is empty"),
    "voc.xml": ("<annotation><object/></annotation>", "looks like none of the known formats"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_said_to_be(put: Put, name: str) -> None:
    content, problem = BROKEN[name]
    with pytest.raises(InputError, match=problem):
        choose_format(put(name, content))


def test_what_is_nothing_at_all(put: Put) -> None:
    """imgaug's own annotations of points, and MPII's as MMPose has them."""
    for content in ({"a": {"keypoints": []}}, [{"image": "a.jpg", "joints": [[1, 2]]}]):
        with pytest.raises(InputError, match="looks like none of the known formats"):
            choose_format(put("a.json", json.dumps(content)))
