"""What people have on their disks, as other programs wrote it, by way of the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tufa_cli.formats import read
from tufa_cli.schemes import get_scheme

FIVE = list(get_scheme("mtfl5").names)
OWN = ["left_eye", "right_eye", "nose", "lm", "rm"]
UNKEPT = "the names of the points (left_eye, right_eye, nose and 2 more) are of no known scheme"


@pytest.fixture
def run(run_convert):
    return run_convert


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: Any) -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def coco(names: list[str]) -> dict[str, Any]:
    face = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [1.5, 2, 2] * len(names)}
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
        "annotations": [face],
        "categories": [{"id": 1, "name": "face", "keypoints": names}],
    }


def shapes(names: list[str], group: int | None = None) -> list[dict[str, Any]]:
    return [
        {"label": name, "points": [[i, i + 0.5]], "group_id": group, "shape_type": "point"}
        for i, name in enumerate(names)
    ]


def labelme(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "5.4.1", "flags": {}, "shapes": rows, "imagePath": "a.jpg",
            "imageData": None, "imageHeight": 9, "imageWidth": 9}  # fmt: skip


def yolo(put: Any, more: str = "", names: str = "[face]") -> None:
    import numpy as np

    from tufa_cli.images.drawing import write_picture

    head = f"train: images/train\nval: images/val\nkpt_shape: [5, 3]\nnames: {names}\n"
    put("set/data.yaml", head + more)
    for split in ("train", "val"):
        put(f"set/labels/{split}/x.txt", "0 .5 .5 .5 .5 " + " ".join([".25 .5 2"] * 5))
        Path("set/images", split).mkdir(parents=True)
        write_picture(Path("set/images", split, "x.png"), np.zeros((20, 40, 3), np.uint8))


def test_names_of_no_scheme_are_said(run, put) -> None:
    put("coco.json", coco(OWN))
    put("lm/a.json", labelme(shapes(OWN)))
    put("wide.csv", "image," + ",".join(f"{n}_x,{n}_y" for n in OWN) + "\na.jpg" + ",1" * 10)
    for source in ("coco.json", "lm", "wide.csv"):
        done = run(source, "--to", "coco", "--dry-run")
        assert (done.code, done.err.count(UNKEPT)) == (0, 1), source
    order = ("--from-scheme", "mtfl5", "--from-setting", "names=" + ",".join(OWN))
    assert UNKEPT not in run("lm", "--to", "coco", "--dry-run", *order).err


def test_names_of_a_shipped_scheme_tell_it(run, put) -> None:
    put("coco.json", coco(FIVE))
    put("lm/a.json", labelme(shapes(FIVE)))
    for source in ("coco.json", "lm"):
        done = run(source, "--to", "coco", "-o", f"{Path(source).stem}_out.json")
        assert (done.code, "names of the points" in done.err) == (0, False)
        (image,) = read(Path(f"{Path(source).stem}_out.json"), "coco")
        assert image.faces[0].scheme == "mtfl5"


def test_yolo_names_and_flips_are_said(run, put) -> None:
    yolo(put, "flip_idx: [1, 0, 2, 4, 3]\nkpt_names:\n  0: [a, b, c, d, e]\n")
    done = run("set", "--to", "yolo-pose", "--dry-run")
    assert done.code == 0 and "kpt_names and flip_idx are not kept" in done.err
    assert "are not kept" not in run("set", "-t", "yolo-pose", "--dry-run", "--from-scheme",
                                     "mtfl5").err  # fmt: skip


def test_a_face_without_a_box_has_the_points_of_those_with_one(put) -> None:
    box = {"label": "face", "points": [[0, 0], [8, 8]], "group_id": 1, "shape_type": "rectangle"}
    less = [row for row in shapes(OWN, 2) if row["label"] != "nose"]
    put("lm/a.json", labelme([*shapes(OWN, 1), box, *less]))
    (image,) = read(Path("lm"), "labelme")
    assert [face.visibility.tolist() for face in image.faces] == [[2] * 5, [2, 2, 0, 2, 2]]
    assert image.faces[1].points_px[3].tolist() == [3, 3.5]


def test_two_photos_of_one_path_stay_two(run, put) -> None:
    yolo(put, names="[mtfl5]")
    done = run("set", "--to", "coco", "-o", "o.json")
    assert (done.code, Path("o.json").exists()) == (1, False)
    assert "x.png: a photo in " in done.err and "would have one path" in done.err
    parts = ("--split", "a=1,b=1", "--to", "coco", "-o", "o.json")
    assert "would have one path" in run("set", *parts).err
    assert run("set", "--to", "coco", "-o", "o.json", "--prefix-sources").code == 0
    found = json.loads(Path("o.json").read_text())["images"]
    assert [row["file_name"] for row in found] == ["train/x.png", "val/x.png"]
    assert run("set", "--to", "yolo-pose", "-o", "again").code == 0
    assert Path("again/labels/val/x.txt").is_file()


def test_photos_above_their_label_file(run, put) -> None:
    row = "<image file='{}'><box top='1' left='2' width='3' height='4'/></image>"
    photos = row.format("a/1.jpg") + row.format("../b/2.jpg")
    put("set/t.xml", f"<?xml version='1.0'?><dataset><images>{photos}</images></dataset>")
    done = run("set/t.xml", "--to", "coco", "-o", "o.json")
    assert done.code == 0 and "the photos lie in 2 folders" in done.err
    run("set/t.xml", "--to", "coco", "-o", "o.json", "--prefix-sources", "--overwrite")
    found = json.loads(Path("o.json").read_text())["images"]
    assert [row["file_name"] for row in found] == ["set/a/1.jpg", "b/2.jpg"]


@pytest.mark.parametrize("target", ["yolo-pose", "label-studio"])
def test_fractions_of_a_photo_that_is_turned_are_warned_of(run, put, target: str) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6  # a quarter turn: upright it is 30 x 40
    Image.new("RGB", (40, 30)).save("a.jpg", exif=exif)
    labels = coco(FIVE)
    for sides, warned in (((40, 30), True), ((30, 40), False)):
        labels["images"][0].update(width=sides[0], height=sides[1])
        put("coco.json", labels)
        done = run("coco.json", "--to", target, "-o", f"out{warned}")
        assert done.code == 0
        assert ("a.jpg: 40 x 30, not 30 x 40" in done.err) == warned


def test_minus_ones_in_a_file_of_few_points_are_no_merl_rav(run, put) -> None:
    put("p/a.pts", "version: 1\nn_points: 3\n{\n1 2\n-1 -1\n5 6\n}\n")
    done = run("p", "--to", "coco", "-o", "o.json")
    assert done.code == 1 and "both numbers are negative" in done.err
    assert run("p", "--to", "coco", "-o", "o.json", "--negatives", "keep").code == 0


@pytest.mark.parametrize("more", [(), ("--split", "a=50,b=50")])
def test_files_that_are_there_are_told_before_a_long_read(run, put, more) -> None:
    put("f.json", coco(FIVE))
    put("o.json", "mine")
    put("o.b.json", "mine")
    done = run("f.json", "--to", "coco", "-o", "o.json", *more)
    there = "o.b.json" if more else "o.json"
    assert (done.code, Path(there).read_text()) == (1, "mine")
    assert done.err == f"Error: {there}: exists already\nHint: use --overwrite to replace it\n"
    assert run("f.json", "--to", "coco", "-o", "o.json", "--dry-run").code == 0


def test_too_many_points_say_the_way_to_convert_them(run, put) -> None:
    put("f.json", coco(FIVE))
    done = run("f.json", "--to", "wflw", "-o", "o.txt")
    assert done.code == 1 and "Hint: --scheme wflw98 converts the labels, or write coco" in done.err
    put("f.json", coco(OWN))  # nobody knows which points these are
    assert "Hint: write coco or pts" in run("f.json", "--to", "wflw", "-o", "o.txt").err


def test_what_is_wrong_is_said_of_what_is_wrong(run, put) -> None:
    """Names of points, schemes, ids and photos that come twice."""
    put("a.json", labelme(shapes(OWN)))
    done = run("a.json", "--from-setting", "names=left_eye,nose", "--to", "coco", "-o", "o.json")
    assert done.code == 1 and "Hint: the setting names lists" in done.err
    both = coco(FIVE)
    four = {"category_id": 2, "keypoints": [1.5, 2, 2] * 4}
    both["annotations"].append({**both["annotations"][0], **four})
    both["categories"].append({"id": 2, "name": "cat_face", "keypoints": OWN[:4]})
    both["images"].append({"id": 2, "file_name": "a.jpg"})
    put("b.json", both)
    done = run("b.json", "--to", "coco", "-o", "o.json")
    assert "Note: b.json: 1 photos are named more than once" in done.err
    assert "Note: 2 ids of faces are numbered anew, as some are there twice" in done.err
    done = run("b.json", "--to", "coco", "-o", "p.json", "--scheme", "ibug68", "--scheme-partial")
    assert "a.jpg: the scheme of a face of 4 points is not told" in done.err
    done = run("a.json", "--to", "pts", "--to-setting", "a=b", "-o", "p")
    assert done.err == "Error: unknown setting of pts 'a'\nHint: pts has none\n"


def test_damage_and_far_photos_say_the_way_on(run, put) -> None:
    put("half.csv", "image,a_x,a_y,b_x,b_y\na.jpg,1,2,3,\n")
    done = run("half.csv", "--to", "coco", "-o", "o.json")
    assert "half.csv: cannot be read as csv: its first row: point 1 has only one" in done.err
    far = labelme(shapes(OWN)) | {"imagePath": "C:\\me\\a.jpg"}
    put("far/a.json", far)
    done = run("far", "--to", "coco", "-o", "o.json")
    assert done.code == 1 and "or --images for labelme" in done.err
    assert run("far", "--images", ".", "--to", "coco", "-o", "o.json").code == 0
