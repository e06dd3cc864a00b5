"""YOLO-pose: data.yaml in its dialects, fractions of the upright photo, Ultralytics' own rules."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write
from tufa_cli.schemes import get_scheme

YAML = "train: images/train\nval: images/val\nnames: [face]\nkpt_shape: [2, 3]\n"
ROW = "0 0.5 0.5 0.25 0.5 0.1 0.2 2 0.3 0.4 1\n"


def photo(width: int = 100, height: int = 50, orientation: int = 1) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height)).save(stream, format="JPEG", exif=exif)
    return stream.getvalue()


@pytest.fixture
def dataset(put: Any, tmp_path: Path) -> Path:
    put("data.yaml", YAML)
    put("images/train/s/a.jpg", photo())
    put("images/train/b.jpg", photo())
    put("images/val/c.jpg", photo())
    put("labels/train/s/a.txt", "\ufeff" + ROW)
    put("labels/train/b.txt", "")
    return tmp_path


def face_of(folder: Path, **options: Any) -> Face:
    return next(image for image in read(folder, "yolo-pose", **options) if image.faces).faces[0]


def test_a_data_set(dataset: Path) -> None:
    assert choose_format(dataset) == "yolo-pose"
    assert choose_format(dataset / "data.yaml") == "yolo-pose"
    b, a, c = read(dataset)
    assert [(i.path, i.split, len(i.faces)) for i in (a, b, c)] == [
        ("s/a.jpg", "train", 1), ("b.jpg", "train", 0), ("c.jpg", "val", 0),
    ]  # fmt: skip
    assert (a.root, a.width, a.height) == (str(dataset / "images/train"), 100, 50)
    (face,) = a.faces
    np.testing.assert_allclose(face.points_px, [[10, 10], [30, 20]])
    assert face.visibility is not None and face.visibility.tolist() == [2, 1]
    assert face.box is not None and face.box.tolist() == [37.5, 12.5, 25, 25]
    assert (face.scheme, dict(face.attributes)) == (None, {})


def test_sizes_are_those_of_the_upright_photo(dataset: Path, put: Any) -> None:
    put("images/train/s/a.jpg", photo(50, 100, orientation=6))
    np.testing.assert_allclose(face_of(dataset).points_px, [[10, 10], [30, 20]])


def test_two_columns(dataset: Path, put: Any) -> None:
    put("data.yaml", YAML.replace("[2, 3]", "[3, 2]"))
    put("labels/train/s/a.txt", "0 0.5 0.5 0.25 0.5 0.1 0.2 0 0 -0.005 0.5\n")
    face = face_of(dataset)
    assert face.labelled.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("flags", "mode", "mark", "expected"),
    [
        ("1 1", "auto", "", 2),
        ("1 1", "strict", "", 1),
        ("1 1", "auto", "tufa_cli: {visibility: strict}\n", 1),
        ("1 2", "auto", "", 1),
        ("1.000000 2.000000", "auto", "", 1),
    ],
)
def test_one_means_visible_where_no_two_occurs(
    dataset: Path, put: Any, flags: str, mode: Any, mark: str, expected: int
) -> None:
    first, second = flags.split()
    put("data.yaml", YAML + mark)
    put("labels/train/s/a.txt", f"0 0.5 0.5 0.25 0.5 0.1 0.2 {first} 0.3 0.4 {second}\n")
    visibility = face_of(dataset, coco_visibility=mode).visibility
    assert visibility is not None and visibility[0] == expected


@pytest.mark.parametrize(
    ("names", "label", "scheme", "attributes"),
    [
        ("[face]", 0, None, {}),
        ("{0: person, 1: face}", 1, None, {"class": "face"}),
        ("{0: mtfl5, 1: face}", 0, "mtfl5", {}),
        ("[person, mtfl]", 1, "mtfl5", {}),
    ],
)
def test_classes(
    dataset: Path, put: Any, names: str, label: int, scheme: str | None, attributes: dict[str, str]
) -> None:
    put("data.yaml", YAML.replace("[face]", names).replace("[2, 3]", "[5, 3]"))
    put("labels/train/s/a.txt", f"{label} 0.5 0.5 0.2 0.2{' 0.5 0.5 2' * 5}\n")
    face = face_of(dataset)
    assert (face.scheme, dict(face.attributes)) == (scheme, attributes)
    assert face_of(dataset, scheme="mtfl5").scheme == "mtfl5"


def test_repeated_rows_are_left_out_and_said(dataset: Path, put: Any) -> None:
    put("labels/train/s/a.txt", ROW + "\r\n" + ROW.replace("0.5 ", "0.50 "))
    notes: list[str] = []
    images = list(read(dataset, on_note=notes.append))
    assert sum(len(image.faces) for image in images) == 1
    assert "1 rows repeat another" in notes[0]


@pytest.mark.parametrize(
    ("folders", "lists"),
    [
        ("data/images/train", "path: data\ntrain: images/train"),
        ("data/images/train", "train: [data/images/train]"),
        ("train/images", "train: ../train/images"),  # Roboflow's export
        ("images/train", "path: /nowhere/at/all\ntrain: images/train"),
        ("images/train", "train: list.txt"),
        ("flat", "train: flat"),
    ],
)
def test_where_photos_may_be(put: Any, tmp_path: Path, folders: str, lists: str) -> None:
    put("data.yaml", f"{lists}\nnames: [face]\nkpt_shape: [2, 3]\n")
    put(f"{folders}/a.jpg", photo())
    put(f"{folders.replace('images', 'labels')}/a.txt", ROW)
    put("list.txt", "./images/train/a.jpg\n./images/train/a.jpg\n")
    put("flat/README.txt", "not labels")
    (image,) = read(tmp_path)
    assert (Path(str(image.root)) / image.path).is_file()
    assert (len(image.faces), image.split) == (1, "train")


def test_one_folder_for_train_and_val_is_no_split(put: Any, tmp_path: Path) -> None:
    put("data.yaml", YAML.replace("images/val", "images/train"))
    put("images/train/a.jpg", photo())
    put("labels/train/classes.txt", "face\n")
    (image,) = read(tmp_path)
    assert image.split is None


def test_photos_elsewhere(put: Any, tmp_path: Path) -> None:
    put("set/data.yaml", YAML.replace("val: images/val\n", ""))
    put("set/labels/train/a.txt", ROW)
    put("photos/train/a.jpg", photo())
    (image,) = read(tmp_path / "set", root=tmp_path / "photos")
    assert (image.root, len(image.faces)) == (str(tmp_path / "photos/train"), 1)
    (image,) = read(tmp_path / "set", root=tmp_path / "photos/train")
    assert image.path == "a.jpg"


def ultralytics_rules(target: Path) -> None:
    """The checks of Ultralytics' loader, restated: raises AssertionError where it drops a photo."""
    data = yaml.safe_load((target / "data.yaml").read_text(encoding="utf-8"))
    assert {"train", "val", "names", "kpt_shape"} <= set(data)
    points, columns = data["kpt_shape"]
    assert columns == 3
    if "flip_idx" in data:
        assert sorted(data["flip_idx"]) == list(range(points))
    for file in (target / "labels").rglob("*.txt"):
        rows = [line.split() for line in file.read_text().splitlines()]
        if not rows:
            continue
        values = np.array(rows, dtype=np.float32)
        assert values.shape[1] == 5 + points * columns
        places = values[:, 5:].reshape(-1, 3)[:, :2]
        assert (places <= 1.01).all() and (places >= -0.01).all()
        assert (values[:, 1:5] <= 1.01).all() and (values[:, 1:5] >= -0.01).all()
        assert values[:, 0].max() < len(data["names"])
        assert len(np.unique(values, axis=0)) == len(values)


def face(**given: Any) -> Face:
    points = np.array([[0, 0], [100, 50], [10, 20], [30, 40], [5, 6]], dtype=float)
    return Face(points, scheme="mtfl5", **given)


def test_written_for_ultralytics(tmp_path: Path) -> None:
    seen = np.array([2, 1, 0, 2, 2], dtype=np.uint8)
    images = [
        AnnotatedImage("s/a.jpg", (face(box=np.array([0.0, 0, 100, 50])),), 100, 50, "train"),
        AnnotatedImage("b.jpg", (face(visibility=seen),), 100, 50, "fold-3"),
        AnnotatedImage("c.jpg", (), split="train"),
        AnnotatedImage("d.jpg", (), split=None),
    ]
    assert losses(images, "yolo-pose") == []
    report = write(images, tmp_path, "yolo-pose")
    ultralytics_rules(tmp_path)
    assert report.remarks[0] == "1 faces without a box got the box of their points"
    assert "the photos belong in" in report.remarks[1]
    names = {str(path.relative_to(tmp_path)) for path in report.files}
    assert names == {"data.yaml", "labels/train/s/a.txt", "labels/fold-3/b.txt",
                     "labels/train/c.txt", "labels/unsplit/d.txt"}  # fmt: skip
    row = (tmp_path / "labels/fold-3/b.txt").read_text().split()
    assert row[:5] == ["0", "0.5", "0.5", "1", "1"]
    assert row[5:14] == ["0", "0", "2", "1", "1", "1", "0", "0", "0"]
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert "path" not in data
    assert (data["train"], data["val"], data["fold-3"]) == (
        "images/train", "images/train", "images/fold-3",
    )  # fmt: skip
    assert data["names"] == {0: "mtfl5"}
    assert data["flip_idx"] == list(get_scheme("mtfl5").flip)
    assert data["kpt_names"] == {0: list(get_scheme("mtfl5").names)}


OUTSIDE = Face(np.array([[-0.5, 3], [100.5, 3], [3, 50.5], [3, 4], [5, 6]]))


def test_points_outside_the_photo(tmp_path: Path) -> None:
    images = [AnnotatedImage("a.jpg", (OUTSIDE,), 100, 50)]
    assert losses(images, "yolo-pose") == ["where points lie: 1 face, first in a.jpg"]
    with pytest.raises(OutputError, match="no way to write point 0, 1, 2 where it is"):
        write(images, tmp_path / "out", "yolo-pose")
    assert not list(tmp_path.iterdir())
    assert losses(images, "yolo-pose", missing="sentinel") == []
    report = write(images, tmp_path / "out", "yolo-pose", missing="sentinel")
    assert report.dropped == ("3 points of 1 face as sentinels",)
    ultralytics_rules(tmp_path / "out")
    row = (tmp_path / "out/labels/unsplit/a.txt").read_text().split()
    assert row[7::3] == ["0", "0", "0", "2", "2"]
    assert write(images, tmp_path / "none", "yolo-pose", missing="drop-face").faces == 0


def test_other_losses(tmp_path: Path) -> None:
    far = face(box=np.array([-10.0, 0, 50, 50]))
    odd = face(attributes={"class": " x", "pose": 1})
    images = [
        AnnotatedImage("a.jpg", (far, far), 100, 50),
        AnnotatedImage("b.jpg", (odd,), 100, 50, split="names"),
        AnnotatedImage("c.jpg", (odd,), 100, 50, split="a/b"),
    ]
    assert losses(images, "yolo-pose") == [
        "where a box leaves the photo: 1 photo, first a.jpg",
        "that a face is there twice: 1 photo, first a.jpg",
        "the split 'names', which cannot be a key of data.yaml: 1 photo, first b.jpg",
        "the split 'a/b', which cannot be a key of data.yaml: 1 photo, first c.jpg",
        "attributes of faces (class, pose): 2 faces, first in b.jpg",
    ]
    write(images[:1], tmp_path / "out", "yolo-pose")
    row = (tmp_path / "out/labels/unsplit/a.txt").read_text().split()
    assert row[1:5] == ["0.2", "0.5", "0.4", "1"]  # cut off at the edge


def test_sizes_from_the_photos(put: Any, tmp_path: Path) -> None:
    put("photos/a.jpg", photo(50, 100, orientation=6))
    images = [AnnotatedImage("a.jpg", (face(),), root=str(tmp_path / "photos"))]
    write(images, tmp_path / "out", "yolo-pose")
    assert "0.1 0.4 2" in (tmp_path / "out/labels/unsplit/a.txt").read_text()
    for root in (None, str(tmp_path / "nowhere")):
        with pytest.raises(OutputError, match="size is not known") as caught:
            write([AnnotatedImage("a.jpg", (face(),), root=root)], tmp_path / "no", "yolo-pose")
        assert "--images" in str(caught.value.hint)
    assert not (tmp_path / "no").exists()


def test_refused(tmp_path: Path) -> None:
    two = AnnotatedImage("a.jpg", (face(), Face(np.ones((2, 2)))), 100, 50)
    with pytest.raises(OutputError, match="a face of 2 points after faces of 5"):
        write([two], tmp_path / "out", "yolo-pose")
    one = AnnotatedImage("a.jpg", (face(),), 100, 50)
    with pytest.raises(OutputError, match=r"both a\.jpg and a\.png would go here"):
        write([one, AnnotatedImage("a.png", (face(),), 100, 50)], tmp_path / "out", "yolo-pose")
    with pytest.raises(OutputError, match="YOLO has many files"):
        write([one], tmp_path / "data.yaml", "yolo-pose")
    assert not list(tmp_path.iterdir())


BAD_YAML = [
    ("", "not a data.yaml"),
    ("- 1", "not a data.yaml"),
    ("a: [", "line 1: not valid YAML"),
    ("a: 1\nb: {", "line 2: not valid YAML"),
    ("\tx: 1", "line 1: not valid YAML"),
    (b"names: M\xfcller", "line 1: not UTF-8"),
    ("[" * 5000, "not valid YAML"),
    (YAML.replace("[2, 3]", "[2, 4]"), r"kpt_shape is not \[points, 2 or 3\]"),
    (YAML.replace("[2, 3]", "68"), "kpt_shape is not"),
    (YAML.replace("[2, 3]", "[true, 3]"), "kpt_shape is not"),
    (YAML.replace("[2, 3]", "[0, 3]"), "kpt_shape is not"),
    (YAML.replace("[face]", "face"), "names is neither a list nor a mapping"),
    (YAML.replace("[face]", "{a: face}"), "names is neither a list nor a mapping"),
    (YAML.replace("[face]", "[[1]]"), "names holds something that is no name"),
    ("names: [a]\nkpt_shape: [2, 3]\n", "no train, val or test"),
    (YAML.replace("images/train", "images/absent"), "train: no folder"),
    (YAML.replace("images/train", "7"), "train is not the name of a folder"),
    ("x" * 2_000_000, "longer than"),
]


@pytest.mark.parametrize(("content", "problem"), BAD_YAML)
def test_broken_yaml(dataset: Path, put: Any, content: str | bytes, problem: str) -> None:
    path = put("data.yaml", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "yolo-pose"))
    assert caught.value.path == path
    if "train" not in problem:
        assert not sniff(path)["yolo-pose"].yes


def test_an_alias_bomb_is_harmless(dataset: Path, put: Any) -> None:
    layers = "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" if i else "a0: &a0 [x, x]\n"
        for i in range(12)
    )
    put("data.yaml", layers + YAML.replace("[face]", "*a11"))
    with pytest.raises(InputError, match="names holds something"):
        list(read(dataset / "data.yaml", "yolo-pose"))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (ROW.replace(" 1\n", ""), r"expected 11 numbers \(class, box, 2 points of 3\), found 10"),
        (ROW.replace("\n", " 0.9"), "found 12"),
        ("0 0.5 0.5 0.2 0.2", "found 5"),
        (ROW.replace("0 0.5", "1 0.5", 1), "class 1 is none of the 1 classes"),
        (ROW.replace("0 0.5", "0.5 0.5", 1), "class 0.5 is none"),
        (ROW.replace("0.1", "1.2"), "1.2 is no fraction"),
        (ROW.replace("0.1", "-0.2"), "-0.2 is no fraction"),
        (ROW.replace("0.25", "1.5"), "1.5 is no fraction"),
        (ROW.replace("0.25", "-0.005"), "negative size"),
        (ROW.replace("0.2 2", "0.2 0.87"), "visibility 0.87 is none of"),
        (ROW.replace("0.1", "nan"), "'nan' is not a finite"),
        (ROW.replace("0.1", "1e999"), "not a finite"),
        (ROW.replace("0.1", "x"), "'x' is not a number"),
        (ROW.replace("0.1", "0_1"), "not a number"),
        (b"0 \xfc", "not UTF-8"),
        (b"0 \0", "zero bytes"),
        ("9" * 2_000_000, "a line of more than"),
    ],
)
def test_broken_rows(dataset: Path, put: Any, row: str | bytes, problem: str) -> None:
    raw = row if isinstance(row, bytes) else row.encode()
    path = put("labels/train/s/a.txt", b"\r\n" + ROW.encode() + raw)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(dataset))
    assert (caught.value.path, caught.value.line) == (path, 3)
    failures: list[InputError] = []
    images = list(read(dataset, on_error=failures.append))
    assert [error.line for error in failures] == [3]
    assert {image.path for image in images} >= {"b.jpg", "c.jpg"}


def test_labels_without_their_photo(dataset: Path, put: Any) -> None:
    put("labels/train/z.txt", ROW)
    with pytest.raises(InputError, match=r"z\.txt, line 1: its photo z\.jpg is not there"):
        list(read(dataset))
    put("images/train/z.jpg", b"no picture")
    with pytest.raises(InputError, match=r"its photo z\.jpg is no picture"):
        list(read(dataset))


@pytest.mark.parametrize("name", ["../a.jpg", "./../a.jpg", "a/../../b.jpg"])
def test_lists_do_not_lead_out(dataset: Path, put: Any, name: str) -> None:
    put("data.yaml", YAML.replace("images/train", "list.txt"))
    path = put("list.txt", f"images/train/b.jpg\n{name}\n")
    with pytest.raises(InputError, match="leads out of its folder") as caught:
        list(read(dataset))
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_several_data_sets_in_a_folder(dataset: Path, put: Any) -> None:
    put("other/data.yaml", YAML)
    put("config.yaml", "a: 1\n")
    with pytest.raises(InputError, match=r"several data sets: data\.yaml and other/data\.yaml"):
        list(read(dataset, "yolo-pose"))
    with pytest.raises(InputError, match="kpt_shape has 2 points, mtfl5 has 5"):
        list(read(dataset / "data.yaml", scheme="mtfl5"))


def test_one_folder_for_the_photos_of_all_parts(dataset: Path, put: Any) -> None:
    """A photo is the part's that has its labels, and not once more each other's."""
    for name in ("s/a.jpg", "b.jpg", "c.jpg", "other.jpg"):
        put(f"photos/{name}", photo())
    put("labels/val/c.txt", ROW)
    images = list(read(dataset, root=dataset / "photos"))
    assert [(image.path, image.split, len(image.faces)) for image in images] == [
        ("b.jpg", "train", 0), ("s/a.jpg", "train", 1), ("c.jpg", "val", 1),
    ]  # fmt: skip


def test_symlink_loops_end(dataset: Path) -> None:
    (dataset / "images/train/loop").symlink_to(dataset, target_is_directory=True)
    (dataset / "images/train/self.jpg").symlink_to(dataset / "images/train/self.jpg")
    images = list(read(dataset))
    assert [image.path for image in images if image.faces] == ["s/a.jpg"]
