"""A pack of drawn faces: dots where the landmarks are, so that a tiny network can learn them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data.pack import PackOptions, pack
from tufa_cli.schemes import builtin_plane
from tufa_cli.training.config import TrainConfig


def draw_faces(folder, scheme, count, seed):
    """Photos with one dot per landmark on noise, and their labels."""
    rng = np.random.default_rng(seed)
    anchors = builtin_plane()[scheme]
    images = []
    for number in range(count):
        photo = rng.integers(90, 130, (160, 160, 3)).astype(np.uint8)
        points = anchors * rng.uniform(80, 100) + rng.uniform(20, 40, 2)
        points = points + rng.normal(0, 2.5, points.shape)
        for place in points:
            cv2.circle(photo, tuple(int(v) for v in place.round()), 3, (255, 255, 255), -1)
        name = f"{scheme}_{number}.png"
        cv2.imwrite(str(folder / name), photo)
        face = Face(points, scheme=scheme)
        images.append(AnnotatedImage(name, (face,), 160, 160, root=str(folder)))
    return images


@pytest.fixture(scope="session")
def drawn_pack(tmp_path_factory):
    """Path of a pack with two schemes, 12 + 12 training and 4 + 4 validation faces."""
    folder = tmp_path_factory.mktemp("drawn")
    out = folder / "faces.h5"
    for seed, scheme in enumerate(("mtfl5", "cofw29")):
        images = draw_faces(folder, scheme, 16, seed)
        val = frozenset(image.path for image in images[12:])
        options = PackOptions(source=f"drawn_{scheme}", scheme=scheme)
        for _ in pack(images, out, builtin_plane(), options, append=bool(seed), val_photos=val):
            pass
    return out


TINY = {"width": 32, "channels": [16, 24, 32], "blocks": [1, 1, 1], "ffn": 32, "input_size": 64}


@pytest.fixture
def config(drawn_pack):
    return TrainConfig(
        packs=(str(drawn_pack),),
        model_options=TINY,
        steps=12,
        batch_size=8,
        warmup=2,
        validate_every=6,
        save_every=4,
        amp="off",
        device="cpu",
        workers=0,
        ema=0.9,
    )
