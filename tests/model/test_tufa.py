"""The network's promises: shapes, sets, batches, fixed numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tufa_cli.errors import ProblemsError
from tufa_cli.model.build import build_model, count_parameters
from tufa_cli.model.config import SIZES, model_config

TINY = {"width": 32, "channels": [8, 16, 24], "blocks": [1, 1, 1], "ffn": 32, "input_size": 64}


def fixed_model(size="nano", overrides=None):
    """A network whose weights depend on names and shapes only, not on torch's generator."""
    model = build_model(size, overrides).eval()
    state = model.state_dict()
    for name in sorted(state):
        tensor = state[name]
        if tensor.is_floating_point() and "running_var" not in name:
            ramp = torch.arange(tensor.numel(), dtype=torch.float64)
            values = torch.sin(ramp * 0.7 + len(name)) * 0.4 / max(1, tensor[0].numel()) ** 0.5
            tensor.copy_(values.view_as(tensor))
    return model


def picture(size, batch=1):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(size=(batch, 3, size, size))).float()


def anchors(count, batch=1):
    return torch.from_numpy(np.random.default_rng(1).random((batch, count, 2))).float()


@pytest.mark.parametrize("size", SIZES)
def test_forward_shapes_of_every_size(size):
    model = build_model(size).eval()
    side = model.config.input_size
    with torch.inference_mode():
        out = model(picture(side), anchors(5))
    layers = model.config.decoder_layers
    assert out.points.shape == (1, layers, 5, 2)
    assert out.log_scale.shape == (1, layers, 5)
    assert torch.isfinite(out.points).all()


@pytest.mark.parametrize(("size", "millions"), [("s8", 36.0), ("s16", 36.0)])
def test_paper_sizes_have_the_papers_parameters(size, millions):
    # 35.970 M and 35.965 M in the release, plus our uncertainty.
    assert count_parameters(build_model(size)) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("size", "overrides", "expected"),
    [
        ("nano", TINY, (0.083072, 0.233038)),
        ("s16", {"depth": 2, "decoder_layers": 2, "input_size": 64}, (0.072920, -0.355851)),
    ],
)
def test_one_number_with_fixed_weights(size, overrides, expected):
    model = fixed_model(size, overrides)
    with torch.inference_mode():
        out = model(picture(model.config.input_size), anchors(4))
    assert out.points[0, -1].mean(dim=0).tolist() == pytest.approx(expected, abs=1e-4)


def test_points_do_not_depend_on_their_order():
    model = fixed_model()
    image, prompt = picture(128), anchors(20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain = model(image, prompt).points[:, -1]
        shuffled = model(image, prompt[:, order]).points[:, -1]
    assert torch.allclose(plain[:, order] * 128, shuffled * 128, atol=1e-4)


def test_points_do_not_depend_on_the_batch_or_on_padding():
    model = fixed_model()
    images, prompts = picture(128, batch=3), anchors(20, batch=3)
    valid = torch.ones(3, 20, dtype=torch.bool)
    valid[1, 7:] = False
    with torch.inference_mode():
        together = model(images, prompts, valid).points[:, -1]
        for i, count in enumerate([20, 7, 20]):
            alone = model(images[i : i + 1], prompts[i : i + 1, :count]).points[0, -1]
            assert torch.allclose(together[i, :count] * 128, alone * 128, atol=1e-4)


def test_config_reports_all_mistakes():
    with pytest.raises(ProblemsError) as caught:
        model_config("nanoo", {"widht": 3})
    assert len(caught.value.problems) == 2
    assert "width" in caught.value.problems[1]
