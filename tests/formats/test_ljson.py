"""Menpo's LJSON: three versions, [y, x], null, and groups that are no faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, UnknownNameError
from tufa_cli.formats import choose_format, read, sniff, write
from tufa_cli.schemes import get_scheme

POINTS = [[2, 1.5], [None, None], [4, 3]]
MARKS = {"landmarks": {"points": POINTS, "connectivity": [[0, 1]]}, "labels": []}
V3 = {"version": 3, "groups": {"LJSON": MARKS}}
V2 = {"version": 2, **MARKS}
V1 = {
    "version": 1,
    "groups": [
        {"label": "a", "connectivity": [], "landmarks": [{"point": p} for p in POINTS[:2]]},
        {"label": "b", "connectivity": [[0, 0]], "landmarks": [{"point": POINTS[2]}]},
    ],
}
TWO = {"version": 3, "groups": {"LJSON": MARKS, "pupils": {"landmarks": {"points": [[1, 2]] * 2}}}}


@pytest.mark.parametrize("data", [V1, V2, V3], ids=["v1", "v2", "v3"])
def test_three_versions(put: Any, tmp_path: Path, data: dict[str, Any]) -> None:
    put("sub/a.PNG", b"")
    path = put("sub/a.ljson", "\ufeff" + json.dumps(data).replace(" ", "\r\n"))
    assert choose_format(tmp_path) == "ljson"
    (image,) = read(tmp_path)
    (face,) = image.faces
    assert (image.path, image.root, face.scheme) == ("sub/a.PNG", str(tmp_path), None)
    np.testing.assert_array_equal(face.points_px, [[1.5, 2], [np.nan] * 2, [3, 4]])
    (alone,) = read(path, index_base=1)
    assert alone.path == "a.PNG"
    assert alone.faces[0].points_px[0].tolist() == [0.5, 1]


def test_half_a_null_is_missing(put: Any) -> None:
    data = {"version": 2, "landmarks": {"points": [[1, None], [2, 3]]}}
    (image,) = read(put("a.ljson", json.dumps(data)))
    assert image.faces[0].labelled.tolist() == [False, True]


def test_groups_are_shapes_of_one_photo(refused: Any, put: Any) -> None:
    path = put("a.ljson", json.dumps(TWO))
    error = refused(path, "ljson", r"2 groups of points \(LJSON, pupils\)")
    assert "group=NAME" in str(error.hint)
    (image,) = read(path, settings={"group": "pupils"})
    assert len(image.faces[0].points_px) == 2
    with pytest.raises(InputError, match="no group 'eyes', it has LJSON, pupils"):
        list(read(path, settings={"group": "eyes"}))
    with pytest.raises(UnknownNameError, match="did you mean group"):
        read(path, settings={"groups": "pupils"})


def test_the_scheme_may_tell_the_group(put: Any) -> None:
    data = {
        "version": 3,
        "groups": TWO["groups"] | {"five": {"landmarks": {"points": [[1, 2]] * 5}}},
    }
    (image,) = read(put("a.ljson", json.dumps(data)), scheme="mtfl5")
    assert (len(image.faces[0].points_px), image.faces[0].scheme) == (5, "mtfl5")
    with pytest.raises(InputError, match="expected 5 points, found 3"):
        list(read(put("b.ljson", json.dumps(V3)), scheme="mtfl5"))


def test_written_as_menpo_does(tmp_path: Path) -> None:
    points = np.arange(10.0).reshape(5, 2)
    points[3] = np.nan
    face = Face(points, scheme="mtfl5")
    report = write([AnnotatedImage("s/a.jpg", (face,))], tmp_path / "out", "ljson")
    assert report.files == (tmp_path / "out/s/a.ljson",)
    text = report.files[0].read_text()
    data = json.loads(text)
    assert text == json.dumps(data, indent=4, sort_keys=True) + "\n"
    assert (data["version"], list(data["groups"])) == (3, ["LJSON"])
    group = data["groups"]["LJSON"]
    assert group["landmarks"]["points"][:1] == [[1, 0]]
    assert group["landmarks"]["points"][3] == [None, None]
    assert group["landmarks"]["connectivity"] == [list(p) for p in get_scheme("mtfl5").skeleton]
    # menpo refuses a shape with a point that is in no label.
    assert {i for label in group["labels"] for i in label["mask"]} == set(range(5))


def test_several_faces_are_numbered_groups(tmp_path: Path) -> None:
    faces = tuple(Face(np.full((2, 2), float(i))) for i in range(12))
    write([AnnotatedImage("a.jpg", faces)], tmp_path / "a.ljson", "ljson")
    data = json.loads((tmp_path / "a.ljson").read_text())
    assert set(data["groups"]) == {f"face_{i}" for i in range(1, 13)}
    assert data["groups"]["face_1"]["labels"] == [{"label": "all", "mask": [0, 1]}]
    (image,) = read(tmp_path / "a.ljson")
    assert [face.points_px[0, 0] for face in image.faces] == list(range(12))


def test_all_files_or_none(tmp_path: Path) -> None:
    images = [AnnotatedImage(name, (Face(np.ones((2, 2))),)) for name in ("a.jpg", "b.jpg")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.ljson").write_text("mine")
    with pytest.raises(OutputError, match=r"b\.ljson: exists already"):
        write(images, tmp_path / "out", "ljson")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.ljson"]
    with pytest.raises(OutputError, match=r"both a\.jpg and a\.png would go here"):
        write([images[0], AnnotatedImage("a.png", images[0].faces)], tmp_path / "new", "ljson")
    with pytest.raises(OutputError, match=r"several photos do not fit in one \.ljson file"):
        write(images, tmp_path / "c.ljson", "ljson")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def changed(points: Any) -> str:
    return json.dumps({"version": 3, "groups": {"g": {"landmarks": {"points": points}}}})


BROKEN = [
    ("", 1, "empty"),
    (json.dumps(V3)[:60], 1, "not valid JSON"),
    (json.dumps(V3, indent=1)[:80], 7, "not valid JSON"),
    (b'{"version": 3,\n"M\xfcller": 1}', 2, "not UTF-8"),
    ("[]", None, "not LJSON: no object"),
    ('{"version": 4, "groups": {}}', None, "version 4 is none of"),
    ('{"groups": {}}', None, "version None is none of"),
    ('{"version": 3, "groups": {}}', None, "no groups"),
    ('{"version": 3, "groups": []}', None, "no groups"),
    ('{"version": 3, "groups": {"g": {}, "g": {}}}', 1, "'g' is there twice"),
    ('{"version": 3, "groups": {"g": {}}}', None, "group 'g' has no list of points"),
    ('{"version": 2}', None, "landmarks has no list of points"),
    ('{"version": 1, "groups": {}}', None, "no list of groups"),
    ('{"version": 1, "groups": [{"label": "a"}]}', None, "group 0 has no list of landmarks"),
    ('{"version": 1, "groups": [{"landmarks": [[1, 2]]}]}', None, r"point 0 is no \[y, x\]"),
    (changed([]), None, "no points"),
    (changed([[1, 2], [1]]), None, r"point 1 is no \[y, x\]"),
    (changed([[1, 2, 3]]), None, "point 0 is a point in space"),
    (changed([[1, "2"]]), None, "not a pair of numbers"),
    (changed([[1, True]]), None, "not a pair of numbers"),
    (changed([[1, float("nan")]]), None, "not a place"),
    (changed([[1, float("inf")]]), None, "not a place"),
    (changed([[1, 10**400]]), None, "not a place"),
    ("[" * 100_000, None, "nested too deeply"),
]


@pytest.mark.parametrize(("content", "line", "problem"), BROKEN)
def test_broken_files(refused: Any, put: Any, content: Any, line: int | None, problem: str) -> None:
    path = put("a.ljson", content)
    refused(path, "ljson", problem, line)
    assert not sniff(path)["ljson"].yes


def test_one_broken_file_does_not_hide_the_others(put: Any, tmp_path: Path) -> None:
    put("a.ljson", "{")
    put("b.ljson", json.dumps(V3))
    failures: list[InputError] = []
    images = list(read(tmp_path, on_error=failures.append))
    assert [image.path for image in images] == ["b.jpg"]
    assert [error.path for error in failures] == [tmp_path / "a.ljson"]


def test_labels_and_lines_that_are_not_kept_are_said(put: Any, tmp_path: Path) -> None:
    def notes_of(path: Path, **options: Any) -> list[str]:
        notes: list[str] = []
        list(read(path, on_note=notes.append, **options))
        return notes

    face = Face(np.arange(10.0).reshape(5, 2), scheme="mtfl5")
    write([AnnotatedImage("a.jpg", (face,))], tmp_path / "ours.ljson", "ljson")
    assert notes_of(tmp_path / "ours.ljson", scheme="mtfl5") == []
    (note,) = notes_of(tmp_path / "ours.ljson")
    assert "1 shapes have labels or lines that are not a known scheme's" in note
    for data in (V1, V3):  # labels in the one, a line in the other
        (note,) = notes_of(put("a.ljson", json.dumps(data)))
        assert "1 shapes have labels or lines" in note
    everything = {"points": POINTS, "connectivity": ["x", [0], [0, "1"]]}
    labels = [{"label": "all", "mask": [0, 1, 2]}, 7]
    data = {"version": 2, "landmarks": everything, "labels": labels}
    assert notes_of(put("b.ljson", json.dumps(data))) == []
