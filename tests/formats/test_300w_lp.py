"""300W-LP and AFLW2000-3D: MATLAB files made by scipy, with the points' several dialects."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write

Put = Callable[[str, str | bytes], Path]
POINTS = (np.arange(136, dtype=np.float32).reshape(2, 68) + 1).astype(np.float32)
POSE = np.array([[0.1, -0.2, 0.3, 10, 20, 30, 0.001]], dtype=np.float32)
ROI = np.array([[-5, 6, 700, 800]], dtype=np.int16)
SHAPE = {"Shape_Para": np.ones((199, 1)), "Exp_Para": np.ones((29, 1))}


def mat(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, content)
    return path


def lp(path: Path, **instead: Any) -> Path:
    """As 300W-LP's."""
    return mat(path, **({"pt2d": POINTS, "Pose_Para": POSE, "roi": ROI} | SHAPE | instead))


def test_300w_lp_as_it_is_given_out(tmp_path: Path, put: Put) -> None:
    for folder in ("AFW", "AFW_Flip"):
        lp(tmp_path / folder / "A_1_0.mat")
        put(f"{folder}/A_1_0.jpg", b"")
    mat(tmp_path / "landmarks/AFW/A_1_0_pts.mat", pts_2d=POINTS.T, pts_3d=POINTS.T)
    mat(tmp_path / "Code/Model_Exp.mat", mu_exp=np.ones((9, 1)))
    assert choose_format(tmp_path) == "300w-lp"
    notes: list[str] = []
    images = list(read(tmp_path, on_note=notes.append))
    assert [image.path for image in images] == ["AFW/A_1_0.jpg", "AFW_Flip/A_1_0.jpg"]
    face = images[0].faces[0]
    assert (face.scheme, face.points_px[:2].tolist()) == ("ibug68", [[0, 68], [1, 69]])
    given = face.attributes
    np.testing.assert_allclose([given["pitch"], given["yaw"], given["roll"]], [0.1, -0.2, 0.3])
    assert (given["translation"], given["roi"]) == ([10, 20, 30], [-5, 6, 700, 800])
    assert given["pose_scale"] == np.float32(0.001)
    assert [note.partition(": ")[2] for note in notes] == [
        "1 MATLAB files hold no points and were left out",
        "1 files in landmarks repeat the others and were left",
        "1 faces in folders _Flip are mirrored copies of others",
        "depth and 3-D model's parameters of 2 faces are not read",
    ]
    (unshifted, _) = read(tmp_path, index_base=0)
    assert unshifted.faces[0].points_px[0].tolist() == [1, 69]


def test_the_landmarks_folder(tmp_path: Path, put: Put) -> None:
    path = tmp_path / "landmarks/HELEN/a_1_pts.mat"
    mat(path, pts_2d=POINTS.T, pts_3d=POINTS.T + 7)
    put("HELEN/a_1.jpg", b"")
    for source in (tmp_path, tmp_path / "landmarks"):
        (image,) = read(source, "auto")
        assert (image.path, image.root) == ("HELEN/a_1.jpg", str(tmp_path))
        assert image.faces[0].points_px[0].tolist() == [0, 68]
        assert image.faces[0].scheme == "ibug68"


def aflw2000(path: Path, **instead: Any) -> Path:
    """As AFLW2000-3D's: 68 points in space, and AFLW's 21, a missing one of which is (-1, 452)."""
    flat = np.arange(42.0).reshape(2, 21) + 1
    flat[:, 3] = (-1, 452)
    flat[:, 5] = (-2, 9)  # beside the photo, and not missing
    solid = np.vstack([POINTS, np.full((1, 68), 1e9, dtype=np.float32)])
    return lp(path, **({"pt2d": flat, "pt3d_68": solid} | instead))


def test_aflw2000(tmp_path: Path) -> None:
    path = aflw2000(tmp_path / "image7.mat")
    (image,) = read(path)
    face = image.faces[0]
    assert (image.path, face.scheme) == ("image7.jpg", "68-3d")  # not the 68 seen in a photo
    assert face.points_px[:2].tolist() == [[0, 68], [1, 69]]
    (image,) = read(path, scheme="aflw21")
    face = image.faces[0]
    assert (face.scheme, len(face.points_px)) == ("aflw21", 21)
    assert np.flatnonzero(~face.labelled).tolist() == [3]
    assert face.points_px[5].tolist() == [-3, 8]
    (image,) = read(path, scheme="ibug68")
    assert image.faces[0].scheme == "ibug68"
    with pytest.raises(InputError, match="300w-lp holds 68 or 21 points, the scheme wflw98 has 98"):
        list(read(path, scheme="wflw98"))


def test_points_in_space_by_name(tmp_path: Path, checkout: Path) -> None:
    """A user's own scheme of the name 68-3d takes the points in space where there are both."""
    text = (checkout / "schemes/ibug68.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^aliases:.*\n", "", text.replace("name: ibug68", "name: 68-3d"))
    scheme = tmp_path / "68-3d.yaml"
    scheme.write_text(text, encoding="utf-8")
    mat(tmp_path / "landmarks/a_pts.mat", pts_2d=POINTS.T, pts_3d=POINTS.T + 7)
    (image,) = read(tmp_path / "landmarks", scheme=str(scheme))
    assert image.faces[0].points_px[0].tolist() == [7, 75]
    path = lp(tmp_path / "b.mat")
    with pytest.raises(InputError, match="no points of 68-3d in it"):
        list(read(path, scheme=str(scheme)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"pt2d": POINTS[:, :67]}, "'pt2d' is 2 x 67, expected 2 x 68"),
        ({"pt2d": POINTS.T}, "'pt2d' is 68 x 2"),
        ({"pt2d": "text"}, "no 2 x 68 numbers 'pt2d'"),
        ({"pt2d": POINTS * np.float32(np.nan)}, "'pt2d' row 1, column 1 is not a place"),
        ({"pt2d": POINTS * np.float32(1e20)}, "'pt2d' row 1, column 1 is not a place"),
        ({"Pose_Para": POSE[:, :6]}, "'Pose_Para' is 1 x 6"),
        ({"Pose_Para": POSE * np.inf}, "'Pose_Para' row 1"),
        ({"roi": ROI.T}, "'roi' is 4 x 1"),
        ({"pt3d_68": np.ones((3, 67))}, "'pt3d_68' is 3 x 67"),
        ({"pt3d_68": np.ones((2, 68))}, "'pt3d_68' is 2 x 68"),
    ],
)
def test_broken(
    tmp_path: Path, refused: Callable[..., InputError], content: dict[str, Any], problem: str
) -> None:
    lp(tmp_path / "b.mat")
    path = lp(tmp_path / "a.mat", **content)
    assert refused(tmp_path, "300w-lp", problem).path == path
    assert len(list(read(tmp_path, on_error=lambda error: None))) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "ends within a variable"),
        (b"", "not a MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", r"MATLAB 7\.3"),
        (b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + bytes(3_000_000), "longer than"),
    ],
)
def test_damaged_files_are_not_passed_over(
    tmp_path: Path, refused: Callable[..., InputError], content: bytes | None, problem: str
) -> None:
    good = lp(tmp_path / "b.mat").read_bytes()
    path = tmp_path / "a.mat"
    path.write_bytes(good[:-50] if content is None else content)
    assert refused(tmp_path, "300w-lp", problem).path == path


def test_other_matlab_files(tmp_path: Path, refused: Callable[..., InputError]) -> None:
    path = mat(tmp_path / "a.mat", x=np.ones(3))
    assert sniff(path)["300w-lp"].reason == "a MATLAB file without pt2d, pt3d_68 and pts_2d"
    refused(tmp_path, "300w-lp", "no file of this format in the folder")
    refused(path, "300w-lp", "no 2 x 68 numbers 'pt2d'")


def image(path: str = "a.jpg", count: int = 68, **given: Any) -> AnnotatedImage:
    return AnnotatedImage(path, (Face(np.arange(2.0 * count).reshape(-1, 2), **given),))


def test_scipy_reads_what_is_written(tmp_path: Path) -> None:
    pose = {"pitch": 1, "yaw": 2, "roll": 3, "translation": [4, 5, 6], "pose_scale": 7}
    write([image("s/a.jpg", attributes=pose | {"roi": [1, 2, 3, 4]})], tmp_path / "out", "300w-lp")
    found = scipy.io.loadmat(tmp_path / "out/s/a.mat")
    assert found["pt2d"].shape == (2, 68) and found["pt2d"][:, 1].tolist() == [3, 4]
    assert found["Pose_Para"].tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    assert found["roi"].dtype == np.int16 and found["roi"].tolist() == [[1, 2, 3, 4]]


def test_points_in_space_are_written_without_a_depth(tmp_path: Path) -> None:
    report = write([image(scheme="68-3d")], tmp_path / "out", "300w-lp")
    assert report.remarks == ("1 faces of 68-3d have no depth: NaN",)
    assert np.isnan(scipy.io.loadmat(report.files[0])["pt3d_68"][2]).all()
    assert next(read(tmp_path / "out")).faces[0].scheme == "68-3d"


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    some = {"pitch": 1.0, "yaw": 2.0, "roll": 3.0, "roi": [1.5, 2, 3, 4]}
    assert losses([image(attributes=some)], "300w-lp") == [
        "attributes of faces (pitch, roi, roll, yaw): 1 face, first in a.jpg"
    ]
    assert losses([image("a.png")], "300w-lp") == [
        "the photo's name or folder: 1 photo, first a.png"
    ]
    for images, problem in (
        ([image(count=21)], "a face of 21 points; 300w-lp is written with 68"),
        ([image(), image("../b.jpg")], "leaves its folder"),
        ([image(), image("a.png")], r"a\.png: the face of another photo"),
    ):
        with pytest.raises(OutputError, match=problem):
            write(images, tmp_path / "out", "300w-lp")
    assert not list(tmp_path.iterdir())
