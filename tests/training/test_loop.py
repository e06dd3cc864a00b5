"""The loop's promises: it learns, a kill costs nothing, mistakes are told."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
import torch

from tufa_cli.data.augment import NONE, AugmentConfig
from tufa_cli.errors import TufaError
from tufa_cli.model.weights import load_weights
from tufa_cli.schemes import get_scheme
from tufa_cli.training.loop import train


def losses(config, out, **options):
    """Loss of every report: with batches this small, one number per run of steps."""
    seen = []
    state = train(config, out, report=lambda p: seen.append((p.kind, p.step, p.loss)), **options)
    return state, seen


def same_weights(a, b):
    theirs = b.live.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.live.state_dict().items())


def test_one_batch_overfits(config, tmp_path):
    """Eight faces of two schemes, seen again and again, are learned by heart."""
    config = replace(
        config, steps=200, limit_per_group=4, lr=4e-3, validate_every=200, augment=NONE
    )
    reports = []
    train(config, tmp_path / "run", report=reports.append)
    curve = [p.loss for p in reports if p.kind == "step"]
    # In % of the crop: labels are spread by about 2.5 % of it around the anchors.
    assert curve[0] > 1.4
    assert curve[-1] < 0.4


@pytest.mark.parametrize("where", ["cpu", "device"])
def test_resume_equals_no_interruption(config, tmp_path, where):
    config = replace(config, augment_on=where)
    whole, _ = losses(config, tmp_path / "whole")
    losses(config, tmp_path / "cut", stop_at=5)
    resumed, _ = losses(config, tmp_path / "cut", resume=True)
    assert resumed.step == whole.step == 12
    assert same_weights(whole, resumed)
    read = (tmp_path / "cut" / "metrics.csv").read_text()
    for line in (tmp_path / "whole" / "metrics.csv").read_text().splitlines():
        if "nme" in line:
            assert line in read


def test_augmented_on_the_device_it_learns_the_same(config, tmp_path):
    """Up to the rounding of pixels, and the grains of noise."""
    config = replace(config, steps=4, augment=replace(config.augment, noise=0.0))
    _, here = losses(replace(config, augment_on="cpu"), tmp_path / "a")
    _, there = losses(replace(config, augment_on="device"), tmp_path / "b")
    one, two = ([loss for kind, _, loss in seen if kind == "step"] for seen in (here, there))
    assert one != two
    assert one == pytest.approx(two, rel=0.02)


@pytest.mark.parametrize("where", ["cpu", "device"])
def test_workers_do_not_change_the_numbers(config, tmp_path, where):
    config = replace(config, steps=4, augment_on=where)
    alone, _ = losses(config, tmp_path / "a")
    helped, _ = losses(replace(config, workers=2), tmp_path / "b")
    assert same_weights(alone, helped)


def test_sigterm_saves_and_stops(config, tmp_path):
    def stop(progress):
        if progress.kind == "saved":
            os.kill(os.getpid(), signal.SIGTERM)

    state = train(config, tmp_path / "run", report=stop)
    assert state.step == 4  # asked to stop while it saved after step 4
    checkpoint = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert checkpoint["step"] == 4
    assert not (tmp_path / "run" / "final.pt").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_final_weights_annotate_alone(config, tmp_path):
    train(config, tmp_path / "run")
    weights = load_weights(tmp_path / "run" / "final.pt")
    assert weights.meta["training_faces"] == {"drawn_mtfl5/mtfl5": 12, "drawn_cofw29/cofw29": 12}
    assert weights.prompts(get_scheme("cofw29")).shape == (29, 2)
    # Never trained: the plane's anchors.
    assert weights.prompts(get_scheme("ibug68")).shape == (68, 2)
    assert "research" in weights.meta["terms"]


def test_a_run_is_not_overwritten(config, tmp_path):
    train(replace(config, steps=2), tmp_path / "run")
    with pytest.raises(TufaError, match="holds a run"):
        train(replace(config, steps=2), tmp_path / "run")


def test_resume_refuses_another_config(config, tmp_path):
    train(replace(config, steps=8), tmp_path / "run", stop_at=2)
    with pytest.raises(TufaError, match="lr"):
        train(replace(config, steps=8, lr=1e-4), tmp_path / "run", resume=True)


def test_unknown_source_names_the_known(config, tmp_path):
    with pytest.raises(TufaError, match="no moon") as caught:
        train(replace(config, sources=("moon",)), tmp_path / "run")
    assert "drawn_mtfl5" in caught.value.hint


def test_augmented_prompts_stay_symmetric(config, tmp_path):
    state = train(replace(config, augment=AugmentConfig()), tmp_path / "run")
    moved = state.live["align"].symmetric()
    assert moved.abs().max() > 0
    flips = state.live["align"].flips
    partner = torch.gather(moved, 1, flips[..., None].expand(-1, -1, 2))
    assert torch.allclose(partner * torch.tensor([-1.0, 1.0]), moved, atol=1e-7)
