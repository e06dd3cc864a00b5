"""A scheme that is only a mean shape, laid on the plane: by its names, or by shape alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.errors import InputError, TufaError
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme
from tufa_cli.schemes.load import parse_scheme
from tufa_cli.schemes.meanshapes import builtin_shapes
from tufa_cli.schemes.onto import LooseShape, place_onto
from tufa_cli.schemes.parts import FREE

PLANE = builtin_plane()
SHAPES = {name: shape.points for name, shape in builtin_shapes().items()}
#: Schemes whose points are those of another on the plane.
KIN = {"muct68": {"muct76", "bioid20"}, "ibug68": {"ibug51"}}
#: Mean distance from the anchors by meaning, % of the plane, that shape alone gave (docs/plane.md).
MEASURED = {
    "clm71": 0.68,
    "cofw29": 0.86,
    "ibug68": 0.82,
    "muct68": 0.84,
    "scut86": 1.42,
    "wflw98": 0.10,
}
FIVE = ["left_eye_outer", "right_eye_outer", "nose_tip", "mouth_left", "mouth_right"]


def without(name):
    """The plane as if nobody had heard of a scheme."""
    gone = {name} | KIN.get(name, set())
    anchors = {key: points for key, points in PLANE.anchors.items() if key not in gone}
    return replace(PLANE, anchors=anchors, reference="ibug68" if name == "wflw98" else "wflw98")


def loose(points, names=None):
    return LooseShape(np.asarray(points, float), tuple(names or [None] * len(points)), "mean.json")


def lay(points, names=None, plane=PLANE, **options):
    return place_onto(loose(points, names), plane, "mine", "a test", **options)


def disturbed(points, seed, mirror=False):
    """The points in another order, turned, scaled and shifted; and the order."""
    rng = np.random.default_rng(seed)
    order, angle = rng.permutation(len(points)), rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points[order] @ turn * 10 ** rng.uniform(-3, 3) + rng.normal(size=2) * 100
    return (moved * (1, -1) if mirror else moved), order


def error_percent(found, anchors):
    return 100 * float(np.linalg.norm(found - anchors, axis=1).mean())


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_shape_that_the_plane_knows_is_recognised(name):
    points, order = disturbed(SHAPES[name], seed=1)
    laid = lay(points)
    np.testing.assert_array_equal(laid.points_plane, PLANE[name][order])
    assert laid.report["recognised"] == name
    assert laid.report["residual_percent"] < 2.5


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_a_shape_that_the_plane_does_not_know_is_placed(name):
    points, order = disturbed(SHAPES[name], seed=2)
    laid = lay(points, plane=without(name))
    assert "recognised" not in laid.report
    assert error_percent(laid.points_plane, PLANE[name][order]) < MEASURED[name] + 0.1
    assert laid.report["folded_triangles"] == 0
    assert laid.scheme.has_flip


@pytest.mark.parametrize("name", ["mtfl5", "aflw21"])
def test_a_shape_that_fits_in_two_ways_is_refused(name):
    """Five points, and ears on a plane that has none: nobody could tell."""
    plane = without(name)
    if name == "aflw21":
        kin = {key: plane.anchors[key] for key in plane.anchors if not key.startswith("aflw")}
        plane = replace(plane, anchors=kin)
    with pytest.raises(InputError, match="shape alone does not tell") as caught:
        lay(SHAPES[name], plane=plane)
    assert "name a few points" in caught.value.hint


PARTS = {
    "mouth": range(76, 96),
    "eyes and brows": [*range(33, 51), *range(60, 76), 96, 97],
    "left half": [*range(17), *range(33, 42), *range(51, 58), *range(60, 68), *range(85, 91)],
    "eight corners": [60, 64, 68, 72, 54, 76, 82, 16],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_face_is_placed(part):
    chosen = list(PARTS[part])
    points, order = disturbed(SHAPES["wflw98"][chosen], seed=3)
    laid = lay(points, plane=without("wflw98"))
    assert error_percent(laid.points_plane, PLANE["wflw98"][chosen][order]) < 0.5


@pytest.mark.parametrize("mirror", [False, True])
@given(name=st.sampled_from(["clm71", "cofw29", "muct68"]), seed=st.integers(0, 10_000))
@settings(max_examples=4)
def test_turning_scaling_mirroring_and_order_change_nothing_but_the_order(mirror, name, seed):
    plane = without(name)
    plain = lay(SHAPES[name], plane=plane).points_plane
    points, order = disturbed(SHAPES[name], seed, mirror)
    found = lay(points, plane=plane).points_plane
    # Unnamed, left is the mirror image's right: the same places, by the partner's number.
    expected = plain[order] * (-1, 1) + (1, 0) if mirror else plain[order]
    np.testing.assert_allclose(found, expected, atol=1.1e-6)
    same = np.abs(found[:, None] - plain[None]).max(axis=2).min(axis=0)
    assert same.max() <= 1.1e-6


@pytest.mark.parametrize("mirror", [False, True])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=4)
def test_with_names_nothing_changes_but_the_order_either(mirror, seed):
    scheme, shape, plane = get_scheme("muct68"), SHAPES["muct68"], without("muct68")
    names = [m.part if m.part in FIVE else None for m in scheme.meanings]
    plain = lay(shape, names, plane).points_plane
    points, order = disturbed(shape, seed, mirror)
    found = lay(points, [names[i] for i in order], plane)
    assert found.report["mirrored"] == mirror
    np.testing.assert_allclose(found.points_plane, plain[order], atol=1.1e-6)


@pytest.mark.parametrize("name", ["clm71", "cofw29", "ibug68", "muct68"])
def test_named_points_are_on_their_places_and_the_rest_follows(name):
    scheme = get_scheme(name)
    names = [m.part if m.part in FIVE else f"own {i}" for i, m in enumerate(scheme.meanings)]
    laid = lay(*[SHAPES[name], names], without(name))
    index = [names.index(part) for part in FIVE]
    np.testing.assert_allclose(laid.points_plane[index], PLANE[name][index], atol=5e-3)
    assert error_percent(laid.points_plane, PLANE[name]) < 1.6
    assert laid.report["folded_triangles"] == 0
    assert [str(laid.scheme.meanings[i]) for i in index] == FIVE
    free = [m.part == FREE for m in laid.scheme.meanings]
    assert sum(free) == len(scheme) - len(FIVE)
    assert laid.scheme.names[free.index(True)] == f"own {free.index(True)}"


def test_the_file_is_the_scheme():
    laid = lay(SHAPES["muct68"], plane=without("muct68"))
    again = parse_scheme(laid.text, "mine.yaml")
    assert again == laid.scheme
    np.testing.assert_allclose(anchors_for(again, PLANE), laid.points_plane, atol=1e-6)
    flip = again.flip_index
    mirror = laid.points_plane[flip] * (-1, 1) + (1, 0)
    np.testing.assert_allclose(mirror, laid.points_plane, atol=2e-6)


def test_points_lie_on_parts_only_when_asked():
    laid = lay(SHAPES["ibug68"], snap=0.002)
    assert laid.report["free_places"] < 10
    assert lay(SHAPES["ibug68"]).report["free_places"] == 68


@pytest.mark.parametrize(
    ("given_name", "meaning"),
    [
        ("chin", "jaw@0.5"),
        ("Nose tip", "nose_tip"),
        ("jaw@0.25", "jaw@0.25"),
        ("left-eye-outer", "left_eye_outer"),
        ("jaw_0250", "jaw@0.25"),
        ("mole", None),
    ],
)
def test_names_that_mean_a_place(given_name, meaning):
    others = {"left_pupil": 96, "right_pupil": 97, "mouth_left": 76}
    points = np.concatenate([PLANE["wflw98"][list(others.values())], [[0.4, 0.5]]])
    laid = lay(points, [*others, given_name])
    assert (str(laid.scheme.meanings[3]) if meaning else None) == meaning
    assert laid.report["unknown_names"] == ([] if meaning else [given_name])


TRIANGLE = [[0, 0], [4, 0], [2, 3]]
BOX = [[0, 0], [4, 0], [2, 3], [2, 5], [1, 4]]


@pytest.mark.parametrize(
    ("points", "names", "words"),
    [
        (TRIANGLE, None, "3 points are a face in many ways"),
        ([[i, 2 * i] for i in range(20)], None, "all points lie on a line"),
        (np.zeros((0, 2)), None, "no points"),
        ([[1, 1]], None, "one point has no shape"),
        ([*BOX, [0, 0]], None, "points 0 and 5 lie at one place"),
        ([*BOX, [np.nan, 0]], None, "point 5 is not a number"),
        (np.random.default_rng(0).random((10_001, 2)), None, "10000 are the most"),
        (BOX, ["chin", "jaw@0.5", None, None, None], "points 0 and 1 are both named jaw@0.5"),
        (BOX, ["jaw", None, None, None, None], "jaw is a curve: say where"),
        (BOX, ["jawz@0.5", None, None, None, None], "unknown part 'jawz'"),
        (BOX, ["jaw@1.5", None, None, None, None], "no fraction"),
        (BOX, ["mouth_left", "left_eye_outer", "chin", "nose_tip", None], "miss their places by"),
        (np.random.default_rng(0).random((2000, 2)), None, "shape alone does not tell"),
    ],
)
def test_what_cannot_be_laid_is_said(points, names, words):
    with pytest.raises(InputError, match=words) as caught:
        lay(points, names)
    assert str(caught.value).startswith("mean.json: ")
    assert "\n" not in str(caught.value)


def test_a_part_that_the_plane_lacks():
    plane = replace(PLANE, anchors={k: PLANE[k] for k in ("wflw98", "ibug68")})
    with pytest.raises(InputError, match="point 1 is named 'left_ear', for which the plane has no"):
        lay(TRIANGLE, ["chin", "left_ear", "nose_tip"], plane)
    with pytest.raises(TufaError, match="the plane has 0 of"):
        lay(TRIANGLE, plane=replace(PLANE, anchors={"ears": np.zeros((2, 2))}))


def test_three_points_and_a_line_are_fine_with_names():
    laid = lay(TRIANGLE, ["left_pupil", "right_pupil", "chin"])
    np.testing.assert_allclose(laid.points_plane[:2], PLANE["wflw98"][[96, 97]], atol=1e-6)
    line = lay([[0, 0], [0, 1], [0, 2], [0, 4]], ["nose_root", None, None, "chin"])
    assert line.points_plane[1:3, 0] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(line.points_plane[:, 1]) > 0).all()


def test_ten_thousand_points():
    grid = np.stack(np.meshgrid(np.arange(100), np.arange(100)), axis=-1).reshape(-1, 2) / 100.0
    names = ["left_eye_outer", "right_eye_outer", "nose_tip", "chin"]
    points = np.concatenate([PLANE["wflw98"][[60, 72, 54, 16]], grid[4:]])
    laid = lay(points, names + [None] * (len(points) - 4))
    assert np.linalg.norm(laid.points_plane - points, axis=1).max() < 0.011
