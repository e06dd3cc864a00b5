"""Exit codes of wrong words: 2 for what no command line may say, 1 for names that nobody knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import write

OUT = ("-o", "out")
#: Words after ``convert in.json`` that make no sense, and what is said of them.
WRONG = {
    "no target": ((), "Missing option '--to'"),
    "no output": (("--to", "coco"), "Missing option '--output'"),
    "an option": (("--too", "coco", *OUT), "No such option"),
    "a choice": (("--missing", "maybe", "--to", "pts", *OUT), "'maybe' is not one of"),
    "half a setting": (("--to-setting", "style", "--to", "csv", *OUT), "takes KEY=VALUE"),
    "a sentence": (("--where", "box_size >=", "--to", "coco", *OUT), "--where"),
    "a sample": (("--sample", "many", "--to", "coco", *OUT), "--sample"),
    "a split": (("--split", "train", "--to", "coco", *OUT), "--split"),
    "a way to group": (
        ("--split", "a=50,b=50", "--group-by", "mood", "--to", "coco", *OUT),
        "unknown way to group photos",
    ),
    "options that need another": (("--one-output", "--to", "coco", *OUT), "needs --split"),
}
#: Words that could make sense: of other files, or with a name spelt as it is.
USER = {
    "a format to write": (("--to", "cocoa", *OUT), "unknown format 'cocoa': did you mean coco"),
    "a format to read": (("--from", "cocoa", "--to", "coco", *OUT), "unknown format 'cocoa'"),
    "a format that is read only": (("--to", "aflwinfo", *OUT), "aflwinfo is read only"),
    "a scheme": (("--scheme", "ibug69", "--to", "coco", *OUT), "unknown scheme 'ibug69'"),
    "a source's scheme": (("--from-scheme", "x98", "--to", "coco", *OUT), "unknown scheme 'x98'"),
    "a table": (("--scheme-table", "pipnet", "--to", "coco", *OUT), "unknown table 'pipnet'"),
    "a setting": (("--to-setting", "stile=x", "--to", "csv", *OUT), "unknown setting of csv"),
    "a setting of none": (("--to-setting", "a=b", "--to", "wflw", *OUT), "of wflw 'a'\nHint: wflw"),
    "a setting's value": (
        ("--to-setting", "style=x", "--to", "csv", *OUT, "--allow-lossy"),
        "unknown value of the setting style 'x'",
    ),
    "a field": (("--where", "speed > 3", "--to", "coco", *OUT), "'speed'"),
    "a split that is not held": (
        ("--split", "a=50,b=50", "--one-output", "--to", "csv", *OUT),
        "csv does not hold the split a and b",
    ),
    "an attribute to group by": (
        ("--split", "a=50,b=50", "--group-by", "attribute:mood", "--to", "coco", *OUT),
        "unknown attribute in --group-by",
    ),
    "no such file": (("--images", "nowhere", "--to", "coco", *OUT), "no such folder of photos"),
    "no such scheme file": (("--scheme", "no.yaml", "--to", "coco", *OUT), "cannot read"),
    "a loss": (("--to", "pts", *OUT), "pts cannot hold the score"),
    "too few photos": (("--sample", "99", "--to", "coco", *OUT), "only 4 of them"),
}


@pytest.fixture
def source(tmp_path: Path) -> None:
    face = Face(np.arange(10.0).reshape(5, 2), "mtfl5", score=0.5)
    write([AnnotatedImage(f"{n}.jpg", [face]) for n in "abcd"], tmp_path / "in.json", "coco")


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_wrong_words_end_in_2(run_convert, source, tmp_path, words, said):
    done = run_convert("in.json", *words)
    assert said in done.err
    assert done.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


@pytest.mark.parametrize(("words", "said"), USER.values(), ids=USER)
def test_what_the_user_can_mend_ends_in_1(run_convert, source, tmp_path, words, said):
    done = run_convert("in.json", *words)
    assert said in done.err
    assert done.code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_a_column_that_is_not_there_ends_in_1(run_convert, tmp_path):
    (tmp_path / "in.csv").write_text("photo,eye_x,eye_y\na.jpg,1,2\n")
    words = ("in.csv", "--from", "csv", "--to", "coco", *OUT)
    for setting, name in (("image-col=foto", "foto"), ("columns=eye_x,eye_z", "eye_z")):
        done = run_convert(*words, "--from-setting", setting)
        assert done.code == 1 and f"unknown column '{name}': did you mean" in done.err
    done = run_convert(*words, "--from-setting", "layout=yx")
    assert done.code == 1 and "layout is xy or xxyy, not 'yx'" in done.err


@pytest.mark.parametrize(
    "words", [("schemes", "show", "ibug69"), ("annotate", "a.jpg", "--scheme", "ibug69")]
)
def test_other_commands_do_alike(run_cli, words):
    done = run_cli(*words)
    assert done.code == 1 and "unknown" in done.stderr
