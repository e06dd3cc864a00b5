"""What we write, read by other programs: they must find the same faces.

``pip install tufa-cli[oracles]`` brings the libraries, not datumaro (it wants an older Pillow than
constraints.txt has) and xtcocotools (to be built for the numpy at hand); without one its tests are
skipped. The rules of dlib and Ultralytics, which are restated, and scipy and h5py on .mat files are
in the tests of those formats.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import read, write

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(6)
NAMES = ["a.jpg", "s/b c.jpg", "s/é.png"]


def library(name: str) -> Any:
    """A module of the extra ``oracles``; the test is skipped where it is missing or broken."""
    try:
        return pytest.importorskip(name, reason=f"needs {name}", exc_type=ImportError)
    except ValueError as error:  # built for another numpy: xtcocotools' wheels are
        pytest.skip(f"{name} does not load: {error}")


def face(count: int, scheme: str | None, states: Sequence[int] = (2,), **more: Any) -> Face:
    visibility = np.resize(np.array(states, dtype=np.uint8), count)
    points = RNG.uniform(5, 90, (count, 2)).round(3)
    return Face(points, scheme=scheme, visibility=visibility, **more)


def photos(*faces: tuple[Face, ...]) -> list[AnnotatedImage]:
    """A record for each group of faces, of photos of 128 x 96 pixels."""
    return [AnnotatedImage(NAMES[number], group, 128, 96) for number, group in enumerate(faces)]


def on_disk(images: Sequence[AnnotatedImage], root: Path) -> None:
    """Grey photos of the right sizes, for readers that open them."""
    for image in images:
        path = root / image.path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (image.width or 0, image.height or 0), (90, 90, 90)).save(path)


def triplets_of(found: Face) -> np.ndarray:
    """(K, 3) x, y, v as COCO has them."""
    assert found.visibility is not None
    places = np.where(found.labelled[:, None], found.points_px, 0)
    return np.column_stack([places, found.visibility])


def _first_x(found: Face) -> float:
    return float(found.points_px[0, 0])


BOX = np.array([4.0, 5, 90, 80])
MIXED = photos(
    (face(68, "ibug68", box=BOX), face(5, "mtfl5", (2, 1, 0), box=BOX + 1)),
    (face(68, "ibug68", (1, 2)),),
    (),
)


@pytest.mark.parametrize("name", ["pycocotools.coco", "xtcocotools.coco"])
def test_coco(tmp_path: Path, name: str) -> None:
    coco = library(name)
    write(MIXED, tmp_path / "out.json", "coco")
    with contextlib.redirect_stdout(io.StringIO()):
        found = coco.COCO(str(tmp_path / "out.json"))
    assert len(found.getImgIds()) == len(MIXED)
    for row, image in zip(found.loadImgs(sorted(found.getImgIds())), MIXED, strict=True):
        assert (row["file_name"], row["width"], row["height"]) == (image.path, 128, 96)
        annotations = found.loadAnns(found.getAnnIds(imgIds=[row["id"]], iscrowd=False))
        assert len(annotations) == len(image.faces)
        for annotation, given in zip(annotations, image.faces, strict=True):
            got = np.reshape(annotation["keypoints"], (-1, 3))
            np.testing.assert_array_equal(got, triplets_of(given))
            (category,) = found.loadCats([annotation["category_id"]])
            assert category["name"] == given.scheme
            assert len(category["keypoints"]) == len(got)
            if given.box is not None:
                np.testing.assert_array_equal(annotation["bbox"], given.box)


@pytest.mark.parametrize("package", ["pycocotools", "xtcocotools"])
def test_coco_results_are_perfect(tmp_path: Path, package: str) -> None:
    """Labels written as results, against the same labels: an average precision of 1."""
    coco, cocoeval = library(f"{package}.coco"), library(f"{package}.cocoeval")
    truth = photos((face(68, "ibug68", box=BOX),), (face(68, "ibug68", (1, 2), box=BOX),))
    write(truth, tmp_path / "truth.json", "coco")
    write(truth, tmp_path / "results.json", "coco-results")
    sigmas = np.full(68, 0.025)
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco.COCO(str(tmp_path / "truth.json"))
        results = known.loadRes(str(tmp_path / "results.json"))
        if package == "xtcocotools":
            run = cocoeval.COCOeval(known, results, "keypoints", sigmas)
        else:
            run = cocoeval.COCOeval(known, results, "keypoints")
            run.params.kpt_oks_sigmas = sigmas
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert run.stats[0] == pytest.approx(1)


def test_wholebody_faces_are_perfect(tmp_path: Path) -> None:
    coco, cocoeval = library("xtcocotools.coco"), library("xtcocotools.cocoeval")
    truth = photos((face(68, "ibug68", box=BOX),), (face(68, "ibug68", (2, 0), box=BOX),))
    write(truth, tmp_path / "truth.json", "coco-wholebody")
    rows = json.loads((tmp_path / "truth.json").read_text())["annotations"]
    keys = ("image_id", "category_id", "keypoints", "face_kpts")
    results = [{key: row[key] for key in keys} | {"score": 0.9} for row in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco.COCO(str(tmp_path / "truth.json"))
        run = cocoeval.COCOeval(
            known, known.loadRes(results), "keypoints_face", np.full(68, 0.025), use_area=True
        )
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert run.stats[0] == pytest.approx(1)


def test_pts(tmp_path: Path) -> None:
    io_ = library("menpo.io")
    given = photos((face(68, "ibug68"),), (face(19, None),))
    for file, image in zip(sorted(write(given, tmp_path, "pts").files), given, strict=True):
        (shape,) = io_.import_landmark_file(file).values()
        np.testing.assert_allclose(shape.points[:, ::-1], image.faces[0].points_px, atol=1e-6)


def test_ljson(tmp_path: Path) -> None:
    io_ = library("menpo.io")
    given = photos((face(68, "ibug68", (2, 2, 0)),), (face(5, "mtfl5"), face(5, "mtfl5")))
    for file, image in zip(sorted(write(given, tmp_path, "ljson").files), given, strict=True):
        groups = io_.import_landmark_file(file)
        assert len(groups) == len(image.faces)
        for name, one in zip(sorted(groups), image.faces, strict=True):
            np.testing.assert_array_equal(groups[name].points[:, ::-1], one.points_px)


@pytest.mark.parametrize("suffix", [".pts", ".ljson"])
def test_menpos_own_files(tmp_path: Path, suffix: str) -> None:
    io_, shape = library("menpo.io"), library("menpo.shape")
    points = RNG.uniform(0, 300, (68, 2)).round(3)
    io_.export_landmark_file(shape.PointCloud(points[:, ::-1]), tmp_path / f"a{suffix}")
    (image,) = read(tmp_path)
    np.testing.assert_allclose(image.faces[0].points_px, points, atol=1e-6)


def datumaro_points(path: Path, kind: str) -> dict[str, list[np.ndarray]]:
    """(K, 3) x, y, v of each face by the photo's name without ending, as datumaro reads them."""
    library("datumaro")
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset

    found: dict[str, list[np.ndarray]] = {}
    for item in Dataset.import_from(str(path), kind):
        shapes = [one for one in item.annotations if one.type == AnnotationType.points]
        found[item.id] = [
            np.column_stack([np.reshape(s.points, (-1, 2)), [int(v) for v in s.visibility]])
            for s in shapes
        ]
        found[item.id].sort(key=lambda points: points[0, 0])  # it keeps no order of its own
    return found


@pytest.mark.parametrize(
    ("kind", "ours", "target"),
    [
        ("datumaro", "datumaro", ""),
        ("coco_person_keypoints", "coco", "annotations/person_keypoints_default.json"),
    ],
)
def test_datumaro(tmp_path: Path, kind: str, ours: str, target: str) -> None:
    """It keeps two decimals and 32 bits of a place."""
    given = photos(
        (face(68, "ibug68", box=BOX), face(68, "ibug68", (2, 1, 0), box=BOX)),
        (face(68, "ibug68", box=BOX),),
        (),
    )
    on_disk(given, tmp_path / "images" / "default")
    write(given, tmp_path / target, ours)
    found = datumaro_points(tmp_path, kind)
    for image in given:
        got = found[str(Path(image.path).with_suffix(""))]
        assert len(got) == len(image.faces)
        for points, one in zip(got, sorted(image.faces, key=_first_x), strict=True):
            wanted = triplets_of(one)
            np.testing.assert_array_equal(points[:, 2], wanted[:, 2])
            seen = wanted[:, 2] > 0
            np.testing.assert_allclose(points[seen, :2], wanted[seen, :2], atol=0.0051)


def test_datumaro_reads_celeba(tmp_path: Path) -> None:
    whole = [Face(RNG.integers(5, 90, (5, 2)).astype(float), scheme="mtfl5") for _ in range(2)]
    given = [AnnotatedImage(f"00000{n}.jpg", (one,), 178, 218) for n, one in enumerate(whole, 1)]
    on_disk(given, tmp_path / "Img" / "img_celeba")
    write(given, tmp_path / "Anno" / "list_landmarks_celeba.txt", "celeba")
    lines = "".join(f"{image.path} {number}\n" for number, image in enumerate(given))
    (tmp_path / "Anno" / "identity_CelebA.txt").write_text(lines)
    found = datumaro_points(tmp_path, "celeba")
    for image in given:
        (points,) = found[Path(image.path).stem]
        np.testing.assert_array_equal(points[:, :2], image.faces[0].points_px)


def test_labelme_opens_it(tmp_path: Path) -> None:
    library("labelme")
    label_file = library("labelme._label_file")
    given = photos((face(5, "mtfl5", (2, 1, 0), box=BOX), face(5, "mtfl5")), (), ())
    on_disk(given, tmp_path)
    files = [f for f in write(given, tmp_path, "labelme").files if f.suffix == ".json"]
    assert len(files) == len(given)
    for file, image in zip(sorted(files), given, strict=True):
        shapes = label_file.read_label_file(str(file)).shapes
        for number, one in enumerate(image.faces):
            groups = sorted({shape["group_id"] for shape in shapes})
            mine = [s for s in shapes if s["group_id"] == groups[number]]
            points = [s["points"][0] for s in mine if s["shape_type"] == "point"]
            np.testing.assert_array_equal(points, one.points_px[one.labelled])
            hidden = [s["flags"].get("occluded", False) for s in mine if s["shape_type"] == "point"]
            assert one.visibility is not None
            assert hidden == [bool(v == 1) for v in one.visibility[one.labelled]]


@pytest.mark.parametrize(
    ("kind", "count", "first"),
    [("csv", 68, 0), ("hrnet-csv", 98, 0), ("hrnet-csv", 68, 1), ("muct", 76, 0)],
)
def test_tables(tmp_path: Path, kind: str, count: int, first: int) -> None:
    """pandas finds the numbers, counted from the format's first pixel, in the last columns."""
    pandas = library("pandas")
    schemes = {68: "ibug68", 98: "wflw98", 76: "muct76"}
    given = [
        AnnotatedImage(f"i000qa-fn{number}.jpg", (face(count, schemes[count]),), 480, 640)
        for number in range(3)
    ]
    target = tmp_path / ("muct76-opencv.csv" if kind == "muct" else "out.csv")
    write(given, target, kind)
    table = pandas.read_csv(target)
    numbers = [name for name in table.columns[1:] if table[name].dtype.kind in "if"]
    values = table[numbers[-2 * count :]].to_numpy(float).reshape(len(given), count, 2)
    for row, image in zip(values, given, strict=True):
        np.testing.assert_allclose(row - first, image.faces[0].points_px, atol=1e-6)
