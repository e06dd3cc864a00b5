"""HELEN-194: numbered files that begin with the photo's stem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, write

Put = Callable[[str, str | bytes], Path]
ROWS = "".join(f"{i} , {i}.5\n" for i in range(194))


def test_as_it_is_given_out(put: Put, tmp_path: Path) -> None:
    """Two faces of a photo, in the order of their numbers; parts by the lists of names."""
    put("annotation/2.txt", "1000000002_1\n" + ROWS.replace("0 , 0.5", "2 , 2"))
    put(
        "annotation/10.txt",
        "1000000002_1\r\n" + ROWS.replace("\n", "\r\n").replace("\r\n", " \r\n"),
    )
    put("annotation/1.txt", "\ufeff1000000001_1\n" + ROWS.replace(" , ", ","))
    put("trainnames.txt", "1000000002_1\n")
    put("testnames.txt", "1000000001_1\n")
    put("images/1000000002_1.jpg", b"")
    assert choose_format(tmp_path) == "helen"
    first, second = read(tmp_path)
    assert (first.path, first.split, first.root) == (
        "1000000001_1.jpg", "test", str(tmp_path / "images"),
    )  # fmt: skip
    assert (second.path, second.split, len(second.faces)) == ("1000000002_1.jpg", "train", 2)
    assert second.faces[0].points_px[0].tolist() == [2, 2]
    assert second.faces[1].points_px[193].tolist() == [193, 193.5]
    assert second.faces[1].scheme == "helen194"
    (alone,) = read(tmp_path / "annotation/1.txt")
    assert alone.split == "test"


GOOD = "a\n" + ROWS


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 1, "empty"),
        ("a\n", 1, "expected 194 points, found 0"),
        (GOOD[:1000], 103, "'' is not a number"),
        (GOOD + "1 , 2\n", 196, "found 195"),
        (GOOD.replace("7 , 7.5", "7 7.5"), 9, "expected two numbers, found '7 7.5'"),
        (GOOD.replace("7 , 7.5", "7 , 7.5 , 1"), 9, "expected two numbers"),
        (GOOD.replace("7 , 7.5", "7 ,"), 9, "'' is not a number"),
        (GOOD.replace("7 , 7.5", "7 , nan"), 9, "not a finite"),
        (GOOD.replace("7 , 7.5", "7 , 1e88"), 9, "too far out"),
        ("../../etc/a\n" + ROWS, 1, "leads out of its folder"),
        ("/etc/a\n" + ROWS, 1, "leads out of its folder"),
        (b"M\xfcller\n" + ROWS.encode(), 1, "not UTF-8"),
    ],
)
def test_broken(
    put: Put,
    refused: Callable[..., InputError],
    tmp_path: Path,
    content: str | bytes,
    line: int,
    problem: str,
) -> None:
    put("annotation/1.txt", "b\n" + ROWS)
    path = put("annotation/2.txt", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "helen"))
    assert caught.value.line == line
    assert refused(tmp_path, "helen", problem, line).path == path
    assert [image.path for image in read(tmp_path, "helen", on_error=lambda e: None)] == ["b.jpg"]


def image(path: str, split: str | None = None) -> AnnotatedImage:
    return AnnotatedImage(path, (Face(np.ones((194, 2))),), split=split)


def test_writing(tmp_path: Path) -> None:
    images = [image("a.jpg", "train"), image("sub/b.jpg"), image("c.jpg", "test")]
    report = write(images, tmp_path / "out", "helen")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in report.files] == [
        "annotation/1.txt", "annotation/2.txt", "annotation/3.txt", "testnames.txt",
        "trainnames.txt",
    ]  # fmt: skip
    lines = (tmp_path / "out/annotation/2.txt").read_text().splitlines()
    assert lines[:2] == ["sub/b", "1.000000 , 1.000000"] and len(lines) == 195
    assert (tmp_path / "out/trainnames.txt").read_text() == "a\n"


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    assert losses([image("a.png")], "helen") == ["the photo's name or folder: 1 photo, first a.png"]
    assert losses([image("a.jpg", "val")], "helen") == ["the split: 1 photo, first a.jpg"]
    for path, problem in (("../a.jpg", "leads out"), ("a,b.jpg", "does not fit in a line")):
        with pytest.raises(OutputError, match=problem):
            write([image("x.jpg"), image(path)], tmp_path / "out", "helen")
    with pytest.raises(OutputError, match=r"a\.png and another photo have the same stem"):
        write([image("a.jpg"), image("a.png")], tmp_path / "out", "helen")
    assert not list(tmp_path.iterdir())
