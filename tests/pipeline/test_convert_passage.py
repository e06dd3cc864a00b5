"""``pass_on``: in which order things happen, and what is left when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.pipeline.convert import Passage, pass_on

BOX = np.array([1.0, 2, 3, 4])


def images(count: int = 6, bad: int | None = None, **last: Any) -> Iterator[AnnotatedImage]:
    """Photos of a face each; the reader fails at ``bad``, the last face has more."""
    for number in range(count):
        if number == bad:
            raise InputError("source.txt", "broken", number)
        more = last if number == count - 1 else {}
        face = Face(np.ones((5, 2)) + number, **more)
        yield AnnotatedImage(f"{number}.jpg", (face,), width=9, height=9)


@pytest.fixture
def told(tmp_path: Path) -> list[Any]:
    return []


@pytest.fixture
def passed(tmp_path: Path, told: list[Any]) -> Callable[..., Any]:
    """Runs ``pass_on``; what was seen when all had been read, with the files of that time."""

    def on_read(passage: Passage) -> None:
        files = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
        told.append((passage.photos, passage.losses.lines(), files))
        if passage.losses or not passage.photos:
            raise TufaError("refused")

    def run(records: Iterator[AnnotatedImage], name: str, file: str, **options: Any) -> Any:
        return pass_on(records, name, tmp_path / file, on_read=on_read, **options)

    return run


TARGETS = [("csv", "o.csv"), ("dlib", "o.xml"), ("pts", "out"), ("coco", "o.json")]


@pytest.mark.parametrize(("name", "file"), TARGETS)
def test_all_is_told_before_a_file_has_its_name(passed, told, tmp_path, name, file) -> None:
    report = passed(images(), name, file)
    assert (report.images, report.faces, report.lost) == (6, 6, ())
    assert told == [(6, [], [])]
    assert {path.name for path in tmp_path.iterdir()} == {file}


@pytest.mark.parametrize(("name", "file"), TARGETS)
def test_a_broken_source_leaves_nothing_and_is_no_fault_of_the_target(
    passed, told, tmp_path, name, file
) -> None:
    with pytest.raises(InputError, match=r"source\.txt, line 4: broken"):
        passed(images(bad=4), name, file)
    assert told == [] and not list(tmp_path.iterdir())


def test_an_error_of_the_system_while_reading_is_not_taken_for_one_of_writing(
    passed, tmp_path
) -> None:
    def dying() -> Iterator[AnnotatedImage]:
        yield from images(2)
        raise OSError(5, "the disk of the source")

    with pytest.raises(OSError, match="the disk of the source"):
        passed(dying(), "dlib", "o.xml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "file"), TARGETS[:3])
def test_losses_are_counted_to_the_end_though_the_writer_stops(
    passed, told, tmp_path, name, file
) -> None:
    with pytest.raises(TufaError, match="refused"):
        passed(images(box=BOX, confidence=np.ones(5)), name, file)
    photos, lost, files = told[0]
    assert (photos, files) == (6, []) and "the confidence: 1 face, first in 5.jpg" in lost
    assert len(told) == 1 and not list(tmp_path.iterdir())


def test_what_was_refused_comes_before_what_could_not_be_written(passed, told, tmp_path) -> None:
    (tmp_path / "o.csv").touch()
    with pytest.raises(TufaError, match="refused"):
        passed(images(confidence=np.ones(5)), "csv", "o.csv")
    with pytest.raises(InputError, match="broken"):
        passed(images(bad=5), "csv", "o.csv")
    with pytest.raises(OutputError, match="exists already"):
        passed(images(), "csv", "o.csv")
    assert [photos for photos, *_ in told] == [6, 6]  # of the first and the last
    assert (tmp_path / "o.csv").read_text() == ""


@pytest.mark.parametrize("lossy", [False, True])
def test_a_source_without_a_record(passed, told, tmp_path, lossy) -> None:
    with pytest.raises(TufaError, match="refused"):
        passed(images(0), "dlib", "o.xml", lossy=lossy)
    assert len(told) == 1 and not list(tmp_path.iterdir())


def test_a_fault_in_the_middle_lets_the_rest_be_looked_at(passed, told, tmp_path) -> None:
    """The 5th face has another number of points than dlib's list of parts."""

    def mixed() -> Iterator[AnnotatedImage]:
        for number in range(8):
            yield AnnotatedImage(f"{number}.jpg", (Face(np.ones((3 if number == 4 else 5, 2))),))

    with pytest.raises(OutputError, match="a face of 3 points after faces of 5"):
        passed(mixed(), "dlib", "o.xml")
    assert told[0][:2] == (8, []) and not list(tmp_path.iterdir())


def test_looking_only(told) -> None:
    def on_read(passage: Passage) -> None:
        told.append((passage.photos, passage.photos_not_found, passage.losses.lines()))

    assert pass_on(images(box=BOX), "pts", None, on_read=on_read) is None
    assert told == [(6, 6, ["the box: 1 face, first in 5.jpg"])]
