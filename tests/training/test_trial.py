"""Trials: they learn from real faces, write nothing, and stop where memory or sense ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tufa_cli.errors import TufaError
from tufa_cli.training import step, trial


def test_a_trial_takes_real_steps_and_writes_nothing(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = trial.try_steps(replace(config, accumulate=2))
    assert found.batch_size == 8
    assert found.step_seconds > 0
    assert found.load_seconds > 0
    assert 0 < found.loss < 30
    assert found.memory_mb is None
    assert not list(tmp_path.iterdir())


def test_growing_batches_end_where_they_no_longer_pay(config, monkeypatch):
    def measured(config, size):
        return trial.Trial(size, 0.1, 1.0 + size / 32, None, 1.0)

    monkeypatch.setattr(trial, "try_steps", measured)
    sizes = [t.batch_size for t in trial.batch_sizes(config)]
    assert sizes[:3] == [8, 16, 32]
    assert sizes[-1] < 4096


def test_growing_batches_end_where_memory_does(config, monkeypatch):
    real = step.landmark_loss

    def limited(prediction, batch, weight):
        if len(batch.images) > 16:
            raise torch.OutOfMemoryError("no")
        return real(prediction, batch, weight)

    monkeypatch.setattr(step, "landmark_loss", limited)
    sizes = [t.batch_size for t in trial.batch_sizes(config)]
    assert sizes in ([8, 16], [8])
    with pytest.raises(TufaError, match="32 faces at a time"):
        trial.try_steps(config, 32)
