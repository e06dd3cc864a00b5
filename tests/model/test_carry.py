"""Points that a network was not trained on, carried by those that it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tufa_cli.model.build import build_model
from tufa_cli.model.carry import FAR, NEAR, Query, query_for
from tufa_cli.model.config import model_config
from tufa_cli.model.weights import Weights, load_weights
from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.load import parse_scheme

PLANE = builtin_plane()
HEAD = "name: x\nsource: x\nnormaliser: plane_box\npoints:\n"
CROPS = np.zeros((2, 8, 8, 3), np.uint8)


class Bends:
    """A network that answers a smooth map of the places it learned, and elsewhere the place that it
    learned next to it: the pull, as strong as can be."""

    def __init__(self, *learned):
        self.learned = np.concatenate(learned)
        self.asked = 0

    @staticmethod
    def true(places):
        x, y = places[..., 0], places[..., 1]
        return np.stack([0.9 * x + 0.1 * y**2, y + 0.05 * np.sin(3 * x)], axis=-1)

    def predict(self, crops, prompts_plane):
        self.asked = len(prompts_plane)
        away = np.linalg.norm(prompts_plane[:, None] - self.learned[None], axis=2)
        points = self.true(self.learned[away.argmin(axis=1)])
        return np.tile(points, (len(crops), 1, 1)), np.tile(1 - away.min(1), (len(crops), 1))


@pytest.fixture(scope="module")
def weights():
    """Weights that learned the plane's own anchors of three schemes."""
    torch.manual_seed(0)
    model = build_model(model_config("nano", {"width": 32, "channels": [8, 16, 24]}))
    return Weights(model, PLANE, {name: PLANE[name] for name in ("wflw98", "ibug68", "aflw21")})


def network(weights):
    return Bends(*weights.learned.values())


def lip(count):
    return parse_scheme(
        f"{HEAD}  - {{part: outer_lip_lower, from: 0, to: 1, count: {count}}}\n", "x"
    )


def test_between_learned_places_the_pull_is_gone(weights):
    scheme, asker = lip(25), network(weights)
    goal = Bends.true(weights.anchors(scheme))
    alone, _ = query_for(scheme, weights, carry=False).ask(asker, CROPS)
    assert asker.asked == 25
    carried, confidence = query_for(scheme, weights).ask(asker, CROPS)
    assert (carried.shape, confidence.shape) == ((2, 25, 2), (2, 25))
    assert np.abs(alone - goal).max() > 0.01
    assert np.abs(carried - goal).max() < 0.003
    # and neighbours keep their order
    assert (np.diff(carried[0, :, 0]) > 0).all()
    assert not (np.diff(alone[0, :, 0]) > 0).all()


def test_a_learned_scheme_is_asked_for_as_it_was_trained(weights):
    for name in weights.learned:
        query = query_for(get_scheme(name), weights)
        assert query.carry is None
        np.testing.assert_array_equal(query.prompts_plane, weights.learned[name])
    other = parse_scheme(HEAD.replace("x\n", "wflw98\n", 1) + "  - {place: [0.3, 0.6]}\n" * 1, "x")
    assert query_for(other, weights).prompts_plane.tolist() == [[0.3, 0.6]]


def test_far_from_all_guides_the_answer_is_the_networks_own(weights):
    """A cheek has no learned place around it, the chin has, and between them the two are mixed."""
    guides = query_for(get_scheme("muct68"), weights).carry
    far, near = [0.5, -0.18], PLANE["wflw98"][16].tolist()
    places = "".join(f"  - {{place: {place}}}\n" for place in (far, near))
    query = query_for(parse_scheme(HEAD + places, "x"), weights)
    assert query.carry.share.tolist() == [0.0, 1.0]
    assert len(query.carry.guides_plane) == len(guides.guides_plane) < 98 + 15
    np.testing.assert_allclose(query.carry.weights.sum(axis=1), 1, atol=1e-9)
    chin = PLANE["wflw98"][16] + [0, (NEAR + FAR) / 2]
    middle = query_for(parse_scheme(HEAD + f"  - {{place: {chin.tolist()}}}\n", "x"), weights)
    assert middle.carry.share == pytest.approx(0.5, abs=0.01)
    answer = query_for(parse_scheme(HEAD + f"  - {{place: {far}}}\n", "x"), weights)
    assert answer.carry is None


def test_guides_that_know_too_little_are_none(weights):
    """Five points, or a mesh as dear as the answer, carry nothing; nor does a fresh network."""
    scheme = get_scheme("bioid20")
    for learned in ({}, {"mtfl5": PLANE["mtfl5"]}, {"mediapipe468": PLANE["mediapipe468"]}):
        assert query_for(scheme, replace(weights, learned=learned)).carry is None
    ibug = replace(weights, learned={"ibug68": PLANE["ibug68"]})
    assert len(query_for(scheme, ibug).carry.guides_plane) == 68


def test_ten_thousand_points_stay_small(weights):
    places = (f"  - {{place: [{x / 100}, {y / 100}]}}\n" for x in range(100) for y in range(100))
    query = query_for(parse_scheme(HEAD + "".join(places), "x"), weights)
    assert query.carry.weights.nbytes < 12e6
    points, _ = Query(query.prompts_plane[:3]).ask(network(weights), CROPS)
    assert points.shape == (2, 3, 2)


def test_a_part_of_a_learned_scheme_is_guided_by_the_whole() -> None:
    """ibug51 is ibug68 without the jaw: each of its points is carried by the one it is."""
    weights = load_weights()
    query = query_for(get_scheme("ibug51"), weights)
    assert query.carry is not None
    np.testing.assert_allclose(query.carry.share, 1)
    np.testing.assert_allclose(query.carry.guides_plane[:68], weights.learned["ibug68"])
    assert query.carry.weights[:, :68].argmax(axis=1).tolist() == list(range(17, 68))
