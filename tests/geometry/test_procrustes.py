"""The mean shape: against scipy, against what must not change it, and with points missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import procrustes

from tufa_cli.errors import TufaError
from tufa_cli.geometry.procrustes import fit_similarity, mean_shape

SQUARE_FLIP = [1, 0, 3, 2]


def some_faces(count: int = 40, points: int = 12, noise: float = 0.05, seed: int = 1):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(points, 2))
    return base, base + noise * rng.normal(size=(count, points, 2))


def moved(faces: np.ndarray, seed: int = 2) -> np.ndarray:
    """Every face turned (up to 60 degrees), scaled and shifted by itself."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-1, 1, len(faces))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1)
    scale = rng.uniform(0.3, 300, (len(faces), 1, 1))
    shift = rng.normal(size=(len(faces), 1, 2)) * 500
    return np.einsum("nij,nkj->nki", turn.reshape(-1, 2, 2), faces) * scale + shift


def up_to_turn(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance after the best similarity of b onto a."""
    matrix, shift = fit_similarity(b, a)
    return float(np.linalg.norm(b @ matrix.T + shift - a, axis=1).max())


def scipy_mean(faces: np.ndarray) -> np.ndarray:
    """The textbook loop around scipy's pairwise analysis."""
    mean = faces[0] - faces[0].mean(axis=0)
    mean /= np.linalg.norm(mean)
    for _ in range(200):
        new = np.mean([procrustes(mean, face)[1] for face in faces], axis=0)
        new -= new.mean(axis=0)
        new /= np.linalg.norm(new)
        if np.linalg.norm(new - mean) < 1e-13:
            break
        mean = new
    return mean


@pytest.mark.parametrize(("count", "points", "noise"), [(30, 5, 0.1), (40, 68, 0.3), (3, 3, 0.2)])
def test_equals_the_iteration_of_scipys_pairwise_procrustes(count, points, noise):
    faces = moved(some_faces(count, points, noise)[1])
    ours = mean_shape(faces, tolerance=1e-12)
    assert ours.converged
    assert up_to_turn(scipy_mean(faces), ours.points) < 1e-6


def test_result_is_centred_with_norm_one_and_reports_its_convergence():
    found = mean_shape(some_faces()[1])
    assert np.abs(found.points.mean(axis=0)).max() < 1e-12
    assert np.linalg.norm(found.points) == pytest.approx(1)
    assert (found.faces, found.left_out, found.converged) == (40, 0, True)
    assert 1 < found.iterations < 50
    assert found.change <= 1e-9


def test_stops_at_the_limit_and_says_so():
    found = mean_shape(some_faces(noise=0.5)[1], tolerance=0, max_iterations=3)
    assert (found.iterations, found.converged) == (3, False)


@given(seed=st.integers(0, 10_000))
def test_turning_scaling_and_shifting_the_faces_changes_nothing(seed):
    faces = some_faces(seed=seed)[1]
    assert up_to_turn(mean_shape(faces).points, mean_shape(moved(faces, seed)).points) < 1e-8


@given(seed=st.integers(0, 10_000))
def test_order_of_faces_changes_nothing(seed):
    faces = moved(some_faces(20, 6)[1])
    order = np.random.default_rng(seed).permutation(len(faces))
    assert up_to_turn(mean_shape(faces).points, mean_shape(faces[order]).points) < 1e-8


@given(seed=st.integers(0, 1000), share=st.floats(0.05, 0.5))
def test_without_noise_missing_points_change_nothing(seed, share):
    base, faces = some_faces(60, 10, 0.0)
    faces = moved(faces, seed)
    faces[np.random.default_rng(seed).random(faces.shape[:2]) < share] = np.nan
    found = mean_shape(faces)
    assert up_to_turn(base, found.points) < 1e-6


def test_with_noise_missing_points_change_little():
    faces = moved(some_faces(2000, 20, 0.05)[1])
    whole = mean_shape(faces).points
    faces[np.random.default_rng(0).random(faces.shape[:2]) < 0.3] = np.nan
    assert up_to_turn(whole, mean_shape(faces).points) < 0.003


def test_one_coordinate_missing_is_the_point_missing():
    _, faces = some_faces(30, 6, 0.1)
    both, one = faces.copy(), faces.copy()
    both[:10, 2] = np.nan
    one[:10, 2, 1] = np.inf
    np.testing.assert_allclose(mean_shape(both).points, mean_shape(one).points)


def test_faces_without_use_are_left_out_and_counted():
    _, faces = some_faces(10, 6, 0.02)
    spoilt = np.concatenate([faces, faces[:3]])
    spoilt[10] = np.nan
    spoilt[11] = 7.25
    spoilt[12, 2:] = np.nan
    found = mean_shape(spoilt)
    assert (found.faces, found.left_out) == (10, 3)
    np.testing.assert_allclose(found.points, mean_shape(faces).points, atol=1e-9)


def test_no_reflection():
    triangle = np.array([[0.0, 0], [4, 0], [0, 1]])
    found = mean_shape(np.stack([triangle, triangle]))
    a, b = found.points[1] - found.points[0], found.points[2] - found.points[0]
    assert a[0] * b[1] - a[1] * b[0] > 0


@pytest.mark.parametrize("angle", [-1.2, -0.3, 0, 0.4, 1.5])
def test_a_known_flip_makes_the_mean_upright(angle):
    square = np.array([[-1.0, -2], [1, -2], [0.5, 2], [-0.5, 2]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = mean_shape(np.stack([square @ turn.T] * 3), flip=SQUARE_FLIP).points
    np.testing.assert_allclose(found[SQUARE_FLIP] * (-1, 1), found, atol=1e-12)
    assert found[0, 1] < found[2, 1]


def test_without_a_flip_the_average_turn_is_kept():
    base, _ = some_faces(1, 8, 0)
    turns = [0.3, 0.5, 0.1]
    faces = [
        base @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) * (10 + 50 * a)
        for a in turns
    ]
    matrix, _ = fit_similarity(base, mean_shape(np.stack(faces)).points)
    assert np.arctan2(matrix[1, 0], matrix[0, 0]) == pytest.approx(0.3, abs=1e-9)


@pytest.mark.parametrize(
    ("faces", "words"),
    [
        (np.zeros((4, 2, 2)), "at least 3 points"),
        (np.zeros((4, 5)), "must be"),
        (np.full((4, 5, 2), np.nan), "no face has 3 different labelled points"),
        (np.ones((4, 5, 2)), "no face has 3 different labelled points"),
        (np.zeros((0, 5, 2)), "of 0 faces"),
    ],
)
def test_what_has_no_mean_is_said(faces, words):
    with pytest.raises(TufaError, match=words):
        mean_shape(faces)


def test_a_point_that_no_face_has_is_named():
    faces = some_faces(5, 6)[1]
    faces[:, 4] = np.nan
    with pytest.raises(TufaError, match="point 4"):
        mean_shape(faces)


def test_groups_of_faces_that_share_nothing_are_refused():
    faces = some_faces(6, 8)[1]
    faces[:3, :4], faces[3:, 4:] = np.nan, np.nan
    with pytest.raises(TufaError, match="share no"):
        mean_shape(faces)


@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.01, 100),
    x=st.floats(-1000, 1000),
    y=st.floats(-1000, 1000),
)
def test_fit_similarity_finds_what_was_done(angle, scale, x, y):
    points = np.array([[0.0, 0], [1, 0], [0, 2], [3, 1]])
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    target = points @ matrix.T + (x, y)
    target[3] = np.nan
    found, shift = fit_similarity(points, target)
    np.testing.assert_allclose(found, matrix, atol=1e-9 * max(1, scale))
    np.testing.assert_allclose(shift, (x, y), atol=1e-7)


def test_fit_similarity_needs_two_points():
    with pytest.raises(TufaError):
        fit_similarity([[1, 1], [1, 1]], [[0, 0], [1, 1]])
