"""COFW (MATLAB 7.3, photos inside) and COFW-68: files made as MATLAB makes them, by h5py and scipy.

h5py sees MATLAB's arrays transposed; a cell array is a table of references.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, UnknownNameError
from tufa_cli.formats import choose_format, losses, read, sniff, write
from tufa_cli.formats._base import ReadOptions
from tufa_cli.formats.cofw import _Part
from tufa_cli.images.drawing import write_picture
from tufa_cli.images.reading import read_rgb

Put = Callable[[str, str | bytes], Path]


def matlab(path: Path, part: str = "Tr", count: int = 2, **instead: Any) -> Path:
    """A file as the authors': phis (N, 87), bboxes (N, 4), and photos, one of them grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.arange(29.0) + 10.5, np.arange(29.0) + 50
    phis = np.tile(np.concatenate([x, y, np.arange(29) % 2]), (count, 1))
    content = {"phis": phis, "bboxes": np.tile([11.0, 21, 30, 40], (count, 1))} | instead
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            if value is not None:
                file[f"{name}{part}"] = np.asarray(value).T
        cells = np.empty((1, count), dtype=h5py.ref_dtype)
        for row in range(count):
            cells[0, row] = file.create_dataset(f"#refs#/{row}", data=photo(row).T).ref
        if instead.get("Is", True):
            file.create_dataset(f"Is{part}", data=cells, dtype=h5py.ref_dtype)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def photo(row: int) -> np.ndarray:
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    return pixels if row % 2 == 0 else pixels[..., 0]


def test_as_it_is_given_out(tmp_path: Path) -> None:
    matlab(tmp_path / "COFW_train_color.mat")
    matlab(tmp_path / "COFW_test_color.mat", "T")
    assert choose_format(tmp_path) == "cofw"
    images = list(read(tmp_path))
    assert [(image.path, image.split) for image in images] == [
        ("001346.png", "test"), ("001347.png", "test"),
        ("000001.png", "train"), ("000002.png", "train"),
    ]  # fmt: skip
    assert {(image.width, image.height) for image in images} == {(30, 20)}
    face = images[0].faces[0]
    assert (face.scheme, face.points_px[3].tolist()) == ("cofw29", [12.5, 52])
    assert face.visibility is not None and face.visibility[:4].tolist() == [2, 1, 2, 1]
    assert face.box is not None and face.box.tolist() == [10, 20, 30, 40]
    assert not list(tmp_path.rglob("*.png"))  # only on request
    (other, *_) = read(tmp_path / "COFW_test_color.mat", index_base=0)
    assert other.faces[0].points_px[3].tolist() == [13.5, 53]


def test_photos_are_extracted_on_request_without_loss(tmp_path: Path) -> None:
    path = matlab(tmp_path / "a.mat")
    out = tmp_path / "photos"
    for _ in range(2):  # what is there already and the same is no obstacle
        images = list(read(path, settings={"extract": str(out)}))
    assert {image.root for image in images} == {str(out)}
    np.testing.assert_array_equal(read_rgb(out / "000001.png"), photo(0))
    np.testing.assert_array_equal(read_rgb(out / "000002.png"), np.dstack([photo(1)] * 3))
    write_picture(out / "000001.png", np.zeros((9, 9, 3), dtype=np.uint8), overwrite=True)
    with pytest.raises(OutputError, match=r"000001\.png: exists already"):
        list(read(path, settings={"extract": str(out)}))
    with pytest.raises(UnknownNameError, match="unknown setting of cofw 'extrct'"):
        read(path, "cofw", settings={"extrct": str(out)})


def test_photos_beside(tmp_path: Path) -> None:
    path = matlab(tmp_path / "COFW_train_color.mat")
    (tmp_path / "COFW_train_color").mkdir()
    write_picture(tmp_path / "COFW_train_color/000001.png", photo(0))
    image = next(read(path))
    assert Path(str(image.root), image.path).is_file()


def test_rows_are_read_in_blocks(tmp_path: Path) -> None:
    path = matlab(tmp_path / "a.mat", count=600, Is=None)
    paths = [image.path for image in read(path)]
    assert paths == [f"{row + 1:06d}.png" for row in range(600)]
    with h5py.File(path) as file:
        part = _Part(path, file, "Tr", ReadOptions())
        seen: list[Any] = []

        class Spy:
            def __getitem__(self, key: Any) -> Any:
                seen.append(key)
                return file["phisTr"][key]

        part.phis = Spy()
        next(part.records())
        assert seen == [(slice(None), slice(0, 256))]


ROWS = np.tile(np.concatenate([np.arange(58.0), np.zeros(29)]), (2, 1))


def other(row: int, column: int, value: float) -> np.ndarray:
    rows = ROWS.copy()
    rows[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("instead", "problem"),
    [
        ({"phis": None}, "no phisTr and no phisT"),
        ({"bboxes": None}, "no 'bboxesTr'"),
        ({"phis": np.zeros((2, 86))}, "'phisTr' is 86 x 2, expected 87 x N"),
        ({"phis": np.zeros(87)}, "'phisTr' is 87, expected"),
        ({"bboxes": np.zeros((3, 4))}, "'bboxesTr' is 4 x 3, expected 4 x 2"),
        ({"phis": other(1, 5, np.nan)}, "row 2 of phisTr: point 5 is not a place"),
        ({"phis": other(1, 29, 1e30)}, "row 2 of phisTr: point 0 is not a place"),
        ({"phis": other(0, 60, 2)}, "row 1 of phisTr: a flag"),
        ({"bboxes": np.array([[1, 2, 3, 4], [1, 2, -3, 4]])}, "row 2 of phisTr: the box"),
        ({"bboxes": np.array([[1, 2, 3, 4], [1, 2, np.inf, 4]])}, "row 2 of phisTr: the box"),
        ({"phis": np.full((2, 87), b"x")}, "damaged"),
    ],
)
def test_broken(
    tmp_path: Path, refused: Callable[..., InputError], instead: dict[str, Any], problem: str
) -> None:
    path = matlab(tmp_path / "a.mat", **instead)
    assert refused(path, "cofw", problem).path == path


def test_cut_off_and_other_files(
    tmp_path: Path, put: Put, refused: Callable[..., InputError]
) -> None:
    path = matlab(tmp_path / "a.mat")
    path.write_bytes(path.read_bytes()[:3000])
    refused(path, "cofw", "damaged")
    assert "damaged" in sniff(path)["cofw"].reason
    refused(put("b.mat", b"no HDF5 at all"), "cofw", "damaged")
    assert not sniff(tmp_path / "b.mat")["cofw"].yes


def test_nothing_outside_the_file_is_read(
    tmp_path: Path, refused: Callable[..., InputError]
) -> None:
    """HDF5 can point into other files, by links and by stored numbers that lie elsewhere."""
    elsewhere = matlab(tmp_path / "elsewhere.h5")
    for name in ("link", "raw"):
        path = matlab(tmp_path / f"{name}.mat")
        with h5py.File(path, "r+") as file:
            del file["phisTr"]
            if name == "link":
                file["phisTr"] = h5py.ExternalLink(str(elsewhere), "phisTr")
            else:
                raw = [(str(elsewhere), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset("phisTr", (87, 2), dtype="f8", external=raw)
        refused(path, "cofw", "'phisTr' is no table in the file itself")


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (np.zeros((2, 3, 4, 3), dtype=np.uint8), "the photo is neither grey nor RGB"),
        (np.zeros((5, 4, 2), dtype=np.uint8), "the photo is neither grey nor RGB"),
        (np.zeros((4, 5), dtype=np.float64), "the photo is neither grey nor RGB"),
        (np.zeros((0, 5), dtype=np.uint8), "a photo of 5 x 0 pixels"),
    ],
)
def test_broken_photos(
    tmp_path: Path, refused: Callable[..., InputError], pixels: np.ndarray, problem: str
) -> None:
    path = matlab(tmp_path / "a.mat")
    with h5py.File(path, "r+") as file:
        file["IsTr"][0, 1] = file.create_dataset("#refs#/x", data=pixels.T).ref
    refused(path, "cofw", f"row 2 of phisTr: {problem}")
    assert len(list(read(path, on_error=lambda error: None))) == 1


def test_photos_go_in_and_come_out(tmp_path: Path) -> None:
    """What MATLAB would see: photos as cells, rows of numbers, classes; h5py reads it."""
    write_picture(tmp_path / "photos/a.png", photo(0))
    face = Face(np.arange(58.0).reshape(-1, 2), visibility=np.array([1] + [2] * 28))
    images = [
        AnnotatedImage("a.png", (face,), root=str(tmp_path / "photos"), split="test"),
        AnnotatedImage("b.png", (face,), root=str(tmp_path / "photos"), split="test"),
    ]
    path = tmp_path / "o.mat"
    report = write(images, path, "cofw")
    assert report.remarks == (
        "2 faces without a box got the box of their points",
        "1 photos were not found: their cells are empty",
    )
    assert report.lost == ("the photo's name or folder: 2 photos, first a.png",)
    with h5py.File(path) as file:
        assert file["phisT"].shape == (87, 2) and file["bboxesT"].shape == (4, 2)
        assert file["phisT"][:, 0].tolist() == [
            *range(1, 59, 2), *range(2, 60, 2), 1, *[0] * 28,
        ]  # fmt: skip
        assert file["bboxesT"][:, 0].tolist() == [1, 2, 56, 56]
        cell = file[file["IsT"][0, 0]]
        np.testing.assert_array_equal(np.array(cell).T, photo(0))
        assert file[file["IsT"][0, 1]].attrs["MATLAB_empty"] == 1
        kinds = [file[name].attrs["MATLAB_class"] for name in ("phisT", "bboxesT", "IsT")]
        assert [*kinds, cell.attrs["MATLAB_class"]] == [b"double", b"double", b"cell", b"uint8"]
    assert path.read_bytes()[:10] == b"MATLAB 7.3"
    first, second = read(path, settings={"extract": str(tmp_path / "out")})
    assert (first.path, first.width, second.width) == ("001346.png", 30, None)
    np.testing.assert_array_equal(read_rgb(tmp_path / "out/001346.png"), photo(0))


def test_what_cofw_cannot_hold(tmp_path: Path) -> None:
    face = Face(np.ones((29, 2)))
    twice = AnnotatedImage("000001.png", (face, face), split="val")
    assert losses([twice], "cofw") == [
        "the split: 1 photo, first 000001.png",
        "all but the first face: 1 photo, first 000001.png",
    ]
    report = write([AnnotatedImage("000001.png", (face,))], tmp_path / "o.mat", "cofw")
    assert "1 photos without a split are in the training part" in report.remarks


def cofw68(folder: Path, number: int = 3, **instead: Any) -> Path:
    """As golnazghiasi's: Points, Occ, and boxes in a file for all."""
    content = {"Points": np.arange(136.0).reshape(68, 2), "Occ": np.zeros((1, 68), np.uint8)}
    content["Occ"][0, 5] = 1
    path = folder / f"test_annotations/{number}_points.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {k: v for k, v in (content | instead).items() if v is not None})
    return path


def test_cofw68_as_it_is_given_out(tmp_path: Path) -> None:
    for number in (10, 2, 3):
        cofw68(tmp_path, number)
    boxes = np.arange(40).reshape(10, 4).astype(np.int16)
    scipy.io.savemat(tmp_path / "cofw68_test_bboxes.mat", {"bboxes": boxes})
    assert choose_format(tmp_path) == "cofw68"
    images = list(read(tmp_path))
    assert [image.path for image in images] == ["001347.png", "001348.png", "001355.png"]
    face = images[1].faces[0]
    assert (face.scheme, face.points_px[1].tolist()) == ("ibug68", [1, 2])
    assert face.visibility is not None and face.visibility[4:7].tolist() == [2, 1, 2]
    assert face.box is not None and face.box.tolist() == [7, 8, 10, 11]
    (alone,) = read(tmp_path / "test_annotations/10_points.mat", "auto")
    assert alone.faces[0].box is not None and alone.path == "001355.png"


@pytest.mark.parametrize(
    ("instead", "problem"),
    [
        ({"Points": None}, "no 68 x 2 numbers 'Points'"),
        ({"Points": np.ones((67, 2))}, "'Points' is 67 x 2"),
        ({"Points": "text"}, "no 68 x 2 numbers 'Points'"),
        ({"Points": np.full((68, 2), np.nan)}, "not a place"),
        ({"Occ": np.full((1, 68), 2)}, "neither 0 nor 1"),
        ({"Occ": np.ones((1, 67))}, "'Occ' is 1 x 67"),
    ],
)
def test_broken_cofw68(
    tmp_path: Path, refused: Callable[..., InputError], instead: dict[str, Any], problem: str
) -> None:
    path = cofw68(tmp_path, **instead)
    assert refused(path, "cofw68", problem).path == path


def test_cofw68_twice_the_same_number(tmp_path: Path, refused: Callable[..., InputError]) -> None:
    cofw68(tmp_path / "a")
    refused(cofw68(tmp_path / "b").parents[2], "cofw68", "face 3 again: it is in .*a.test_anno")
    (tmp_path / "c_points.mat").touch()
    refused(tmp_path / "c_points.mat", "cofw68", "not named 1_points.mat")


def test_scipy_reads_the_cofw68_that_is_written(tmp_path: Path) -> None:
    face = Face(np.arange(136.0).reshape(68, 2), box=np.array([1, 2, 3, 4]))
    images = [AnnotatedImage("001348.png", (face,))]
    report = write(images, tmp_path / "out", "cofw68")
    assert [path.name for path in report.files] == ["cofw68_test_bboxes.mat", "3_points.mat"]
    found = scipy.io.loadmat(tmp_path / "out/test_annotations/3_points.mat")
    assert found["Points"].dtype == np.float64 and found["Points"][1].tolist() == [3, 4]
    assert found["Occ"].dtype == np.uint8 and found["Occ"].shape == (1, 68)
    boxes = scipy.io.loadmat(io.BytesIO(report.files[0].read_bytes()))["bboxes"]
    assert boxes.dtype == np.int16
    assert boxes.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [2, 3, 3, 4]]
    for path in ("a.jpg", "001345.png", "../001348.png"):
        with pytest.raises(OutputError, match="no test photo of COFW"):
            write([AnnotatedImage(path, (face,))], tmp_path / "other", "cofw68")
    with pytest.raises(OutputError, match="two photos have this name"):
        write(images * 2, tmp_path / "other", "cofw68")
    assert not (tmp_path / "other").exists()
