"""Labels moved by what the annotators of two schemes do differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import carried_vectors
from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.habits import habit_names, habits_of, habits_to_json
from tufa_cli.schemes.transfer import transfer

PLANE = builtin_plane()
WAY = transfer(get_scheme("wflw98"), get_scheme("ibug68"), habits=True)


@pytest.mark.parametrize("name", habit_names())
def test_what_ships_fits_its_scheme_and_is_as_symmetric_as_a_face(name):
    scheme = get_scheme(name)
    offsets = habits_of(scheme)
    assert offsets.shape == (len(scheme), 2)
    np.testing.assert_allclose(offsets[scheme.flip_index] * (-1, 1), offsets, atol=1e-9)
    assert np.nanmax(np.linalg.norm(offsets, axis=1)) < 0.05
    moved = transfer(get_scheme("wflw98"), scheme, habits=True).moved
    assert (name != "wflw98") == bool(moved)


def test_a_smaller_scheme_has_the_habits_of_the_whole():
    np.testing.assert_array_equal(
        habits_of(get_scheme("ibug51")), habits_of(get_scheme("ibug68"))[17:]
    )


def test_a_scheme_that_nobody_measured_is_an_error_that_lists_the_others():
    with pytest.raises(TufaError, match=r"scut86 was not measured; known: aflw19, aflw21"):
        transfer(get_scheme("wflw98"), get_scheme("scut86"), habits=True)


def test_on_the_plane_points_move_by_the_habits_themselves():
    plain = transfer(WAY.source, WAY.target).apply(PLANE["wflw98"])
    np.testing.assert_allclose(
        WAY.apply(PLANE["wflw98"]) - plain, habits_of(WAY.target), atol=1e-12
    )


@given(st.floats(-3.2, 3.2), st.floats(0.01, 500), st.floats(-1e3, 1e3), st.integers(0, 2**32 - 1))
def test_a_face_that_is_turned_sized_and_shifted_takes_its_points_along(turn, size, shift, seed):
    face = PLANE["wflw98"] + 0.02 * np.random.default_rng(seed).normal(size=(98, 2))
    matrix = size * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    found = WAY.apply(np.stack([face, face @ matrix + shift]))
    np.testing.assert_allclose(found[1], found[0] @ matrix + shift, atol=1e-9 * (size + 1e3))


def test_there_and_back_is_where_it_was():
    back = transfer(WAY.target, WAY.source, habits=True)
    exact = [i for i, how in enumerate(back.how) if how == "point" and WAY.used[:, i].any()]
    face = 300 * PLANE["wflw98"]
    off = np.linalg.norm(back.apply(WAY.apply(face)) - face, axis=1)[exact]
    assert off.max() < 0.06  # of a face of 250 px: the two frames differ by the habits


def test_missing_points_neither_move_nor_stop_the_others():
    face = 100 * PLANE["wflw98"]
    whole = WAY.apply(face)
    face[:33] = np.nan
    found = WAY.apply(face)
    assert np.isnan(found[:17]).all()
    np.testing.assert_allclose(found[17:], whole[17:], atol=1e-9)
    face[1:] = np.nan  # one point says neither size nor turn
    face[0] = 5
    assert WAY.apply(face)[0].tolist() == [5, 5]
    assert carried_vectors([[1, 2]], [[0, 0], [1, 1]], [[3, 3], [3, 3]]).tolist() == [[0, 0]]


def test_the_file_says_what_is_unknown():
    text = habits_to_json("wflw98", {"mine": (np.array([[0.1, 0], [np.nan, 0]]), "nobody")})
    assert '"offsets": [[0.1, 0.0], null]' in text


def test_made_points_are_nearer_to_peoples_labels(shared):
    """98 points (by networks) of 300-W photos into 68, beside people's 68; see the docs' table."""
    from tufa_cli.formats import read

    with np.load(shared / "data" / "pseudo" / "wflw98.npz") as file:
        found = dict(zip(map(str, file["photos"]), file["points_px"], strict=True))
    people = {
        f"300w/afw/{Path(str(image.path)).name}": image.faces[0].points_px
        for image in read(shared / "data" / "300w" / "afw", "pts", scheme="ibug68")
    }
    both = sorted(set(found) & set(people))
    labels = np.array([people[photo] for photo in both])
    eyes = np.linalg.norm(labels[:, 36] - labels[:, 45], axis=1)[:, None]
    errors = []
    for way in (transfer(WAY.source, WAY.target), WAY):
        made = way.apply(np.array([found[photo] for photo in both], dtype=np.float64))
        errors.append((np.linalg.norm(made - labels, axis=2) / eyes).mean())
    assert len(both) > 100
    assert errors[1] < 0.97 * errors[0]
