"""Layers in their own light, half hidden faces, and sources drawn more often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tufa_cli.data.finder_layers import Scene, hiding_ellipse, share_on_mask
from tufa_cli.data.finder_light import own_light
from tufa_cli.data.finder_scenes import SceneConfig, SceneMaker
from tufa_cli.data.finder_store import FinderFaces

BOX = np.array([30.0, 40, 50, 60])


class Photos:
    """Grey photos of two sources: a crowd without a face, and portraits."""

    names = ("crowd", "portraits", "studio")
    source = np.array([0, 1, 1, 2, 2])
    rows = np.array([[0, 80, 90]] * 5)

    def __len__(self):
        return len(self.source)

    def pixels(self, index, top=0, bottom=None):
        return np.full((80, 90, 3), 40 * index, np.uint8)[top:bottom]

    def faces(self, index):
        boxes = np.array([[20.0, 20, 30, 40]] * (index > 0)).reshape(-1, 4)
        return FinderFaces(boxes, np.ones(len(boxes), bool), np.full((len(boxes), 5, 2), np.nan))


def test_another_light_is_one_curve_per_channel():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    means = []
    for seed in range(40):
        lit = own_light(picture, np.random.default_rng(seed))
        assert lit.shape == picture.shape and lit.dtype == np.uint8
        for channel in range(3):
            order = np.argsort(picture[..., channel], axis=None)
            assert (np.diff(lit[..., channel].ravel()[order].astype(int)) >= 0).all()
        means.append(lit.mean())
    assert min(means) < 0.5 * picture.mean() and np.std(means) > 15


def test_what_hides_a_face_leaves_half_of_it():
    for seed in range(50):
        mask = hiding_ellipse(BOX, 128, np.random.default_rng(seed))
        if mask is not None:
            assert 0.125 <= share_on_mask(mask, BOX) <= 0.5
    masks = [hiding_ellipse(BOX, 128, np.random.default_rng(s)) for s in range(50)]
    assert sum(m is not None for m in masks) > 25
    outside = np.array([300.0, 300, 50, 60])
    assert hiding_ellipse(outside, 128, np.random.default_rng(0)) is None


def test_a_half_hidden_face_is_still_to_be_found_but_its_neighbour_is_not_asked():
    config = SceneConfig(size=128, crowds=("crowd",), hidden=1.0)
    maker = SceneMaker(Photos(), config)
    twice = np.array([BOX, BOX])
    picture = np.full((128, 128, 3), 255, np.uint8)
    faces = FinderFaces(twice, np.array([True, False]), np.full((2, 5, 2), np.nan))
    changed = []
    for seed in range(10):
        scene = Scene(picture.copy(), faces)
        after = maker._hide(scene, np.random.default_rng(seed))
        assert after.sure.tolist() == [True, False]
        changed.append((scene.picture != 255).any(axis=-1).mean())
    assert max(changed) > 0.01


@pytest.mark.parametrize(("favoured", "share"), [({}, 0.5), ({"portraits": 3.0}, 0.75)])
def test_favoured_sources_are_drawn_more_often(favoured, share):
    maker = SceneMaker(Photos(), SceneConfig(crowds=("crowd",), favoured=favoured))
    rng = np.random.default_rng(0)
    drawn = np.array([maker._drawn(maker.singles, rng) for _ in range(2000)])
    assert np.isin(drawn, [1, 2]).mean() == pytest.approx(share, abs=0.04)


def test_scenes_without_the_new_chances_are_as_they_were():
    """Also the random numbers: a recipe of an earlier version still makes the same scenes."""
    config = SceneConfig(size=96, crowds=("crowd",), largest=90, lit=0.0, hidden=0.0)
    lit = replace(config, lit=1.0)
    plain, again, other = (
        SceneMaker(Photos(), c).make(np.random.default_rng(3)).picture
        for c in (config, SceneConfig(size=96, crowds=("crowd",), largest=90), lit)
    )
    assert (plain == again).all() and (plain != other).any()
