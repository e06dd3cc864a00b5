"""300VW: frames of videos in ``annot``, photos in ``imgs``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

Put = Callable[[str, str | bytes], Path]
# The data set mixes line ends, even within a file.
ROWS = "".join(f"{i + 1} {i + 2.5}" + ("\r\n" if i % 3 else "\n") for i in range(68))
FRAME = "version: 1\r\nn_points:  68\n{\n" + ROWS + "}"


@pytest.fixture
def videos(put: Put, tmp_path: Path) -> Path:
    """Two videos, the frames of the second one extracted."""
    for frame in ("001/annot/000001", "001/annot/000002", "002/annot/000007"):
        put(f"300VW/{frame}.pts", FRAME)
    put("300VW/001/vid.avi", b"")
    put("300VW/002/vid.avi", b"")
    put("300VW/002/imgs/000007.png", b"")
    return tmp_path / "300VW"


def test_the_whole_set(videos: Path) -> None:
    notes: list[str] = []
    images = list(read(videos, on_note=notes.append))
    assert choose_format(videos) == "300vw"
    assert [image.path for image in images] == [
        "001/imgs/000001.png", "001/imgs/000002.png", "002/imgs/000007.png",
    ]  # fmt: skip
    assert {image.root for image in images} == {str(videos)}
    face = images[0].faces[0]
    assert (face.scheme, face.points_px[0].tolist()) == ("ibug68", [0, 1.5])
    assert len(notes) == 1 and "the frames of 001 are not extracted" in notes[0]


@pytest.mark.parametrize("source", ["002", "002/annot", "002/annot/000007.pts"])
def test_one_video(videos: Path, source: str) -> None:
    (image,) = read(videos / source)
    assert (image.path, image.root) == ("000007.png", str(videos / "002/imgs"))
    assert Path(str(image.root), image.path).is_file()


def test_plain_pts_are_no_frames(put: Put, videos: Path, tmp_path: Path) -> None:
    assert "300VW" in sniff(videos)["pts"].reason and not sniff(videos)["pts"].yes
    put("plain/annot/000001.pts", FRAME)
    put("plain/annot/000001.jpg", b"")  # beside its photo, as .pts files lie
    put("plain/a.pts", FRAME)
    assert choose_format(tmp_path / "plain") == "pts"
    put("300VW/notes/a.pts", FRAME)
    with pytest.raises(InputError, match="looks like 300vw and pts"):
        choose_format(videos)
    notes: list[str] = []
    assert len(list(read(videos, "300vw", on_note=notes.append))) == 3
    assert any("1 .pts files are no frames" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (FRAME.replace("n_points:  68", "n_points: 67"), 72, "says 67, found 68"),
        (FRAME[:-1], 71, "without a closing brace"),
        (FRAME.replace("5 6.5", "nan 6.5"), 8, "not a finite"),
        (FRAME.replace("5 6.5", "1e99 6.5"), 8, "too far out"),
        (FRAME.replace("5 6.5", "5 6,5"), 8, "not a number"),
        ("1 2\n3 4\n", 2, "expected 68 points, found 2"),
        (b"\xff\xfe1 2", 1, "not UTF-8"),
    ],
)
def test_broken_frames(
    videos: Path, refused: Callable[..., InputError], content: str | bytes, line: int, problem: str
) -> None:
    path = videos / "001/annot/000002.pts"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused(videos, "300vw", problem, line).path == path
    assert len(list(read(videos, "300vw", on_error=lambda error: None))) == 2


def test_writing_holds_frames_only(tmp_path: Path) -> None:
    face = Face(np.ones((68, 2)))
    image = AnnotatedImage("a/imgs/000001.png", (face, face))
    assert losses([image], "300vw") == ["all but the first face: 1 photo, first a/imgs/000001.png"]
    report = write([image], tmp_path / "out", "300vw")
    assert report.files == (tmp_path / "out/a/annot/000001.pts",)
    assert (report.faces, report.remarks) == (1, ())
    for path in ("a.jpg", "a/imgs/1.png", "imgs/000001.jpg"):
        with pytest.raises(OutputError, match="no frame of a video"):
            write([image, AnnotatedImage(path, (face,))], tmp_path / "other", "300vw")
    with pytest.raises(OutputError, match="leaves its folder"):
        write([AnnotatedImage("../imgs/000001.png", (face,))], tmp_path / "other", "300vw")
    with pytest.raises(OutputError, match="another photo of this name"):
        write([image, image], tmp_path / "other", "300vw")
    assert not (tmp_path / "other").exists()
