"""Files that are none, or that go away: an InputError of every format, and never a wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from format_files import GOOD, laid_out

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError
from tufa_cli.formats import read, sniff, write

ALL = sorted(GOOD)
#: Formats of a file for each face, by the endings of those files.
FOLDERS = {"pts": 68, "labelme": 5, "scut": 86, "300w-lp": 68, "helen": 194, "jd": 106}


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def no_memory_of_ours(path: Path) -> None:
    """A plain file by its looks, which fails to be read whoever asks."""
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize("make", [a_folder, a_pipe, no_memory_of_ours])
@pytest.mark.parametrize("name", ALL)
def test_what_is_no_file(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    if make is no_memory_of_ours and not Path("/proc/self/mem").exists():
        pytest.skip("no /proc here")
    path = laid_out(tmp_path / "in", name, GOOD[name][1])
    path.unlink()
    make(path)
    for source in (path, tmp_path / "in"):
        sniff(source)  # some know a file by its name or by what lies beside
        failed: list[InputError] = []
        for options in ({}, {"on_error": failed.append}):
            try:
                assert list(read(source, name, **options)) == []  # type: ignore[arg-type]
            except InputError as error:
                failed.append(error)
        assert len(failed) == 2 or source != path  # a folder may hold other files


@pytest.mark.parametrize("name", ALL)
def test_a_source_that_goes_away(name: str, tmp_path: Path) -> None:
    path = laid_out(tmp_path / "one", name, GOOD[name][1])
    images = read(path, name)
    path.unlink()
    with pytest.raises(InputError, match=r"(no such file|no Supervisely project)"):
        list(images)
    laid_out(tmp_path / "two", name, GOOD[name][1])
    images = read(tmp_path / "two", name)
    shutil.rmtree(tmp_path / "two")
    with pytest.raises(InputError):
        list(images)


@pytest.mark.parametrize("name", FOLDERS)
def test_files_that_go_away_while_they_are_read(name: str, tmp_path: Path) -> None:
    records = [
        AnnotatedImage(f"{n}.jpg", (face,), width=64, height=64)
        for n in range(3)
        for image in read(laid_out(tmp_path / f"good{n}", name, GOOD[name][1]), name)
        for face in image.faces
    ]
    write(records, tmp_path / "out", name, missing="sentinel")
    images = read(tmp_path / "out", name)
    next(images)
    ending = Path(GOOD[name][0]).suffix
    for path in (tmp_path / "out").rglob(f"*{ending}"):
        path.unlink()
    with pytest.raises(InputError):
        list(images)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("name", ALL)
def test_texts_in_wide_letters(name: str, encoding: str, tmp_path: Path) -> None:
    """What Windows calls Unicode: refused in words, never read as something else."""
    try:
        text = GOOD[name][1].decode("utf-8")
    except UnicodeDecodeError:
        pytest.skip("not a text")
    path = laid_out(tmp_path, name, text.encode(encoding))
    with pytest.raises(InputError):
        list(read(path, name))
