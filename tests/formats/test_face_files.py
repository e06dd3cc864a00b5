"""A file per face: names that depend on what comes later, and folders written whole or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.formats import read, write


def image(path: str, *values: float, count: int = 86) -> AnnotatedImage:
    """A photo with a face for each value, which all of its points have."""
    return AnnotatedImage(path, tuple(Face(np.full((count, 2), value)) for value in values))


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(("name", "folder"), [("pts", "."), ("scut", "facial landmark")])
def test_a_photo_that_comes_again_gets_numbers(tmp_path: Path, name: str, folder: str) -> None:
    photos = [image("a.jpg", 1), image("sub/b.jpg", 2), image("c.jpg", 3, 4), image("a.jpg", 5)]
    done = write(photos, tmp_path / "out", name)
    names = ["a_1.pts", "sub/b.pts", "c_1.pts", "c_2.pts", "a_2.pts"]
    assert done.files == tuple(tmp_path / "out" / folder / file for file in names)
    assert files(tmp_path / "out" / folder) == sorted(names)
    assert done.remarks == ("1 photo with several faces: files NAME_1, NAME_2",)
    found = {i.path: i.faces for i in read(tmp_path / "out", name)}
    firsts = {path: [face.points_px[0, 0] for face in faces] for path, faces in found.items()}
    if name == "pts":  # without the photos each file stands for one
        expected = {"a_1.jpg": [1], "a_2.jpg": [5], "c_1.jpg": [3], "c_2.jpg": [4]}
        assert firsts == expected | {"sub/b.jpg": [2]}


def test_what_is_there_stays_and_nothing_comes_beside(tmp_path: Path) -> None:
    (tmp_path / "b.pts").write_text("mine")
    photos = [image("a.jpg", 1), image("b.jpg", 2)]
    with pytest.raises(OutputError, match=r"b\.pts: exists already"):
        write(photos, tmp_path, "pts")
    assert files(tmp_path) == ["b.pts"] and (tmp_path / "b.pts").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1
    write(photos, tmp_path, "pts", overwrite=True)
    assert files(tmp_path) == ["a.pts", "b.pts"]


def test_a_source_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Iterator[AnnotatedImage]:
        yield image("a.jpg", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(breaking(), tmp_path / "new/out", "pts")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (["a.jpg", "a.png"], r"a\.pts: faces of both a\.jpg and a\.png"),
        (["a.jpg", "a.jpg", "a_1.png"], r"a_1\.pts: faces of both a\.jpg and a_1\.png"),
        (["b.jpg", "../a.jpg"], r"\.\./a\.jpg: the photo's path leaves its folder"),
    ],
)
def test_two_faces_for_one_place(tmp_path: Path, paths: list[str], problem: str) -> None:
    with pytest.raises(OutputError, match=problem) as caught:
        write([image(path, 1) for path in paths], tmp_path / "out", "pts")
    assert ".part" not in caught.value.message and not list(tmp_path.iterdir())


def test_a_place_is_free_when_its_photo_comes_again(tmp_path: Path) -> None:
    photos = [image("a.jpg", 1), image("a.png", 2), image("a.jpg", 3)]
    write(photos, tmp_path / "out", "pts")
    assert files(tmp_path / "out") == ["a.pts", "a_1.pts", "a_2.pts"]


def test_points_above_and_left_of_the_photo_are_said(tmp_path: Path) -> None:
    done = write([image("a.jpg", -5), image("b.jpg", 5)], tmp_path / "out", "pts")
    assert done.remarks == (
        "1 faces have points above and left of the photo: read with --negatives keep",
    )
