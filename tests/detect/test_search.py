"""Shrinking, merging and suppressing, on numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.detect.base import BoxPlane
from tufa_cli.detect.crops import box_on_plane, crop_from_box
from tufa_cli.detect.search import (
    boxes_to_photo,
    merge_windows,
    points_to_photo,
    score_of_count,
    shrink_to_area,
    suppress,
)
from tufa_cli.errors import TufaError
from tufa_cli.geometry.crop import Window


@pytest.mark.parametrize(
    "shape, most",
    [((100, 100), 20_000), ((1000, 1500), 20_000), ((500, 12_000), 80_000), ((9000, 2), 80_000)],
)
def test_photos_are_shrunk_to_the_area_and_long_ones_get_more(shape, most):
    image = np.zeros((*shape, 3), np.uint8)
    small, ratio = shrink_to_area(image, 20_000)
    assert small.shape[0] * small.shape[1] <= most * 1.1
    np.testing.assert_allclose(ratio * shape[::-1], small.shape[1::-1])


def test_small_photos_stay_as_they_are():
    image = np.zeros((30, 20, 3), np.uint8)
    small, ratio = shrink_to_area(image, 20_000)
    assert small is image and (ratio == 1).all()


def test_a_dot_is_found_again_after_shrinking():
    image = np.zeros((1200, 1600, 3), np.uint8)
    image[400:440, 800:840] = 255  # centred at (819.5, 419.5)
    small, ratio = shrink_to_area(image, 40_000)
    ys, xs = np.nonzero(small[..., 0] > 127)
    middle = points_to_photo(np.array([xs.mean(), ys.mean()]), ratio)
    np.testing.assert_allclose(middle, (819.5, 419.5), atol=4)


def test_boxes_scale_by_their_outer_edges():
    boxes = boxes_to_photo(np.array([[0.0, 1.0, 10.0, 20.0]]), np.array([0.5, 0.25]))
    np.testing.assert_allclose(boxes, [[0.5, 5.5, 20, 80]])


def test_windows_on_one_place_become_their_mean_and_their_number():
    windows = np.array([[10, 10, 40, 40], [12, 10, 40, 40], [11, 13, 43, 43], [200, 10, 40, 40]])
    boxes, counts = merge_windows(windows.astype(float))
    np.testing.assert_allclose(boxes, [[11, 11, 41, 41], [200, 10, 40, 40]])
    np.testing.assert_allclose(counts, [3, 1])


def test_a_window_inside_another_of_twice_its_size_is_another_place():
    boxes, counts = merge_windows(np.array([[0.0, 0, 40, 40], [10, 10, 20, 20]]))
    assert len(boxes) == 2 and counts.tolist() == [1, 1]


def test_no_windows_merge_to_none():
    boxes, counts = merge_windows(np.zeros((0, 4)))
    assert boxes.shape == (0, 4) and counts.shape == (0,)


def test_the_best_of_overlapping_boxes_stays():
    boxes = np.array(
        [
            [0.0, 0, 100, 100],
            [10, 0, 100, 100],  # overlaps the first and is better
            [30, 30, 30, 30],  # inside both
            [300, 0, 100, 100],
            [380, 0, 100, 100],  # touches the one before
        ]
    )
    kept = suppress(boxes, np.array([0.5, 0.9, 0.8, 0.2, 0.3]), overlap=0.3)
    assert kept.tolist() == [1, 4, 3]


def test_nothing_to_suppress():
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.3).tolist() == []


def test_scores_rise_with_the_count_within_0_and_1():
    scores = score_of_count(np.array([0.0, 5, 6, 1e9]), half_sure=5)
    assert scores[1] == 0.5
    assert (np.diff(scores) > 0).all() and scores[0] == 0 and scores[-1] <= 1


@given(
    scale=st.floats(1, 1000),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    window=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.5, 2)),
    plane=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.2, 2), st.floats(0.2, 2)),
)
def test_a_box_where_the_plane_says_gives_the_planes_own_crop(scale, shift, window, plane):
    """The fit and the use of a box_plane are each other's inverse."""
    box_plane, seen = BoxPlane(*plane), Window(*window)
    box = [
        *(scale * np.array(plane[:2]) + shift),
        scale * plane[2],
        scale * plane[3],
    ]
    np.testing.assert_allclose(box_on_plane(box, scale, shift), plane, rtol=1e-6, atol=1e-6)
    crop = crop_from_box(box, box_plane, seen)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.3, 0.9]])
    np.testing.assert_allclose(
        crop.to_image(corners), scale * seen.to_plane(corners) + shift, rtol=1e-9, atol=1e-6
    )


def test_a_box_of_another_shape_gives_a_square_crop_of_its_area():
    plane, window = BoxPlane(0, 0, 1, 1), Window(0, 0, 1)
    wide = crop_from_box([0, 30, 160, 40], plane, window)
    square = crop_from_box([40, 10, 80, 80], plane, window)
    np.testing.assert_allclose(wide.matrix, square.matrix)


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [0, 0, -3, 5], [0, 0, np.nan, 5], [np.inf, 0, 1, 1]])
def test_a_box_without_an_area_is_an_error(box):
    with pytest.raises(TufaError, match="positive width and height"):
        crop_from_box(box, BoxPlane(0, 0, 1, 1), Window(0, 0, 1))
