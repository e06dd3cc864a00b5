"""``tufa-cli align``: mean shapes in, one plane out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tufa_cli.schemes import builtin_plane, read_plane, scheme_names
from tufa_cli.schemes.meanshapes import SchemeShape, builtin_shapes, shapes_to_json


@pytest.fixture
def shapes_file(tmp_path):
    file = tmp_path / "shapes.json"
    file.write_text(shapes_to_json(builtin_shapes()))
    return file


def test_the_shipped_plane_is_made_again(run_cli, shapes_file, tmp_path):
    out, picture = tmp_path / "plane.json", tmp_path / "plane.png"
    bare = [name for name in scheme_names() if name not in builtin_shapes()]
    args = ["align", shapes_file, "-o", out, "--plot", picture]
    args += [word for name in bare for word in ("--scheme", name)]
    result = run_cli(*args, "--json")
    assert result.code == 0, result.stderr
    report = json.loads(result.stdout)
    for pair in report["pairs"]:
        distance = pair["mean_distance_percent"]
        assert distance["after"] < 0.1 < distance["before"]
        assert pair["nearest_neighbour_accuracy"] >= 0.99
        assert pair["equal_points"] >= 4
    assert report["by_meaning_alone"] == bare
    plane = read_plane(out)
    for name, points in builtin_plane().anchors.items():
        np.testing.assert_allclose(plane[name], points, atol=2e-6)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run_cli(*args).code == 1


def test_residuals_are_printed_before_and_after(run_cli, shapes_file, tmp_path):
    result = run_cli("align", shapes_file, "-o", tmp_path / "plane.json")
    assert result.code == 0, result.stderr
    assert "before" in result.stdout
    assert "ibug68 wflw98" in result.stdout


def test_a_scheme_of_the_users_joins(run_cli, shapes_file, tmp_path):
    yaml = tmp_path / "mine.yaml"
    yaml.write_text(
        "name: mine\nsource: me\nnormaliser: [0, 1]\npoints:\n"
        "  - {part: left_eye_outer}\n  - {part: right_eye_outer}\n  - {part: chin}\n"
        "  - {part: nose_tip}\n"
    )
    triangle = np.array([[-2.0, 0], [2, 0.1], [0, 4], [0.1, 1.5]])
    mine = tmp_path / "mine.json"
    mine.write_text(shapes_to_json({"mine": SchemeShape("mine", triangle, 3)}))
    args = ["align", shapes_file, mine, "-o", tmp_path / "plane.json"]
    unknown = run_cli(*args)
    assert unknown.code == 1
    assert "--scheme FILE" in unknown.stderr
    result = run_cli(*args, "--scheme", yaml)
    assert result.code == 0, result.stderr
    plane = read_plane(tmp_path / "plane.json")
    np.testing.assert_allclose(plane["mine"], plane["wflw98"][[60, 72, 16, 54]], atol=0.003)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["bad.json"], "not a mean shape file"),
        (["none.json"], "No such file"),
        (["shapes.json", "same.json"], "both hold a mean shape of"),
    ],
)
def test_what_cannot_be_read_is_said(run_cli, shapes_file, tmp_path, names, words):
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "same.json").write_text(shapes_file.read_text())
    files = [tmp_path / name for name in names]
    result = run_cli("align", *files, "-o", tmp_path / "plane.json")
    assert result.code == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "plane.json").exists()


def test_what_is_left_out_of_the_fit_is_predicted(run_cli, shapes_file, tmp_path):
    result = run_cli("align", shapes_file, "-o", tmp_path / "p.json", "--cross-check", "--json")
    assert result.code == 0, result.stderr
    report = json.loads(result.stdout)
    held = report["held_out_places"]
    points = sum(row["points"] for row in held)
    after, before = (
        sum(row["points"] * row[k] for row in held) / points for k in ("after", "before")
    )
    assert points > 200
    assert after < 1.5 < before
    left = {row["scheme"]: row for row in report["left_out_schemes"]}
    assert left["ibug68"]["unknown"] == 0
    assert all(row["mean"] < 3.5 for row in left.values())
    text = run_cli("align", shapes_file, "-o", tmp_path / "q.json", "--cross-check")
    assert "left out of the fit" in text.stdout
    assert "% after; the nearest is right for 100.0%" in text.stdout
