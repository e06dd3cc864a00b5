"""COCO results: names from the rows, from the ids or from the COCO file beside; scores, flags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

POINTS = [1.5, 2, 0.9, 0, 0, 0, 5, 6, 0.25]
ROW = {"image_id": 7, "category_id": 3, "keypoints": POINTS, "score": 0.75}
BESIDE = {
    "images": [{"id": 7, "file_name": "a/b.jpg", "width": 30, "height": 20}],
    "annotations": [],
    "categories": [{"id": 3, "name": "mine", "scheme": "mine", "keypoints": ["a", "b", "c"]}],
}


def load(put: Any, rows: Any, **options: Any) -> list[AnnotatedImage]:
    text = rows if isinstance(rows, str) else json.dumps(rows)
    return list(read(put("results.json", text), "coco-results", **options))


def test_names_from_the_coco_file_beside(put: Any) -> None:
    put("coco.json", json.dumps(BESIDE))
    put("other.json", '{"images": [], "annotations": [], "categories": []}')
    put("no.json", "[]")
    (image,) = load(put, [ROW, ROW])
    assert (image.path, image.width, image.height) == ("a/b.jpg", 30, 20)
    face = image.faces[1]
    assert (face.scheme, face.score, face.source, face.box) == ("mine", 0.75, "auto", None)
    assert face.visibility is not None and face.visibility.tolist() == [2, 0, 2]
    assert face.confidence is not None and face.confidence.tolist() == [0.9, 0, 0.25]
    np.testing.assert_array_equal(face.points_px[[0, 2]], [[1.5, 2], [5, 6]])


def test_names_from_the_ids_or_the_rows(put: Any) -> None:
    """AlphaPose writes the photo's name as the id; tufa-cli writes it beside."""
    first, second = load(
        put,
        [ROW | {"image_id": "a.jpg", "box": [1, 2]}, ROW | {"file_name": "C:\\x\\b.jpg"}],
    )
    assert (first.path, second.path) == ("a.jpg", "b.jpg")
    assert dict(first.faces[0].attributes) == {"box": [1, 2]}


@pytest.mark.parametrize("files", [[], ["one.json", "two.json"]])
def test_ids_without_names_are_refused(put: Any, files: list[str]) -> None:
    for file in files:
        put(file, json.dumps(BESIDE))
    problem = "one.json and two.json have all of them" if files else "the photos' ids only"
    with pytest.raises(InputError, match=problem) as caught:
        load(put, [ROW])
    assert "beside it" in str(caught.value.hint)


def test_flags_where_scores_are_expected(put: Any) -> None:
    notes: list[str] = []
    row = ROW | {"file_name": "a.jpg", "keypoints": [1, 2, 2, 3, 4, 1, 5, 6, 0]}
    (image,) = load(put, [row], on_note=notes.append)
    (face,) = image.faces
    assert face.confidence is None
    assert face.visibility is not None and face.visibility.tolist() == [2, 2, 0]
    assert "1 results have flags" in notes[0]


def test_what_a_row_must_have_is_made_and_marked(tmp_path: Path) -> None:
    face = Face(np.array([[1.0, 2], [3, 4]]), scheme="mine", confidence=np.array([0.5, 1]))
    bare = Face(np.array([[1.0, 2], [np.nan, 4]]))
    images = [AnnotatedImage("x.jpg"), AnnotatedImage("a.jpg", (face, bare))]
    report = write(images, tmp_path / "r.json", "coco-results")
    assert report.remarks == (
        "1 faces without confidences got 1 for each point",
        "2 faces without a score got the mean confidence of their points",
    )
    assert "the entry without a face: 1 photo, first x.jpg" in report.lost
    first, second = json.loads((tmp_path / "r.json").read_text())
    assert first["image_id"] == 2  # as coco counts when it writes the same records
    assert (first["score"], first["bbox"], first["assumed"]) == (
        0.75, [1, 2, 2, 2], ["score", "bbox"],
    )  # fmt: skip
    assert second["keypoints"] == [1, 2, 1, 0, 0, 0]
    assert second["assumed"] == ["confidence", "score", "bbox"]
    write(images, tmp_path / "c.json", "coco")
    coco = json.loads((tmp_path / "c.json").read_text())
    assert [row["image_id"] for row in coco["annotations"]] == [2, 2]
    assert [row["category_id"] for row in coco["annotations"]] == [1, 2]
    assert [row["category_id"] for row in (first, second)] == [1, 2]


def test_a_point_that_would_read_as_missing(tmp_path: Path) -> None:
    face = Face(np.zeros((2, 2)), confidence=np.array([0.0, 0.5]), score=1, source="auto")
    images = [AnnotatedImage("a.jpg", (face,))]
    assert losses(images, "coco-results") == ["where points lie: 1 face, first in a.jpg"]
    with pytest.raises(OutputError, match="no way to write point 0 where it is"):
        write(images, tmp_path / "r.json", "coco-results")
    assert losses(images, "coco-results", missing="sentinel") == []


def test_scheme_is_checked(put: Any) -> None:
    row = ROW | {"file_name": "a.jpg"}
    with pytest.raises(InputError, match="no face has the 5 points of mtfl5"):
        load(put, [row], scheme="mtfl5")
    five = row | {"keypoints": [1, 2, 0.5] * 5}
    (image,) = load(put, [row, five], scheme="mtfl5")
    assert [face.scheme for face in image.faces] == ["mtfl5"]


NAMED = ROW | {"file_name": "a.jpg"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (5, "not an object"),
        (NAMED | {"keypoints": [1, 2]}, "not a list of x, y, score"),
        (NAMED | {"keypoints": []}, "not a list of x, y, score"),
        (NAMED | {"keypoints": None}, "not a list of x, y, score"),
        (NAMED | {"keypoints": [1, "2", 3]}, "not a number"),
        (NAMED | {"keypoints": [1, float("nan"), 3]}, "not a place"),
        (NAMED | {"keypoints": [1, 1e30, 3]}, "not a place"),
        (NAMED | {"bbox": [1, 2, -3, 4]}, "negative size"),
        (NAMED | {"score": "high"}, "score holds something"),
        (NAMED | {"file_name": "../a.jpg"}, "leads out of its folder"),
        (NAMED | {"file_name": " "}, "file_name is missing"),
        ({"keypoints": POINTS}, "image_id is missing"),
    ],
)
def test_broken_rows(put: Any, row: Any, problem: str) -> None:
    with pytest.raises(InputError, match=f"results.json: result 1: .*{problem}"):
        load(put, [NAMED, row])
    failures: list[InputError] = []
    (image,) = load(put, [NAMED, row, NAMED], on_error=failures.append)
    assert (len(image.faces), len(failures)) == (2, 1)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ('[{"image_id": 1, "keyp', 1, "not valid JSON"),
        ("", 1, "empty"),
        ("{}", None, "no list"),
        ('\ufeff[\n{"keypoints": [1}]', 2, "not valid JSON"),
        (b'[\n"M\xfcller"]', 2, "not UTF-8"),
    ],
)
def test_broken_files(refused: Any, put: Any, content: Any, line: int | None, problem: str) -> None:
    refused(put("results.json", content), "coco-results", problem, line)


def test_sniffing(put: Any, tmp_path: Path) -> None:
    put("results.json", "\ufeff [\n " + json.dumps(NAMED) + ", {broken")
    assert choose_format(tmp_path / "results.json") == "coco-results"
    put("results.json", json.dumps([NAMED | {"keypoints": [1, 2, 0.5] * 136}]))
    assert choose_format(tmp_path / "results.json") == "halpe"
    put("results.json", json.dumps([{"id": 1, "data": {}}]))
    assert "not a JSON list" in sniff(tmp_path / "results.json")["coco-results"].reason
