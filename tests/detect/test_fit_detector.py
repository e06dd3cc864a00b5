"""``examples/fit_detector.py`` prints where a detector's boxes lie on labelled faces."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.lbp import LbpDetector
from tufa_cli.formats import write

FIVE_PX = np.array([[204.0, 105.0], [247.0, 105.0], [228.0, 130.0], [209.0, 148.0], [244.0, 148.0]])


@pytest.fixture
def labels(tmp_path, astronaut):
    """One photo with five labelled points, one that is left out, one that cannot be read."""
    Image.fromarray(astronaut[:260, 90:350]).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"")
    (tmp_path / "not_these.txt").write_text("held_out.png\n")
    face = Face(FIVE_PX - (90, 0), scheme="mtfl5")
    images = [AnnotatedImage(f"{name}.png", (face,)) for name in ("a", "broken", "held_out")]
    write(images, tmp_path / "labels.json", "coco")
    return tmp_path


def test_one_face_gives_about_the_boxes_that_are_built_in(labels, checkout, python):
    ran = python(
        [
            *(checkout / "examples" / "fit_detector.py", labels / "labels.json"),
            *("--scheme", "mtfl5", "--exclude", labels / "not_these.txt"),
        ]
    )
    assert ran.code == 0, ran.stderr
    assert "lbp: 1 of 2 labelled faces found" in ran.stdout
    assert "broken.png: the file is empty" in ran.stderr
    printed = re.search(r"BoxPlane\((.*)\)", ran.stdout)[1]
    box = [float(number) for number in printed.split(",")]
    np.testing.assert_allclose(box, LbpDetector.box_plane, atol=0.2)


def test_no_face_is_exit_code_1(labels, checkout, python):
    Image.new("RGB", (64, 64)).save(labels / "a.png")
    ran = python(
        [
            *(checkout / "examples" / "fit_detector.py", labels / "labels.json"),
            *("--scheme", "mtfl5", "--exclude", labels / "not_these.txt"),
        ]
    )
    assert ran.code == 1 and "0 of 2 labelled faces found" in ran.stdout
