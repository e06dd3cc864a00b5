"""Run with ``pip install tufa-cli -e .[test]`` and then ``pytest``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.format_toolkit import round_trip_problems
from tufa_cli.formats import losses, read, write

FACES = [
    Face(
        [[0.25, 1], [-3.5, 1e6], [np.nan, np.nan]],
        scheme="a_scheme_of_mine",
        visibility=[2, 1, 0],
        box=[1, 2.5, 30, 40],
    ),
    Face(np.full((5, 2), 7.125), scheme="mtfl5"),
    Face([[1, 2]]),
]
PHOTOS = [
    AnnotatedImage("sub folder/a b.jpg", FACES, 640, 480),
    AnnotatedImage("nobody.png"),
    AnnotatedImage("é.jpg", FACES[:1]),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert round_trip_problems("dots", PHOTOS, tmp_path, "labels.dots") == []


def test_the_file_is_what_its_specification_says(tmp_path: Path) -> None:
    file = tmp_path / "x.dots"
    write([AnnotatedImage("a.jpg", [FACES[0]], 9, 8)], file, "dots")
    assert file.read_text(encoding="utf-8") == (
        "DOTSHEET 1\n"
        "photo 9 8 a.jpg\n"
        "face a_scheme_of_mine 2.000000 3.500000 30.000000 40.000000\n"
        "v 1.250000 2.000000\n"
        "h -2.500000 1000001.000000\n"
        "-\n"
    )


def test_what_it_cannot_hold_is_counted() -> None:
    face = Face([[1, 2]], score=0.5, attributes={"pose": "left"})
    assert losses([AnnotatedImage("a.jpg", [face])], "dots") == [
        "the score: 1 face, first in a.jpg",
        "attributes of faces (pose): 1 face, first in a.jpg",
    ]


def test_a_scheme_that_would_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no single word"):
        write([AnnotatedImage("a.jpg", [Face([[1, 2]], "two words")])], tmp_path / "x", "dots")
    assert list(tmp_path.iterdir()) == []


HEAD = "DOTSHEET 1\nphoto - - a.jpg\n"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("DOTSHEET 2\n", 1, "expected 'DOTSHEET 1'"),
        ("DOTSHEET 1\nv 1 2\n", 2, "expected 'photo"),
        ("DOTSHEET 1\nphoto 1 2\n", 2, "expected 'photo"),
        ("DOTSHEET 1\nphoto 1 x a.jpg\n", 2, "'x' is not a number"),
        ("DOTSHEET 1\nphoto 1 2 ../a.jpg\n", 2, "leads out of its folder"),
        (HEAD + "v 1 2\n", 3, "expected 'face SCHEME'"),
        (HEAD + "face\n", 3, "expected 'face SCHEME'"),
        (HEAD + "face - 1 2 3\n", 3, "a box has 4 numbers, not 3"),
        (HEAD + "face -\nv 1\n", 4, "found 'v 1'"),
        (HEAD + "face -\nv 1 2\nx 1 2\n", 5, "found 'x 1 2'"),
        (HEAD + "face -\nv 1 2\n\nv 1 2\n", 5, "found ''"),
        (HEAD + "face -\nv 1 nan\n", 4, "'nan' is not a finite number"),
        (HEAD + "face -\nv 1 1e99\n", 4, "too far out"),
    ],
)
def test_broken_files_are_told_with_their_line(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    file = tmp_path / "x.dots"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem) as caught:
        list(read(file, "dots"))
    assert caught.value.line == line


def test_a_broken_photo_may_be_skipped(tmp_path: Path) -> None:
    file = tmp_path / "x.dots"
    file.write_text(HEAD + "face -\nv 1\nphoto - - b.jpg\nface -\nv 1 2\n", encoding="utf-8")
    failures: list[InputError] = []
    found = list(read(file, "dots", on_error=failures.append))
    assert ([image.path for image in found], failures[0].line) == (["b.jpg"], 4)
