"""Schemes made from parts, from others and from points; what ``schemes check`` finds in them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tufa_cli.errors import InputError, ProblemsError, TufaError
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme, scheme_names
from tufa_cli.schemes.anchors import curves_of, face_outline
from tufa_cli.schemes.check import check_file, check_scheme, missing_sides
from tufa_cli.schemes.clicked import place_by_names, read_clicked
from tufa_cli.schemes.load import parse_scheme
from tufa_cli.schemes.new import Draft, from_parts, from_places, from_scheme, make_scheme
from tufa_cli.schemes.outlines import places_of
from tufa_cli.schemes.parts import canonical, free_place, same

PLANE = builtin_plane()
CURVES = curves_of(PLANE)


def equal(found, expected) -> bool:
    return len(found) == len(expected) and all(map(same, found, expected))


#: What a list of parts gives, against points of schemes known by hand.
AS_IN = [
    ("jaw:33", "wflw98", range(33)),
    ("jaw:17", "ibug68", range(17)),
    ("left_eye:8, right_eye:8", "wflw98", range(60, 76)),
    ("eyes:6", "ibug68", range(36, 48)),
    ("mouth:20", "ibug68", range(48, 68)),
    ("mouth:12", "ibug68", range(48, 60)),
    ("nose:9", "ibug68", range(27, 36)),
    ("left_eye:1, right_eye:1", "wflw98", [96, 97]),
    ("pupils, nose:1, mouth_left, mouth_right", "mtfl5", range(5)),
    ("mouth:2", "ibug68", [48, 54]),
    ("mouth:4", "ibug68", [48, 51, 54, 57]),
    ("chin, jaw@0, jaw@0.25", "wflw98", [16, 0, 8]),
    ("left_eye_upper:5, left_eye_lower:3", "wflw98", [60, 61, 62, 63, 64, 67, 66, 65]),
]


@pytest.mark.parametrize(("text", "scheme", "points"), AS_IN)
def test_parts_are_spread_as_the_schemes_people_know_spread_them(text, scheme, points):
    expected = [get_scheme(scheme).meanings[index] for index in points]
    found = places_of(text)
    assert [meaning.part for meaning in found] == [meaning.part for meaning in expected]
    # Evenly: the lips of ibug68 are measured, and only nearly so.
    apart = np.subtract([m.t for m in found], [m.t for m in expected])
    assert np.abs(apart).max() < (0.13 if "mouth" in text else 1e-4)


@pytest.mark.parametrize("count", [*range(1, 14), 20, 31, 100])
@pytest.mark.parametrize("name", ["jaw", "left_brow", "left_eye", "right_eye", "mouth", "nose"])
def test_a_count_gives_that_many_different_points(name, count):
    scheme, text = make_scheme(from_parts(f"{name}:{count}"), "x", PLANE)
    assert len(scheme) == count
    assert parse_scheme(text, "x") == scheme


def test_an_end_that_is_there_already_does_not_come_twice():
    found = places_of("jaw:17, forehead:3")
    assert equal(found[17:], [canonical("forehead", t) for t in (0.25, 0.5, 0.75)])
    assert equal(
        places_of("left_eye_outer, left_eye_upper:2")[1:],
        [canonical("left_eye_upper", 0.5), canonical("left_eye_inner")],
    )


def test_every_mistake_in_a_list_of_parts_is_told():
    with pytest.raises(ProblemsError) as caught:
        places_of(
            "jawz:3, chin:4, jaw, left_eye:0, forehead@2, chin, chin, plane:4, mouth, jaw:1e5"
        )
    found = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 9
    for words in (
        "did you mean jaw",
        "chin is one point",
        "jaw is a curve: say how many",
        "'left_eye:0': after the colon",
        "'2' is no fraction",
        "among the points before it",
        "unknown part or group 'plane'",
        "mouth is an outline",
        "'jaw:1e5'",
    ):
        assert words in found
    with pytest.raises(ProblemsError, match="no parts in it"):
        places_of(" , ")


def test_parts_of_another_scheme_keep_names_order_lines_and_normaliser():
    wflw = get_scheme("wflw98")
    kept = [*range(33, 51), *range(60, 98)]
    scheme, _ = make_scheme(from_scheme(wflw, "eyes, brows,mouth"), "x", PLANE)
    assert scheme.names == tuple(wflw.names[index] for index in kept)
    assert equal(scheme.meanings, [wflw.meanings[index] for index in kept])
    assert scheme.normaliser == (kept.index(60), kept.index(72))
    edges = {(kept[a], kept[b]) for a, b in scheme.skeleton}
    assert edges == {(a, b) for a, b in wflw.skeleton if {a, b} <= set(kept)}
    np.testing.assert_allclose(anchors_for(scheme, PLANE), PLANE["wflw98"][kept], atol=1e-3)


@pytest.mark.parametrize(
    ("only", "points"),
    [
        ("left_eye_upper", [60, 61, 62, 63, 64]),
        ("chin", [16]),
        ("pupils", [96, 97]),
        ("nose", [*range(51, 60)]),
        ("left_eye", [*range(60, 68), 96]),
    ],
)
def test_only_takes_groups_curves_and_points(only, points):
    wflw = get_scheme("wflw98")
    assert from_scheme(wflw, only).meanings == tuple(wflw.meanings[index] for index in points)


@pytest.mark.parametrize("name", scheme_names())
def test_a_whole_scheme_can_be_copied(name):
    scheme = get_scheme(name)
    copy, _ = make_scheme(from_scheme(scheme), "copy", PLANE)
    assert (copy.names, copy.flip, copy.normaliser) == (
        scheme.names,
        scheme.flip,
        scheme.normaliser,
    )


def test_only_what_the_scheme_has():
    with pytest.raises(TufaError, match="mtfl5 has no point in jaw"):
        from_scheme(get_scheme("mtfl5"), "jaw")
    with pytest.raises(ProblemsError, match="did you mean eyes"):
        from_scheme(get_scheme("mtfl5"), "eyez, nose")


@pytest.mark.parametrize(
    ("parts", "given", "pair"),
    [
        ("jaw:3, eyes:2, pupils", None, (3, 6)),
        ("jaw:3, pupils", None, (3, 4)),
        ("left_eye_inner, right_eye_inner, chin", None, (0, 1)),
        ("jaw:3, left_eye:2", None, None),
        ("jaw:3, pupils", "0,2", (0, 2)),
        ("jaw:3, pupils", "left_pupil, 1", (3, 1)),
        ("jaw:3, pupils", "plane_box", None),
    ],
)
def test_the_normaliser(parts, given, pair):
    scheme, _ = make_scheme(from_parts(parts), "x", PLANE, normaliser=given)
    assert scheme.normaliser == pair


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("0", "two points"),
        ("0,9", "no point 9, the points are 0 to 4"),
        ("0,lef_pupil", "did you mean left_pupil"),
        ("1,1", "the same"),
    ],
)
def test_a_normaliser_that_is_none(given, words):
    with pytest.raises(TufaError, match=words):
        make_scheme(from_parts("jaw:3, pupils"), "x", PLANE, normaliser=given)


@pytest.mark.parametrize("name", ["wflw98", "WFLW", "300w"])
def test_the_name_of_a_shipped_scheme_is_refused(name):
    with pytest.raises(TufaError, match="a scheme that ships has the name"):
        make_scheme(from_parts("chin"), name, PLANE)


def test_points_on_the_plane_become_what_they_lie_on():
    wflw = get_scheme("wflw98")
    noise = np.random.default_rng(0).normal(0, 0.001, (98, 2))
    draft = from_places(PLANE["wflw98"] + noise, [None] * 98, CURVES)
    right = [
        a.part == b.part and abs(a.t - b.t) < 0.02
        for a, b in zip(draft.meanings, wflw.meanings, strict=True)
    ]
    assert np.mean(right) > 0.9
    free = from_places([[0.3, 0.5], [0.7, 0.5]], ["a", None], CURVES)
    assert free.meanings == (free_place(0.3, 0.5), free_place(0.7, 0.5))
    assert free.names == ("a", None)


def test_a_name_says_more_than_the_place_and_no_place_is_taken_twice():
    chin = PLANE["wflw98"][16]
    draft = from_places([chin, chin + 0.001, [np.nan, 0]], [None, None, "chin"], CURVES)
    assert draft.meanings[2] == canonical("chin")
    assert len(set(draft.meanings)) == 3
    nearer = from_places([chin + np.array([0, 0.003]), chin], [None, None], CURVES)
    assert nearer.meanings[1] == canonical("chin")


def test_thousands_of_points_and_points_on_a_line():
    side = np.linspace(0.1, 0.9, 100)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    scheme, _ = make_scheme(from_places(grid, [None] * 10_000, CURVES), "many", PLANE)
    assert len(scheme) == len(set(scheme.names)) == 10_000
    assert np.linalg.norm(anchors_for(scheme, PLANE) - grid, axis=1).max() < 0.0051
    line = np.stack([np.full(30, 0.5), np.linspace(0.1, 0.9, 30)], -1)
    found, _ = make_scheme(from_places(line, [None] * 30, CURVES), "line", PLANE)
    assert np.linalg.norm(anchors_for(found, PLANE) - line, axis=1).max() < 0.0051
    dense, _ = make_scheme(from_parts("jaw:2000, mouth:600, eyes:200"), "thick", PLANE)
    assert len(set(dense.names)) == 3000


@pytest.mark.parametrize(
    ("parts", "words"),
    [("jaw:10000", "more pairs of points mean the same"), ("jaw:5000", "closer to each other")],
)
def test_more_points_than_a_part_has_room_for(parts, words):
    with pytest.raises(ProblemsError, match=words) as caught:
        make_scheme(from_parts(parts), "x", PLANE)
    assert len(str(caught.value)) < 2000


def test_one_sided_schemes_say_what_is_missing():
    scheme, _ = make_scheme(from_parts("jaw:5, left_eye:4"), "x", PLANE)
    assert missing_sides(scheme) == [
        "right_eye_outer",
        "right_eye_upper",
        "right_eye_inner",
        "right_eye_lower",
    ]
    findings = check_scheme(scheme, PLANE)
    assert findings.problems == []
    assert "4 points have no counterpart" in findings.warnings[0]


MANY = (
    "name: mine\nsource: me\nnormaliser: [0, 1]\npoints:\n  - {part: left_pupil}\n"
    "  - {part: right_pupil}\n  - {part: jawz, t: 1}\n  - {part: left_ear}\n"
    "  - {place: [0.5, 0.5]}\n  - {place: [0.5, 0.5003]}\n  - {part: chin, t: 3}\n"
)


def test_a_mistake_in_the_file_does_not_hide_what_the_plane_lacks(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(MANY, encoding="utf-8")
    small = replace(PLANE, anchors={"wflw98": PLANE["wflw98"]})
    found = check_file(str(file), small).problems
    assert len(found) == 4
    assert "unknown part 'jawz'" in found[0] and "chin is one named point" in found[1]
    assert found[2] == "the plane has no place for left_ear"
    assert "closer to each other than 0.05 %" in found[3]


def test_two_points_of_one_meaning_are_one_problem(tmp_path):
    file = tmp_path / "mine.yaml"
    rows = "  - {part: left_pupil}\n  - {part: chin, name: a}\n  - {part: chin, name: b}\n"
    file.write_text(f"name: mine\nsource: me\nnormaliser: [0, 1]\npoints:\n{rows}")
    assert check_file(str(file), PLANE).problems == ["points 1 and 2 both mean jaw@0.5"]


@pytest.mark.parametrize("name", scheme_names())
def test_nothing_is_wrong_with_what_ships(name):
    assert check_file(name, PLANE).problems == []


def test_warnings_of_schemes_that_go():
    text = "name: wflw98\nsource: me\nnormaliser: [0, 1]\npoints:\n"
    text += "  - {place: [0.5, 0.5]}\n  - {place: [0.5, 0.51]}\n"
    words = "\n".join(check_scheme(parse_scheme(text, "x"), PLANE).warnings)
    assert "also the name of a scheme that ships" in words
    assert "need three" in words
    assert "only 1.0 % of the plane long" in words
    far = text.replace("0.51]", "3]")
    assert (
        "outside what the network sees" in check_scheme(parse_scheme(far, "x"), PLANE).warnings[-1]
    )


def test_names_fix_where_unnamed_points_lie():
    wflw = PLANE["wflw98"]
    turn = 300 * np.array([[0.96, -0.28], [0.28, 0.96]])
    points = wflw[[60, 72, 16, 54]] @ turn.T + (100, 50)
    names = ["left_eye_outer", "right_eye_outer", "jaw@0.5", None]
    placed = place_by_names(points, names, CURVES, "x")
    np.testing.assert_allclose(placed, wflw[[60, 72, 16, 54]], atol=1e-3)
    assert place_by_names(points, ["chin", None, None, None], CURVES, "x") is None
    swapped = ["right_eye_outer", "left_eye_outer", "chin", "nose_tip"]
    with pytest.raises(InputError, match="mirrored face"):
        place_by_names(points, swapped, CURVES, "x")
    with pytest.raises(InputError, match="miss their places by"):
        place_by_names(points, ["chin", "nose_tip", "left_pupil", "left_eye_outer"], CURVES, "x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"points": []}, "'points' is a list"),
        ({"points": 3}, "'points' is a list"),
        ({"points": [[1, 2], [1]]}, r"points\[1\]: expected"),
        ({"points": [[1, 2], [True, 2]]}, r"points\[1\]: expected"),
        ({"points": [[1, float("nan")]]}, r"points\[0\]: no place"),
        ({"points": [[1, 2]], "names": ["a", "b"]}, "2 names for 1 points"),
        ({"points": [[1, 2], [3, 4]], "names": ["a", "a"]}, "both named 'a'"),
        ({"points": [[1, 2]], "names": "chin"}, "'names' is a list"),
    ],
)
def test_points_files_with_mistakes(tmp_path, data, words):
    file = tmp_path / "p.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ProblemsError, match=words):
        read_clicked(file)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"images": []}', "version: 1"])
def test_other_files_are_left_to_the_formats(tmp_path, text):
    file = tmp_path / "p.json"
    file.write_text(text, encoding="utf-8")
    assert read_clicked(file) is None


def test_names_of_its_own_survive_even_where_defaults_would_clash():
    draft = Draft((free_place(0.1, 0.1), free_place(0.9, 0.1)), ("place_001", None))
    with pytest.raises(ProblemsError, match="'place_001' is used twice"):
        make_scheme(draft, "x", PLANE)
    scheme, _ = make_scheme(replace(draft, names=("place_001", "place_000")), "x", PLANE)
    assert scheme.names == ("place_001", "place_000")


def test_the_mean_face_is_the_references_curves():
    lines = face_outline(PLANE, 401)
    assert len(lines) == 15  # a jaw, four edges of brows, four lids, two of the nose, four of lips
    far = PLANE["wflw98"][:96, None] - np.concatenate(lines)[None]
    assert np.linalg.norm(far, axis=2).min(axis=1).max() < 0.005
