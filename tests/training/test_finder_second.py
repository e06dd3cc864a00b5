"""The training of the second look: what a find means, it learns, and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from tufa_cli.data.finder_light import disturb_crops
from tufa_cli.data.finder_store import FinderFaces
from tufa_cli.detect.second_look import SecondConfig, SecondNet
from tufa_cli.errors import TufaError
from tufa_cli.training.finder_config import SecondTrainConfig
from tufa_cli.training.finder_second import KEPT, Finds, _meaning, train_second

CONFIG = SecondTrainConfig(steps=40, batch_size=32, ema=0.9, lr=4e-3)


@pytest.fixture(scope="module")
def finds():
    """Discs on noise are faces; squares and nothing are none."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(40, 120, (60, KEPT, KEPT, 3)).astype(np.uint8)
    for i, picture in enumerate(pixels):
        if i % 3 == 0:
            cv2.circle(picture, (32, 32), 12, (250, 250, 250), -1)
        elif i % 3 == 1:
            cv2.rectangle(picture, (4, 20), (14, 44), (250, 250, 250), -1)
    face = np.arange(60) % 3 == 0
    boxes = np.where(face[:, None], [0.0, 0, 0], np.nan)
    points = np.full((60, 5, 2), np.nan)
    return Finds(pixels, face, boxes, points)


def test_it_learns_and_repeats_itself(finds):
    seen = []
    first = train_second(finds, CONFIG, 1, lambda step, loss, right: seen.append((loss, right)))
    again = train_second(finds, CONFIG, 1)
    assert np.isfinite(seen[-1]).all() and first is not None and again is not None
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name], rtol=0, atol=0, msg=name)
    middle = torch.from_numpy(finds.pixels[:, 8:56, 8:56]).permute(0, 3, 1, 2)
    with torch.no_grad():
        said = first(middle).logits > 0
    assert (said.numpy() == finds.face).mean() > 0.95


def test_it_goes_on_from_what_was_learned(finds):
    losses = []
    first = train_second(finds, CONFIG, 1, lambda step, loss, right: losses.append(loss))
    short = replace(CONFIG, steps=5, lr=1e-4)
    train_second(finds, short, 2, lambda step, loss, right: losses.append(loss), first)
    train_second(finds, short, 2, lambda step, loss, right: losses.append(loss))
    assert losses[1] < losses[2]


def test_it_stops_when_asked_and_needs_both_kinds(finds):
    assert train_second(finds, CONFIG, 1, lambda *told: True) is None
    faces = Finds(*(column[finds.face] for column in vars(finds).values()))
    with pytest.raises(TufaError, match="finds of faces and of other things"):
        train_second(faces, replace(CONFIG, steps=1), 1)


def test_what_a_find_means():
    """Half on a face is neither; near a doubtful face nothing is said to be none."""
    faces = FinderFaces(
        np.array([[10.0, 10, 40, 40], [100, 100, 40, 40]]),
        np.array([True, False]),
        np.full((2, 5, 2), np.nan),
    )
    boxes = np.array([[12.0, 10, 40, 40], [30, 10, 40, 40], [60, 60, 20, 20], [105, 95, 40, 40]])
    owner, face, none = _meaning(boxes, faces)
    assert face.tolist() == [True, False, False, False]
    assert none.tolist() == [False, False, True, False]
    assert owner[0] == 0
    nobody = FinderFaces(np.zeros((0, 4)), np.zeros(0, bool), np.zeros((0, 5, 2)))
    assert _meaning(boxes, nobody)[2].all()


def test_a_crop_in_the_dark_is_judged_as_in_the_light(finds):
    torch.manual_seed(1)
    network = train_second(finds, CONFIG, 1, start=SecondNet(SecondConfig(own_light=True)))
    assert network is not None and SecondConfig.from_dict(network.config.to_dict()).own_light
    light = torch.from_numpy(finds.pixels[:, 8:56, 8:56]).permute(0, 3, 1, 2)
    dark = light.float() * 0.5
    with torch.no_grad():
        torch.testing.assert_close(network(light).logits, network(dark).logits, rtol=0.2, atol=0.4)


def test_disturbing_leaves_most_of_a_crop_and_all_of_the_finds(finds):
    crops = finds.pixels[:, 8:56, 8:56].copy()
    before, kept = crops.copy(), finds.pixels.copy()
    disturb_crops(crops, 0.0, 1.0, 0.0, np.random.default_rng(0))
    changed = (crops != before).any(axis=-1).mean(axis=(1, 2))
    assert changed.max() > 0.2 and changed.max() <= 0.4
    disturb_crops(crops, 1.0, 0.0, 1.0, np.random.default_rng(0))
    assert crops.dtype == np.uint8 and (crops != before).any()
    np.testing.assert_array_equal(finds.pixels, kept)
