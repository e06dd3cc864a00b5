"""LaPa and JD-landmark: 106 points in a file per photo, photos in a folder beside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

Put = Callable[[str, str | bytes], Path]
ROWS = "".join(f"{i} {i}.5\n" for i in range(106))
GOOD = f"106\n{ROWS}"


def face() -> Face:
    return Face(np.ones((106, 2)))


def test_lapa_as_it_is_given_out(put: Put, tmp_path: Path) -> None:
    for split in ("test", "train", "val"):
        put(f"LaPa/{split}/landmarks/1_2.txt", GOOD)
        put(f"LaPa/{split}/images/1_2.jpg", b"")
        put(f"LaPa/{split}/labels/1_2.png", b"")
    put("LaPa/readme.txt", "about\n")
    root = tmp_path / "LaPa"
    assert choose_format(root) == "lapa"
    images = list(read(root))
    assert [(image.path, image.split, image.root) for image in images] == [
        (f"{split}/images/1_2.jpg", split, str(root)) for split in ("test", "train", "val")
    ]
    assert all(Path(str(image.root), image.path).is_file() for image in images)
    found = images[0].faces[0]
    assert (found.scheme, found.points_px[105].tolist()) == ("lapa106", [105, 105.5])
    for source in ("val", "val/landmarks", "val/landmarks/1_2.txt"):
        (image,) = read(root / source, "auto")
        assert (image.path, image.root) == ("1_2.jpg", str(root / "val/images"))
        assert image.split == "val"


@pytest.mark.parametrize("text", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD[:-1]])
def test_lapa_line_ends(put: Put, text: str) -> None:
    (image,) = read(put("landmarks/a.txt", text))
    assert (image.path, len(image.faces[0].points_px)) == ("a.jpg", 106)


def test_jd_as_it_is_given_out(put: Put, tmp_path: Path) -> None:
    put("JD/AFW/landmark/a b.jpg.txt", GOOD)
    put("JD/AFW/picture/a b.jpg", b"")
    put("JD/AFW/rect/a b.jpg.rect", "10 20 110.5 220\n")
    put("JD/HELEN/landmark/c_1.png.txt", GOOD)
    put("JD/HELEN/bbox/c_1.png.rect", "1 2 3 4")
    put("JD/HELEN/landmark/d.jpg.txt", GOOD)
    assert choose_format(tmp_path / "JD") == "jd"
    first, second, third = read(tmp_path / "JD")
    assert (first.path, first.root) == ("AFW/picture/a b.jpg", str(tmp_path / "JD"))
    assert first.faces[0].box is not None
    assert first.faces[0].box.tolist() == [10, 20, 100.5, 200]
    assert second.path == "HELEN/picture/c_1.png"
    assert second.faces[0].box is not None and second.faces[0].box.tolist() == [1, 2, 2, 2]
    assert third.faces[0].box is None and third.split is None
    (alone,) = read(tmp_path / "JD/AFW/landmark/a b.jpg.txt")
    assert (alone.path, alone.root) == ("a b.jpg", str(tmp_path / "JD/AFW/picture"))
    assert alone.faces[0].box is not None


def test_one_is_not_the_other(put: Put, tmp_path: Path) -> None:
    put("a/landmark/x.jpg.txt", GOOD)
    put("b/landmarks/x.txt", GOOD)
    assert not sniff(tmp_path / "a")["lapa"].yes and not sniff(tmp_path / "b")["jd"].yes


BROKEN = [
    ("", 1, "empty"),
    (GOOD.replace("106\n", "68\n", 1), 1, "expected 106, the number of points, found '68'"),
    (ROWS, 1, "expected 106, the number of points"),
    (GOOD[:300], None, "expected two numbers|found"),
    (f"106\n{ROWS[6:]}", 106, "expected 106 points, found 105"),
    (GOOD + "1 2\n", 108, "found 107"),
    (GOOD.replace("7 7.5", "7"), 9, "expected two numbers, found '7'"),
    (GOOD.replace("7 7.5", "7 7.5 8"), 9, "expected two numbers"),
    (GOOD.replace("7 7.5", "7 seven"), 9, "'seven' is not a number"),
    (GOOD.replace("7 7.5", "7 NaN"), 9, "not a finite"),
    (GOOD.replace("7 7.5", "7 1e300"), 9, "too far out"),
    (b"106\n1 \xe9\n", 2, "not UTF-8"),
    (b"x" * 1_000_001, None, "longer than"),
]


@pytest.mark.parametrize(("content", "line", "problem"), BROKEN)
@pytest.mark.parametrize("name", ["landmarks/b.txt", "landmark/b.jpg.txt"])
def test_broken(
    put: Put, tmp_path: Path, name: str, content: str | bytes, line: int | None, problem: str
) -> None:
    """Also among good ones: a damaged file in the right folder is not passed over."""
    format = "jd" if "jpg" in name else "lapa"
    put(name.replace("b.", "a."), GOOD)
    path = put(name, content)
    for source in (path, tmp_path):
        with pytest.raises(InputError, match=problem) as caught:
            list(read(source, format))
        assert caught.value.path == path
        assert line is None or caught.value.line == line
    failures: list[InputError] = []
    assert len(list(read(tmp_path, format, on_error=failures.append))) == 1
    assert len(failures) == 1


@pytest.mark.parametrize(
    ("rect", "problem"),
    [
        ("1 2 3", "found 3 fields"),
        ("1 2 3 x", "'x' is not a number"),
        ("11 2 3 4", "far corner"),
        ("1 2 3 nan", "not a finite"),
        ("", "empty"),
    ],
)
def test_broken_boxes(
    put: Put, refused: Callable[..., InputError], tmp_path: Path, rect: str, problem: str
) -> None:
    put("landmark/a.jpg.txt", GOOD)
    path = put("rect/a.jpg.rect", rect)
    assert refused(tmp_path, "jd", problem, 1).path == path


def test_where_photos_belong_is_a_loss_where_they_are_not(tmp_path: Path) -> None:
    def lost(path: str, format: str, split: str | None = None) -> list[str]:
        return losses([AnnotatedImage(path, (face(),), split=split)], format)

    assert lost("a.jpg", "lapa") == lost("sub/a.jpg", "jd") == lost("x/picture/a.png", "jd") == []
    assert lost("train/images/a.jpg", "lapa", "train") == []
    renamed = "the photo's name or folder: 1 photo, first "
    assert lost("a.png", "lapa") == [renamed + "a.png"]
    assert lost("a.jpg", "lapa", "train") == [renamed + "a.jpg"]
    assert lost("images/a.jpg", "lapa", "train") == [renamed + "images/a.jpg"]
    assert lost("train/images/a.jpg", "lapa") == []  # below landmarks, so not of a split
    assert lost("a.jpg", "lapa", "dev") == ["the split: 1 photo, first a.jpg"]
    write([AnnotatedImage("a.jpg", (face(),), split="val")], tmp_path / "out", "lapa")
    (back,) = read(tmp_path / "out", "lapa")
    assert (back.path, back.split) == ("val/images/a.jpg", "val")


@pytest.mark.parametrize("format", ["lapa", "jd"])
@pytest.mark.parametrize("path", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:/x.jpg"])
def test_nothing_is_written_outside(tmp_path: Path, format: str, path: str) -> None:
    good = AnnotatedImage("a.jpg", (face(),))
    with pytest.raises(OutputError, match="leaves its folder"):
        write([good, AnnotatedImage(path, (face(),))], tmp_path / "out", format)
    assert not list(tmp_path.iterdir())


def test_two_photos_of_one_stem(tmp_path: Path) -> None:
    images = [AnnotatedImage(path, (face(),)) for path in ("a.jpg", "a.png")]
    with pytest.raises(OutputError, match=r"a\.png: the face of another photo"):
        write(images, tmp_path / "out", "lapa")
    assert not list(tmp_path.iterdir())
    assert len(write(images, tmp_path / "out", "jd").files) == 2


def test_a_hole_is_a_sentinel_only_when_asked_for(tmp_path: Path) -> None:
    points = np.ones((106, 2))
    points[7] = np.nan
    image = AnnotatedImage("a.jpg", (Face(points),))
    with pytest.raises(OutputError, match="lapa cannot say that point 7 is missing"):
        write([image], tmp_path / "out", "lapa")
    write([image], tmp_path / "out", "lapa", missing="sentinel")
    text = (tmp_path / "out/landmarks/a.txt").read_text().splitlines()
    assert (text[0], text[8], text[9]) == ("106", "-1.000000 -1.000000", "1.000000 1.000000")


def test_index_base(put: Put, tmp_path: Path) -> None:
    (image,) = read(put("landmarks/a.txt", GOOD), index_base=1)
    assert image.faces[0].points_px[0].tolist() == [-1, -0.5]
    write([image], tmp_path / "out", "lapa", index_base=1)
    assert (tmp_path / "out/landmarks/a.txt").read_text().splitlines()[1] == "0.000000 0.500000"
