"""A scheme of the user's own in files that name points: names and lines are written and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from format_cases import FILES, WRITABLE, put_photos

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats import get_format, read, write
from tufa_cli.schemes.load import parse_scheme

OWN = """
name: mine
source: made here
normaliser: plane_box
points:
  - {part: jaw, t: [0.25, 0.5, 0.75], names: [cheek one, chin, cheek two]}
  - {part: nose_tip, name: snout}
"""
MINE = parse_scheme(OWN, "mine")
NAMES = ["cheek one", "chin", "cheek two", "snout"]
#: dlib's parts have to be numbers, and hf-jsonl has a scheme's name only.
NAMED = [n for n in WRITABLE if get_format(n).CAPABILITIES.names and n != "dlib"]
NAMED = [n for n in NAMED if get_format(n).CAPABILITIES.takes(4)]
#: Formats that list a class' points, so that their order is told without the scheme.
DECLARED = ("coco", "csv", "cvat", "datumaro", "ljson", "supervisely", "yolo-pose")
#: Of these, those whose files say what the scheme is called.
SAY_NAME = ("coco", "cvat", "datumaro", "supervisely", "yolo-pose")
#: Formats that hold lines between points.
WITH_LINES = ("coco", "cvat", "datumaro", "ljson", "supervisely")
PLACES = np.array([[10.0, 20], [30, 40], [50, 20], [30, 10]])


@pytest.fixture
def images() -> list[AnnotatedImage]:
    missing = np.array([2, 2, 2, 0])
    faces = [Face(PLACES[:, ::-1], "mine"), Face(PLACES, "mine", visibility=missing)]
    return [
        AnnotatedImage(name, [face], width=640, height=480)
        for name, face in zip(("b.jpg", "a.jpg"), faces, strict=True)
    ]


def written(images: list[AnnotatedImage], name: str, folder: Path) -> tuple[Path, str]:
    """Where the records were written with the scheme, and the text of all files."""
    target = folder / FILES[name]
    report = write(images, target, name, schemes=[MINE])
    if name == "yolo-pose":
        put_photos(images, target / "images")
    return target, "\n".join(path.read_text() for path in report.files)


@pytest.mark.parametrize("name", NAMED)
def test_names_are_written_and_read_back(name: str, images, tmp_path: Path) -> None:
    target, text = written(images, name, tmp_path)
    if name == "ljson":  # which names parts, not points
        assert '"label": "jaw"' in text and '"label": "nose"' in text
    else:
        assert all(point in text for point in NAMES), text
    for options in ({"scheme": MINE}, {"schemes": [MINE]}):
        if name == "ljson" and "schemes" in options:
            continue  # whose files say no scheme
        notes: list[str] = []
        back = {i.path: i for i in read(target, name, on_note=notes.append, **options)}
        assert notes == []
        for image in images:
            (face,) = back[image.path].faces
            assert face.scheme == "mine"
            np.testing.assert_allclose(face.points_px, image.faces[0].points_px, atol=1e-6)


@pytest.mark.parametrize("name", NAMED)
def test_without_the_scheme_nothing_is_guessed_or_dropped_unsaid(
    name: str, images, tmp_path: Path
) -> None:
    target, _ = written(images, name, tmp_path)
    notes: list[str] = []
    if name not in DECLARED:
        with pytest.raises(InputError, match="scheme 'mine' is none that ships"):
            list(read(target, name))
        return
    back = {image.path: image for image in read(target, name, on_note=notes.append)}
    assert any("not kept" in note for note in notes), notes
    for image in images:
        (face,) = back[image.path].faces
        assert face.scheme == ("mine" if name in SAY_NAME else None)
        np.testing.assert_allclose(face.points_px, image.faces[0].points_px, atol=1e-6)


@pytest.mark.parametrize("name", WITH_LINES)
def test_lines_are_written(name: str, images, tmp_path: Path) -> None:
    target, text = written(images, name, tmp_path)
    assert MINE.skeleton == ((0, 1), (1, 2))
    if name == "coco":
        assert json.loads(text)["categories"][0]["skeleton"] == [[1, 2], [2, 3]]
    elif name == "cvat":
        assert 'data-node-from=\\"1\\" data-node-to=\\"2\\"' in text
    elif name == "datumaro":
        points = json.loads(text)["categories"]["points"]["items"]
        assert points[0]["joints"] == [[1, 2], [2, 3]]
    elif name == "ljson":
        assert '"connectivity": [\n' in text
    else:
        meta = json.loads((target / "meta.json").read_text())
        assert len(meta["classes"][0]["geometry_config"]["edges"]) == 2


def test_yolo_gets_flips_only_where_every_point_has_a_partner(images, tmp_path: Path) -> None:
    target, _ = written(images, "yolo-pose", tmp_path)
    data = yaml.safe_load((target / "data.yaml").read_text())
    assert data["flip_idx"] == [2, 1, 0, 3]
    one_sided = parse_scheme(OWN.replace("[0.25, 0.5, 0.75]", "[0.1, 0.2, 0.3]"), "mine")
    write(images, tmp_path / "two", "yolo-pose", schemes=[one_sided])
    data = yaml.safe_load((tmp_path / "two" / "data.yaml").read_text())
    assert "flip_idx" not in data and data["kpt_names"] == {0: NAMES}
