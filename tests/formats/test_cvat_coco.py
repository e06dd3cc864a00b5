"""CVAT's COCO Keypoints 1.0 and COCO's own layout: where the JSON and the photos lie."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, read, sniff

FACE = {
    "id": 1, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 1, 0, 0, 0],
    "num_keypoints": 2, "bbox": [1, 2, 2, 2], "area": 4, "iscrowd": 0,
    "attributes": {"occluded": False},
}  # fmt: skip
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "s/a.jpg", "width": 9, "height": 9}],
        "annotations": [FACE],
        "categories": [{"id": 1, "name": "face", "keypoints": ["a", "b", "c"], "skeleton": []}],
    }
)


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return path


@pytest.mark.parametrize(("subset", "split"), [("train", "train"), ("default", None)])
def test_zip_and_unpacked(put: Any, tmp_path: Path, subset: str, split: str | None) -> None:
    name = f"annotations/person_keypoints_{subset}.json"
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as file:
        file.writestr(name, COCO)
        file.writestr(f"images/{subset}/s/a.jpg", b"photo")
    assert choose_format(tmp_path / "task.zip") == "coco"
    (zipped,) = read(tmp_path / "task.zip")
    put(f"task/{name}", COCO)
    put(f"task/images/{subset}/s/a.jpg", b"photo")
    (unpacked,) = read(tmp_path / "task")
    for image in (zipped, unpacked):
        assert (image.path, image.split) == ("s/a.jpg", split)
        face = image.faces[0]
        assert face.visibility is not None and face.visibility.tolist() == [2, 1, 0]
        assert dict(face.attributes) == {"occluded": False}
    photos = tmp_path / "task/images" / subset
    assert unpacked.root == str(photos)
    assert [i.root for i in read(tmp_path / "task.zip")] == [str(photos)]  # where it was unpacked


def test_cocos_own_layout(put: Any, tmp_path: Path) -> None:
    put("annotations/person_keypoints_val2017.json", COCO)
    put("val2017/s/a.jpg", b"photo")
    (image,) = read(tmp_path)
    assert (image.root, image.split) == (str(tmp_path / "val2017"), None)


def test_a_zip_in_a_folder_is_not_read_twice(put: Any, tmp_path: Path) -> None:
    put("annotations/person_keypoints_train.json", COCO)
    archive(tmp_path / "task.zip", annotations__person_keypoints_train="x")
    assert len(list(read(tmp_path))) == 1


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"../evil.json": "x"}, "leads out of the archive"),
        ({"/etc/evil.json": "x"}, "leads out of the archive"),
        ({"annotations/../../x.json": COCO}, "leads out of the archive"),
        ({"annotations.xml": "<a/>"}, r"no annotations/\*\.json"),
        ({"annotations/a.json": COCO[:100]}, "not valid JSON"),
        ({"annotations/a.json": "{}"}, "no list 'images'"),
        ({"annotations/a.json": COCO.replace("[1, 2, 2,", "[1, NaN, 2,")}, "not a place"),
    ],
)
def test_broken_archives(
    refused: Any, tmp_path: Path, members: dict[str, str], problem: str
) -> None:
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    line = 1 if "JSON" in problem else None
    error = refused(path, "coco", problem, line)
    assert str(path) in str(error)
    if "JSON" not in problem and "place" not in problem:
        assert not sniff(path)["coco"].yes


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no zip at all"])
def test_what_is_no_archive(refused: Any, put: Any, content: bytes) -> None:
    path = put("task.zip", content)
    refused(path, "coco", "not a whole zip archive")
    assert not sniff(path)["coco"].yes


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tufa_cli.formats import _zip

    path = archive(tmp_path / "task.zip", **{"annotations__a.json": "[" + " " * 5_000_000})
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(_zip.read_member, "__defaults__", (1_000_000,))
    with pytest.raises(InputError, match="larger than 1,000,000 bytes") as caught:
        list(read(path, "coco"))
    assert caught.value.hint == "unpack it and give the folder"


def test_a_cut_archive(refused: Any, tmp_path: Path) -> None:
    path = archive(tmp_path / "task.zip", **{"annotations__a.json": COCO * 50})
    whole = path.read_bytes()
    at = len(whole) // 3
    path.write_bytes(whole[:at] + b"\0" * 40 + whole[at + 40 :])
    refused(path, "coco", "zip archive")
