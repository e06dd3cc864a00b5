"""Index tables: the shipped ones, and a user's CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme
from tufa_cli.schemes.tables import get_table, read_table, table_names

NAMES = table_names()


def way_of(name):
    table = get_table(name)
    return table.transfer(get_scheme(table.source), get_scheme(table.target))


def test_the_tables_that_people_know_are_there():
    assert {"pipnet-98-68", "mmpose-98-106", "mmpose-68-106", "mmpose-29-106"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_keeps_left_and_right_apart(name):
    """Mirrored before or after, the points are the same."""
    way = way_of(name)
    flipped = way.weights[way.target.flip_index][:, way.source.flip_index]
    np.testing.assert_allclose(flipped, way.weights, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_leads_near_the_targets_places(name):
    """On the plane, where a wrong number would be as far off as the next part of the face."""
    way, plane = way_of(name), builtin_plane()
    made = way.apply(anchors_for(way.source, plane))
    errors = np.linalg.norm(made - anchors_for(way.target, plane), axis=1)
    assert np.nanmax(errors) < 0.04 and np.nanmedian(errors) < 0.01
    np.testing.assert_allclose(way.weights.sum(axis=1)[~np.isnan(errors)], 1)


@pytest.mark.parametrize(
    ("name", "target", "weights"),
    [
        ("index-98-68", 16, {32: 1}),
        ("index-98-68", 37, {61: 1}),
        ("pipnet-98-68", 18, {34: 0.5, 41: 0.5}),
        ("pipnet-98-68", 22, {42: 0.5, 50: 0.5}),
        ("pipnet-98-68", 37, {61: 2 / 3, 62: 1 / 3}),
        ("pipnet-98-68", 47, {75: 2 / 3, 74: 1 / 3}),
        ("mmpose-68-106", 68, {37: 0.5, 38: 0.5}),
        ("mmpose-68-106", 32, {16: 1}),
        ("mmpose-98-106", 105, {97: 1}),
        ("mmpose-29-106", 79, {9: 1}),
    ],
)
def test_rows_as_published(name, target, weights):
    row = way_of(name).weights[target]
    assert {int(i): pytest.approx(row[i]) for i in np.flatnonzero(row)} == weights


@pytest.mark.parametrize(
    ("name", "missing"), [("mmpose-98-106", [55, 56, 57, 63, 64, 65, 74, 83]), ("pipnet-98-68", [])]
)
def test_points_without_a_partner_are_named(name, missing):
    assert way_of(name).missing == missing


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_every_table(name, checkout):
    way, table = way_of(name), get_table(name)
    lacks = f"{len(way.missing)} points" if way.missing else "–"
    row = f"| `{name}` | `{table.source}` | `{table.target}` | {lacks} |"
    assert row in (checkout / "docs/convert-schemes.md").read_text(encoding="utf-8")


def test_a_table_is_only_for_its_schemes():
    with pytest.raises(TufaError, match="turns wflw98 into ibug68, not wflw98 into mtfl5"):
        get_table("pipnet-98-68").transfer(get_scheme("wflw98"), get_scheme("mtfl5"))


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(UnknownNameError, match="did you mean pipnet-98-68"):
        get_table("pipnet-68-98")


def test_a_users_table(tmp_path: Path):
    path = tmp_path / "mine.csv"
    path.write_text("﻿Target, source, weight\r\n0,36,\r\n0,39,3\r\n\r\n1,42,1\r\nnose_tip,30,1\r\n")
    way = get_table(str(path)).transfer(get_scheme("ibug68"), get_scheme("mtfl5"))
    assert way.missing == [3, 4]
    points = np.arange(136.0).reshape(68, 2)
    made = way.apply(points)
    np.testing.assert_allclose(made[0], 0.25 * points[36] + 0.75 * points[39])
    np.testing.assert_array_equal(made[[1, 2]], points[[42, 30]])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the first line must name the columns source and target"),
        ("1,2\n3,4\n", "line 1: the first line must name"),
        ("source,target,source\n1,2,3\n", "line 1: the first line must name"),
        ("source,target,note\n1,2,x\n", "line 1: the first line must name"),
        ("source,target\n", "a table without points"),
        ("source,target\n1\n", "line 2: more or fewer cells"),
        ("source,target\n1,2,3\n", "line 2: more or fewer cells"),
        ("source,target,weight\n1,2,0\n", "line 2: weight '0' is no number other than 0"),
        ("source,target,weight\n1,2,nan\n", "line 2: weight 'nan'"),
        ("source,target,weight\n1,2,1e999\n", "line 2: weight"),
        ("source,target\n68,0\n", "line 2: source 68: ibug68 has the points 0 to 67"),
        ("source,target\n0,5\n", "line 2: target 5: mtfl5 has the points 0 to 4"),
        ("source,target\n-1,2\n", "line 2: source '-1' is no point of ibug68"),
        ("source,target\n0,ear\n", "line 2: target 'ear' is no point of mtfl5"),
        ("source,target\n0,1\n3,2\n0,1\n", "line 4: 0 for 1 twice"),
        ("source,target,weight\n0,1,1\n3,1,-1\n", "the weights of target 1 add up to 0"),
        ('source,target\n"0,1\n', "cannot read the table"),
        ("source,target\n\xff", "more or fewer cells"),
    ],
)
def test_mistakes_name_the_line(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_table(path).transfer(get_scheme("ibug68"), get_scheme("mtfl5"))
    assert problem in caught.value.message and str(path) in caught.value.message


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"source,target\n\xff\xfe,1\n", "not a table in UTF-8"), (b"x" * 1_000_001, "too large")],
)
def test_bytes_that_are_no_table(tmp_path: Path, data: bytes, problem: str):
    (tmp_path / "mine.csv").write_bytes(data)
    with pytest.raises(InputError, match=problem):
        get_table(str(tmp_path / "mine.csv"))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.csv: cannot read the table: No such file"):
        get_table(str(tmp_path / "absent.csv"))
