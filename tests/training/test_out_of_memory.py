"""Memory that does not suffice: what would fit is found by trying, and said."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tufa_cli.errors import TufaError
from tufa_cli.training import loop, step, trial
from tufa_cli.training.loop import train


@pytest.fixture
def memory(monkeypatch):
    """``memory(faces)``: more faces than that at a time raise what a full GPU raises."""
    real = step.landmark_loss

    def limit(faces):
        def limited(prediction, batch, weight):
            if len(batch.images) > faces:
                raise torch.OutOfMemoryError("8 GiB")
            return real(prediction, batch, weight)

        monkeypatch.setattr(step, "landmark_loss", limited)

    return limit


@pytest.mark.parametrize(
    ("fits", "accumulate", "message", "hint"),
    [
        (5, 1, "8 faces at a time do not fit into memory, 5 do", "batch_size=5 fits; accumulate=2"),
        (3, 1, "8 faces at a time do not fit into memory, 3 do", "batch_size=3 fits; accumulate=4"),
        (3, 2, "4 faces at a time do not fit into memory, 3 do", "batch_size=6 fits; accumulate=4"),
        (1, 1, "8 faces at a time do not fit into memory, 1 do", "batch_size=1 fits; accumulate=8"),
        (0, 1, "8 faces at a time do not fit into memory, nor does one", "take a smaller model"),
    ],
)
def test_the_message_says_what_fits(config, tmp_path, memory, fits, accumulate, message, hint):
    memory(fits)
    with pytest.raises(TufaError) as caught:
        train(replace(config, accumulate=accumulate), tmp_path / "run")
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)
    if fits:
        assert caught.value.hint.endswith("keeps batch_size=8 and its numbers")


def test_both_ways_out_work(config, tmp_path, memory):
    memory(5)
    config = replace(config, steps=2)
    assert train(replace(config, batch_size=5), tmp_path / "a").step == 2
    assert train(replace(config, accumulate=2), tmp_path / "b").step == 2


def test_the_trials_change_nothing(config, memory, tmp_path):
    """A run that ran out of memory goes on elsewhere as if it had not."""
    config = replace(config, steps=4, save_every=2)
    whole = train(config, tmp_path / "whole")
    train(config, tmp_path / "cut", stop_at=2)
    memory(4)
    with pytest.raises(step.OutOfMemory):
        train(config, tmp_path / "cut", resume=True)
    memory(8)
    again = train(config, tmp_path / "cut", resume=True)
    theirs = again.live.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in whole.live.state_dict().items())


def test_growing_batches_end_with_the_largest_that_fits(config, memory, monkeypatch):
    memory(21)
    monkeypatch.setattr(trial, "_pays", lambda trial, best: True)
    sizes = [t.batch_size for t in trial.batch_sizes(config)]
    assert sizes[:-1] == [8, 16]
    assert 18 <= sizes[-1] <= 21


def test_memory_that_ends_elsewhere_is_told(config, tmp_path, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("8 GiB")

    monkeypatch.setattr(loop, "ready", full)
    with pytest.raises(TufaError, match="does not suffice") as caught:
        train(config, tmp_path / "run")
    assert "augment_on=cpu" in caught.value.hint
