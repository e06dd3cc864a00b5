"""What the tests of commands share: small weights, two photos with a face, and ``annotate``."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest

TINY = {
    **{"input_size": 32, "width": 16, "heads": 2, "ffn": 16, "channels": [8, 8, 8]},
    "decoder_layers": 1,
}


class Portrait(NamedTuple):
    """A part of a photo in the public domain, small so that the search is quick."""

    pixels: np.ndarray  # (size, size, 3) uint8 RGB
    size: int
    face: tuple[int, int, int, int]  # x0, y0, x1, y1: eyes, nose and mouth lie in it


class Ran(NamedTuple):
    """What the command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run_convert(tmp_path, monkeypatch, capsys):
    """``run_convert(SOURCE, "--to", ...)`` in this process and the test's folder."""
    from tufa_cli.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ran:
        with pytest.raises(SystemExit) as end:
            main(["convert", *map(str, words)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(end.value.code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def save_tiny_weights():
    """``save_tiny_weights(path, learned=..., meta=...)``: a network that learned nothing."""
    import torch

    from tufa_cli.model.build import build_model
    from tufa_cli.model.config import model_config
    from tufa_cli.model.weights import Weights, save_weights
    from tufa_cli.schemes import builtin_plane

    def save(path, learned=None, meta=None):
        torch.manual_seed(0)
        model = build_model(model_config("nano", TINY))
        save_weights(path, Weights(model, builtin_plane(), learned or {}, meta or {"name": "tiny"}))
        return path

    return save


@pytest.fixture(scope="session")
def weights_file(save_tiny_weights, tmp_path_factory):
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.pt")


@pytest.fixture(scope="session")
def portrait() -> Portrait:
    import skimage.data

    size = 260
    return Portrait(skimage.data.astronaut()[:size, 90 : 90 + size], size, (95, 85, 175, 165))


@pytest.fixture
def photos(portrait, tmp_path):
    """Two photos with a face, one in a sub-folder."""
    from PIL import Image

    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    pixels = Image.fromarray(portrait.pixels)
    pixels.save(folder / "a.jpg", quality=95)
    pixels.save(folder / "sub" / "b.png")
    return folder


@pytest.fixture(scope="session")
def assert_on_the_face(portrait):
    """Fails unless the middle of a face's points lies in the box (by default the portrait's face)
    and they spread about as far as it does."""

    def check(face, box=portrait.face):
        low, high = np.reshape(box, (2, 2))
        middle = face.points_px.mean(axis=0)
        assert (low < middle).all() and (middle < high).all()
        assert 0.5 < np.ptp(face.points_px, axis=0).max() / (high - low).max() < 2.5

    return check


@pytest.fixture
def annotate(weights_file, capfd, monkeypatch):
    """The command in this process (starting one takes a second or two)."""
    from tufa_cli.cli import main

    monkeypatch.setenv("TUFA_NO_PROGRESS", "1")

    def run(*args, scheme="wflw98", stdin=b"", min_confidence=0):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        words = ["annotate", *args, "--scheme", scheme, "--weights", weights_file]
        # A network that learned nothing believes in nothing.
        words += ["--device", "cpu", "--min-confidence", min_confidence]
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def convert(tmp_path, capfd, monkeypatch):
    """The command in this process, in an empty folder."""
    from tufa_cli.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*args):
        with pytest.raises(SystemExit) as end:
            main(["convert", *map(str, args)])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run
