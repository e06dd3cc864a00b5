"""Weights files: one file annotates alone, a wrong one says what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.model.build import build_model
from tufa_cli.model.predict import Predictor, pick_device
from tufa_cli.model.weights import Weights, load_weights, save_weights
from tufa_cli.schemes import builtin_plane, get_scheme

TINY = {"width": 32, "channels": [8, 16, 24], "blocks": [1, 1, 1], "ffn": 32, "input_size": 64}


@pytest.fixture
def weights():
    torch.manual_seed(0)
    plane = builtin_plane()
    learned = {"mtfl5": plane["mtfl5"] + 0.01}
    return Weights(build_model("nano", TINY).eval(), plane, learned, {"name": "tiny", "terms": "x"})


def crops(count, size=64):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def test_a_file_holds_everything(weights, tmp_path):
    save_weights(tmp_path / "w.pt", weights)
    read = load_weights(tmp_path / "w.pt")
    assert (read.name, read.input_size, read.window) == ("tiny", 64, weights.window)
    assert read.prompts(get_scheme("mtfl5")) == pytest.approx(weights.plane["mtfl5"] + 0.01)
    assert read.prompts(get_scheme("wflw98")) == pytest.approx(weights.plane["wflw98"], abs=1e-6)
    assert read.anchors(get_scheme("mtfl5")) == pytest.approx(weights.plane["mtfl5"], abs=1e-6)
    prompts = read.prompts(get_scheme("cofw29"))
    before, _ = Predictor(weights, "cpu").predict(crops(2), prompts)
    after, confidence = Predictor(read, "cpu").predict(crops(2), prompts)
    assert np.array_equal(before, after)
    assert ((confidence >= 0) & (confidence <= 1)).all()


def test_half_precision_moves_points_by_less_than_a_twentieth_of_a_pixel(weights, tmp_path):
    save_weights(tmp_path / "w.pt", weights, half=True)
    prompts = weights.prompts(get_scheme("cofw29"))
    full, _ = Predictor(weights, "cpu").predict(crops(2), prompts)
    half, _ = Predictor(load_weights(tmp_path / "w.pt"), "cpu").predict(crops(2), prompts)
    assert np.abs(full - half).max() * 64 < 0.05


def test_batch_size_does_not_change_predictions(weights):
    predictor, prompts = Predictor(weights, "cpu"), weights.prompts(get_scheme("ibug68"))
    pictures = crops(7)
    together, _ = predictor.predict(pictures, prompts)
    alone = np.concatenate([predictor.predict(pictures[i : i + 1], prompts)[0] for i in range(7)])
    assert np.abs(together - alone).max() * 64 < 1e-4


def another_size(path):
    payload = torch.load(path, weights_only=True)
    config = json.loads(payload["config"])
    payload["config"] = json.dumps({**config, "width": 64})
    torch.save(payload, path)


def newer_version(path):
    payload = torch.load(path, weights_only=True)
    torch.save({**payload, "version": 99}, path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (another_size, "do not fit the size"),
        (newer_version, "version 99"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "not a weights file"),
        (lambda path: path.write_text("hello"), "not a weights file"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path), "not a weights file of tufa-cli"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_wrong_files_say_what_is_wrong(weights, tmp_path, spoil, message):
    path = tmp_path / "w.pt"
    save_weights(path, weights)
    spoil(path)
    with pytest.raises(InputError, match=message):
        load_weights(path)


def test_a_full_disk_leaves_nothing(weights, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(tmp_path / "w.pt", weights)
    assert list(tmp_path.iterdir()) == []


def test_unknown_device():
    with pytest.raises(TufaError, match="cannot be used here"):
        pick_device("warp9")
