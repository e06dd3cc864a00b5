"""The official release's files: names and shapes as listed, and the same numbers.

The release's weights are not here. The state dict is made up, with exactly its names and shapes;
and the forward pass is stated anew below with plain tensor operations, from the published facts
about the network's structure. Nothing of ours is called in it.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tufa_cli.errors import InputError, ProblemsError, UnknownNameError
from tufa_cli.model.official import import_official, read_prompts
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import load_weights, save_weights
from tufa_cli.schemes import get_scheme

D, HEADS, LAYERS, BLOCKS = 384, 6, 6, 12
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def listed(patch):
    """Names and shapes of the release's tensors."""
    tokens = {8: 785, 16: 197}[patch]
    shapes = {
        **{"Linear.0.weight": (256, D), "Linear.0.bias": (256,)},
        **{"Linear.2.weight": (2, 256), "Linear.2.bias": (2,)},
        **{"Encoder.cls_token": (1, 1, D), "Encoder.pos_embed": (1, tokens, D)},
        "Encoder.patch_embed.proj.weight": (D, 3, patch, patch),
        "Encoder.patch_embed.proj.bias": (D,),
        **{"Encoder.norm.weight": (D,), "Encoder.norm.bias": (D,)},
        **{"Decoder.Decoder.norm.weight": (D,), "Decoder.Decoder.norm.bias": (D,)},
    }
    block = {
        **{"attn.qkv": (3 * D, D), "attn.proj": (D, D), "mlp.fc1": (4 * D, D)},
        **{"mlp.fc2": (D, 4 * D), "norm1": (D,), "norm2": (D,)},
    }
    for i in range(BLOCKS):
        for name, shape in block.items():
            shapes[f"Encoder.blocks.{i}.{name}.weight"] = shape
            shapes[f"Encoder.blocks.{i}.{name}.bias"] = shape[:1]
    for i in range(LAYERS):
        start = f"Decoder.Decoder.layers.{i}."
        for attention in ("self_attn", "multihead_attn"):
            shapes[f"{start}{attention}.in_proj_weight"] = (3 * D, D)
            shapes[f"{start}{attention}.in_proj_bias"] = (3 * D,)
            shapes[f"{start}{attention}.out_proj.weight"] = (D, D)
            shapes[f"{start}{attention}.out_proj.bias"] = (D,)
        for name, shape in {"linear1": (4 * D, D), "linear2": (D, 4 * D)}.items():
            shapes[f"{start}{name}.weight"] = shape
            shapes[f"{start}{name}.bias"] = shape[:1]
        for norm in (1, 2, 3):
            shapes[f"{start}norm{norm}.weight"] = shapes[f"{start}norm{norm}.bias"] = (D,)
    return shapes


def made_up(patch):
    """Random values under the release's names, of a size that keeps the network lively."""
    generator = torch.Generator().manual_seed(patch)
    state = {}
    for name, shape in listed(patch).items():
        value = torch.randn(shape, generator=generator)
        norm = ".norm" in name and name.endswith("weight")
        fan = max(1, math.prod(shape[1:]))
        state[name] = 1 + 0.2 * value if norm else value / math.sqrt(fan) if fan > 1 else value / 5
        if "in_proj_weight" in name:  # sharp attention, so that every prompt sees something else
            state[name] *= 3
    for name in ("Encoder.cls_token", "Encoder.pos_embed"):
        state[name] = torch.randn(state[name].shape, generator=generator) / 2
    return state


def restated(state, images, prompts, patch):
    """The release's forward pass: (B, 3, 256, 256) normalised, (K, 2) pixels, to (B, 6, K, 2)."""

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x, name, eps):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def attend(q, k, v):
        split = [x.reshape(*x.shape[:2], HEADS, D // HEADS).transpose(1, 2) for x in (q, k, v)]
        weight = torch.softmax(split[0] @ split[1].transpose(2, 3) / math.sqrt(D // HEADS), -1)
        return (weight @ split[2]).transpose(1, 2).reshape(q.shape)

    def multihead(name, q, k, v):
        weight, bias = state[f"{name}.in_proj_weight"], state[f"{name}.in_proj_bias"]
        q, k, v = (
            x @ weight[i * D : (i + 1) * D].T + bias[i * D : (i + 1) * D]
            for i, x in enumerate((q, k, v))
        )
        return linear(attend(q, k, v), f"{name}.out_proj")

    # The encoder: patches cut out by hand, and the positions by a scale factor with 0.1 added.
    side, grid = 256 // patch, 224 // patch
    cut = images.unfold(2, patch, patch).unfold(3, patch, patch)
    cut = cut.permute(0, 2, 3, 1, 4, 5).reshape(len(images), side * side, -1)
    tokens = cut @ state["Encoder.patch_embed.proj.weight"].reshape(D, -1).T
    tokens = tokens + state["Encoder.patch_embed.proj.bias"]
    table = state["Encoder.pos_embed"][0, 1:].T.reshape(1, D, grid, grid)
    factor = (side + 0.1) / grid
    table = functional.interpolate(
        table, scale_factor=(factor, factor), mode="bicubic", align_corners=False
    )
    positions = table.reshape(D, side * side).T
    first = state["Encoder.cls_token"] + state["Encoder.pos_embed"][:, :1]
    x = torch.cat([first.expand(len(images), 1, D), tokens + positions], dim=1)
    for i in range(BLOCKS):
        name = f"Encoder.blocks.{i}"
        mixed = linear(norm(x, f"{name}.norm1", 1e-6), f"{name}.attn.qkv").split(D, dim=-1)
        x = x + linear(attend(*mixed), f"{name}.attn.proj")
        hidden = linear(norm(x, f"{name}.norm2", 1e-6), f"{name}.mlp.fc1")
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        x = x + linear(hidden, f"{name}.mlp.fc2")
    memory = norm(x, "Encoder.norm", 1e-6)[:, 1:]

    # The prompts: y first, sine and cosine in turn.
    c = 2 * (prompts / 256) - 1
    code = torch.zeros(len(prompts), D)
    for axis, start in ((1, 0), (0, D // 2)):
        for i in range(D // 2):
            angle = c[:, axis] * 10000 ** (-2 * (i // 2) / (D // 2))
            code[:, start + i] = angle.cos() if i % 2 else angle.sin()

    out, target = [], torch.zeros(len(images), len(prompts), D)
    for i in range(LAYERS):
        name = f"Decoder.Decoder.layers.{i}"
        value = norm(target, f"{name}.norm1", 1e-5)
        target = target + multihead(f"{name}.self_attn", value + code, value + code, value)
        query = norm(target, f"{name}.norm2", 1e-5) + code
        target = target + multihead(f"{name}.multihead_attn", query, memory + positions, memory)
        hidden = linear(norm(target, f"{name}.norm3", 1e-5), f"{name}.linear1").clamp(min=0)
        target = target + linear(hidden, f"{name}.linear2")
        last = norm(target, "Decoder.Decoder.norm", 1e-5)
        out.append(linear(linear(last, "Linear.0").clamp(min=0), "Linear.2"))
    return torch.stack(out, dim=1)


def offsets(count):
    return np.random.default_rng(count).uniform(20, 236, (count, 2))


def prompt_file(folder, count, name=None):
    path = folder / (name or f"shape_{count}.npz")
    np.savez(path, init=offsets(count) + 1, offset=offsets(count))
    return path


@pytest.fixture(scope="module", params=[16, 8], ids=["s16", "s8"])
def release(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    torch.save(made_up(request.param), folder / "Face_prompt.pth")
    return request.param, folder / "Face_prompt.pth"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "Face_prompt_small.pth"
    torch.save(made_up(16), path)
    return path


def test_the_list_is_the_releases():
    assert len(listed(8)) == len(listed(16)) == 264
    count = {p: sum(math.prod(shape) for shape in listed(p).values()) for p in (8, 16)}
    assert round(count[8] / 1e6, 3) == 35.970
    assert round(count[16] / 1e6, 3) == 35.965


def test_the_same_numbers_as_the_release(release, tmp_path):
    patch, path = release
    prompts = read_prompts([str(prompt_file(tmp_path, 29))])
    weights = import_official(path, prompts, "official")
    save_weights(tmp_path / "official.pt", weights)
    weights = load_weights(tmp_path / "official.pt")
    assert weights.model.config.name == {8: "s8", 16: "s16"}[patch]
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3)).astype(np.uint8)
    images = (torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    state = made_up(patch)
    with torch.inference_mode():
        expected = restated(state, images, torch.from_numpy(offsets(29)).float(), patch)
        asked = torch.from_numpy(offsets(29) / 256).float()[None]
        found = weights.model(images, asked).points
        turned = torch.from_numpy(offsets(29)[:, ::-1] / 256).float()[None]
        other = weights.model(images, turned).points
    # Points differ, and so does the answer to x and y exchanged: far beyond the tolerance.
    assert expected[:, -1].std(dim=1).min() > 0.005
    assert (other - expected).abs().max() > 0.005
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    points, confidence = Predictor(weights, "cpu").predict(
        crops, weights.prompts(get_scheme("cofw29"))
    )
    np.testing.assert_allclose(points, expected[:, -1].double().numpy(), atol=1e-4)
    assert np.isnan(confidence).all()


def test_prompts_are_those_of_the_release(small, tmp_path):
    files = [str(prompt_file(tmp_path, count)) for count in (29, 68, 98)]
    weights = import_official(small, read_prompts(files), "official")
    assert sorted(weights.learned) == ["cofw29", "ibug68", "wflw98"]
    for count, name in ((29, "cofw29"), (68, "ibug68"), (98, "wflw98")):
        crop = weights.window.to_crop(weights.prompts(get_scheme(name)))
        np.testing.assert_allclose(crop * 256, offsets(count), atol=1e-9)
    # Other schemes are asked for by the plane, and crops are 1.2 times the box of wflw98.
    assert len(weights.prompts(get_scheme("muct68"))) == 68
    box = np.ptp(weights.window.to_crop(weights.plane["wflw98"]), axis=0).max()
    assert box == pytest.approx(1 / 1.2, abs=1e-5)


def test_prompts_of_a_scheme_of_the_users_own(small, tmp_path):
    scheme = tmp_path / "mine.yaml"
    scheme.write_text(
        "name: mine\nsource: me\nnormaliser: plane_box\npoints:\n"
        "  - {part: chin}\n  - {part: nose_tip}\n  - {part: jaw, t: [0.2, 0.8]}\n"
    )
    prompts = read_prompts([f"{scheme}={prompt_file(tmp_path, 4)}"])
    np.testing.assert_allclose(prompts["mine"] * 256, offsets(4))
    assert "mine" in import_official(small, prompts, "x").learned


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: s.pop("Linear.2.bias"), ["Linear.2.bias: missing"]),
        (lambda s: s.update(more=torch.zeros(1)), ["more: left over"]),
        (
            lambda s: s.update({"Linear.0.bias": torch.zeros(3)}),
            ["Linear.0.bias: shape (3,), expected (256,)"],
        ),
        (
            lambda s: s.update({"Encoder.pos_embed": torch.full((1, 197, D), torch.nan)}),
            ["Encoder.pos_embed: holds values that are not numbers"],
        ),
        (lambda s: (s.pop("Linear.2.bias"), s.pop("Encoder.cls_token")), ["cls_token", "Linear"]),
    ],
)
def test_every_tensor_is_checked(tmp_path, spoil, words):
    state = made_up(16)
    spoil(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ProblemsError) as caught:
        import_official(tmp_path / "w.pth", {}, "x")
    assert len(caught.value.problems) == len(words)
    for problem, word in zip(caught.value.problems, words, strict=True):
        assert word in problem


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("hello"), "not a torch file"),
        (lambda path: torch.save({"a": 1}, path), "holds no state dict"),
        (lambda path: torch.save({"a": torch.zeros(2)}, path), "not the release's state dict"),
        (
            lambda path: torch.save(
                {"Encoder.patch_embed.proj.weight": torch.zeros(384, 3, 14, 14)}, path
            ),
            "patches of 8 or 16 pixels",
        ),
        (lambda path: None, "No such file"),
    ],
)
def test_files_that_are_not_the_releases(tmp_path, make, words):
    make(tmp_path / "w.pth")
    with pytest.raises(InputError, match=words):
        import_official(tmp_path / "w.pth", {}, "x")


def npz(path, **arrays):
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: npz(p, init=offsets(68)), "no array 'offset'"),
        (lambda p: npz(p, offset=offsets(68)[:, :1]), "must be \\(K, 2\\)"),
        (lambda p: npz(p, offset=offsets(68) * 100), "pixels on a plane"),
        (lambda p: npz(p, offset=offsets(68) * np.nan), "pixels on a plane"),
        (lambda p: npz(p, offset=np.array([None, "x"])), "not an npz file of numbers"),
        (lambda p: npz(p, offset=offsets(314)), "which scheme is it"),
        (lambda p: p.write_text("hello"), "not an npz file"),
        (lambda p: p.write_bytes(b"PK\x03\x04"), "not an npz file"),
        (lambda p: np.save(p.open("wb"), offsets(68)), "not an npz file"),
        (lambda p: None, "No such file"),
    ],
)
def test_prompt_files_that_cannot_be_used(tmp_path, make, words):
    path = tmp_path / "shape.npz"
    make(path)
    with pytest.raises(InputError, match=words) as caught:
        read_prompts([str(path)])
    assert str(caught.value).startswith(str(path))


def test_prompts_of_the_wrong_scheme(tmp_path):
    path = str(prompt_file(tmp_path, 68))
    with pytest.raises(InputError, match="68 points, the scheme wflw98 has 98"):
        read_prompts([f"wflw98={path}"])
    with pytest.raises(InputError, match="a second file for the scheme ibug68"):
        read_prompts([path, f"300w={path}"])
    with pytest.raises(UnknownNameError):
        read_prompts([f"nobody={path}"])


def test_the_command(run_cli, small, tmp_path):
    args = ["models", "import-official", small, "--prompts", prompt_file(tmp_path, 68)]
    out = tmp_path / "official.pt"
    result = run_cli(*args, "-o", out)
    assert result.code == 0, result.stderr
    assert "prompts of ibug68" in result.stdout
    assert "GPL-2.0" in result.stderr
    shown = json.loads(run_cli("models", "show", out, "--json").stdout)
    assert shown["name"] == "official"
    assert "not known to us" in shown["terms"]
    assert shown["trained_schemes"] == ["ibug68"]
    assert shown["window"] == {"x": 0.0, "y": 0.0, "side": 1.0}
    assert run_cli(*args, "-o", out).code == 1
    bad = run_cli("models", "import-official", small, "--prompts", small, "-o", tmp_path / "b.pt")
    assert bad.code == 1
    assert bad.stderr.startswith(f"Error: {small}: ")


def test_a_photo_is_annotated_with_it(run_cli, small, tmp_path, astronaut):
    from PIL import Image

    Image.fromarray(astronaut[:260, 90:350]).save(tmp_path / "a.png")
    out = tmp_path / "official.pt"
    save_weights(out, import_official(small, {}, "official"))
    found = tmp_path / "faces.json"
    result = run_cli(
        *("annotate", tmp_path / "a.png", "--weights", out, "--scheme", "ibug68"),
        *("--detector", "whole-image", "--device", "cpu", "-o", found),
    )
    assert result.code == 0, result.stderr
    faces = json.loads(found.read_text())["annotations"]
    assert len(faces) == 1
    assert "keypoint_scores" not in faces[0]
