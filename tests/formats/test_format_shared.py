"""The real data sets: as many faces as their README says, every photo in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tufa_cli.formats import choose_format, losses, read, write

SETS = [
    ("300w", "pts", None, "300w", 2012, 2012, 68),
    ("aflw/merl_rav", "merl-rav", "aflw/photos", None, 1973, 1973, 68),
    ("scut", "scut", None, None, 3300, 3300, 86),
    ("mtfl", "mtfl", None, None, 3000, 3000, 5),
    ("aflw/aflw21_coco.json", "coco", None, "aflw21", 1528, 1528, 21),
    ("wflw", "wflw", None, None, 60, 60, 98),
    ("group_photos_label.txt", "retinaface", None, None, 180, 514, 5),
]
pytestmark = pytest.mark.shared


@pytest.mark.parametrize(
    ("source", "format", "root", "scheme", "photos", "faces", "points"),
    SETS,
    ids=[row[0].partition("_label")[0] for row in SETS],
)
def test_counts(
    shared: Path,
    source: str,
    format: str,
    root: str | None,
    scheme: str | None,
    photos: int,
    faces: int,
    points: int,
) -> None:
    data = shared / "data"
    assert choose_format(data / source) == format
    images = list(read(data / source, scheme=scheme, root=data / root if root else None))
    assert len(images) == photos
    assert sum(len(image.faces) for image in images) == faces
    assert all(Path(str(image.root), image.path).is_file() for image in images)
    assert {len(face.points_px) for image in images for face in image.faces} == {points}
    assert all(face.scheme for image in images for face in image.faces)


@pytest.mark.parametrize(
    ("source", "format", "out", "original"),
    [
        ("mtfl", "mtfl", "training.txt", "mtfl/training.txt"),
        ("wflw", "wflw", "list.txt", "wflw/list_98pt_rect_attr_train.txt"),
        ("scut", "scut", "scut", "scut"),
    ],
)
def test_writing_what_was_read_gives_the_same_bytes(
    shared: Path, tmp_path: Path, source: str, format: str, out: str, original: str
) -> None:
    images = list(read(shared / "data" / source, format))
    assert losses(images, format) == []
    report = write(images, tmp_path / out, format)
    theirs = shared / "data" / original
    for file in report.files:
        beside = theirs / file.relative_to(tmp_path / out) if theirs.is_dir() else theirs
        assert file.read_bytes() == beside.read_bytes()


def test_a_root_of_several_formats_is_ambiguous(shared: Path) -> None:
    with pytest.raises(Exception, match="looks like coco and merl-rav"):
        choose_format(shared / "data" / "aflw")


def test_wflw_without_boxes(shared: Path, tmp_path: Path) -> None:
    """197 fields: 1,760 faces on 1,491 photos, whose rows stand apart."""
    path = shared / "data/annotations/wflw98_annotations_only.txt"
    assert choose_format(path) == "wflw"
    images = list(read(path))
    assert (len(images), sum(len(image.faces) for image in images)) == (1491, 1760)
    assert all(face.box is None for image in images for face in image.faces)
    write(images, tmp_path / "o.txt", "wflw")
    assert sorted((tmp_path / "o.txt").open()) == sorted(path.open())


def test_muct_with_68_points(shared: Path, tmp_path: Path) -> None:
    """7,510 rows, half of them mirrored; the others come out as they went in."""
    path = shared / "data/annotations/muct68.csv"
    assert choose_format(path) == "muct"
    notes: list[str] = []
    images = list(read(path, on_note=notes.append))
    assert len(images) == 3755 and "3755 rows are mirrored" in notes[0]
    assert {image.faces[0].scheme for image in images} == {"muct68"}
    assert sum(not image.faces[0].labelled.all() for image in images) == 840
    assert losses(images, "muct") == []
    write(images, tmp_path / "o.csv", "muct")
    rows = [row for row in path.open() if not row.startswith("ir")]
    assert list((tmp_path / "o.csv").open()) == rows
