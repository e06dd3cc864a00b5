"""The face finder's second look: upright crops, scores of both networks, weights in one file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import with_norms

from tufa_cli.detect.base import FLIP, BoxPlane
from tufa_cli.detect.finder import FinderDetector
from tufa_cli.detect.finder_net import FinderNet, fused, multiply_adds
from tufa_cli.detect.finder_weights import FinderWeights, load_finder, save_finder
from tufa_cli.detect.second_look import CONTEXT, CROP, SecondNet, second_crops, second_look

PLANE = BoxPlane(0.08, -0.2, 0.82, 1.1)
#: Eyes, nose and mouth in a box of 0..1.
UPRIGHT = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = SecondNet()
    return with_norms(model)


def test_it_stays_small(network):
    """Five finds in 320 x 320 keep to the finder's budget, seen by two networks from two sides."""
    assert multiply_adds(FinderNet()) + 2 * 2 * 5 * multiply_adds(network, CROP, CROP) <= 150e6
    weights = [*network.parameters(), *network.parameters(), *FinderNet().parameters()]
    assert 2 * sum(p.numel() for p in weights) <= 1.5e6


def test_folding_the_norms_in_changes_nothing(network):
    pixels = torch.randint(0, 256, (2, 3, CROP, CROP), dtype=torch.uint8)
    with torch.no_grad():
        for plain, folded in zip(network(pixels), fused(network)(pixels), strict=True):
            torch.testing.assert_close(plain, folded, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("degrees", [0, 30, -75, 90, 180])
def test_a_crop_shows_the_face_upright(degrees):
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (UPRIGHT - 0.5) * [60, 80] @ matrix.T + [200, 150]
    box = np.array([200 - 35.0, 150 - 40, 70, 80])
    (crop,) = second_crops(box[None], points[None])
    side = CONTEXT * 80
    np.testing.assert_allclose(
        crop.to_crop(points), (UPRIGHT - 0.5) * [60, 80] / side + 0.5, atol=1e-9
    )


def test_both_networks_have_a_say(network):
    """A network that says nothing leaves boxes in place and halves nobody's order."""
    silent = SecondNet().eval()
    torch.nn.init.zeros_(silent.out.weight)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    boxes = np.array([[20.0, 30, 30, 40], [90, 40, 50, 60], [-10, -10, 30, 30]])
    points = boxes[:, None, :2] + UPRIGHT * boxes[:, None, 2:]
    scores = np.array([0.9, 0.5, 0.2])
    same = second_look([silent], image, boxes, scores, points)
    np.testing.assert_allclose(same.boxes, boxes, atol=1e-9)
    assert same.scores[0] > 0.5 and same.scores[1] == pytest.approx(0.5) and same.scores[2] < 0.5
    torch.nn.init.constant_(silent.out.bias[:1], 2.0)
    torch.nn.init.constant_(silent.out.bias[2:3], 0.1)
    sure = second_look([silent], image, boxes, scores, points)
    assert (sure.scores > same.scores).all()
    np.testing.assert_allclose(
        sure.boxes[:, 1] - boxes[:, 1], 0.1 * CONTEXT * boxes[:, 2:].max(axis=1), atol=1e-4
    )


def test_a_weights_file_holds_both(tmp_path, network):
    path = tmp_path / "finder.pt"
    save_finder(path, FinderWeights(FinderNet(), PLANE, 0.4, second=[network, network]))
    loaded, _ = load_finder(path).second
    assert path.stat().st_size < 1.5e6
    pixels = torch.randint(0, 256, (1, 3, CROP, CROP), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(
            network(pixels).logits, loaded(pixels).logits, rtol=0.05, atol=0.05
        )
    save_finder(path, FinderWeights(FinderNet(), PLANE), overwrite=True)
    assert load_finder(path).second == ()


def test_a_detector_that_sees_faces_everywhere_keeps_to_its_bounds(network):
    """The worst case for what comes after the first network: hundreds of finds."""
    model = FinderNet()
    torch.nn.init.zeros_(model.out.bias)
    detector = FinderDetector(FinderWeights(model, PLANE, second=[network, network]))
    for shape in ((8, 8), (60, 1), (300, 400)):
        image = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
        found = detector.detect(image)
        assert len(found) <= 80 and np.isfinite(found.boxes).all()
        assert (np.diff(found.scores) <= 0).all()


def test_a_mirrored_photo_is_judged_alike(network):
    image = np.random.default_rng(2).integers(0, 256, (100, 140, 3)).astype(np.uint8)
    boxes = np.array([[20.0, 30, 30, 40], [70, 20, 50, 60]])
    points = boxes[:, None, :2] + UPRIGHT * boxes[:, None, 2:]
    scores = np.array([0.95, 0.9])
    plain = second_look([network], image, boxes, scores, points)
    turned = boxes.copy()
    turned[:, 0] = 139 - boxes[:, 0] - boxes[:, 2]
    there = points[:, FLIP] * [-1, 1] + [139, 0]
    mirrored = second_look([network], image[:, ::-1].copy(), turned, scores, there)
    np.testing.assert_allclose(mirrored.scores, plain.scores, atol=0.02)
    back = 139 - mirrored.boxes[:, 0] - mirrored.boxes[:, 2]
    np.testing.assert_allclose(back, plain.boxes[:, 0], atol=0.3)
    assert plain.points is not None and mirrored.points is not None
    np.testing.assert_allclose(
        mirrored.points[:, FLIP] * [-1, 1] + [139, 0], plain.points, atol=0.3
    )
