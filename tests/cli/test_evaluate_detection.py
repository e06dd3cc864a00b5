"""``tufa-cli evaluate --task detection``: the JSON's keys, the table, wrong usage."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import write

FACE = np.array([190.0, 60.0, 75.0, 110.0])
KEYS = {"photos", "faces", "recall", "false_alarms_per_photo", "average_precision", "ms_per_photo"}


@pytest.fixture
def labels(tmp_path, astronaut):
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"")
    face = Face(np.zeros((0, 2)), box=FACE)
    five = Face(np.full((5, 2), np.nan), scheme="mtfl5", box=FACE)
    write([AnnotatedImage("a.png", (five,), 512, 512)], tmp_path / "label.txt", "retinaface")
    write([AnnotatedImage("a.png", (face,), 512, 512)], tmp_path / "found.json", "coco")
    return tmp_path


def test_the_json_has_what_the_docs_say(labels, run_cli):
    ran = run_cli(
        *("evaluate", labels / "label.txt", "--task", "detection", "--json"),
        *("--boxes", labels / "found.json"),
    )
    assert ran.code == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report.keys() >= KEYS and report["recall"] == 1.0 and report["faces"] == 1
    assert set(report["by_size"]) == {"lt48", "48to96", "ge96"}
    assert report["by_size"]["ge96"]["faces"] == 1 and report["false_alarms_per_photo"] == 0


def test_the_table_and_a_photo_that_cannot_be_read(labels, run_cli):
    text = (labels / "label.txt").read_text()
    (labels / "label.txt").write_text(text + text.replace("a.png", "broken.png"))
    ran = run_cli(
        *("evaluate", labels / "label.txt", "--task", "detection", "--detector", "lbp"),
    )
    assert ran.code == 3 and "broken.png: the file is empty" in ran.stderr
    assert "all sizes" in ran.stdout and "Detector lbp" in ran.stdout


@pytest.mark.parametrize(
    "words, message",
    [
        (["--task", "detection", "--box", "jitter"], "measures a detector alone"),
        ([], "--scheme"),
        (["--scheme", "mtfl5", "--min-score", "0.2"], "--task detection"),
    ],
)
def test_wrong_usage(labels, run_cli, words, message):
    ran = run_cli("evaluate", labels / "label.txt", *words)
    assert ran.code == 2 and message in ran.stderr
