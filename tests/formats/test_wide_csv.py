"""Wide csv: what headings tell, faces by rows, photos inside, and tables that are broken."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, TufaError, UnknownNameError
from tufa_cli.formats import choose_format, read, sniff, write
from tufa_cli.images.reading import read_rgb

ROWS = "a.jpg,1,2.5,3,4\nb.jpg,5,6,7,8\n"
PLACES = [[1, 2.5], [3, 4]]

HEADS = [
    ("image_name,part_0_x,part_0_y,part_1_x,part_1_y\n" + ROWS, {}),  # PyTorch's tutorial
    (",0,1,2,3\n" + ROWS, {}),  # Udacity
    ("name,1,2,3,4\n" + ROWS, {}),
    ("\ufeffImage,pt1x,pt1y,pt2x,pt2y\r\n" + ROWS.replace("\n", "\r\n"), {}),
    ("NAME_ID,P1X,P1Y,P2X,P2Y\n" + ROWS, {}),  # VGGFace2
    ("file,x_0,x_1,y_0,y_1\na.jpg,1,3,2.5,4\nb.jpg,5,7,6,8\n", {}),
    ("file,x0,y0,x1,y1\n" + ROWS, {}),
    (" file , left_eye_x , left_eye_y , nose.x , nose.y \n" + ROWS, {}),
    ("left x,left y,right x,right y,path\n1,2.5,3,4,a.jpg\n5,6,7,8,b.jpg\n", {}),
    (ROWS, {}),  # no headings
    ('image;a_x;a_y;b_x;b_y\n"a.jpg";1;2.5;3;4\nb.jpg;5;6;7;8\n', {}),
    ("image\ta_x\ta_y\tb_x\tb_y\n" + ROWS.replace(",", "\t"), {}),
    (",0,1,2,3\na.jpg,1,3,2.5,4\nb.jpg,5,7,6,8\n", {"layout": "xxyy"}),
    ("pic,u,v,w,z\n" + ROWS, {"columns": "u,v,w,z"}),
    ("pic,u,v,w,z\na.jpg,1,3,2.5,4\nb.jpg,5,7,6,8\n", {"columns": "u, v, w, z", "layout": "xxyy"}),
    ("n,a_x,a_y,b_x,b_y,who\n" + ROWS.replace("\n", ",me\n"), {"image-col": "n"}),
]


@pytest.mark.parametrize(("content", "settings"), HEADS)
def test_heads(put: Any, content: str, settings: dict[str, str]) -> None:
    path = put("a.csv", content)
    if not settings:
        assert choose_format(path) == "csv"
    first, second = read(path, "csv", settings=settings)
    assert (first.path, second.path) == ("a.jpg", "b.jpg")
    np.testing.assert_array_equal(first.faces[0].points_px, PLACES)
    np.testing.assert_array_equal(second.faces[0].points_px, [[5, 6], [7, 8]])


def test_the_other_image_column(put: Any) -> None:
    path = put("a.csv", "id,a_x,a_y,pic\n7,1,2,p.jpg\n")
    assert [image.path for image in read(path, "csv")] == ["7"]
    (image,) = read(path, settings={"image-col": "pic"})
    assert (image.path, dict(image.faces[0].attributes)) == ("p.jpg", {"id": 7})


def test_boxes_empty_cells_and_others(put: Any) -> None:
    head = "image,face_x,face_y,face_w,face_h,eye_x,eye_y,nose_x,nose_y,sex,city,n\n"
    rows = "a.jpg,1,2,30,40.5,5,6,,,m,New York,007\na.jpg,,,,,,,7,8,,,\n"
    (image,) = read(put("a.csv", head + rows))
    first, second = image.faces
    assert first.box is not None and first.box.tolist() == [1, 2, 30, 40.5]
    assert first.labelled.tolist() == [True, False]
    assert dict(first.attributes) == {"sex": "m", "city": "New York", "n": 7}
    assert second.box is None and second.labelled.tolist() == [False, True]
    assert not second.attributes


def test_rows_of_one_photo_anywhere(put: Any) -> None:
    rows = ["a.jpg,1,2", "b.jpg,3,4", '"c, d.jpg",5,6', "a.jpg,7,8"]
    first, second, third = read(put("a.csv", "\n".join(["image,p_x,p_y", *rows])))
    assert [image.path for image in (first, second, third)] == ["a.jpg", "b.jpg", "c, d.jpg"]
    assert [face.points_px[0, 0] for face in first.faces] == [1, 7]


def test_photos_are_found(put: Any, tmp_path: Path) -> None:
    put("images/n1/a.png", b"photo")
    path = put("a.csv", "id,p_x,p_y\nn1/a,1,2\nn1/b,1,2\n")
    first, second = read(path, "csv")
    assert (first.path, first.root, second.path) == (
        "n1/a.png", str(tmp_path / "images"), "n1/b",
    )  # fmt: skip
    absolute = put("b.csv", f"id,p_x,p_y\n{tmp_path}/images/n1/a.png,1,2\n")
    (image,) = read(absolute, "csv")
    assert (image.path, image.root) == ("a.png", str(tmp_path / "images/n1"))
    (image,) = read(absolute, "csv", root=tmp_path / "images")
    assert (image.path, image.root) == ("n1/a.png", str(tmp_path / "images"))


def kaggle(side: int = 8) -> str:
    pixels = " ".join(str(i % 256) for i in range(side * side))
    return f"left_eye_x,left_eye_y,nose_tip_x,nose_tip_y,Image\n1,2,,,{pixels}\n3,4,5,6,{pixels}\n"


def test_kaggle_has_the_photos_inside(put: Any, tmp_path: Path) -> None:
    path = put("training.csv", kaggle())
    assert choose_format(path) == "csv"
    notes: list[str] = []
    first, second = read(path, on_note=notes.append)
    assert "the names of the points (left_eye, nose_tip)" in notes[0]
    assert "the setting extract writes them" in notes[1]
    assert (first.path, first.width, first.height) == ("training/00001.png", 8, 8)
    assert first.faces[0].labelled.tolist() == [True, False]
    assert "Image" not in first.faces[0].attributes
    out = tmp_path / "photos"
    for _ in range(2):  # what is there already is left
        images = list(read(path, settings={"extract": str(out)}))
    assert {image.root for image in images} == {str(out)}
    pixels = read_rgb(out / second.path)
    np.testing.assert_array_equal(pixels[..., 0].ravel(), np.arange(64))
    (out / second.path).write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        list(read(path, settings={"extract": str(out)}))


def test_headings_tell_the_scheme(tmp_path: Path) -> None:
    face = Face(np.arange(10.0).reshape(5, 2), scheme="mtfl5")
    write([AnnotatedImage("a.jpg", (face,))], tmp_path / "a.csv", "csv")
    head = (tmp_path / "a.csv").read_text().splitlines()[0].split(",")
    assert head[0] == "image_name" and len(head) == 11 and head[1].endswith("_x")
    assert next(read(tmp_path / "a.csv")).faces[0].scheme == "mtfl5"
    with pytest.raises(InputError, match="columns for 5 points, wflw98 has 98"):
        list(read(tmp_path / "a.csv", scheme="wflw98"))


@pytest.mark.parametrize(
    ("style", "head", "row"),
    [
        ("pytorch", "image_name,part_0_x,part_0_y,part_1_x,part_1_y", "a.jpg,0.5,1.0,,"),
        ("udacity", ",0,1,2,3", "a.jpg,0.5,1.0,,"),
        ("xxyy", "image_name,x_0,x_1,y_0,y_1", "a.jpg,0.5,,1.0,"),
        ("names", "image_name,part_0_x,part_0_y,part_1_x,part_1_y", "a.jpg,0.5,1.0,,"),
    ],
)
def test_styles(tmp_path: Path, style: str, head: str, row: str) -> None:
    face = Face(np.array([[0.5, 1], [np.nan, 2]]))
    path = tmp_path / "a.csv"
    write([AnnotatedImage("a.jpg", (face,))], path, "csv", settings={"style": style})
    assert path.read_text() == f"{head}\n{row}\n"
    (image,) = read(path)
    np.testing.assert_array_equal(image.faces[0].points_px, face.points_px)


def test_one_kind_of_face(tmp_path: Path) -> None:
    small, large = (Face(np.ones((n, 2)), scheme=s) for n, s in ((5, "mtfl5"), (68, "ibug68")))
    images = [AnnotatedImage("a.jpg", (small, large))]
    problem = r"a face of 68 points \(ibug68\) after faces of 5 \(mtfl5\)"
    with pytest.raises(OutputError, match=problem):
        write(images, tmp_path / "a.csv", "csv")
    with pytest.raises(UnknownNameError, match="value of the setting style 'x': known: names"):
        write(images, tmp_path / "a.csv", "csv", settings={"style": "x"})
    with pytest.raises(UnknownNameError, match="did you mean style"):
        write(images, tmp_path / "a.csv", "csv", settings={"styl": "x"})
    assert not list(tmp_path.iterdir())


def test_names_with_commas_and_quotes(tmp_path: Path) -> None:
    names = ["a,b.jpg", 'c"d.jpg', "é 日.jpg"]
    images = [AnnotatedImage(name, (Face(np.ones((1, 2))),)) for name in names]
    write(images, tmp_path / "a.csv", "csv")
    assert [image.path for image in read(tmp_path / "a.csv")] == names
    with pytest.raises(OutputError, match="does not fit in a line"):
        write([AnnotatedImage("a\nb.jpg", images[0].faces)], tmp_path / "b.csv", "csv")


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("name,tag,x00,y00", "the columns of muct"),
        ("image_name,scale,center_w,center_h,original_0_x,original_0_y", "HRNet"),
        ("frame, face_id, timestamp, confidence, success, x_0, y_0", "openface"),
        ("face, confidence, x_0, y_0", "openface"),
        ("frame,FaceRectX,x_0,y_0,input", "py-feat"),
        ("filename,file_size,file_attributes,region_shape_attributes", "via"),
        ("name,age,sex", "no columns NAME_x"),
        ("name,a_x,a_y,b_x", "'b_x' has no column y"),
        ("a_x,a_y", "no column names the photo"),
        ("1,2,3", "no column names the photo"),
    ],
)
def test_other_tables_are_not_taken_for_it(put: Any, head: str, problem: str) -> None:
    verdict = sniff(put("a.csv", head + "\n"))["csv"]
    assert not verdict.yes and problem in verdict.reason


HEAD = "image,a_x,a_y,b_x,b_y\n"
BROKEN = [
    ("", 1, "empty"),
    (b"\n\n", 1, "empty"),
    ("image,a_x\n", 1, "'a_x' has no column y"),
    ("image,a,b\nx.jpg,1,2\n", 1, "no columns NAME_x, NAME_y"),
    ("image,a_x,a_y,a_x,a_y\n", 1, "two columns are named 'a_x'"),
    (HEAD + "a.jpg,1,2,3\n", 2, "4 cells, the first line has 5"),
    (HEAD + "a.jpg,1,2,3,4,5\n", 2, "6 cells, the first line has 5"),
    (HEAD + "\na.jpg,1,2,3,x\n", 3, "'x' is not a number"),
    (HEAD + "a.jpg,1,2,3,nan\n", 2, "'nan' is not a finite"),
    (HEAD + "a.jpg,1,2,3,1e999\n", 2, "not a finite"),
    (HEAD + "a.jpg,1,2,3,1e30\n", 2, "too far out"),
    (HEAD + "a.jpg,1,2,3,1_0\n", 2, "not a number"),
    (HEAD + "a.jpg,1,2,3,\n", 2, "point 1 has only one of x and y"),
    (HEAD + ",1,2,3,4\n", 2, "image is missing"),
    (HEAD + "../a.jpg,1,2,3,4\n", 2, "leads out of its folder"),
    (HEAD + '"a.jpg,1,2,3,4\n', 2, "not a line of"),
    (HEAD + "a.jpg,1,2\r\n", 2, "3 cells"),
    (HEAD.encode() + b"M\xfcller.jpg,1,2,3,4\n", 2, "not UTF-8"),
    ("image,a_x,a_y\na.jpg,1,2\n".encode("utf-16"), 1, "zero bytes"),
    (HEAD + "a\0.jpg,1,2,3,4\n", 2, "zero bytes"),
    (HEAD + "x" * 2_000_000, 2, "a line of more than 1,000,000 bytes"),
    (kaggle().replace(" 63\n", " 63 1\n", 1), 2, "65 grey values are no square photo"),
    (kaggle().replace(" 63\n", " 256\n", 1), 2, "not a whole number from 0 to 255"),
    ("image,f_x,f_y,f_w,f_h,a_x,a_y\na.jpg,1,2,-3,4,5,6\n", 2, "negative size"),
]


@pytest.mark.parametrize(("content", "line", "problem"), BROKEN)
def test_broken_tables(
    refused: Any, put: Any, content: Any, line: int | None, problem: str
) -> None:
    refused(put("a.csv", content), "csv", problem, line)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"layout": "yx"}, "layout is xy or xxyy"),
        ({"columns": "a_x,a_y,b_x"}, "line 1: 3 columns of coordinates are no pairs"),
        ({"columns": "a_x,z"}, "unknown column 'z': known: a_x, a_y"),
        ({"image-col": "z"}, "unknown column 'z': known: a_x, a_y"),
    ],
)
def test_broken_settings(put: Any, settings: dict[str, str], problem: str) -> None:
    with pytest.raises(TufaError, match=problem):
        list(read(put("a.csv", HEAD + "a.jpg,1,2,3,4\n"), "csv", settings=settings))


def test_memory_does_not_grow_with_the_rows(put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tufa_cli.formats._text._CHUNK", 1 << 14)
    head = "image," + ",".join(f"p{i}_{axis}" for i in range(20) for axis in "xy")
    row = "," + ",".join(f"{i}.25" for i in range(40)) + "\n"

    def peak(count: int) -> int:
        rows = (f"{i % 50 if i < 100 else i}.jpg{row}" for i in range(count))
        path = put(f"{count}.csv", f"{head}\n{''.join(rows)}")
        tracemalloc.start()
        assert sum(len(image.faces) for image in read(path, "csv")) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    few, many = peak(200), peak(1500)
    assert many < few + 300_000  # 1,300 faces held would be more than a million
