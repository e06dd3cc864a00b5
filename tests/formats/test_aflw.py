"""AFLW: its database, and the AFLWinfo file; both are read only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import choose_format, read, sniff, write

Put = Callable[[str, str | bytes], Path]
TABLES = """
CREATE TABLE Faces(face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
CREATE TABLE FaceImages(image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT,
                        bw INTEGER, width INTEGER, height INTEGER);
CREATE TABLE FaceRect(face_id INTEGER, x REAL, y REAL, w REAL, h REAL, annot_type_id INTEGER);
CREATE TABLE FacePose(face_id INTEGER, roll REAL, pitch REAL, yaw REAL, annot_type_id INTEGER);
CREATE TABLE FeatureCoords(face_id INTEGER, feature_id INTEGER, x REAL, y REAL,
                           annot_type_id INTEGER);
CREATE TABLE FaceMetaData(face_id INTEGER, sex TEXT, glasses INTEGER, annot_type_id INTEGER);
CREATE TABLE FaceEllipse(face_id INTEGER, x REAL, y REAL, ra REAL, annot_type_id INTEGER);
INSERT INTO FaceImages VALUES (1, 'flickr', 'image2.jpg', '2/image2.jpg', 0, 300, 200),
                              (2, 'flickr', 'image1.jpg', '0/image1.jpg', 1, 0, NULL),
                              (3, 'flickr', 'image3.jpg', '3/image3.jpg', 0, 30, 20);
INSERT INTO Faces VALUES (41, 'image2.jpg', 'flickr'), (99, 'image1.jpg', 'flickr'),
                         (40, 'image2.jpg', 'flickr');
INSERT INTO FaceRect VALUES (40, 10, 20, 30, 40, 1), (41, 50, 60, 70.5, 80, 1);
INSERT INTO FacePose VALUES (40, 0.1, -0.2, 0.3, 1);
INSERT INTO FaceMetaData VALUES (40, 'f', 1, 1);
INSERT INTO FaceEllipse VALUES (40, 5, 6, 7, 1);
INSERT INTO FeatureCoords VALUES (40, 1, 11.5, 12, 1), (40, 21, 13, 14, 1), (40, 13, 15, 16, 1),
                                 (99, 15, 17, 18, 1);
"""


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """AFLW's database with three faces on three photos, and some statements after that."""

    def make(*statements: str, tables: str = TABLES) -> Path:
        path = tmp_path / "aflw.sqlite"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(tables + ";".join(statements))
            connection.commit()
        return path

    return make


def test_the_database(database: Callable[..., Path], put: Put, tmp_path: Path) -> None:
    path = database()
    put("flickr/2/image2.jpg", b"")
    put("flickr/0/image1.png", b"")  # the database says .jpg
    assert choose_format(path) == choose_format(tmp_path) == "aflw-sqlite"
    notes: list[str] = []
    first, second, third = read(path, on_note=notes.append)
    assert [image.path for image in (first, second, third)] == [
        "0/image1.png", "2/image2.jpg", "3/image3.jpg",
    ]  # fmt: skip
    assert first.root == str(tmp_path / "flickr")
    assert (first.width, first.height, second.width, second.height) == (None, None, 300, 200)
    assert third.faces == ()
    (no_box,) = first.faces
    assert no_box.box is None and np.flatnonzero(no_box.labelled).tolist() == [14]
    face, bare = second.faces
    assert face.scheme == "aflw21" and np.flatnonzero(face.labelled).tolist() == [0, 12, 20]
    assert face.points_px[[0, 12, 20]].tolist() == [[11.5, 12], [15, 16], [13, 14]]
    assert face.box is not None and face.box.tolist() == [10, 20, 30, 40]
    assert face.attributes == {
        "roll": 0.1, "pitch": -0.2, "yaw": 0.3, "sex": "f", "glasses": 1,
        "ellipse": {"x": 5, "y": 6, "ra": 7},
    }  # fmt: skip
    assert not bare.labelled.any() and bare.box is not None and dict(bare.attributes) == {}
    assert notes == [f"{path}: 1 faces have no points at all"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["aflw.sqlite", "flickr"]


def test_without_the_ears(database: Callable[..., Path]) -> None:
    _, second, _ = read(database(), scheme="aflw19")
    face = second.faces[0]
    assert (face.scheme, len(face.points_px)) == ("aflw19", 19)
    assert np.flatnonzero(face.labelled).tolist() == [0, 18]
    with pytest.raises(InputError, match="aflw-sqlite holds 21 or 19 points"):
        list(read(database(), scheme="ibug68"))


def test_a_database_is_never_written_to(database: Callable[..., Path]) -> None:
    path = database()
    before = path.read_bytes()
    path.chmod(0o444)
    assert len(list(read(path))) == 3
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "problem", "left"),
    [
        ("INSERT INTO FeatureCoords VALUES (40, 22, 1, 2, 1)", "face 40: feature_id 22 is none", 3),
        ("INSERT INTO FeatureCoords VALUES (40, 1, 1, 2, 1)", "face 40: feature 1 has two", 3),
        ("UPDATE FeatureCoords SET x = 1e30 WHERE feature_id = 1", "face 40: x 1e.30 is not", 3),
        ("UPDATE FeatureCoords SET y = 'y' WHERE feature_id = 1", "face 40: y 'y' is not", 3),
        ("UPDATE FeatureCoords SET x = NULL WHERE feature_id = 1", "face 40: x None is not", 3),
        ("UPDATE FaceRect SET w = -1", "face 40: the box has a negative size", 3),
        ("UPDATE FaceRect SET h = x'00'", "face 40: h b.* is not a place", 3),
        ("UPDATE FaceImages SET filepath = '../a.jpg' WHERE image_id = 2",
         "FaceImages row 2: the photo's name '../a.jpg' leads out", 2),
        ("UPDATE FaceImages SET filepath = '/etc/a' WHERE image_id = 2", "row 2: .*leads out", 2),
        ("UPDATE FaceImages SET filepath = NULL WHERE image_id = 2", "row 2: filepath is not", 2),
        ("UPDATE FaceImages SET width = 'w' WHERE image_id = 2", "row 2: side 'w'", 2),
        ("INSERT INTO FaceImages VALUES (9, 'f', 'image1.jpg', '0/image1.jpg', 0, 1, 1)",
         "photo '0/image1.jpg' again", 3),
        ("INSERT INTO Faces VALUES (50, 'gone.jpg', 'f')", "1 rows of Faces name a file that", 3),
    ],
)  # fmt: skip
def test_broken_rows(
    database: Callable[..., Path],
    refused: Callable[..., InputError],
    statement: str,
    problem: str,
    left: int,
) -> None:
    path = database(statement)
    assert refused(path, "aflw-sqlite", problem).path == path
    assert len(list(read(path, "aflw-sqlite", on_error=lambda error: None))) == left


def test_broken_databases(
    database: Callable[..., Path], put: Put, refused: Callable[..., InputError]
) -> None:
    refused(put("a.db", b"SQLite, honestly"), "aflw-sqlite", "not an SQLite database")
    path = database(tables="CREATE TABLE Faces(face_id, file_id);")
    refused(path, "aflw-sqlite", "no table FaceImages and FeatureCoords")
    assert "without AFLW's tables FaceImages" in sniff(path)["aflw-sqlite"].reason
    endless = "WITH RECURSIVE n(face_id) AS (SELECT 1 UNION ALL SELECT face_id + 1 FROM n)"
    path = database(
        "DROP TABLE FeatureCoords",
        f"CREATE VIEW FeatureCoords AS {endless} SELECT face_id, 1 feature_id, 1 x, 2 y FROM n",
    )
    refused(path, "aflw-sqlite", "no table FeatureCoords")  # a view that never ends
    path = database("ALTER TABLE FaceRect RENAME COLUMN face_id TO id")
    refused(path, "aflw-sqlite", "no face_id in FaceRect")
    path = database()
    path.write_bytes(path.read_bytes()[:9000])
    refused(path, "aflw-sqlite", "damaged|not an SQLite|no database")


def test_many_faces_without_any_index(database: Callable[..., Path]) -> None:
    """The database need not have an index: 3,000 faces take a moment and not minutes."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 3099)"
    path = database(
        f"INSERT INTO FaceImages {numbers} SELECT i, 'f', 'f' || i, 'f' || i, 0, 1, 1 FROM n",
        f"INSERT INTO Faces {numbers} SELECT i, 'f' || i, 'f' FROM n",
        f"INSERT INTO FeatureCoords {numbers} SELECT i, j.f, 1, 2, 1 FROM n, "
        "(SELECT feature_id f FROM FeatureCoords) j",
    )
    images = list(read(path, "aflw-sqlite"))
    assert sum(len(image.faces) for image in images) == 3003


def test_both_say_that_they_are_read_only(tmp_path: Path) -> None:
    for format, count in (("aflw-sqlite", 21), ("aflwinfo", 19)):
        image = AnnotatedImage("a.jpg", (Face(np.ones((count, 2))),))
        with pytest.raises(TufaError, match=f"{format} is read only: ") as caught:
            write([image], tmp_path / "out", format)
        assert "coco" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


def info(path: Path, **instead: Any) -> Path:
    """As CCL's: 4 faces on 3 photos, of which all are in the training part unless ra is long."""
    names = np.empty((4, 1), dtype=object)
    names[:, 0] = ["0/image1.jpg", "2/image2.jpg", "0/image1.jpg", "3/image3.jpg"]
    data = np.tile(np.arange(38.0) + 100, (4, 1))
    content = {
        "nameList": names,
        "data": data,
        "bbox": np.tile([100.0, 130, 110, 150], (4, 1)),  # left, right, top, bottom
        "mask_new": np.tile(np.arange(19) % 2, (4, 1)),
        "ra": np.array([[2, 1, 4, 3]]),
    } | instead
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {k: v for k, v in content.items() if v is not None})
    return path


def test_aflwinfo(tmp_path: Path, put: Put) -> None:
    path = info(tmp_path / "AFLWinfo_release.mat")
    put("flickr/0/image1.jpg", b"")
    assert choose_format(path) == choose_format(tmp_path) == "aflwinfo"
    images = list(read(path))
    assert [(image.path, len(image.faces), image.split) for image in images] == [
        ("0/image1.jpg", 2, "train"), ("2/image2.jpg", 1, "train"), ("3/image3.jpg", 1, "train"),
    ]  # fmt: skip
    assert images[0].root == str(tmp_path / "flickr")
    face = images[0].faces[0]
    assert (face.scheme, face.points_px[:2].tolist()) == ("aflw19", [[100, 119], [101, 120]])
    assert face.visibility is not None and face.visibility[:3].tolist() == [1, 2, 1]
    assert np.isfinite(face.points_px).all()  # hidden ones have places too
    assert face.box is not None and face.box.tolist() == [100, 110, 30, 40]
    (shifted, *_) = read(path, index_base=1)
    assert shifted.faces[0].points_px[0].tolist() == [99, 118]


def test_aflwinfo_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the permutation are the training part; one photo here has faces in both."""
    monkeypatch.setattr("tufa_cli.formats.aflwinfo._TRAINING", 2)
    mask = np.ones((4, 19))
    mask[3, 0] = 0
    path = info(tmp_path / "a.mat", mask_new=mask)
    notes: list[str] = []
    images = list(read(path, on_note=notes.append))
    assert [(image.path, image.split) for image in images] == [
        ("0/image1.jpg", "train"), ("2/image2.jpg", "train"), ("0/image1.jpg", "test"),
        ("3/image3.jpg", "test"),
    ]  # fmt: skip
    assert notes == [f"{path}: 1 photos have faces in the training and the test part"]
    frontal = [dict(image.faces[0].attributes) for image in images]
    assert frontal == [{}, {}, {"frontal": True}, {}]


NAMES = np.array(["a", "b", "c", "d"], dtype=object).reshape(4, 1)


@pytest.mark.parametrize(
    ("instead", "problem"),
    [
        ({"data": None}, "no N x 38 numbers 'data'"),
        ({"data": np.ones((4, 37))}, "'data' is 4 x 37, expected N x 38"),
        ({"bbox": np.ones((3, 4))}, "'bbox' is 3 x 4, expected 4 x 4"),
        ({"mask_new": np.full((4, 19), 2)}, "neither 0 nor 1"),
        ({"ra": np.array([[1, 2, 3, 3]])}, "not a permutation of 1 to 4"),
        ({"ra": np.array([[1, 2, 3]])}, "'ra' is 1 x 3"),
        ({"nameList": NAMES[:3]}, "'nameList' does not hold 4 names"),
        ({"nameList": np.ones((4, 1))}, "'nameList' does not hold 4 names"),
        ({"data": np.full((4, 38), np.nan)}, "'data' row 1, column 1 is not a place"),
        ({"bbox": np.array([[9, 1, 1, 2]] * 4)}, "face 1: the box's far corner"),
    ],
)
def test_broken_aflwinfo(
    tmp_path: Path, refused: Callable[..., InputError], instead: dict[str, Any], problem: str
) -> None:
    path = info(tmp_path / "a.mat", **instead)
    assert refused(path, "aflwinfo", problem).path == path


@pytest.mark.parametrize(
    ("name", "problem"),
    [("../a.jpg", "leads out"), ("C:\\a.jpg", "leads out"), ("", "missing"), (7.0, "missing")],
)
def test_broken_aflwinfo_names(
    tmp_path: Path, refused: Callable[..., InputError], name: Any, problem: str
) -> None:
    names = NAMES.copy()
    names[2, 0] = name
    path = info(tmp_path / "a.mat", nameList=names)
    refused(path, "aflwinfo", f"face 3: .*{problem}")
    assert len(list(read(path, on_error=lambda error: None))) == 3


def test_aflwinfo_cut_off(tmp_path: Path, refused: Callable[..., InputError]) -> None:
    path = info(tmp_path / "a.mat")
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, "aflwinfo", "ends within a variable")
