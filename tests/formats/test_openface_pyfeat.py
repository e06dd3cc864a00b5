"""The csv of OpenFace and of Py-Feat: photos, videos, frames without a face; read only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import choose_format, read, write

XS = ", ".join(f"x_{i}" for i in range(3))
YS = ", ".join(f"y_{i}" for i in range(3))
TAIL = f"eye_lmk_x_0, pose_Rx, {XS}, {YS}, X_0, AU01_r"
NUMBERS = "9, 0.25, 1.5, 2, 3, 4, 5, 6, 99, 0.5"
IMAGE = f"face, confidence, {TAIL}\n0, 0.98, {NUMBERS}\n1, 0.5, {NUMBERS}\n"
VIDEO_HEAD = f"frame, face_id, timestamp, confidence, success, {TAIL}\n"


def video(*rows: str) -> str:
    return VIDEO_HEAD + "".join(f"{row}, {NUMBERS}\n" for row in rows)


def test_openface_photo(put: Any, tmp_path: Path) -> None:
    put("s/a.png", b"photo")
    put("s/a.csv", IMAGE)
    assert choose_format(tmp_path) == "openface"
    notes: list[str] = []
    (image,) = read(tmp_path, on_note=notes.append)
    assert (image.path, image.root, len(image.faces)) == ("s/a.png", str(tmp_path), 2)
    face = image.faces[0]
    np.testing.assert_array_equal(face.points_px, [[1.5, 4], [2, 5], [3, 6]])
    assert (face.score, face.source, face.scheme) == (0.98, "auto", None)
    assert dict(face.attributes) == {"pose_Rx": 0.25, "AU01_r": 0.5}
    assert "are left aside" in notes[0]


@pytest.mark.parametrize("frame", ["0", "1"])
def test_openface_photo_with_a_frame_column(put: Any, frame: str) -> None:
    (image,) = read(put("a.csv", video(f"{frame}, 0, 0.0, 0.98, 1")))
    assert image.path == "a.jpg"


def test_openface_video(put: Any, tmp_path: Path) -> None:
    put("clip/000002.png", b"photo")
    rows = ["1, 0, 0.0, 0.98, 1", "2, 0, 0.04, 0.9, 1", "2, 1, 0.04, 0.8, 1", "3, 0, 0.08, 0.1, 0"]
    notes: list[str] = []
    images = list(read(put("clip.csv", video(*rows)), on_note=notes.append))
    assert [image.path for image in images] == [
        "clip/000001.jpg", "clip/000002.png", "clip/000003.jpg",
    ]  # fmt: skip
    assert [len(image.faces) for image in images] == [1, 2, 0]
    assert images[1].faces[1].attributes["face_id"] == 1
    assert "1 rows without success have no face" in notes[-1]


def test_openface_68_points_are_ibugs(put: Any) -> None:
    names = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    text = f"face,confidence,{','.join(names)}\n0,0.9,{','.join(['1'] * 136)}\n"
    assert next(read(put("a.csv", text))).faces[0].scheme == "ibug68"
    with pytest.raises(InputError, match="line 1: 68 points, expected 98"):
        list(read(put("a.csv", text), "openface", scheme="wflw98"))


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 1, "empty"),
        (IMAGE.replace("x_1", "x_7"), 1, "no columns x_0, x_1"),
        (IMAGE.replace("y_2", "z_2"), 1, "3 columns x_N, but 2 y_N"),
        (IMAGE.replace("x_1", "x_0"), 1, "two columns are named 'x_0'"),
        (IMAGE.replace("confidence", "conf"), 1, "no column confidence"),
        (IMAGE.replace("0.5, 9", "0.5, 9, 9"), 3, "13 cells, the first line has 12"),
        (IMAGE.replace("1.5, 2", "nan, 2", 1), 2, "not a finite"),
        (IMAGE.replace("1.5, 2", "1e30, 2", 1), 2, "too far out"),
        (IMAGE.replace("0.98", "high"), 2, "'high' is not a number"),
        (video("1, 0, 0.0, 0.98, 1", "x, 0, 0.0, 0.98, 1", "9, 0, 0, 1, 1"), 3, "frame 'x'"),
        (b"face, confidence, x_0, y_0\n\xfc, 1, 2, 3\n", 2, "not UTF-8"),
        (IMAGE + "y" * 2_000_000, 4, "a line of more than"),
    ],
)
def test_broken_openface(refused: Any, put: Any, content: Any, line: int, problem: str) -> None:
    refused(put("a.csv", content), "openface", problem, line)


PYFEAT = (
    "frame,FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,"
    "x_0,x_1,y_0,y_1,Pitch,happiness,input\n"
)
FOUND = "{frame},1,2,30.5,40,0.9,1.5,2,3,4,-0.5,0.25,{input}\n"
NONE = "{frame},,,,,,,,,,,,{input}\n"


def row(form: str, frame: object, path: object) -> str:
    return form.format(frame=frame, input=path)


def test_pyfeat(put: Any, tmp_path: Path) -> None:
    rows = row(FOUND, 0, "s/a.jpg") + row(FOUND, 0, "s/a.jpg") + row(NONE, 1, "b.jpg")
    path = put("fex.csv", "\ufeff" + PYFEAT + rows.replace("\n", "\r\n"))
    assert choose_format(path) == "py-feat"
    first, second = read(path)
    assert (first.path, len(first.faces), second.path, second.faces) == ("s/a.jpg", 2, "b.jpg", ())
    face = first.faces[0]
    np.testing.assert_array_equal(face.points_px, [[1.5, 3], [2, 4]])
    assert face.box is not None and face.box.tolist() == [1, 2, 30.5, 40]
    assert (face.score, face.source, face.scheme) == (0.9, "auto", None)
    assert dict(face.attributes) == {"Pitch": -0.5, "happiness": 0.25}


def test_pyfeat_absolute_paths(put: Any, tmp_path: Path) -> None:
    photos = [put("p/x/1.jpg", b""), put("p/y/1.jpg", b"")]
    path = put("fex.csv", PYFEAT + "".join(row(FOUND, i, p) for i, p in enumerate(photos)))
    images = list(read(path))
    assert [image.path for image in images] == ["x/1.jpg", "y/1.jpg"]
    assert {image.root for image in images} == {str(tmp_path / "p")}
    (image, _) = read(path, root=tmp_path)
    assert (image.path, image.root) == ("p/x/1.jpg", str(tmp_path))


def test_pyfeat_video(put: Any) -> None:
    rows = "".join(row(FOUND, frame, "v/clip.mp4") for frame in (0, "24.0"))
    images = list(read(put("fex.csv", PYFEAT + rows)))
    assert [image.path for image in images] == ["v/clip/000000.jpg", "v/clip/000024.jpg"]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 1, "empty"),
        (PYFEAT.replace("input", "output"), 1, "no column input"),
        (PYFEAT.replace("FaceRectX", "X"), 1, "no column FaceRectX"),
        (PYFEAT.replace("x_1", "x_2"), 1, "no columns x_0, x_1"),
        (PYFEAT + "0,1,2\n", 2, "3 cells, the first line has 13"),
        (PYFEAT + row(FOUND, 0, "a.jpg").replace("1.5", "nan"), 2, "not a finite"),
        (PYFEAT + row(FOUND, 0, "a.jpg").replace("1.5", ""), 2, "only one of x and y"),
        (PYFEAT + row(FOUND, 0, "a.jpg").replace("30.5", "-30.5"), 2, "negative size"),
        (PYFEAT + row(FOUND, 0, "a.jpg").replace("0.9", "x"), 2, "'x' is not a number"),
        (PYFEAT + row(FOUND, 0, ""), 2, "input is missing"),
        (PYFEAT + row(FOUND, 0, "../a.jpg"), 2, "leads out of its folder"),
        (PYFEAT + row(FOUND, 0, "a/../b.jpg"), 2, "leads out of its folder"),
        (PYFEAT + row(FOUND, "x", "a.mp4"), 2, "frame 'x' is not a whole number"),
    ],
)
def test_broken_pyfeat(refused: Any, put: Any, content: str, line: int, problem: str) -> None:
    refused(put("fex.csv", content), "py-feat", problem, line)


@pytest.mark.parametrize("format", ["openface", "py-feat"])
def test_they_are_not_written(tmp_path: Path, format: str) -> None:
    images = [AnnotatedImage("a.jpg", (Face(np.ones((68, 2))),))]
    with pytest.raises(TufaError, match=f"{format} is read only: its other columns"):
        write(images, tmp_path / "a.csv", format)
    assert not list(tmp_path.iterdir())
