"""The shipped plane and how it is made."""

from __future__ import annotations

import runpy
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.geometry.plane_fit import folded_triangles, smallest_spacing
from tufa_cli.schemes import builtin_plane, get_scheme, scheme_names
from tufa_cli.schemes.align import align, with_schemes
from tufa_cli.schemes.load import parse_scheme
from tufa_cli.schemes.meanshapes import builtin_shapes, shapes_from_json, shapes_to_json
from tufa_cli.schemes.places import estimate_place, shared_places
from tufa_cli.schemes.plane import FACE_BOX_SIDE, plane_from_json

#: Half a percent of the face box: equal places may not lie further apart.
CLOSE = 0.005 * FACE_BOX_SIDE
SHAPES = {name: shape.points for name, shape in builtin_shapes().items()}
FACES = {name: shape.faces for name, shape in builtin_shapes().items()}
LAYOUTS = {name: get_scheme(name) for name in SHAPES}
PAIRS = list(combinations(scheme_names(), 2))

EARS = (
    "name: ears\nsource: me\nnormaliser: plane_box\npoints:\n"
    "  - {part: left_ear}\n  - {part: right_ear}\n  - {part: chin}\n"
)

BY_MEAN = [  # what one scheme has as a point and the other as the mean of points
    ("wflw98", 96, "ibug68", [36, 37, 38, 39, 40, 41]),
    ("wflw98", 97, "ibug68", [42, 43, 44, 45, 46, 47]),
    ("ibug68", 21, "wflw98", [37, 38]),
    ("ibug68", 22, "wflw98", [42, 50]),
    ("cofw29", 2, "wflw98", [37, 38]),
    ("aflw21", 1, "wflw98", [35, 40]),
    ("aflw21", 18, "wflw98", [90, 94]),
    ("wflw98", 33, "scut86", [26, 27]),
]


@pytest.fixture(scope="module")
def made():
    return align(SHAPES, LAYOUTS, name="tufa", faces=FACES)


def test_every_shipped_scheme_lies_on_it():
    plane = builtin_plane()
    assert sorted(plane.anchors) == scheme_names()
    for name, points in plane.anchors.items():
        assert points.shape == (len(get_scheme(name)), 2)


def test_it_is_what_align_makes_of_the_shipped_mean_shapes(made):
    bare = [get_scheme(name) for name in scheme_names() if name not in SHAPES]
    remade = with_schemes(made.plane, bare)
    for name, points in builtin_plane().anchors.items():
        np.testing.assert_allclose(remade[name], points, atol=2e-6)


def test_the_reference_fills_the_face_box():
    points = builtin_plane()["wflw98"]
    low, high = points.min(axis=0), points.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, 0.5, atol=1e-6)
    assert (high - low).max() == pytest.approx(FACE_BOX_SIDE, abs=2e-6)


@pytest.mark.parametrize("name", scheme_names())
def test_it_is_symmetric_about_its_middle(name):
    points = builtin_plane()[name]
    mirror = points[get_scheme(name).flip_index] * (-1, 1) + (1, 0)
    np.testing.assert_allclose(mirror, points, atol=2e-6)


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_equal_places_lie_together(pair):
    a, b = (builtin_plane()[name] for name in pair)
    shared = list(get_scheme(pair[0]).shared_with(get_scheme(pair[1])))
    assert len(shared) >= 4 or {"mtfl5", "aflw_ears"} & set(pair)
    for i, j in shared:
        assert np.linalg.norm(a[i] - b[j]) < CLOSE


@pytest.mark.parametrize("case", BY_MEAN, ids=str)
def test_means_lie_where_the_point_is(case):
    name, index, other, members = case
    plane = builtin_plane()
    assert np.linalg.norm(plane[name][index] - plane[other][members].mean(axis=0)) < CLOSE


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_points_between_others_lie_on_their_curve(pair):
    first, second = map(get_scheme, pair)
    a, b = (builtin_plane()[name] for name in pair)
    for place in shared_places(first, second):
        at_a = np.array(list(place.first.weights.values())) @ a[list(place.first.weights)]
        at_b = np.array(list(place.second.weights.values())) @ b[list(place.second.weights)]
        assert np.linalg.norm(at_a - at_b) < 2 * CLOSE


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_nothing_folds_or_collapses(made, name):
    before, after = made.placed[name], builtin_plane()[name]
    assert folded_triangles(before, after) == 0
    assert smallest_spacing(after) > 0.4 * smallest_spacing(before)
    assert smallest_spacing(after) > 0.009


def test_the_forehead_begins_above_the_unit_square():
    assert builtin_plane()["scut86"][:, 1].min() == pytest.approx(-0.22, abs=0.02)


def test_wings_of_the_nose_are_wider_and_higher_than_its_base():
    plane = builtin_plane()
    wing, base = plane["cofw29"][18], plane["wflw98"][55]
    assert wing[0] < base[0] - 0.005
    assert wing[1] < base[1] - 0.01


def test_the_report_tells_the_residuals(made):
    rows = {(row["first"], row["second"]): row for row in made.plane.report["pairs"]}
    assert len(rows) == 28
    for row in rows.values():
        assert row["equal_points"] >= 4
        distance = row["mean_distance_percent"]
        assert distance["after"] < 0.1 < distance["before"]
        assert distance["after"] <= row["largest_distance_percent"]
        assert row["nearest_neighbour_accuracy"] >= 0.99
    for row in made.plane.report["schemes"].values():
        assert row["symmetry_error_percent"] <= 0.3
        assert row["folded_triangles"] == 0
    assert made.plane.report["schemes"]["ibug68"]["faces"] == FACES["ibug68"]


def test_turning_and_scaling_mean_shapes_changes_nothing(made):
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    turned = {name: 37 * points @ turn.T + (100, 5) for name, points in SHAPES.items()}
    again = align(turned, LAYOUTS).plane
    for name in SHAPES:
        np.testing.assert_allclose(again[name], made.plane[name], atol=3e-6)


@given(name=st.sampled_from(["ibug68", "scut86", "cofw29"]), seed=st.integers(0, 10_000))
@settings(max_examples=5)
def test_turning_scaling_mirroring_and_order_of_a_mean_shape_change_only_the_order(name, seed):
    """Mirrored means as of a mirrored photo: each point has its partner's number."""
    rng = np.random.default_rng(seed)
    scheme, both = LAYOUTS[name], ["wflw98", name]
    plain = align({key: SHAPES[key] for key in both}, {key: LAYOUTS[key] for key in both}).plane
    shape = SHAPES[name]
    if rng.random() < 0.5:
        shape = shape[list(scheme.flip)] * (-1, 1)
    angle, scale = rng.uniform(-1.5, 1.5), rng.uniform(0.01, 500)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape = scale * shape @ turn.T + rng.uniform(-900, 900, 2)
    order = rng.permutation(len(shape))
    back = np.argsort(order)
    other = replace(
        scheme,
        meanings=tuple(scheme.meanings[i] for i in order),
        names=tuple(scheme.names[i] for i in order),
        flip=tuple(int(back[scheme.flip[i]]) for i in order),
        skeleton=(),
        normaliser=None,
    )
    layouts = {"wflw98": LAYOUTS["wflw98"], name: other}
    found = align({"wflw98": SHAPES["wflw98"], name: shape[order]}, layouts).plane
    np.testing.assert_allclose(found[name], plain[name][order], atol=2e-6)


def test_a_scheme_may_reach_the_plane_through_another():
    """wflw98 has no ears: a scheme of ears and chin is placed by aflw21, which is placed first."""
    ears = parse_scheme(EARS, "ears")
    layouts = LAYOUTS | {"ears": ears}
    shapes = {k: SHAPES[k] for k in ("wflw98", "aflw21")} | {"ears": SHAPES["aflw21"][[12, 16, 20]]}
    plane = align(shapes, layouts).plane
    np.testing.assert_allclose(plane["ears"], plane["aflw21"][[12, 16, 20]], atol=CLOSE)


def test_what_cannot_be_aligned_is_said():
    with pytest.raises(TufaError, match="wflw98, which is not among"):
        align({"mtfl5": SHAPES["mtfl5"]}, LAYOUTS)
    with pytest.raises(TufaError, match="has 4 points"):
        align(SHAPES | {"mtfl5": SHAPES["mtfl5"][:4]}, LAYOUTS)
    with pytest.raises(TufaError, match="not numbers"):
        align(SHAPES | {"mtfl5": SHAPES["mtfl5"] * np.nan}, LAYOUTS)


def test_too_little_in_common_is_said():
    ears = parse_scheme(EARS, "ears")
    shapes = {"wflw98": SHAPES["wflw98"], "ears": np.array([[-1.0, 0], [1, 0], [0, 1]])}
    with pytest.raises(TufaError, match="ears shares 1 places"):
        align(shapes, LAYOUTS | {"ears": ears})


def test_plane_files_come_back():
    plane = builtin_plane()
    again = plane_from_json(plane.to_json(), "again")
    assert (again.name, again.reference, again.window) == ("tufa", "wflw98", plane.window)
    assert again.report == plane.report
    for name, points in plane.anchors.items():
        np.testing.assert_array_equal(again[name], points)
    with pytest.raises(UnknownNameError, match="did you mean"):
        plane["wflw89"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "tufa-plane", "version": 2}', "null"])
def test_files_of_another_kind(text):
    with pytest.raises(InputError):
        plane_from_json(text, "file")
    with pytest.raises(InputError):
        shapes_from_json(text, "file")


def test_mean_shape_files_come_back():
    again = shapes_from_json(shapes_to_json(builtin_shapes()), "again")
    assert list(again) == list(builtin_shapes())
    for name, shape in builtin_shapes().items():
        np.testing.assert_array_equal(again[name].points, shape.points)
        assert (again[name].faces, again[name].origin) == (shape.faces, shape.origin)


def test_estimates_are_means_of_points():
    for a, b in PAIRS:
        for meaning in get_scheme(a).meanings:
            estimate = estimate_place(get_scheme(b), meaning)
            if estimate is not None:
                assert sum(estimate.weights.values()) == pytest.approx(1)


def test_the_page_shows_the_figures_of_the_shipped_plane(checkout, monkeypatch):
    monkeypatch.syspath_prepend(checkout / "docs")
    script = runpy.run_path(str(checkout / "docs" / "make_plane.py"))
    page = (checkout / "docs" / "plane.md").read_text(encoding="utf-8")
    assert script["with_tables"](page) == page, "run docs/make_plane.py"
