"""Ways to compute that differ between machines: compiled or not, number formats, memory formats."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tufa_cli.errors import TufaError
from tufa_cli.training import loop
from tufa_cli.training.distributed import ranks
from tufa_cli.training.loop import train
from tufa_cli.training.metrics import read_metrics


def run(config, out, **options):
    """The final state, and the remarks."""
    seen = []
    state = train(config, out, report=seen.append, **options)
    return state, [progress.text for progress in seen if progress.kind == "remark"]


class NoCompiler(torch.nn.Module):
    """What torch.compile returns where there is no compiler: it fails when it is called."""

    def __init__(self, module, backwards):
        super().__init__()
        self.module, self.backwards = module, backwards

    def forward(self, *inputs):
        if not self.backwards:
            raise RuntimeError("Failed to find C++ compiler\nand many more lines")
        points, scale, penalty = self.module(*inputs)
        points.register_hook(self.fail)
        return points, scale, penalty

    def fail(self, gradient):
        raise RuntimeError("Failed to find C++ compiler\nand many more lines")


@pytest.mark.parametrize("backwards", [False, True])
def test_without_a_compiler_it_goes_on_and_says_so(config, tmp_path, monkeypatch, backwards):
    config = replace(config, steps=3, model_options=config.model_options | {"norm": "group"})
    plain, remarks = run(config, tmp_path / "plain")
    assert remarks == []
    monkeypatch.setattr(torch, "compile", lambda module: NoCompiler(module, backwards))
    state, remarks = run(replace(config, compile=True), tmp_path / "run")
    (text,) = remarks
    assert text == (
        "torch.compile does not work here, going on without "
        "(RuntimeError: Failed to find C++ compiler)"
    )
    theirs = plain.live.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in state.live.state_dict().items())


def test_compiled_it_is_the_same_network(config, tmp_path, monkeypatch):
    """torch.compile with a backend that compiles nothing: the graph is captured all the same."""
    real, calls = torch.compile, []

    def captured(module):
        calls.append(module)
        return real(module, backend="eager")

    config = replace(config, steps=2)
    plain, _ = run(config, tmp_path / "plain")
    monkeypatch.setattr(torch, "compile", captured)
    state, remarks = run(replace(config, compile=True), tmp_path / "run")
    assert (len(calls), remarks) == (1, [])
    theirs = plain.live.state_dict()
    assert state.live.state_dict().keys() == theirs.keys()
    for key, value in state.live.state_dict().items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-3, atol=1e-4)


def test_half_precision_with_its_scaler(config, tmp_path):
    """On a CPU torch scales as on a GPU; the scale is saved and goes on."""
    config = replace(config, amp="fp16", steps=4, save_every=2)
    whole, _ = run(config, tmp_path / "whole")
    assert whole.scaler.is_enabled()
    run(config, tmp_path / "cut", stop_at=2)
    saved = torch.load(tmp_path / "cut" / "last.pt", weights_only=True)["scaler"]
    assert saved["scale"] > 1
    again, _ = run(config, tmp_path / "cut", resume=True)
    assert again.scaler.get_scale() == whole.scaler.get_scale()
    theirs = again.live.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in whole.live.state_dict().items())


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_fewer_bits_learn_nearly_the_same(config, tmp_path, amp):
    config = replace(config, steps=4, save_every=4)
    for name in ("off", amp):
        run(replace(config, amp=name), tmp_path / name)
    exact, rough = (read_metrics(tmp_path / n / "metrics.csv")["loss"][-1][1] for n in ("off", amp))
    assert exact != rough
    assert rough == pytest.approx(exact, rel=0.05)


def test_shares_of_absent_sources_are_told(config, tmp_path):
    config = replace(config, steps=1, shares={"drawn_mtfl5": 2.0, "drawn_mtfl": 2.0})
    _, remarks = run(config, tmp_path / "run")
    assert remarks == ["the packs hold no source of these shares: drawn_mtfl"]


def test_channels_lie_last(config, tmp_path):
    state, _ = run(replace(config, steps=1), tmp_path / "run")
    kernels = [p for p in state.live["model"].parameters() if p.dim() == 4 and p.shape[2] > 1]
    assert kernels
    for kernel in kernels:
        assert kernel.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("asked", [True, False])
def test_a_loading_process_that_is_killed(config, tmp_path, monkeypatch, asked):
    """By the signal that ends the run: it is saved. By something else: it is told."""
    real = loop._Runner._batches

    def killed(self, last_step):
        yield from (batch for batch, _ in zip(real(self, last_step), range(3), strict=False))
        self.asked = asked
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated.")

    monkeypatch.setattr(loop._Runner, "_batches", killed)
    if asked:
        state, _ = run(config, tmp_path / "run")
        assert state.step == 3
        assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["step"] == 3
    else:
        with pytest.raises(TufaError, match="was killed"):
            run(config, tmp_path / "run")


def test_events_for_tensorboard(config, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(replace(config, steps=4, tensorboard=True, validate_every=2), tmp_path / "run")
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "events"))
    events.Reload()
    found = read_metrics(tmp_path / "run" / "metrics.csv")
    assert set(events.Tags()["scalars"]) == set(found)
    for name, rows in found.items():
        values = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in values] == [step for step, _ in rows]
        assert [v for _, v in values] == pytest.approx([v for _, v in rows], rel=1e-4)


def test_without_tensorboard_it_is_told_before_the_run(config, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TufaError, match="needs the tensorboard package") as caught:
        train(replace(config, tensorboard=True), tmp_path / "run")
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize(
    ("message", "kind"),
    [("gloo/transport/tcp/pair.cc: Connection reset by peer", TufaError), ("other", RuntimeError)],
)
def test_a_rank_that_is_lost_is_told_by_the_others(monkeypatch, message, kind):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(torch.distributed, name, lambda *args: None)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    with pytest.raises(kind), ranks(torch.device("cpu")) as (ours, _):
        assert ours.world == 2
        raise RuntimeError(message)
