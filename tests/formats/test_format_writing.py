"""Writing: nothing lost unsaid, nothing half written, nothing in other people's folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import FILES, SIZES, WRITABLE, contents, face, image, placed

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.formats import losses, read, write

HOLED = replace(face(), visibility=np.array([2, 2, 0, 2, 2], dtype=np.uint8))
HIDDEN = replace(face(), visibility=np.array([2, 1, 1, 2, 2], dtype=np.uint8))


@pytest.mark.parametrize(
    ("record", "format", "lost"),
    [
        (image(HOLED), "pts", "that points are missing: 1 face, first in a.jpg"),
        (image(HIDDEN), "pts", "which points are occluded: 1 face, first in a.jpg"),
        (image(HIDDEN, HIDDEN), "mtfl", "which points are occluded: 2 faces, first in a.jpg"),
        (image(face(box=np.ones(4))), "pts", "the box: 1 face, first in a.jpg"),
        (image(face(98, box=np.ones(4) / 2)), "wflw", "the box's fraction: 1 face, first in a.jpg"),
        (image(face(confidence=np.ones(5))), "pts", "the confidence: 1 face, first in a.jpg"),
        (image(face(score=0.5)), "retinaface", "the score: 1 face, first in a.jpg"),
        (image(face(source="auto")), "pts", "that a model made the points: 1 face, first in a.jpg"),
        (AnnotatedImage("a.jpg"), "pts", "the entry without a face: 1 photo, first a.jpg"),
        (image(split="train"), "pts", "the split: 1 photo, first a.jpg"),
        (image(attributes={"x": 1}), "pts", "the photo's attributes: 1 photo, first a.jpg"),
        (
            image(face(attributes={"b": 1, "a": 2})),
            "pts",
            "attributes of faces (a, b): 1 face, first in a.jpg",
        ),
        (
            image(face(attributes={"pose": 1, "x": 2})),
            "mtfl",
            "attributes of faces (x): 1 face, first in a.jpg",
        ),
        (
            image(face(attributes={"pose": "left"})),
            "mtfl",
            "attributes of faces (pose): 1 face, first in a.jpg",
        ),
        (
            image(face(attributes={"blur": float("nan")})),
            "retinaface",
            "attributes of faces (blur): 1 face, first in a.jpg",
        ),
        (
            image(face(98, attributes={"blur": 1})),
            "wflw",
            "attributes of faces (blur): 1 face, first in a.jpg",
        ),
    ],
)
def test_losses_are_named(record: AnnotatedImage, format: str, lost: str) -> None:
    assert losses([record], format) == [lost]
    assert losses([record], "coco") == []


def test_losses_of_a_write_are_in_its_report(tmp_path: Path) -> None:
    report = write([image(face(box=np.ones(4)))], tmp_path / "out", "pts")
    assert report.lost == ("the box: 1 face, first in a.jpg",)
    assert (report.images, report.faces) == (1, 1)
    assert report.files == (tmp_path / "out/a.pts",)


@pytest.mark.parametrize("format", ["pts", "mtfl"])
def test_missing_points_are_refused_by_default(tmp_path: Path, format: str) -> None:
    with pytest.raises(OutputError, match=f"a.jpg: {format} cannot say that point 2 is missing"):
        write([image(HOLED)], tmp_path / "out", format)
    assert not list(tmp_path.iterdir())


def test_missing_points_drop_the_face_or_leave_a_sentinel(tmp_path: Path) -> None:
    images = [image(HOLED, face(), path="x.jpg")]
    report = write(images, tmp_path / "drop", "pts", missing="drop-face")
    assert report.faces == 1 and report.dropped == ("1 face with points that pts cannot hold",)
    report = write(images, tmp_path / "out", "pts", missing="sentinel")
    assert report.dropped == ("1 point of 1 face as sentinels",)
    assert report.remarks == ("1 photo with several faces: files NAME_1, NAME_2",)
    text = (tmp_path / "out/x_1.pts").read_text().splitlines()
    assert text == ["version: 1", "n_points: 5", "{", "2.000000 3.000000", "4.000000 5.000000",
                    "-1 -1", "8.000000 9.000000", "10.000000 11.000000", "}"]  # fmt: skip


def test_merl_rav_cannot_write_points_outside_the_near_edges(tmp_path: Path) -> None:
    points = np.full((68, 2), 9.0)
    points[3], points[4] = (-2.5, 4), (0, 0)
    visibility = np.full(68, 2, dtype=np.uint8)
    visibility[4] = 1
    images = [image(Face(points, visibility=visibility))]
    with pytest.raises(OutputError, match="no way to write point 3, 4 where it is"):
        write(images, tmp_path / "out", "merl-rav")
    write(images, tmp_path / "out", "merl-rav", missing="sentinel")
    (back,) = read(tmp_path / "out", "merl-rav")
    assert not back.faces[0].labelled[[3, 4]].any()
    assert back.faces[0].labelled.sum() == 66


@pytest.mark.parametrize("format", sorted(SIZES))
def test_other_numbers_of_points_are_refused(tmp_path: Path, format: str) -> None:
    with pytest.raises(OutputError, match=rf"a.jpg: a face of 7 points; {format} holds \d+"):
        write([image(face(7))], tmp_path / "out", format)


@pytest.mark.parametrize("format", WRITABLE)
def test_nothing_is_overwritten_unasked(tmp_path: Path, format: str) -> None:
    path = placed(format, "a.jpg", None, 1)
    images = [image(face(SIZES.get(format, 5)), path=path, width=64, height=48)]
    target = tmp_path / FILES[format]
    write(images, target, format)
    before = contents(target)
    with pytest.raises(OutputError, match="exists already"):
        write(images, target, format)
    assert contents(target) == before
    write(images, target, format, overwrite=True)
    assert contents(target) == before


@pytest.mark.parametrize("path", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:/x.jpg"])
@pytest.mark.parametrize(
    "format",
    ["pts", "merl-rav", "scut", "coco", "coco-results", "coco-wholebody", "csv", "datumaro",
     "halpe", "hf-jsonl", "ljson", "yolo-pose"],
)  # fmt: skip
def test_files_stay_inside_the_folder(tmp_path: Path, format: str, path: str) -> None:
    with pytest.raises(OutputError, match=r"(leaves|leads out of) its folder"):
        write([image(face(SIZES.get(format, 5)), path=path)], tmp_path / "out", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "path"),
    [("wflw", "a\nb.jpg"), ("mtfl", " a.jpg"), ("retinaface", "a.jpg "), ("wflw", "1 a.jpg"),
     ("mtfl", "a 1"), ("retinaface", "")],
)  # fmt: skip
def test_names_that_do_not_fit_in_a_line(tmp_path: Path, format: str, path: str) -> None:
    with pytest.raises(OutputError, match="does not fit in a line"):
        write([image(face(SIZES[format]), path=path)], tmp_path / "out", format)


def test_two_photos_of_one_stem_do_not_share_a_file(tmp_path: Path) -> None:
    images = [image(path="a.jpg"), image(path="a.png")]
    with pytest.raises(OutputError, match=r"faces of both a\.jpg and a\.png"):
        write(images, tmp_path / "out", "pts")
    numbered = [image(face(), face(), path="a.jpg"), image(path="a_2.jpg")]
    with pytest.raises(OutputError, match=r"faces of both a\.jpg and a_2\.jpg"):
        write(numbered, tmp_path / "out", "pts")


def test_one_face_in_one_named_file(tmp_path: Path) -> None:
    write([image()], tmp_path / "b.pts", "pts")
    (back,) = read(tmp_path / "b.pts", "pts")
    assert back.faces[0].points_px[0].tolist() == [1, 2]
    with pytest.raises(OutputError, match="2 faces do not fit in one"):
        write([image(), image(path="c.jpg")], tmp_path / "c.pts", "pts")


def test_index_base_on_writing(tmp_path: Path) -> None:
    write([image()], tmp_path / "a.pts", "pts", index_base=0)
    assert (tmp_path / "a.pts").read_text().splitlines()[3] == "1.000000 2.000000"
    (back,) = read(tmp_path / "a.pts", "pts", index_base=0)
    assert back.faces[0].points_px[0].tolist() == [1, 2]


def test_attributes_that_are_no_json(tmp_path: Path) -> None:
    for value in (float("nan"), object()):
        with pytest.raises(OutputError, match="cannot be written as JSON"):
            write([image(face(attributes={"x": value}))], tmp_path / "o.json", "coco")
    write([image(face(attributes={"x": np.float32(0.5)}))], tmp_path / "o.json", "coco")
    assert next(read(tmp_path / "o.json")).faces[0].attributes == {"x": 0.5}


def test_remarks_on_what_was_made_up(tmp_path: Path) -> None:
    report = write([image()], tmp_path / "a.txt", "retinaface")
    assert report.remarks == ("1 faces without a box got the box of their points",)
    report = write([image(face(98, box=np.ones(4)))], tmp_path / "b.txt", "wflw")
    assert report.remarks == ("1 faces got 0 for flags they do not have",)
    outside = Face(np.array([[-9.0, -9], [5, 5]]))
    report = write([image(outside)], tmp_path / "c.pts", "pts")
    assert "read with --negatives keep" in report.remarks[0]
    (back,) = read(tmp_path / "c.pts", "pts", negatives="keep")
    np.testing.assert_array_equal(back.faces[0].points_px, outside.points_px)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, full_disk: Any) -> None:
    full_disk()
    with pytest.raises(OutputError, match="No space left"):
        write([image()], tmp_path / "a.pts", "pts", missing="sentinel")
    with pytest.raises(OutputError, match="No space left"):
        write([image()], tmp_path / "o.json", "coco")
    assert not list(tmp_path.iterdir())
