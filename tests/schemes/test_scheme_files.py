"""A user's scheme file: what it can say, and that every mistake in it is listed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tufa_cli.errors import InputError, ProblemsError, TufaError
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme, scheme_names
from tufa_cli.schemes.load import parse_scheme
from tufa_cli.schemes.parts import load_parts, same
from tufa_cli.schemes.write import scheme_to_yaml

HEAD = "name: mine\nsource: me\nnormaliser: [0, 1]\npoints:\n"
EYES = "  - {part: left_pupil}\n  - {part: right_pupil}\n"


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(ProblemsError) as caught:
        parse_scheme(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    return caught.value.problems


def test_two_mistakes_are_both_listed():
    found = problems_of(HEAD + EYES + "  - {part: jawz, t: [0, 1]}\n  - {part: chin, t: 3}\n")
    assert len(found) == 2
    assert "unknown part 'jawz', did you mean jaw" in found[0]
    assert "chin is one named point" in found[1]


def test_a_bad_part_does_not_hide_a_bad_index():
    found = problems_of(HEAD.replace("[0, 1]", "[0, 7]") + EYES + "  - {part: jawz, t: [0, 1]}\n")
    assert len(found) == 2
    assert "no point 7, the last is 3" in found[1]


def test_points_keep_their_numbers_behind_a_mistake_and_names_are_looked_at_too():
    rows = "  - {part: jawz, t: [0, 1]}\n  - {part: chin, name: a}\n  - {part: chin, name: b}\n"
    found = problems_of(HEAD + EYES + rows + "  - {part: nose_tip, name: b}\n")
    assert found[1:] == (
        "points 4 and 5 both mean jaw@0.5",
        "point name 'b' is used twice; give the points `names:`",
    )


def test_schemes_that_cannot_ship_say_why():
    with pytest.raises(TufaError, match="unknown scheme 'helen194'") as error:
        get_scheme("helen194")
    assert "not published" in str(error.value.hint)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + EYES + "pionts: 3\n", "unknown key 'pionts', did you mean points"),
        ("source: me\nnormaliser: [0, 1]\npoints:\n" + EYES, "'name' is missing"),
        ("name: mine\nsource: me\nnormaliser: [0, 1]\n", "'points' is missing"),
        (HEAD + EYES + "  - 5\n", "points[2]: expected a mapping"),
        (HEAD + EYES + "  - {part: jaw}\n", "needs t, or from, to and count"),
        (HEAD + EYES + "  - {part: jaw, count: 0}\n", "needs t, or from, to and count"),
        (HEAD + EYES + "  - {part: jaw, count: 100000000}\n", "needs t"),
        (HEAD + EYES + "  - {part: jaw, t: [0, 1.5]}\n", "t must lie in 0..1, found 1.5"),
        (HEAD + EYES + "  - {part: jaw, t: .nan}\n", "t must lie in 0..1"),
        (HEAD + EYES + "  - {place: [0.5]}\n", "place is [x, y] on the plane"),
        (HEAD + EYES + "  - {place: [50, 0]}\n", "lies far from the face"),
        (HEAD + EYES + "  - {place: [0.5, 0.5], part: jaw}\n", "a place takes no 'part'"),
        (HEAD + EYES + "  - {part: left_pupil}\n", "points 0 and 2 both mean left_pupil"),
        (HEAD + EYES + "  - {part: jaw, t: [0, 1], names: [a]}\n", "2 names expected"),
        (HEAD + EYES + "  - {part: jaw, t: [0, 1], names: [a, a]}\n", "'a' is used twice"),
        (HEAD.replace("[0, 1]", "[0]") + EYES, "'normaliser' is a pair"),
        (HEAD.replace("[0, 1]", "[1, 1]") + EYES, "the two points are the same"),
        (HEAD + EYES + "flip: [[0, 9]]\n", "flip: pair 0, 9"),
        (HEAD + EYES + "flip: 3\n", "'flip' is a list of index pairs"),
        (HEAD + EYES + "skeleton: [[0, 9]]\n", "skeleton: pair 0, 9"),
        (HEAD + EYES + "aliases: {a: 1}\n", "'aliases' is a list"),
    ],
)
def test_one_mistake_one_problem(text, words):
    found = problems_of(text)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("text", ["[1, 2]", "name: [", "just text", ""])
def test_not_a_scheme_at_all(text):
    with pytest.raises(InputError):
        parse_scheme(text, "mine.yaml")


@pytest.mark.parametrize("name", ["missing.yaml", "folder.yaml"])
def test_unreadable_files(tmp_path, name):
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="cannot read the scheme"):
        get_scheme(str(tmp_path / name))


def test_a_file_may_have_a_bom_and_own_names(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD + "  - {part: jaw, t: [0, 1], names: [l, r]}\n", encoding="utf-8-sig")
    scheme = get_scheme(str(file))
    assert scheme.names == ("l", "r")
    assert scheme.flip == (1, 0)


def test_skeletons_follow_the_parts_unless_told():
    curve = HEAD + "  - {part: jaw, t: [0, 0.5, 1]}\n  - {part: nose_tip}\n"
    assert parse_scheme(curve, "x").skeleton == ((0, 1), (1, 2))
    assert parse_scheme(curve + "skeleton_also: [[1, 3]]\n", "x").skeleton == (
        (0, 1),
        (1, 2),
        (1, 3),
    )
    assert parse_scheme(curve + "skeleton: [[1, 3]]\n", "x").skeleton == ((1, 3),)


def test_a_scheme_nobody_trained_gets_anchors_between_known_points():
    text = HEAD + (
        "  - {part: jaw, from: 0, to: 1, count: 21}\n"
        "  - {part: left_brow, t: 0.5}\n  - {part: right_brow, t: 0.5}\n"
        "  - {part: mouth_centre}\n"
    )
    scheme, plane = parse_scheme(text, "x"), builtin_plane()
    points, wflw = anchors_for(scheme, plane), plane["wflw98"]
    np.testing.assert_allclose(points[10], wflw[16], atol=5e-4)
    np.testing.assert_allclose(points[21], wflw[[35, 40]].mean(axis=0), atol=5e-4)
    np.testing.assert_allclose(points[23], wflw[[90, 94]].mean(axis=0), atol=5e-4)
    np.testing.assert_allclose(points[scheme.flip_index] * (-1, 1) + (1, 0), points, atol=1e-5)
    # On the curve: as near to the polyline of wflw98's jaw as that is to its own arc.
    jaw = wflw[:33]
    for t, point in zip(np.linspace(0, 1, 21), points, strict=False):
        on_polyline = [np.interp(32 * t, range(33), jaw[:, axis]) for axis in (0, 1)]
        assert np.linalg.norm(point - on_polyline) < 0.002


def test_a_place_that_the_plane_lacks_is_named():
    text = HEAD + EYES + "  - {part: left_ear}\n  - {part: right_ear}\n"
    scheme = parse_scheme(text, "x")
    assert len(anchors_for(scheme, builtin_plane())) == 4
    small = replace(builtin_plane(), anchors={"wflw98": builtin_plane()["wflw98"]})
    with pytest.raises(TufaError, match="no place for left_ear, right_ear"):
        anchors_for(scheme, small)


def test_another_scheme_of_a_shipped_name_is_placed_by_meaning():
    text = (HEAD + EYES).replace("mine", "mtfl5").replace("[0, 1]", "plane_box")
    points = anchors_for(parse_scheme(text, "x"), builtin_plane())
    np.testing.assert_allclose(points, builtin_plane()["wflw98"][[96, 97]])


def test_the_page_names_every_part_and_its_example_is_sound(checkout):
    page = (checkout / "docs" / "schemes.md").read_text(encoding="utf-8")
    assert [part for part in load_parts() if f"`{part}`" not in page] == []
    example = page.split("```yaml")[1].split("```")[0]
    scheme = parse_scheme(example, "docs/schemes.md")
    assert len(anchors_for(scheme, builtin_plane())) == 20


def test_one_sided_points_have_no_partner():
    scheme = parse_scheme(HEAD + EYES + "  - {part: left_eye_outer}\n", "mine.yaml")
    assert scheme.flip == (1, 0, -1)
    assert not scheme.has_flip


def test_free_places_are_mirrored_by_their_coordinates():
    points = "  - {place: [0.3, 0.6], name: a}\n  - {place: [0.7, 0.6], name: b}\n"
    scheme = parse_scheme(HEAD + EYES + points, "mine.yaml")
    assert scheme.flip == (1, 0, 3, 2)
    assert scheme.names[2:] == ("a", "b")
    assert scheme.groups["plane"] == [2, 3]


@pytest.mark.parametrize("name", scheme_names())
def test_writing_a_scheme_and_reading_it_back_changes_nothing(name):
    scheme = get_scheme(name)
    again = parse_scheme(scheme_to_yaml(scheme, "a comment\nof two lines"), "x.yaml")
    for field in ("name", "title", "source", "names", "flip", "normaliser", "aliases"):
        assert getattr(again, field) == getattr(scheme, field), field
    assert all(same(a, b) for a, b in zip(again.meanings, scheme.meanings, strict=True))
    assert set(again.skeleton) == set(scheme.skeleton)


def test_free_places_names_and_odd_flips_survive_writing():
    text = (
        HEAD
        + EYES
        + (
            "  - {place: [0.31, 0.6], name: mole}\n  - {place: [0.7, 0.61]}\n"
            "  - {part: jaw, t: [0.1, 0.2], names: [a, b]}\nflip: [[2, 3]]\nskeleton: [[2, 3]]\n"
        )
    )
    scheme = parse_scheme(text, "mine.yaml")
    again = parse_scheme(scheme_to_yaml(scheme), "mine.yaml")
    assert again == scheme
