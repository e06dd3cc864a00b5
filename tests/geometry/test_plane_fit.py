"""Displacements from constraints: what is asked holds, and nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.geometry.plane_fit import (
    Constraint,
    FieldPrior,
    centred_in_square,
    constrained_field,
    folded_triangles,
    lagrange_weights,
    place,
    smallest_spacing,
    symmetric,
    upright,
)

GRID = np.stack(np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 6)), -1).reshape(-1, 2)


def test_constrained_points_meet_and_neighbours_follow():
    target = np.array([[0.45, 0.43]])
    near = int(np.linalg.norm(GRID - (0.4, 0.4), axis=1).argmin())
    pull = Constraint({0: 1.0, 1 + near: -1.0}, 1e-4)
    fixed, moved = constrained_field([target, GRID], [True, False], [pull], FieldPrior())
    np.testing.assert_array_equal(fixed, target)
    assert np.linalg.norm(moved[near] - target[0]) < 1e-4
    shift = np.linalg.norm(moved - GRID, axis=1)
    beside = int(np.linalg.norm(GRID - (0.6, 0.4), axis=1).argmin())
    corner = len(GRID) - 1
    assert shift[near] > shift[beside] > 10 * shift[corner]
    assert shift[beside] > 0.2 * shift[near]
    assert folded_triangles(GRID, moved) == 0


def test_constraints_that_hold_already_move_nothing():
    same = [Constraint({i: 1.0, len(GRID) + i: -1.0}, 1e-3) for i in range(5)]
    for moved in constrained_field([GRID, GRID], [False, False], same):
        np.testing.assert_allclose(moved, GRID, atol=1e-12)


def test_two_free_shapes_meet_half_way():
    other = GRID + np.array([0.02, 0])
    pulls = [Constraint({i: 1.0, len(GRID) + i: -1.0}, 1e-4) for i in range(len(GRID))]
    a, b = constrained_field([GRID, other], [False, False], pulls)
    np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(a.mean(axis=0), (GRID + other).mean(axis=0) / 2, atol=1e-3)


def test_without_constraints_copies_come_back():
    (moved,) = constrained_field([GRID], [False], [])
    assert moved is not GRID
    np.testing.assert_array_equal(moved, GRID)


def test_a_mean_can_be_constrained():
    pupil = np.array([[0.5, 0.53]])
    lids = np.array([[0.4, 0.5], [0.6, 0.5], [0.5, 0.4], [0.5, 0.6]])
    pull = Constraint({0: 1.0} | {1 + i: -0.25 for i in range(4)}, 1e-5)
    _, moved = constrained_field([pupil, lids], [True, False], [pull])
    np.testing.assert_allclose(moved.mean(axis=0), pupil[0], atol=1e-4)
    assert np.ptp(moved - lids, axis=0).max() < 0.01


@given(angle=st.floats(-1.4, 1.4), tall=st.floats(0.2, 5))
def test_upright_and_symmetric(angle, tall):
    shape = np.array([[-1.0, -tall], [1, -tall], [0, 0.3], [-0.4, tall], [0.4, tall]])
    flip = [1, 0, 2, 4, 3]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stood = upright(shape @ turn.T + (3, 4), flip)
    np.testing.assert_allclose(stood, shape - shape.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(symmetric(stood, flip), stood, atol=1e-9)
    crooked = stood + np.linspace(0, 0.1, 10).reshape(5, 2)
    even = symmetric(crooked, flip, axis_x=0.5)
    np.testing.assert_allclose(even[flip] * (-1, 1) + (1, 0), even, atol=1e-12)


def test_centred_in_square():
    put = centred_in_square([[0, 0], [2, 10], [4, 3]], 0.8)
    np.testing.assert_allclose(put.min(axis=0), (0.5 - 0.16, 0.1))
    np.testing.assert_allclose(put.max(axis=0), (0.5 + 0.16, 0.9))


def test_place_is_the_similarity_of_the_pairs():
    source = np.array([[0.0, 0], [1, 0], [0, 1]])
    target = source @ np.array([[0, 2], [-2, 0.0]]) + (5, 6)
    np.testing.assert_allclose(place([[2, 2]], source, target), [[2 * -2 + 5, 2 * 2 + 6]])


@given(t=st.floats(0, 1), a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2))
def test_lagrange_weights_reproduce_a_cubic(t, a, b, c):
    nodes = np.array([0, 0.25, 0.6, 1.0])
    weights = lagrange_weights(nodes, t)
    assert weights.sum() == pytest.approx(1)
    curve = a * nodes**3 + b * nodes**2 + c * nodes
    assert weights @ curve == pytest.approx(a * t**3 + b * t**2 + c * t, abs=1e-9)


def test_a_fold_is_seen():
    folded = GRID.copy()
    folded[14] = folded[21] + (0.3, 0.3)
    assert folded_triangles(GRID, folded) > 0
    assert folded_triangles(GRID, GRID * 2 + 1) == 0
    assert smallest_spacing(GRID) == pytest.approx(0.2)
