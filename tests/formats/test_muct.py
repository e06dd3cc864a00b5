"""MUCT: 76 or 68 points, from the corner or from the middle, mirrored rows without photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, write

Put = Callable[[str, str | bytes], Path]


def head(count: int = 68) -> str:
    return "name,tag," + ",".join(f"x{i:02d},y{i:02d}" for i in range(count)) + "\n"


def row(name: str = "i000qa-fn", tag: str = "0", count: int = 68, first: str = "201,348") -> str:
    return f"{name},{tag},{first}," + ",".join(["277.6,300"] * (count - 1)) + "\n"


def test_rows(put: Put, tmp_path: Path) -> None:
    put("jpg/i000qa-fn.jpg", b"")
    text = head() + row() + row("ir000qa-fn") + row("i001sa-mn", "20A", first="0,0")
    notes: list[str] = []
    path = put("muct68.csv", text)
    first, second = read(path, on_note=notes.append)
    assert choose_format(path) == "muct"
    assert (first.path, first.root) == ("i000qa-fn.jpg", str(tmp_path / "jpg"))
    face = first.faces[0]
    assert (face.scheme, dict(face.attributes)) == ("muct68", {})
    assert face.points_px[:2].tolist() == [[201, 348], [277.6, 300]]
    assert second.faces[0].attributes == {"tag": 0x20A}
    assert not second.faces[0].labelled[0] and second.faces[0].labelled[1:].all()
    assert notes == [f"{path}: 1 rows are mirrored copies without a photo and left out"]


def test_mirrored_rows_with_a_photo_are_kept(put: Put) -> None:
    put("ir000qa-fn.jpg", b"")
    images = read(put("muct76.csv", head(76) + row("ir000qa-fn", count=76)))
    assert [image.path for image in images] == ["ir000qa-fn.jpg"]


def test_counted_from_the_middle(put: Put) -> None:
    """x + 240 and 320 - y, after the authors' own scripts; (0, 0) is missing here too."""
    points = ["-39,-28", "0,0"] + ["12.5,-100", "-12.5,100"] * 37
    text = head(76) + f"i000qa-fn,0,{','.join(points)}\n"
    notes: list[str] = []
    (image,) = read(put("muct76.csv", text), on_note=notes.append)
    face = image.faces[0]
    assert face.points_px[0].tolist() == [201, 348]
    assert np.isnan(face.points_px[1]).all()
    assert face.points_px[2].tolist() == [252.5, 420]
    assert face.scheme == "muct76"
    assert len(notes) == 1 and "counted from the photos' middle" in notes[0]


def test_a_few_points_outside_are_no_other_origin(put: Put) -> None:
    (image,) = read(put("muct68.csv", head() + row(first="-3,348")))
    assert image.faces[0].points_px[0].tolist() == [-3, 348]


GOOD = head() + row("a") + row("b")


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 1, "empty"),
        (GOOD.replace("name,tag", "image,tag"), 1, "column 1 is 'image'"),
        (GOOD.replace("x05", "x5"), 1, "column 13 is 'x5'"),
        (GOOD.replace(",y67", "", 1), 1, "ends too early"),
        (head(70) + row("a", count=70), 1, "expected 76 or 68 points, the columns have 70"),
        (head() + row("a") + row("b")[:300], 3, "expected 138 cells, found"),
        (head() + row("a") + row("b", count=69), 3, "expected 138 cells, found 140"),
        (head() + row("a") + row("b", first="nan,1"), 3, "not a finite"),
        (head() + row("a") + row("b", first="1e99,1"), 3, "too far out"),
        (head() + row("a") + row("b", first="x,1"), 3, "'x' is not a number"),
        (head() + row("a") + row("b", first=",1"), 3, "'' is not a number"),
        (head() + row("a") + row("b", tag="2x"), 3, "tag '2x' is not a hexadecimal number"),
        (head() + row("a") + row(""), 3, "the name of the photo is missing"),
        (head() + row("a") + row("../b"), 3, "leads out of its folder"),
        (head() + row("a") + row("b") + row("a"), 4, "'a' again: it stands in line 2"),
        (head() + row("a") + '"b' + row("c"), 3, "comma-separated"),
        ((head() + row("a")).encode() + b"M\xfc,0\n", 3, "not UTF-8"),
    ],
)
def test_broken(
    put: Put,
    refused: Callable[..., InputError],
    content: str | bytes,
    line: int,
    problem: str,
) -> None:
    path = put("muct.csv", content)
    assert refused(path, "muct", problem, line).path == path


@pytest.mark.parametrize("text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD[:-1]])
def test_line_ends(put: Put, text: str) -> None:
    assert [image.path for image in read(put("a.csv", text))] == ["a.jpg", "b.jpg"]


def image(path: str, count: int = 68) -> AnnotatedImage:
    return AnnotatedImage(path, (Face(np.ones((count, 2))),))


def test_writing(tmp_path: Path) -> None:
    face = Face(np.array([[0.25, 300]] * 67 + [[np.nan, np.nan]]), attributes={"tag": 522})
    write([AnnotatedImage('sub/a "b", c.jpg', (face,))], tmp_path / "o.csv", "muct")
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[0] + "\n" == head()
    assert lines[1] == '"sub/a ""b"", c",20a,' + ",".join(["0.25,300"] * 67 + ["0,0"])
    assert next(read(tmp_path / "o.csv")).path == 'sub/a "b", c.jpg'


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    assert losses([image("a.png")], "muct") == ["the photo's name or folder: 1 photo, first a.png"]
    origin = AnnotatedImage("a.jpg", (Face(np.zeros((68, 2))),))
    out = tmp_path / "o.csv"
    for images, problem in (
        ([origin], "no way to write point 0, 1, 2, 3, 4 and 63 more where it is"),
        ([image("a.jpg"), image("a.png")], "two photos have the name 'a'"),
        ([image("a.jpg"), image("b.jpg", 76)], "faces of 68 and of 76 points"),
        ([image("ir000qa-fn.jpg")], "mirrored copy"),
        ([image("../a.jpg")], "leads out of its folder"),
        ([image("a.jpg", 70)], "a face of 70 points; muct holds 76 or 68"),
    ):
        with pytest.raises(OutputError, match=problem):
            write(images, out, "muct")
    assert not list(tmp_path.iterdir())


def test_the_scheme_must_fit_the_columns(put: Put) -> None:
    path = put("a.csv", GOOD)
    with pytest.raises(InputError, match="expected 76 points, the columns have 68"):
        list(read(path, scheme="muct76"))
    with pytest.raises(InputError, match="muct holds 76 or 68 points, the scheme wflw98 has 98"):
        list(read(path, scheme="wflw98"))
