"""Crop maps against the same written with homogeneous matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.geometry.crop import CropMap, crop_from_square
from tufa_cli.images.warp import warp_crop

POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.25, 0.75], [-3.0, 2.0]])


@st.composite
def maps(draw):
    number = st.floats(-50, 50)
    matrix = np.array([[draw(number) for _ in range(3)] for _ in range(2)])
    matrix[:, :2] += np.diag([101.0, 101.0])  # never singular
    return CropMap(matrix)


def square(crop):
    return np.vstack([crop.matrix, [0.0, 0.0, 1.0]])


@given(maps(), maps())
def test_maps_are_matrices(one, two):
    both = one.then(two.matrix)
    assert square(both) == pytest.approx(square(one) @ square(two), rel=1e-12, abs=1e-9)
    assert one.to_crop(one.to_image(POINTS)) == pytest.approx(POINTS, abs=1e-9)
    assert one.side_px == pytest.approx(abs(np.linalg.det(one.matrix[:, :2])) ** 0.5)
    pixel = np.array([[1 / 64, 0, 0.5 / 64], [0, 1 / 64, 0.5 / 64], [0, 0, 1]])
    assert one.warp_matrix(64) == pytest.approx((square(one) @ pixel)[:2], rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("side", [40, 400])
def test_a_crop_beyond_the_photo_is_black(side):
    photo = np.full((50, 60, 3), 200, np.uint8)
    assert warp_crop(photo, crop_from_square((900, 900), side), 64).max() == 0
    assert warp_crop(photo, crop_from_square((30, 25), side), 64).max() == 200
