"""CelebA: a list of five points, and lists of boxes, parts and people beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, write

Put = Callable[[str, str | bytes], Path]
HEAD = (
    "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y "
    "leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
)
ROW = "  69  109  106  113   77  142   73  152  108  154"
GOOD = f"3\n{HEAD} \n000001.jpg{ROW}\n000002.jpg{ROW}\n000003.jpg{ROW}\n"


def test_as_it_is_given_out(put: Put, tmp_path: Path) -> None:
    put("Anno/list_landmarks_celeba.txt", GOOD)
    put("Anno/list_bbox_celeba.txt", "3\nimage_id x_1 y_1 width height\n"
        "000001.jpg    95  71 226 313\n000002.jpg 72 94 221 306\n000003.jpg 1 2 3 4\n")  # fmt: skip
    put("Anno/identity_CelebA.txt", "000003.jpg 7\n000001.jpg 2880\n")  # in another order
    put("Anno/list_attr_celeba.txt", "3\n5_o_Clock_Shadow Bald\n000001.jpg -1 1\n")
    put("Eval/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    put("Img/img_celeba/000001.jpg", b"")
    assert choose_format(tmp_path) == "celeba"
    images = list(read(tmp_path))
    assert [(image.path, image.split) for image in images] == [
        ("000001.jpg", "train"), ("000002.jpg", "val"), ("000003.jpg", "test"),
    ]  # fmt: skip
    assert {image.root for image in images} == {str(tmp_path / "Img/img_celeba")}
    face = images[0].faces[0]
    assert face.points_px.tolist() == [[69, 109], [106, 113], [77, 142], [73, 152], [108, 154]]
    assert face.box is not None and face.box.tolist() == [95, 71, 226, 313]
    assert face.scheme == "mtfl5"
    assert [dict(image.faces[0].attributes) for image in images] == [
        {"identity": 2880}, {}, {"identity": 7},
    ]  # fmt: skip


def test_aligned_photos_have_no_boxes(put: Put) -> None:
    put("list_bbox_celeba.txt", "1\nimage_id x_1 y_1 width height\n000001.jpg 1 2 3 4\n")
    put("list_eval_partition.txt", "000001.jpg 2\n")
    put("img_align_celeba/000001.jpg", b"")
    path = put("list_landmarks_align_celeba.txt", GOOD.replace("\n", "\r\n"))
    first, *_ = read(path)
    assert (first.split, first.faces[0].box) == ("test", None)
    assert Path(str(first.root), first.path).is_file()


def swap(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("", 1, "empty"),
        (swap("3\n", "4\n"), 1, "the count in front says 4, found 3 photos"),
        (GOOD[:200], 1, "says 3, found 2 photos"),
        (GOOD[:-20], 5, "expected a photo and 10 numbers, found [2-9] fields"),
        (swap(HEAD, HEAD[10:]), 2, "expected the columns lefteye_x"),
        (swap("3\n", "three\n"), 1, "expected the number of photos, found 'three'"),
        ("3\n", 2, "expected the columns"),
        (swap("000002.jpg", "000001.jpg"), 4, "'000001.jpg' again: it stands in line 3"),
        (swap("000002.jpg", "../a.jpg"), 4, "leads out of its folder"),
        (swap("000002.jpg", "C:\\a.jpg"), 4, "leads out of its folder"),
        (swap("000002.jpg  69", "000002.jpg  nan"), 4, "'nan' is not a finite"),
        (swap("000002.jpg  69", "000002.jpg  6_9"), 4, "'6_9' is not a number"),
        (swap("000002.jpg  69", "000002.jpg  1e99"), 4, "too far out"),
        (swap("000002.jpg  69", "000002.jpg  69 70"), 4, "found 12 fields"),
        (swap("000002.jpg  69", "000002.jpg"), 4, "found 10 fields"),
        (swap("000002", "M\udcfc"), 4, "not UTF-8"),
    ],
)
def test_broken(
    put: Put, refused: Callable[..., InputError], content: str, line: int, problem: str
) -> None:
    path = put("list_landmarks_celeba.txt", content.encode("utf-8", "surrogateescape"))
    assert refused(path, "celeba", problem, line).path == path


@pytest.mark.parametrize(
    ("name", "text", "line", "problem"),
    [
        ("list_eval_partition.txt", "000001.jpg 3\n", 1, "partition 3 is none of 0, 1 and 2"),
        ("list_eval_partition.txt", "000001.jpg x\n", 1, "partition 'x'"),
        ("list_eval_partition.txt", "000001.jpg\n", 1, "expected a photo and 1 numbers"),
        ("list_eval_partition.txt", "x.jpg 1\n000002.jpg 0\n000002.jpg 1\n", 3, "again"),
        ("identity_CelebA.txt", "000001.jpg 1.5\n", 1, "identity '1.5'"),
        ("list_bbox_celeba.txt", "1\nhead\n000001.jpg 1 2 3\n", 3, "and 4 numbers, found 4 fields"),
        ("list_bbox_celeba.txt", "1\nhead\n000001.jpg 1 2 -3 4\n", 3, "negative size"),
        ("list_bbox_celeba.txt", "1\nhead\n000001.jpg 1 2 inf 4\n", 3, "not a finite"),
    ],
)
def test_broken_lists_beside(
    put: Put, refused: Callable[..., InputError], name: str, text: str, line: int, problem: str
) -> None:
    path = put(name, text)
    assert refused(put("list_landmarks_celeba.txt", GOOD), "celeba", problem, line).path == path


def image(path: str = "a.jpg", split: str | None = None, **given: object) -> AnnotatedImage:
    return AnnotatedImage(path, (Face(np.ones((5, 2)), **given),), split=split)  # type: ignore[arg-type]


def test_written_as_the_authors_do(tmp_path: Path) -> None:
    images = [image(box=np.array([1, 2, 3, 4]), split="val"), image("b.jpg", None)]
    report = write(images, tmp_path / "out", "celeba")
    assert [path.name for path in report.files] == [
        "list_bbox_celeba.txt", "list_eval_partition.txt", "list_landmarks_celeba.txt",
    ]  # fmt: skip
    texts = [path.read_text() for path in report.files]
    assert texts[0] == "1\nimage_id x_1 y_1 width height\na.jpg 1 2 3 4\n"
    assert texts[1] == "a.jpg 1\n"
    assert texts[2] == f"2\n{HEAD}\na.jpg{' 1' * 10}\nb.jpg{' 1' * 10}\n"


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    half = AnnotatedImage("a.jpg", (Face(np.full((5, 2), 1.5)),))
    assert losses([half], "celeba") == ["the fraction of the points: 1 face, first in a.jpg"]
    assert losses([image(split="dev")], "celeba") == ["the split: 1 photo, first a.jpg"]
    assert losses([image(attributes={"identity": "Anna"})], "celeba") == [
        "attributes of faces (identity): 1 face, first in a.jpg"
    ]
    out = tmp_path / "out"
    for images, problem in (
        ([image(), image()], "two photos have the name a.jpg"),
        ([image(), image("../a.jpg")], "leads out of its folder"),
        ([image(), image("a 1")], "does not fit in a line"),
    ):
        with pytest.raises(OutputError, match=problem):
            write(images, out, "celeba")
    with pytest.raises(OutputError, match="aligned photos have no boxes"):
        write([image(box=np.ones(4))], out / "list_landmarks_align_celeba.txt", "celeba")
    with pytest.raises(OutputError, match="another of CelebA's lists"):
        write([image()], out / "list_bbox_celeba.txt", "celeba")
    assert not out.exists()


def test_nothing_beside_is_overwritten_unasked(put: Put, tmp_path: Path) -> None:
    path = put("list_bbox_celeba.txt", "mine")
    images = [image(box=np.ones(4))]
    with pytest.raises(OutputError, match=r"list_bbox_celeba\.txt: exists already"):
        write(images, tmp_path / "points.txt", "celeba")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    write(images, tmp_path / "points.txt", "celeba", overwrite=True)
    assert path.read_text().startswith("1\n")
