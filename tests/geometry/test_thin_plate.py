"""The smooth map that carries clicked points onto the plane."""

from __future__ import annotations

import numpy as np
import pytest

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import close_pairs
from tufa_cli.geometry.thin_plate import thin_plate_map


def grid(count: int = 6) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.linspace(0, 1, count)] * 2), -1).reshape(-1, 2)


def test_a_similarity_is_reproduced_whatever_the_size_of_the_source():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    for size in (1e-3, 1.0, 1e4):
        source = size * (grid() @ turn.T) + 7 * size
        carry = thin_plate_map(source, grid())
        inside = np.random.default_rng(0).uniform(0, 1, (50, 2))
        np.testing.assert_allclose(carry(size * (inside @ turn.T) + 7 * size), inside, atol=1e-6)


def test_a_bend_is_followed_between_the_pairs():
    def bend(points):
        return points + 0.05 * np.sin(3 * points[:, ::-1])

    inside = np.random.default_rng(0).uniform(0.1, 0.9, (50, 2))
    found = thin_plate_map(bend(grid()), grid())(bend(inside))
    assert np.linalg.norm(found - inside, axis=1).max() < 0.003


def test_noise_is_averaged_and_a_place_may_come_twice():
    noise = np.random.default_rng(0).normal(0, 0.02, (36, 2))
    twice = np.concatenate([grid() + noise, grid() - noise])
    found = thin_plate_map(twice, np.concatenate([grid(), grid()]), 0.3)(grid())
    assert np.linalg.norm(found - grid(), axis=1).mean() < 0.01


@pytest.mark.parametrize(
    "source", [[[0, 0], [1, 1]], [[0, 0], [1, 1], [2, 2], [5, 5]], [[1, 1], [1, 1], [1, 1]], []]
)
def test_too_little_to_go_by(source):
    with pytest.raises(TufaError, match="three points that are not on one line"):
        thin_plate_map(np.reshape(source, (-1, 2)), np.zeros((len(source), 2)))


def test_close_pairs():
    points = [[0, 0], [1, 0], [0, 0.01], [1, 0.2]]
    assert close_pairs(points, 0.05) == [(0, 2)]
    assert close_pairs(points[:1], 0.05) == []
    many = np.random.default_rng(0).uniform(0, 1, (20_000, 2))
    assert len(close_pairs(many, 1e-5)) < 10
