"""Configs: every mistake at once, each with the nearest right name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from tufa_cli.data.augment import AugmentConfig
from tufa_cli.errors import InputError, ProblemsError
from tufa_cli.training.config import TrainConfig, load_config

CONFIGS = sorted((Path(__file__).parents[2] / "examples").glob("train*.yaml"))


def test_there_are_shipped_configs():
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.name)
def test_shipped_configs_are_valid(path):
    assert load_config(path).steps > 0


def test_every_key_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "train.md").read_text()
    keys = [f.name for kind in (TrainConfig, AugmentConfig) for f in fields(kind)]
    assert [key for key in keys if f"`{key}`" not in page and f"`{key}." not in page] == []


def test_words_replace_values(tmp_path):
    config = load_config(None, ["packs=[a.h5]", "lr=1e-3", "augment.flip=0", "steps=7"])
    assert config.lr == 1e-3
    assert config.augment.flip == 0
    assert config.steps == 7


def test_five_mistakes_get_five_answers():
    words = ["packs=[a.h5]", "stepps=3", "lr=fast", "augment.filp=1", "amp=fp8", "batch_size=2.5"]
    with pytest.raises(ProblemsError) as caught:
        load_config(None, words)
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 5
    for part in ("steps?", "lr: 'fast'", "augment.flip?", "bf16, fp16, off", "whole number"):
        assert part in text


@pytest.mark.parametrize(
    ("text", "error"),
    [("steps: [", InputError), ("- a", InputError), ("steps: 0\npacks: [a]", ProblemsError)],
)
def test_bad_files(tmp_path, text, error):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(error):
        load_config(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_config(tmp_path / "none.yaml")


def test_five_mistakes_of_five_kinds_are_told_at_once(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        "packs: [a.h5]\nstepz: 3\nlr: -1\nmodel: nanno\nsteps: many\n"
        "model_options: {widht: 3}\naugment: {rotaton: 3}\n"
    )
    with pytest.raises(ProblemsError) as caught:
        load_config(file)
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 6
    for words in (
        "did you mean steps?",
        "lr: must be greater than 0",
        "did you mean nano?",
        "steps: 'many' is not a whole number",
        "did you mean width?",
        "did you mean augment.rotation?",
    ):
        assert words in text
