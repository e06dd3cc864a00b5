"""Augmentation: what is drawn, and that a face decoded at half the size is the same face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data.augment import (
    NONE,
    AugmentConfig,
    Colour,
    Light,
    Occlusion,
    apply_light,
    colour_table,
    random_crop,
    random_light,
)
from tufa_cli.data.on_device import augment_on, collate_raw
from tufa_cli.data.pack import PackOptions, pack
from tufa_cli.data.packed import Draw, PackedFaces, collate
from tufa_cli.errors import InputError
from tufa_cli.geometry.crop import crop_from_square
from tufa_cli.schemes import builtin_plane

GREY = np.full((64, 64, 3), 120, np.uint8)


def test_chances_are_those_of_the_config():
    rng, config = np.random.default_rng(0), AugmentConfig()
    lights = [random_light(config, rng, 128) for _ in range(4000)]
    share = {
        "colour": np.mean([light.colour is not None for light in lights]),
        "gray": np.mean([light.gray for light in lights]),
        "blur": np.mean([(light.soften or light.shrink) is not None for light in lights]),
        "noise": np.mean([light.noise is not None for light in lights]),
        "jpeg": np.mean([light.jpeg is not None for light in lights]),
        "occlusion": np.mean([light.occlusion is not None for light in lights]),
    }
    assert share == pytest.approx({name: getattr(config, name) for name in share}, abs=0.03)
    occluded = [light.occlusion for light in lights if light.occlusion]
    for occlusion in occluded:
        top, left, height, width = occlusion.place
        assert 0 <= top <= 128 - height
        assert 0 <= left <= 128 - width
        assert 0.04 * 128 < min(height, width) <= max(height, width) <= 64
    kinds = [
        np.mean([getattr(o, name) is not None for o in occluded])
        for name in ("colour", "seed", "source")
    ]
    assert kinds == pytest.approx([0.4, 0.2, 0.4], abs=0.05)


def test_nothing_is_drawn_without_chances():
    assert random_light(NONE, np.random.default_rng(0), 64) == Light()


def test_a_crop_is_turned_scaled_shifted_stretched_and_mirrored_in_this_order():
    """Against the same written with the maps of ``geometry.crop``, drawn one number at a time."""
    config = AugmentConfig()
    for seed in range(50):
        rng = np.random.default_rng(seed)
        turn = np.radians(np.clip(rng.normal(), -3, 3) * config.rotation)
        side = np.exp(np.clip(rng.normal(), -2.5, 2.5) * config.scale)
        centre = 0.5 + np.clip(rng.normal(size=2), -2.5, 2.5) * config.shift
        ratio = np.exp(np.clip(rng.normal(), -2.5, 2.5) * config.stretch / 2)
        flipped = rng.random() < config.flip
        inner = np.diag([-ratio if flipped else ratio, 1 / ratio])
        inner = np.column_stack([inner, 0.5 - inner @ (0.5, 0.5)])
        wanted = crop_from_square(centre, side, turn).then(inner).matrix
        found, mirrored = random_crop(config, np.random.default_rng(seed))
        assert mirrored == flipped
        assert found.matrix == pytest.approx(wanted, abs=1e-14)


def test_colour_is_gamma_gain_contrast_offset():
    colour = Colour(1.3, np.array([0.9, 1.0, 1.1]), 1.2, 0.05)
    x = np.arange(256)[:, None] / 255
    wanted = ((x**1.3 * colour.gains - 0.5) * 1.2 + 0.5 + 0.05) * 255
    assert np.abs(colour_table(colour) - np.clip(wanted, 0, 255)).max() <= 1


def test_noise_has_its_deviation_and_is_a_function_of_its_seed():
    one, two, other = (apply_light(GREY.copy(), Light(noise=(8.0, s))) for s in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()
    assert (one[..., 0] == one[..., 2]).all()
    assert one.std() == pytest.approx(8, rel=0.05)
    assert one.mean() == pytest.approx(120, abs=0.5)


def test_occlusion_stays_in_its_place():
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    inside = np.zeros((64, 64), bool)
    inside[10:30, 5:20] = True
    place = (10, 5, 20, 15)
    for occlusion in (
        Occlusion(place, colour=np.array([1, 2, 3])),
        Occlusion(place, seed=3),
        Occlusion(place, source=(40, 40)),
    ):
        found = apply_light(image.copy(), Light(occlusion=occlusion))
        assert (found[~inside] == image[~inside]).all()
        assert (found[inside] != image[inside]).any(axis=1).mean() > 0.9


@pytest.fixture(scope="module", params=[402, 403])
def large_pack(request, tmp_path_factory):
    """One smooth face stored at an even and at an odd side."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (20, 20, 3)).astype(np.uint8), (700, 700))
    cv2.imwrite(str(folder / "a.png"), photo)
    face = Face(builtin_plane()["cofw29"] * 350 + 170, scheme="cofw29")
    options = PackOptions("x", max_size=request.param)
    images = [AnnotatedImage("a.png", (face,), root=str(folder))]
    for _ in pack(images, folder / "a.h5", builtin_plane(), options):
        pass
    return folder / "a.h5"


def test_decoded_at_half_the_size_it_is_the_same_picture(large_pack, monkeypatch):
    modes = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda d, mode: modes.append(mode) or decode(d, mode))
    faces = PackedFaces([large_pack], 64, AugmentConfig(*[0] * 13))
    half = faces[Draw(0, (0,))]["image"]
    assert modes == [cv2.IMREAD_REDUCED_COLOR_2]
    monkeypatch.setattr("tufa_cli.data.packed.jpeg_size", lambda data: None)
    whole = faces[Draw(0, (0,))]["image"]
    assert modes[1:] == [cv2.IMREAD_COLOR]
    gap = np.abs(half.astype(int) - whole)[:, 2:-2, 2:-2]
    assert gap.mean() < 1.5
    # Shifted by half a pixel it would be another picture.
    moved = np.abs(half[:, :, 1:].astype(int) - whole[:, :, :-1])[:, 2:-2, 2:-2]
    assert moved.mean() > 4 * gap.mean()
    assert PackedFaces([large_pack], 256)[Draw(0, (0,))]["image"].shape == (3, 256, 256)
    assert modes[-1] == cv2.IMREAD_COLOR


def test_a_crop_that_cannot_be_decoded_is_named(large_pack, tmp_path):
    import h5py

    (tmp_path / "a.h5").write_bytes(large_pack.read_bytes())
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["jpeg"][:] = 0
    with pytest.raises(InputError, match="row 0 cannot be decoded") as caught:
        PackedFaces([tmp_path / "a.h5"], 64)[Draw(0, (0,))]
    assert "--verify" in caught.value.hint


def both(path, config, size, count=24):
    """The same draws augmented by OpenCV and by torch on the CPU."""
    import torch

    draws = [Draw(0, (0, i)) for i in range(count)]
    here = PackedFaces([path], size, config)
    there = PackedFaces([path], size, config, on_device=True)
    raw = collate_raw([there[draw] for draw in draws])
    return collate([here[draw] for draw in draws]), augment_on(torch.device("cpu"), raw, size)


@pytest.mark.parametrize("size", [64, 100, 256])
def test_the_device_warps_as_opencv_does(large_pack, size):
    """Half-size decoding, area averaging and plain sampling among them."""
    still = dict.fromkeys(("colour", "gray", "blur", "noise", "jpeg", "occlusion"), 0)
    one, two = both(large_pack, AugmentConfig(**still), size)
    for first, second in zip(one[1:], two[1:], strict=True):
        assert (first == second).all()
    gap = (one.images.int() - two.images.int()).abs().float()
    # OpenCV rounds places to 1/32 pixel; at an edge to black that is 8 levels.
    assert gap.mean() < 0.3
    assert (gap > 8).float().mean() < 1e-3


@pytest.mark.parametrize(
    ("name", "mean", "most"),
    [("gray", 0.6, 5), ("colour", 1.0, 5), ("blur", 0.6, 5), ("jpeg", 2.0, 40)],
)
def test_the_device_changes_pixels_as_opencv_does(large_pack, name, mean, most):
    config = AugmentConfig(**{k: float(k == name) for k in NONE.__dict__ if k != "most_points"})
    one, two = both(large_pack, config, 128)
    plain, _ = both(large_pack, NONE, 128, count=1)
    gap = (one.images.int() - two.images.int()).abs().float()
    change = (one.images.int() - plain.images.int()).abs().float()
    assert gap.mean() < mean
    assert gap.amax() <= most
    assert change.mean() > 2 * gap.mean()


def test_noise_and_occlusion_on_the_device(large_pack):
    config = AugmentConfig(**{k: float(k == "occlusion") for k in NONE.__dict__})
    one, two = both(large_pack, config, 128)
    assert (one.images.int() - two.images.int()).abs().float().mean() < 0.3
    config = AugmentConfig(**{k: float(k == "noise") for k in NONE.__dict__})
    (one, two), (_, again) = both(large_pack, config, 128), both(large_pack, config, 128)
    plain, _ = both(large_pack, NONE, 128, count=1)
    assert (two.images == again.images).all()
    for images in (one.images, two.images):
        middle = (images.float() - plain.images)[:, :, 20:108, 20:108]
        assert 2 < middle.std(dim=(1, 2, 3)).median() < 12
        assert (images.float() - plain.images).mean().abs() < 1


def test_batches_lie_as_the_network_wants_them(large_pack):
    import torch

    faces = PackedFaces([large_pack], 64, AugmentConfig())
    samples = [faces[Draw(0, (i,))] for i in range(3)]
    batch = collate(samples)
    assert batch.images.shape == (3, 3, 64, 64)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.images.float().is_contiguous(memory_format=torch.channels_last)
    for image, sample in zip(batch.images, samples, strict=True):
        assert (image.numpy() == sample["image"]).all()
