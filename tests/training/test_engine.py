"""The engine's promises: pieces, ranks and kills change no number; what goes wrong is told."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml

from tufa_cli.data.augment import NONE
from tufa_cli.errors import InputError, ProblemsError, TufaError
from tufa_cli.model.build import build_model
from tufa_cli.model.config import model_config
from tufa_cli.training.encoder import load_encoder
from tufa_cli.training.loop import train
from tufa_cli.training.metrics import read_metrics
from tufa_cli.training.state import TrainState, _groups

GROUP_NORM = {"norm": "group"}
#: A network so small that starting Python is most of a run.
TINY_VIT = {"width": 48, "depth": 2, "heads": 2, "ffn": 48, "decoder_layers": 1, "input_size": 64}


def weights_of(folder):
    return torch.load(folder / "last.pt", weights_only=True)["live"]


def largest_difference(a, b):
    assert a.keys() == b.keys()
    return max(float((a[key].double() - b[key].double()).abs().max()) for key in a)


def run_program(config, out, *words, ranks=1, check=True):
    """The program as a user starts it, on one thread."""
    file = out.parent / "config.yaml"
    file.write_text(yaml.safe_dump(config.to_dict()))
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    command = [sys.executable, *launcher, "-m", "tufa_cli", "train", str(file), "-o", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def test_two_ranks_equal_one(config, tmp_path):
    """Same seed and global batch: the same weights, up to the order of sums."""
    config = replace(config, steps=6, lr=1e-4, model_options=config.model_options | GROUP_NORM)
    train(config, tmp_path / "one")
    (tmp_path / "b").mkdir()
    run_program(config, tmp_path / "b" / "two", ranks=2)
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "b" / "two")
    start = TrainState(config, _dataset(config), torch.device("cpu")).live.state_dict()
    moved, apart = largest_difference(one, start), largest_difference(one, two)
    assert moved > 2e-4
    assert apart < 0.02 * moved, (apart, moved)
    scores = [read_metrics(tmp_path / name / "metrics.csv") for name in ("one", "b/two")]
    assert scores[0].keys() == scores[1].keys()
    for key in scores[0]:
        if key.startswith("nme"):
            assert scores[1][key][-1][1] == pytest.approx(scores[0][key][-1][1], abs=0.02)
    assert json.loads((tmp_path / "b" / "two" / "environment.json").read_text())["ranks"] == 2


def _dataset(config):
    from pathlib import Path

    from tufa_cli.data.packed import PackedFaces

    return PackedFaces([Path(p) for p in config.packs], 64, config.augment)


def test_pieces_equal_the_whole(config, tmp_path):
    config = replace(config, steps=4, lr=1e-4, model_options=config.model_options | GROUP_NORM)
    train(config, tmp_path / "whole")
    train(replace(config, accumulate=4), tmp_path / "pieces")
    assert largest_difference(*(weights_of(tmp_path / n) for n in ("whole", "pieces"))) < 2e-5


def test_a_batch_that_cannot_be_shared_is_refused(config, tmp_path):
    with pytest.raises(TufaError, match="cannot be shared"):
        from tufa_cli.data.packed import MixedSampler

        MixedSampler([], torch.ones(0).numpy(), 8, 0, 1, 0, NONE, world=3)


@pytest.mark.slow
def test_ten_kills_change_nothing(config, tmp_path):
    """kill -9 at random instants, resumed each time: equal to the run that nothing interrupted."""
    config = replace(
        config, steps=40, save_every=2, validate_every=20, threads=1, workers=1, warmup=2
    )
    (tmp_path / "a").mkdir()
    run_program(config, tmp_path / "a" / "whole")
    file, out = tmp_path / "a" / "config.yaml", tmp_path / "killed"
    command = [sys.executable, "-m", "tufa_cli", "train", str(file), "-o", str(out), "--resume"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    chance = random.Random(7)
    kills = 0
    for _ in range(40):
        process = subprocess.Popen(
            command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        if kills == 10:
            assert process.wait(timeout=300) == 0
            break
        _wait_for_progress(process, out)
        time.sleep(chance.uniform(0, 0.3))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        if (out / "last.pt").exists():
            torch.load(out / "last.pt", weights_only=True)  # never half written
    whole, killed = weights_of(tmp_path / "a" / "whole"), weights_of(out)
    assert kills >= 5  # a fast machine may finish before the tenth
    assert largest_difference(whole, killed) == 0
    names = [n for n in read_metrics(out / "metrics.csv") if n.startswith("nme")]
    for name in names:
        rows = (read_metrics(f / "metrics.csv")[name] for f in (tmp_path / "a" / "whole", out))
        assert len({tuple(row) for row in rows}) == 1


def _wait_for_progress(process, out, limit=60.0):
    """Until the program has saved once more, so that kills fall into the loop."""
    before = (out / "last.pt").stat().st_mtime_ns if (out / "last.pt").exists() else 0
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        if (out / "last.pt").exists() and (out / "last.pt").stat().st_mtime_ns != before:
            return
        time.sleep(0.02)


def test_a_loss_that_is_not_finite_saves_its_batch(config, tmp_path):
    config = replace(config, steps=6, lr=1e30, warmup=1, grad_clip=1e30, save_every=1)
    with pytest.raises(TufaError, match="not finite") as caught:
        train(config, tmp_path / "run")
    (path,) = (tmp_path / "run").glob("not_finite_*_rank0.pt")
    assert path.name in str(caught.value)
    (batch,) = torch.load(path, weights_only=True)
    assert batch["images"].shape == (8, 3, 64, 64)
    saved = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert f"not_finite_{saved['step']}_rank0.pt" == path.name  # the step after the last saved


def test_patience_ends_a_run_that_gets_no_better(config, tmp_path):
    reports = []
    config = replace(config, steps=60, lr=1e-9, align_lr=0.0, validate_every=2, patience=2)
    state = train(config, tmp_path / "run", report=reports.append)
    assert state.step < 60
    assert (tmp_path / "run" / "final.pt").exists()
    (text,) = [r.text for r in reports if r.kind == "stopped"]
    assert text.startswith("no better validation")


def test_lower_blocks_learn_more_slowly(config):
    options = TINY_VIT | {"patch": 16}
    config = replace(
        config, model="s16", model_options=options, lr=1.0, encoder_lr=0.5, layer_decay=0.1
    )
    state = TrainState(config, _dataset(config), torch.device("cpu"))
    rates = {
        id(parameter): group["peak"]
        for group in _groups(state.live, config)
        for parameter in group["params"]
    }
    rate = {name: rates[id(p)] for name, p in state.live["model"].named_parameters()}
    assert rate["encoder.blocks.1.attn.qkv.weight"] == pytest.approx(0.5)
    assert rate["encoder.blocks.0.attn.qkv.weight"] == pytest.approx(0.05)
    assert rate["encoder.patch_embed.proj.weight"] == pytest.approx(0.005)
    assert rate["encoder.norm.weight"] == pytest.approx(0.5)
    assert rate["norm.weight"] == 1.0
    assert len(rates) == len(list(state.live.parameters()))


def test_an_encoder_is_taken_over_by_its_keys(tmp_path):
    config = model_config("s16", TINY_VIT)
    theirs, ours = build_model(config).encoder, build_model(config).encoder
    file = tmp_path / "dino.pth"
    torch.save(
        {f"module.{k}": v for k, v in theirs.state_dict().items()}
        | {"head": theirs.cls_token.data},
        file,
    )
    assert load_encoder(ours, file, {}) == ["head"]
    assert largest_difference(theirs.state_dict(), ours.state_dict()) == 0
    renamed = {f"trunk.{k}": v for k, v in theirs.state_dict().items()}
    torch.save({"state_dict": renamed}, file)
    assert load_encoder(build_model(config).encoder, file, {"trunk.": ""}) == []
    with pytest.raises(ProblemsError) as caught:
        load_encoder(
            build_model(model_config("s16", TINY_VIT | {"width": 24})).encoder, file, {"trunk.": ""}
        )
    assert len(caught.value.problems) > 10
    with pytest.raises(InputError, match="SHA-256"):
        load_encoder(ours, file, {"trunk.": ""}, "00")
    file.write_text("not torch")
    with pytest.raises(InputError, match="not a torch file"):
        load_encoder(ours, file, {})


def test_the_run_folder_tells_where_it_was_made(config, tmp_path):
    train(replace(config, steps=2), tmp_path / "run")
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert torch.__version__.startswith(found["packages"]["torch"].split("+")[0])
    assert found["ranks"] == 1
    assert str(tmp_path) not in json.dumps(found)
