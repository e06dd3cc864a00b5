"""Hugging Face's metadata.jsonl: a line a photo, one type a column, memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

FACE = {"keypoints": [[1.5, 2], [None, None], [3, 4]]}
ROW = {"file_name": "a/b.jpg", "faces": [FACE]}


def test_a_line(put: Any, tmp_path: Path) -> None:
    face = FACE | {
        "bbox": [1, 2, 3, 4], "visibility": [1, 0, 2], "scheme": "mine", "score": 0.5,
        "confidence": [0.1, 0.2, 0.3], "source": "auto", "attributes": '{"a": 1}', "b": 2,
    }  # fmt: skip
    row = {"file_name": "a\\b.jpg", "faces": [face], "width": 30, "split": "train", "label": 7}
    put("train/metadata.jsonl", "\ufeff" + json.dumps(row) + "\r\n\r\n")
    assert choose_format(tmp_path) == "hf-jsonl"
    (image,) = read(tmp_path)
    assert (image.path, image.root) == ("a/b.jpg", str(tmp_path / "train"))
    assert (image.width, image.height, image.split) == (30, None, "train")
    assert dict(image.attributes) == {"label": 7}
    (found,) = image.faces
    assert found.visibility is not None and found.visibility.tolist() == [1, 0, 2]
    assert found.box is not None and found.box.tolist() == [1, 2, 3, 4]
    assert (found.scheme, found.score, found.source) == ("mine", 0.5, "auto")
    assert dict(found.attributes) == {"a": 1, "b": 2}


def test_little_is_enough(put: Any) -> None:
    empty = json.dumps({"file_name": "c.jpg", "faces": []})
    first, second = read(put("metadata.jsonl", json.dumps(ROW) + "\n" + empty))
    (face,) = first.faces
    assert face.visibility is not None and face.visibility.tolist() == [2, 0, 2]
    assert (face.box, face.scheme, face.source) == (None, None, "manual")
    assert second.faces == ()


def test_columns_have_one_type(tmp_path: Path) -> None:
    """What pyarrow wants: floats never as integers, all keys in all rows, no free objects."""
    faces = (
        Face(np.array([[1.0, 2], [np.nan, 3]]), attributes={"a": 1}),
        Face(np.array([[1.0, 2]]), scheme="x", box=np.ones(4), attributes={"a": "b"}),
    )
    images = [AnnotatedImage("a.jpg", faces), AnnotatedImage("b.jpg", faces, attributes={"c": [1]})]
    report = write(images, tmp_path / "set", "hf-jsonl")
    assert report.files == (tmp_path / "set/metadata.jsonl",)
    lines = report.files[0].read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len({tuple(row) for row in rows}) == 1
    assert len({tuple(face) for row in rows for face in row["faces"]}) == 1
    for row in rows:
        for face in row["faces"]:
            assert all(isinstance(v, float) for p in face["keypoints"] for v in p if v is not None)
            assert face["attributes"] is None or isinstance(face["attributes"], str)
    assert rows[0]["faces"][0]["keypoints"][1] == [None, None]
    assert rows[1]["attributes"] == '{"c": [1]}'


def test_attributes_that_are_no_json_are_a_loss(tmp_path: Path) -> None:
    face = Face(np.ones((2, 2)), attributes={"x": float("nan"), "y": 1})
    images = [AnnotatedImage("a.jpg", (face,), attributes={"z": object()})]
    assert losses(images, "hf-jsonl") == [
        "the photo's attributes: 1 photo, first a.jpg",
        "attributes of faces (x): 1 face, first in a.jpg",
    ]  # fmt: skip
    write(images, tmp_path / "m.jsonl", "hf-jsonl")
    (image,) = read(tmp_path / "m.jsonl")
    assert dict(image.faces[0].attributes) == {"y": 1}


def changed(**face: Any) -> str:
    return json.dumps({"file_name": "c.jpg", "faces": [FACE | face]})


BROKEN = [
    ('{"file_name": "c.j', "not valid JSON"),
    ("[1]", "not an object"),
    ('{"faces": []}', "file_name is missing"),
    ('{"file_name": 7, "faces": []}', "file_name is missing"),
    ('{"file_name": "../c.jpg", "faces": []}', "leads out of its folder"),
    ('{"file_name": "c\\u0000.jpg", "faces": []}', "zero byte"),
    (json.dumps(ROW), "'a/b.jpg' is there twice"),
    ('{"file_name": "c.jpg", "faces": {}}', "faces is not a list"),
    ('{"file_name": "c.jpg", "faces": [1]}', "face 0: not an object"),
    ('{"file_name": "c.jpg", "faces": [], "width": "x"}', "width is not a size"),
    ('{"file_name": "c.jpg", "faces": [], "split": 3}', "split is not text"),
    (changed(keypoints=[]), r"keypoints is not a list of \[x, y\]"),
    (changed(keypoints=[1, 2]), r"keypoints is not a list of \[x, y\]"),
    (changed(keypoints=[[1, 2, 3]]), r"keypoints is not a list of \[x, y\]"),
    (changed(keypoints=[[1, "2"]]), "not a number"),
    (changed(keypoints=[[1, float("nan")]]), "not a place"),
    (changed(keypoints=[[1, 1e30]]), "not a place"),
    (changed(visibility=[2, 2]), "visibility is not a list of 3"),
    (changed(visibility=[2, 2, 2]), "not 0 for a point without a place"),
    (changed(visibility=[2, 0, 3]), "none of 0, 1 and 2"),
    (changed(bbox=[1, 2, 3]), "bbox is not a list of 4"),
    (changed(bbox=[1, 2, -3, 4]), "negative size"),
    (changed(confidence=[1]), "confidence is not a list of 3"),
    (changed(score="x"), "score holds"),
    (changed(source="cat"), "neither manual nor auto"),
    (changed(scheme=5), "scheme is not text"),
    (changed(attributes="{"), "not JSON in a string"),
    (changed(attributes="[1]"), "attributes is not an object"),
    (b'{"file_name": "M\xfcller.jpg", "faces": []}', "not UTF-8"),
    ("[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("row", "problem"), BROKEN)
def test_broken_lines(put: Any, row: str | bytes, problem: str) -> None:
    row = row if isinstance(row, bytes) else row.encode()
    last = b'{"file_name": "z.jpg", "faces": []}'
    path = put("metadata.jsonl", b"\n".join([json.dumps(ROW).encode(), b"", row, last]))
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "hf-jsonl"))
    assert (caught.value.path, caught.value.line) == (path, 3)
    if "UTF-8" not in problem:  # which ends the file
        failures: list[InputError] = []
        images = list(read(path, "hf-jsonl", on_error=failures.append))
        assert [image.path for image in images] == ["a/b.jpg", "z.jpg"]
        assert [error.line for error in failures] == [3]


def test_wrong_number_of_points(put: Any) -> None:
    with pytest.raises(InputError, match="face 0: 3 keypoints, mtfl5 has 5"):
        list(read(put("metadata.jsonl", json.dumps(ROW)), scheme="mtfl5"))


@pytest.mark.parametrize("content", ["", "\n \n", "x\n", '{"file_name": "a.jpg"}', "{\n", "[]\n"])
def test_other_lines_are_not_taken_for_it(put: Any, content: str) -> None:
    assert not sniff(put("metadata.jsonl", content))["hf-jsonl"].yes


def test_a_line_without_end(put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tufa_cli.formats import hf_jsonl

    monkeypatch.setattr(hf_jsonl, "MOST_LINE_BYTES", 100_000)
    path = put("metadata.jsonl", json.dumps(ROW) + "\n" + "x" * 5_000_000)
    with pytest.raises(InputError, match="line 2: a line of more than 100,000 bytes"):
        list(read(path, "hf-jsonl"))


def test_memory_does_not_grow_with_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tufa_cli.formats._text._CHUNK", 1 << 14)

    def photos(count: int) -> Iterator[AnnotatedImage]:
        points = np.arange(196.0).reshape(-1, 2)
        return (AnnotatedImage(f"{i}.jpg", (Face(points),)) for i in range(count))

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        tracemalloc.start()
        write(photos(count), path, "hf-jsonl")
        assert sum(1 for _ in read(path, "hf-jsonl")) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # what is loaded once
    few, many = peak(500), peak(1500)  # more than a piece of what is written at once
    assert many < few + 600_000  # 1,000 faces held would be 3 million
