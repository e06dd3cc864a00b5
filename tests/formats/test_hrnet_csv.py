"""HRNet's and MMPose's tables: any number of points, centre and scale, and a base by data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, write

Put = Callable[[str, str | bytes], Path]


def head(count: int, leading: str = "image_name,scale,center_w,center_h") -> str:
    points = [f"original_{i}_{axis}" for i in range(count) for axis in "xy"]
    return ",".join([leading, *points]) + "\n"


def row(count: int, name: str = "a.jpg", leading: str = "1.25,275.0,300.5") -> str:
    return ",".join([name, leading, *["446.0,91.0"] * count]) + "\n"


AFLW = "image_name,scale,box_size,center_w,center_h"


@pytest.mark.parametrize(
    ("name", "count", "base", "scheme"),
    [
        ("face_landmarks_300w_train.csv", 68, 1, "ibug68"),
        ("face_landmarks_wflw_train.csv", 98, 0, "wflw98"),
        ("face_landmarks_aflw_train.csv", 19, 0, "aflw19"),
        ("face_landmarks_wflw_train_68pts.csv", 68, 0, "ibug68"),  # made from WFLW's
        ("mine.csv", 7, 0, None),
    ],
)
def test_the_base_is_that_of_the_data_set(
    put: Put, name: str, count: int, base: int, scheme: str | None
) -> None:
    aflw = count == 19
    leading = "1.25,250,275.0,300.5" if aflw else "1.25,275.0,300.5"
    path = put(name, head(count, AFLW) if aflw else head(count))
    path.write_text(path.read_text() + row(count, "0/image 1.jpg", leading))
    notes: list[str] = []
    (image,) = read(path, on_note=notes.append)
    assert choose_format(path) == "hrnet-csv"
    face = image.faces[0]
    assert (image.path, face.scheme, len(face.points_px)) == ("0/image 1.jpg", scheme, count)
    assert face.points_px[0].tolist() == [446 - base, 91 - base]
    box = {"box_size": 250.0} if aflw else {}
    assert face.attributes == {"scale": 1.25, "center": [275.0 - base, 300.5 - base]} | box
    assert f"{count} points, first pixel {base}" in notes[0]
    assert any("derived" in note for note in notes) == ("_68pts" in name)
    (other,) = read(path, index_base=1 - base, on_note=notes.append)
    assert other.faces[0].points_px[0].tolist() == [445 + base, 90 + base]


def test_rows_of_a_photo_and_its_place(put: Put, tmp_path: Path) -> None:
    put("images/b.jpg", b"")
    text = head(5) + row(5, "b.jpg") + row(5, '"a, ""c"".jpg"') + row(5, "sub\\..x.jpg")
    first, second, third = read(put("list.csv", text + row(5, "b.jpg")))
    assert (first.path, len(first.faces), first.root) == ("b.jpg", 2, str(tmp_path / "images"))
    assert (second.path, third.path) == ('a, "c".jpg', "sub/..x.jpg")


GOOD = head(5) + row(5) + row(5, "b.jpg")


def swap(old: str, new: str) -> str:
    """The second row with something else in it."""
    lines = GOOD.splitlines(keepends=True)
    assert old in lines[2]
    return "".join([*lines[:2], lines[2].replace(old, new, 1)])


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 1, "empty"),
        (GOOD.replace("original_3_y", "original_4_y", 1), 1, "expected the columns image_name"),
        (GOOD.replace("scale", "size", 1), 1, "expected the columns image_name"),
        (GOOD.replace(",original_4_y", "", 1), 1, "expected the columns"),
        (GOOD[:-15], 3, "expected 14 cells, found 12"),
        (swap("446.0,", "446.0,1,"), 3, "expected 14 cells, found 15"),
        (swap("446.0", "NaN"), 3, "'NaN' is not a finite"),
        (swap("446.0", ""), 3, "'' is not a number"),
        (swap("446.0", "1e300"), 3, "too far out"),
        (swap("446.0", "four"), 3, "'four' is not a number"),
        (swap("1.25", "-1.25"), 3, "scale -1.25 is negative"),
        (swap("b.jpg", ""), 3, "the photo's name is missing"),
        (swap("b.jpg", "../b.jpg"), 3, "leads out of its folder"),
        (swap("b.jpg", "/b.jpg"), 3, "leads out of its folder"),
        (swap("b.jpg", '"b.jpg'), 3, "comma-separated"),
        (swap("b.jpg", "M\udcfc.jpg"), 3, "not UTF-8"),
    ],
)
def test_broken(
    put: Put, refused: Callable[..., InputError], content: str, line: int, problem: str
) -> None:
    path = put("list.csv", content.encode("utf-8", "surrogateescape"))
    assert refused(path, "hrnet-csv", problem, line).path == path


@pytest.mark.parametrize(
    "text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD[:-1], GOOD.replace(",", ", ")]
)
def test_line_ends_and_spaces(put: Put, text: str) -> None:
    assert [image.path for image in read(put("list.csv", text))] == ["a.jpg", "b.jpg"]


def test_the_scheme_must_fit(put: Put) -> None:
    with pytest.raises(InputError, match="5 points, the scheme wflw98 has 98"):
        list(read(put("list.csv", GOOD), scheme="wflw98"))
    assert next(read(put("list.csv", GOOD), scheme="mtfl5")).faces[0].scheme == "mtfl5"


def test_centre_and_scale_are_made_as_theirs(tmp_path: Path) -> None:
    """The middle of the whole-pixel corners, and the longer side / 200, in the numbers on disk."""
    points = np.full((68, 2), 50.0)
    points[:2] = (10.2, 20.5), (89.9, 221.1)
    path = tmp_path / "o.csv"
    report = write([AnnotatedImage("a.jpg", (Face(points),))], path, "hrnet-csv")
    assert report.remarks == ("1 faces got center and scale from their points",)
    cells = path.read_text().splitlines()[1].split(",")
    # On disk the corners are (11.2, 21.5) and (90.9, 222.1): first pixel 1.
    assert [float(cell) for cell in cells[1:6]] == [1.01, (11 + 91) / 2, (21 + 223) / 2, 11.2, 21.5]


def test_aflw_tables_have_a_box_size(tmp_path: Path) -> None:
    face = Face(np.array([[1.0, 2]] * 18 + [[31, 12]]))
    write([AnnotatedImage("a.jpg", (face,))], tmp_path / "o.csv", "hrnet-csv")
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[0].startswith(AFLW)
    assert [float(cell) for cell in lines[1].split(",")[1:5]] == [0.15, 30, 16, 7]
    other = Face(np.ones((5, 2)), attributes={"box_size": 3.0, "scale": "big", "center": [1]})
    assert losses([AnnotatedImage("a.jpg", (other,))], "hrnet-csv") == [
        "attributes of faces (box_size, center, scale): 1 face, first in a.jpg"
    ]


def test_what_it_cannot_write(tmp_path: Path) -> None:
    def image(path: str, count: int = 5) -> AnnotatedImage:
        return AnnotatedImage(path, (Face(np.ones((count, 2))),))

    for images, problem in (
        ([image("a.jpg"), image("b.jpg", 7)], "faces of 5 and of 7 points in one table"),
        ([image("../a.jpg")], "leads out of its folder"),
        ([image("a\nb.jpg")], "does not fit in a line"),
    ):
        with pytest.raises(OutputError, match=problem):
            write(images, tmp_path / "o.csv", "hrnet-csv")
    assert not list(tmp_path.iterdir())
