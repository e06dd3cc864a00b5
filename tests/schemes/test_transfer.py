"""Labels of one scheme from another's, by part and t."""

from __future__ import annotations

import numpy as np
import pytest

from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.transfer import transfer


def test_points_that_mean_the_same_are_taken_as_they_are():
    source, target = get_scheme("wflw98"), get_scheme("cofw29")
    made = transfer(source, target)
    points = np.random.default_rng(0).normal(size=(5, 98, 2))
    found = made.apply(points)
    for i, j in target.shared_with(source):
        np.testing.assert_array_equal(found[:, i], points[:, j])
        assert made.how[i] == "point"
    np.testing.assert_allclose(found[:, 2], points[:, [37, 38]].mean(axis=1))


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [
        ("wflw98", "ibug68", []),
        ("wflw98", "mtfl5", []),
        ("ibug68", "mtfl5", []),
        ("wflw98", "aflw21", [12, 13, 15, 16]),
        ("mtfl5", "ibug68", [i for i in range(68) if i not in (30, 48, 54)]),
    ],
)
def test_what_the_source_does_not_tell_is_named_and_left_out(source, target, missing):
    made = transfer(get_scheme(source), get_scheme(target))
    assert made.missing == missing
    found = made.apply(np.zeros((len(made.source), 2)))
    assert sorted(np.flatnonzero(np.isnan(found[:, 0]))) == missing


def test_on_the_plane_a_transfer_leads_to_the_targets_anchors():
    plane = builtin_plane()
    found = transfer(get_scheme("wflw98"), get_scheme("ibug68")).apply(plane["wflw98"])
    assert np.linalg.norm(found - plane["ibug68"], axis=1).max() < 0.005


def test_a_point_that_is_not_labelled_takes_those_that_rest_on_it_along():
    made = transfer(get_scheme("wflw98"), get_scheme("ibug68"))
    points = np.ones((98, 2))
    points[37] = np.nan
    found = made.apply(points)
    assert np.isnan(found[21]).all()
    assert np.isfinite(np.delete(found, [20, 21], axis=0)[[0, 30, 60]]).all()
    assert np.isnan(found).any(axis=1).sum() < 4
