"""``--resume auto``: the same command starts a run, goes on with it, and leaves a finished one."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest
import torch

from tufa_cli.cli.train import train as command
from tufa_cli.cli.train_finder import train_finder as finder_command
from tufa_cli.training.loop import train


@pytest.mark.parametrize("kind", [command, finder_command])
@pytest.mark.parametrize(
    ("words", "resume", "values"),
    [
        (["c.yaml", "--resume", "auto", "steps=3"], True, ("steps=3",)),
        (["--resume", "auto", "c.yaml"], True, ()),
        (["--resume=auto", "c.yaml"], True, ()),
        (["--resume", "c.yaml", "steps=3"], True, ("steps=3",)),
        (["c.yaml", "steps=3", "--resume"], True, ("steps=3",)),
        (["c.yaml", "name=auto"], False, ("name=auto",)),
    ],
)
def test_the_word_auto_may_follow(kind, words, resume, values):
    context = kind.make_context("train", [*words, "-o", "run"])
    found = context.params
    assert (str(found["config"]), found["resume"], found["words"]) == ("c.yaml", resume, values)


def test_no_other_word_may(capsys):
    with pytest.raises(click.UsageError):
        command.make_context("train", ["c.yaml", "--resume=never", "-o", "run"])


def remarks_of(config, out, **options):
    seen = []
    state = train(config, out, resume=True, report=seen.append, **options)
    return state, [progress.text for progress in seen if progress.kind == "remark"]


def test_the_same_command_starts_and_goes_on(config, tmp_path):
    config = replace(config, steps=4, save_every=2)
    _, remarks = remarks_of(config, tmp_path / "run", stop_at=2)
    assert remarks == [f"{tmp_path / 'run'}: starts: no run there"]
    state, remarks = remarks_of(config, tmp_path / "run")
    assert (state.step, remarks) == (4, [f"{tmp_path / 'run'}: goes on after step 2"])
    rows = (tmp_path / "run" / "metrics.csv").read_text()
    state, remarks = remarks_of(config, tmp_path / "run")
    assert (state.step, remarks) == (4, [f"{tmp_path / 'run'}: goes on after step 4"])
    assert (tmp_path / "run" / "metrics.csv").read_text() == rows


def test_a_run_that_lost_its_patience_is_left_alone(config, tmp_path):
    config = replace(config, steps=60, lr=1e-9, align_lr=0.0, validate_every=2, patience=1)
    ended = train(config, tmp_path / "run").step
    assert ended < 60
    weights = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["live"]
    again, _ = remarks_of(config, tmp_path / "run")
    assert again.step == ended
    assert all(torch.equal(weights[k], v) for k, v in again.live.state_dict().items())
