"""Disturbed boxes have the stated spread and depend on nothing but the face and the seed."""

import numpy as np

from tufa_cli.evaluation.jitter import Jitter
from tufa_cli.geometry.crop import crop_from_square

CROP = crop_from_square((300, 200), 160)


def test_the_spread_is_the_stated_one():
    crops = [Jitter().apply(CROP, f"{i}.jpg", 0) for i in range(4000)]
    centres = np.array([crop.to_image([0.5, 0.5]) for crop in crops])
    sides = np.array([crop.side_px for crop in crops])
    np.testing.assert_allclose(centres.mean(axis=0), (300, 200), atol=0.5)
    np.testing.assert_allclose(centres.std(axis=0), 0.05 * 160, rtol=0.05)
    np.testing.assert_allclose(np.log(sides / 160).std(), 0.08, rtol=0.05)


def test_a_box_depends_on_photo_face_and_seed_only():
    same = Jitter(seed=1).apply(CROP, "a/b.jpg", 2)
    np.testing.assert_array_equal(Jitter(seed=1).apply(CROP, "a/b.jpg", 2).matrix, same.matrix)
    for other in [("a/c.jpg", 2, 1), ("a/b.jpg", 1, 1), ("a/b.jpg", 2, 0)]:
        moved = Jitter(seed=other[2]).apply(CROP, *other[:2])
        assert np.abs(moved.matrix - same.matrix).max() > 1e-3


def test_no_spread_is_the_oracle_crop():
    still = Jitter(0, 0).apply(CROP, "a.jpg", 0)
    np.testing.assert_allclose(still.matrix, CROP.matrix, atol=1e-12)
