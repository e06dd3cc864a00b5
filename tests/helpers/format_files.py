"""A small file of each format, as its authors' programs write it."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import write
from tufa_cli.formats.celeba import COLUMNS


def built(name: str, file: str, points: int, photo: str) -> tuple[str, bytes]:
    """A file as the format itself writes it."""
    face = Face(np.arange(2.0 * points).reshape(-1, 2) + 1, box=np.ones(4))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "a.mat" if name == "cofw" else "out")
        report = write([AnnotatedImage(photo, (face,))], target, name)
        return file, max(report.files).read_bytes()


def tool(name: str, file: str) -> tuple[str, bytes]:
    """A file of an annotation tool with two points, one of them hidden, a box and an attribute."""
    face = Face(
        np.array([[1.5, 2], [3, 4]]),
        visibility=np.array([2, 1], dtype=np.uint8),
        box=np.array([1, 2, 3, 4.5]),
        attributes={"a": 1},
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) if name in ("labelme", "supervisely") else Path(folder, file)
        write([AnnotatedImage("a.jpg", (face,), 64, 48)], target, name)
        return file, Path(folder, file).read_bytes()


def aflwinfo() -> bytes:
    """As MATLAB would write it: scipy does."""
    names = np.empty((2, 1), dtype=object)
    names[:, 0] = "0/a.jpg"
    content = {
        "nameList": names,
        "data": np.arange(76.0).reshape(2, 38),
        "bbox": np.array([[1, 9, 2, 8], [1, 9, 2, 8]]),
        "mask_new": np.ones((2, 19)),
        "ra": np.array([[2, 1]]),
    }
    stream = io.BytesIO()
    scipy.io.savemat(stream, content)
    return stream.getvalue()


def aflw_sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.sqlite")
        with closing(sqlite3.connect(path)) as database:
            database.executescript(
                "CREATE TABLE Faces(face_id, file_id);"
                "CREATE TABLE FaceImages(file_id, filepath, width, height);"
                "CREATE TABLE FeatureCoords(face_id, feature_id, x, y);"
                "CREATE TABLE FaceRect(face_id, x, y, w, h);"
                "INSERT INTO Faces VALUES (1, 'a');"
                "INSERT INTO FaceImages VALUES ('a', '0/a.jpg', 30, 20);"
                "INSERT INTO FeatureCoords VALUES (1, 1, 2.5, 3), (1, 21, 4, 5);"
                "INSERT INTO FaceRect VALUES (1, 1, 2, 3, 4);"
            )
            database.commit()
        return path.read_bytes()


def csv_head(count: int, pattern: str) -> str:
    return ",".join(pattern.format(i=i, axis=axis) for i in range(count) for axis in "xy")


def coco_of(face: dict[str, Any]) -> bytes:
    """A COCO file of a person."""
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1} | face],
            "categories": [{"id": 1, "name": "person", "keypoints": []}],
        }
    ).encode()


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (8, 4)).save(stream, format="PNG")
    return stream.getvalue()


NUMBERS = " ".join(f"{i}.5" for i in range(196))
POINTS = "".join(f"{i} {i}.5\n" for i in range(106))
GOOD = {
    "pts": ("a.pts", b"version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n"),
    "merl-rav": ("a.pts", b"version: 1\nn_points: 68\n{\n" + b"-1 -2\n" * 68 + b"}\n"),
    "scut": ("a.pts", struct.pack("<i", 86) + struct.pack("<2f", 1, 2) * 86),
    "wflw": ("a.txt", f"{NUMBERS} 1 2 3 4 0 0 0 1 0 0 a/b.jpg\n".encode() * 2),
    "mtfl": ("a.txt", b" a\\b.jpg 1 2 3 4 5 6 7 8 9 10 1 2 1 3\n" * 2),
    "retinaface": ("a.txt", b"# a.jpg\n" + b"1 " * 4 + b"2 3 0.0 " * 5 + b"0.5\n"),
    "300vw": ("annot/000001.pts", b"version: 1\nn_points: 68\n{\n" + b"1 2\n" * 68 + b"}\n"),
    "300w-lp": built("300w-lp", "a.mat", 68, "a.jpg"),
    "aflw-sqlite": ("a.sqlite", aflw_sqlite()),
    "aflwinfo": ("AFLWinfo_release.mat", aflwinfo()),
    "celeba": ("a.txt", f"1\n{' '.join(COLUMNS)}\na.jpg {' 12' * 10}\n".encode()),
    "cofw": built("cofw", "a.mat", 29, "000001.png"),
    "cofw68": built("cofw68", "test_annotations/1_points.mat", 68, "001346.png"),
    "helen": ("1.txt", b"10_1\n" + b"1 , 2.5\n" * 194),
    "hrnet-csv": (
        "a.csv",
        f"image_name,scale,center_w,center_h,{csv_head(5, 'original_{i}_{axis}')}\n"
        f"a.jpg,1,2,3,{','.join('4' * 10)}\n".encode(),
    ),
    "jd": ("a.jpg.txt", f"106\n{POINTS}".encode()),
    "lapa": ("a.txt", f"106\n{POINTS}".encode()),
    "muct": (
        "a.csv",
        f"name,tag,{csv_head(68, '{axis}{i:02d}')}\na,2,{','.join('4' * 136)}\n".encode(),
    ),
    "dlib": tool("dlib", "a.xml"),
    "cvat": tool("cvat", "a.xml"),
    "via": tool("via", "a.csv"),
    "labelme": tool("labelme", "a.json"),
    "label-studio": tool("label-studio", "a.json"),
    "supervisely": tool("supervisely", "ds0/ann/a.jpg.json"),
    "coco": (
        "a.json",
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 1],
                     "bbox": [1, 2, 3, 4], "score": 0.5, "attributes": {"a": 1}}
                ],
                "categories": [{"id": 1, "name": "face", "keypoints": ["0", "1"]}],
            }
        ).encode(),
    ),
}  # fmt: skip

WHOLEBODY = {"face_kpts": [1, 2, 1] * 68, "face_box": [1, 2, 3, 4], "face_valid": True}
GOOD |= {
    "coco-results": (
        "a.json",
        json.dumps(
            [{"image_id": 1, "category_id": 1, "file_name": "a.jpg", "keypoints": [1, 2, 0.5],
              "score": 0.5, "bbox": [1, 2, 3, 4]}]
        ).encode(),
    ),
    "coco-wholebody": ("a.json", coco_of({"keypoints": [0] * 51} | WHOLEBODY)),
    "halpe": ("a.json", coco_of({"keypoints": [5, 6, 2] * 136, "bbox": [1, 2, 3, 4]})),
    "csv": ("a.csv", b"image_name,part_0_x,part_0_y,part_1_x,part_1_y\na.jpg,1,2.5,,\n"),
    "datumaro": (
        "a.json",
        json.dumps(
            {
                "categories": {"label": {"labels": [{"name": "face"}]}},
                "items": [
                    {"id": "a", "image": {"path": "a.jpg", "size": [20, 30]}, "annotations": [
                        {"type": "points", "points": [1, 2, 3, 4], "visibility": [2, 1],
                         "label_id": 0, "group": 1, "attributes": {"score": 0.5}},
                        {"type": "bbox", "bbox": [1, 2, 3, 4], "group": 1}]}
                ],
            }
        ).encode(),
    ),
    "hf-jsonl": (
        "metadata.jsonl",
        b'{"file_name": "a.jpg", "faces": [{"bbox": [1, 2, 3, 4], "keypoints": [[1, 2], [3, 4]], '
        b'"visibility": [2, 1], "attributes": "{\\"a\\": 1}"}]}\n',
    ),
    "ljson": (
        "a.ljson",
        b'{"version": 3, "groups": {"LJSON": {"landmarks": {"points": [[1, 2], [null, null]]}}}}',
    ),
    "openface": (
        "a.csv",
        b"frame, face_id, timestamp, confidence, success, x_0, x_1, y_0, y_1, AU01_r\n"
        b"1, 0, 0.0, 0.98, 1, 1.5, 2, 3, 4, 0.5\n",
    ),
    "py-feat": (
        "a.csv",
        b"frame,FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,FaceScore,x_0,y_0,happy,input\n"
        b"0,1,2,3,4,0.9,1.5,2,0.5,a.jpg\n",
    ),
    "yolo-pose": (
        "data.yaml",
        b"train: images/train\nval: images/val\nnames: {0: face}\nkpt_shape: [2, 3]\n",
    ),
}  # fmt: skip

#: What lies beside a file, where it needs that.
BESIDE = {
    "supervisely": dict([tool("supervisely", "meta.json")]),
    "yolo-pose": {
        "images/train/a.png": png(),
        "images/val/.keep": b"",
        "labels/train/a.txt": b"0 0.5 0.5 1 1 0.25 0.25 2 0.5 1 1\n",
    },
}


def put_beside(name: str, folder: Path) -> None:
    for file, content in BESIDE.get(name, {}).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)


def laid_out(folder: Path, name: str, content: bytes) -> Path:
    """The file of a format with this content, and what it needs beside."""
    path = folder / GOOD[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    put_beside(name, folder)
    path.write_bytes(content)
    return path
