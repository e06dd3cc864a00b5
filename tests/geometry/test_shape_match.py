"""Points laid on a face by shape alone: symmetry found, orders found, pins held."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.geometry.mirror import mirror_axis, mirror_partners, spread_subset, symmetrised
from tufa_cli.geometry.pinned import fit_named, follow_pins
from tufa_cli.geometry.plane_fit import folded_triangles
from tufa_cli.geometry.shape_match import Face, match_scheme, place_by_shape, shape_problem

RNG = np.random.default_rng(7)


def half_face(count: int = 12, lopsided: float = 0.0):
    """Points on the right of x = 0 and their mirror images on the left, in that order."""
    rng = np.random.default_rng(3)
    right = np.abs(rng.normal(size=(count, 2))) + np.array([0.2, 0.0])
    left = right * (-1, 1) + rng.normal(size=(count, 2)) * lopsided
    return np.concatenate([right, left])


def turned(points, degrees, scale=1.0, shift=(0.0, 0.0)):
    a = np.radians(degrees)
    return scale * points @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + shift


@given(degrees=st.floats(-180, 180), scale=st.floats(1e-3, 1e4), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_the_line_of_symmetry_turns_with_the_points(degrees, scale, seed):
    points = turned(half_face(), degrees, scale, (30, -7))
    order = np.random.default_rng(seed).permutation(len(points))
    angle, asymmetry = mirror_axis(points[order])
    off = (np.degrees(angle) - 90 - degrees + 90) % 180 - 90
    assert abs(off) < 1e-6
    assert asymmetry < 1e-9


def test_an_arc_is_not_shifted_along_itself():
    """All points of an arc but the last fit when it slides by one: the line stays in the middle."""
    t = np.radians(np.linspace(-100, 100, 33))
    arc = np.stack([np.sin(t), np.cos(t)], axis=1)
    arc += np.random.default_rng(0).normal(size=arc.shape) * 0.003
    angle, _ = mirror_axis(arc)
    assert abs(np.degrees(angle) % 180 - 90) < 0.5


def test_partners_are_each_others():
    points = half_face(lopsided=0.01)
    partner = mirror_partners(points, 0.0, 0.1)
    np.testing.assert_array_equal(partner, np.roll(np.arange(24), 12))
    even, again = symmetrised(turned(points, 33), 0.3, 0.9, 0.1)
    np.testing.assert_array_equal(again, partner)
    # The distance of partners' middles from one line is nothing.
    middle = (even + even[partner]) / 2
    assert np.linalg.matrix_rank(middle - middle[0], tol=1e-9) == 1


def test_a_lopsided_shape_is_left_alone():
    points = np.abs(RNG.normal(size=(20, 2)))
    same, partner = symmetrised(points, 0.3, 0.9, 0.1)
    np.testing.assert_array_equal(same, points)
    assert (partner == -1).all()


def test_a_subset_spreads():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    chosen = grid[spread_subset(grid, 4)]
    assert {tuple(p) for p in chosen} == {(0, 0), (0, 9), (9, 0), (9, 9)}


@given(seed=st.integers(0, 1000), degrees=st.floats(-180, 180))
@settings(max_examples=15)
def test_a_known_shape_is_put_in_order(seed, degrees):
    rng = np.random.default_rng(seed)
    anchors = rng.random((15, 2))
    order = rng.permutation(15)
    found = match_scheme(turned(anchors[order], degrees, 40, (5, 5)), anchors)
    np.testing.assert_array_equal(found.order, order)
    assert found.residual < 1e-9 < found.next_best


def test_mirror_images_are_not_tried():
    anchors = np.random.default_rng(5).random((15, 2))
    assert match_scheme(anchors * (-1, 1), anchors).residual > 0.01


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([[1, 1]], "one point"),
        ([[1, 1], [1, 1], [1, 1]], "one place"),
        ([[i, 2 * i] for i in range(9)], "on a line"),
        ([[1e9, 1e9 + i] for i in range(9)], "on a line"),
        ([[0, 0], [1, 0], [0, 1]], None),
    ],
)
def test_what_has_no_shape(points, words):
    found = shape_problem(points)
    assert found is None if words is None else words in found


def test_a_face_of_its_own_is_found_wherever_it_lies():
    """A made-up face: rows of points and landmarks; the shape is every third point, turned."""
    t = np.linspace(0, np.pi, 61)
    bowl = np.stack([0.5 + 0.4 * np.cos(t), 0.3 + 0.5 * np.sin(t)], axis=1)
    row = np.linspace(0.1, 0.2, 12)
    eyes = [np.stack([x, np.full(12, 0.25)], axis=1) for x in (0.5 - row, 0.5 + row)]
    nose = np.stack([np.full(20, 0.5), np.linspace(0.25, 0.5, 20)], axis=1)
    places = np.concatenate([bowl, *eyes, nose])
    face = Face(
        places, [[0.3, 0.25], [0.4, 0.25], [0.6, 0.25], [0.7, 0.25], [0.5, 0.5], [0.5, 0.8]]
    )
    some = np.concatenate([line[::3] for line in (bowl, *eyes, nose)])
    found = place_by_shape(turned(some, 130, 25, (4, -9)), face)
    assert np.abs(found[0].points_plane - some).max() < 0.01
    assert found[1].cost > 1.2 * found[0].cost


def test_pins_are_held_and_the_rest_follows_without_folds():
    points = np.random.default_rng(2).random((60, 2))
    pins = np.array([3, 10, 20, 30])
    targets = points[pins] + np.random.default_rng(4).normal(size=(4, 2)) * 0.02
    moved, folds = follow_pins(points, pins, targets)
    np.testing.assert_array_equal(moved[pins], targets)
    assert folds == folded_triangles(points, moved) == 0
    shift = np.linalg.norm(moved - points, axis=1)
    assert 0 < shift.max() < 0.08


def test_pins_fit_as_they_stand_and_mirrored():
    points = np.random.default_rng(2).random((9, 2))
    pins = np.array([0, 4, 7])
    straight, mirrored = fit_named(turned(points, 70, 3), pins, points[pins])
    assert straight.misfit < 1e-12 < mirrored.misfit
    straight, mirrored = fit_named(points * (1, -1), pins, points[pins])
    assert mirrored.misfit < 1e-12 < straight.misfit
    np.testing.assert_allclose(mirrored.points_plane, points, atol=1e-9)
    assert fit_named([[1, 1], [1, 1], [2, 3]], [0, 1], [[0, 0], [1, 1]]) == []
