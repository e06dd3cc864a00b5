"""``tufa-cli align --onto``: the mean shape of a scheme in, its scheme file out."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest

from tufa_cli.schemes import anchors_for, builtin_plane, read_scheme
from tufa_cli.schemes.meanshapes import SchemeShape, builtin_shapes, shapes_to_json

PLANE = builtin_plane()
SHAPE = builtin_shapes()["cofw29"].points
EYES = ["left_eye_outer", "right_eye_outer", "chin"]


@pytest.fixture
def align(capfd):
    """``tufa-cli align`` in this process (starting one takes a second or two)."""
    from tufa_cli.cli import main

    def run(*args):
        with pytest.raises(SystemExit) as end:
            main(["align", *map(str, args)])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Result(int(end.value.code or 0), captured.out, captured.err)

    return run


class Result(NamedTuple):
    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def plane_file(tmp_path_factory):
    """The shipped plane without cofw29, so that its shape is a new one."""
    from dataclasses import replace

    path = tmp_path_factory.mktemp("plane") / "plane.json"
    anchors = {key: points for key, points in PLANE.anchors.items() if key != "cofw29"}
    path.write_text(replace(PLANE, anchors=anchors).to_json())
    return path


def json_text(points, names=None):
    fields = {"points": np.asarray(points).tolist()}
    return json.dumps(fields if names is None else {**fields, "names": names})


def pts_text(points):
    rows = "\n".join(f"{300 * x + 500} {300 * y + 400}" for x, y in points)
    return f"version: 1\nn_points: {len(points)}\n{{\n{rows}\n}}\n"


KINDS = {
    "mean.json": json_text(SHAPE),
    "mean.pts": pts_text(SHAPE),
    "shape.json": shapes_to_json({"nobodys29": SchemeShape("nobodys29", SHAPE, 300)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_becomes_a_scheme_file(align, plane_file, tmp_path, kind):
    (tmp_path / kind).write_text(KINDS[kind])
    out, picture = tmp_path / "mine.yaml", tmp_path / "mine.png"
    args = ["--onto", plane_file, tmp_path / kind, "-o", out]
    result = align(*args, "--plot", picture, "--json")
    assert (result.code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert (report["name"], report["points"], report["by"]) == ("mine", 29, "shape")
    assert report["margin"] > 1.5
    anchors = anchors_for(read_scheme(out), PLANE)
    assert np.linalg.norm(anchors - PLANE["cofw29"], axis=1).mean() < 0.01
    assert picture.read_bytes().startswith(b"\x89PNG")
    again = align(*args)
    assert again.code == 1
    assert "exists already" in again.stderr


def test_the_scheme_file_is_sound_and_the_command_is_a_command(run_cli, plane_file, tmp_path):
    (tmp_path / "mean.json").write_text(KINDS["mean.json"])
    out = tmp_path / "mine.yaml"
    done = run_cli("align", "--onto", plane_file, tmp_path / "mean.json", "-o", out)
    assert done.code == 0
    assert "Placed by shape: the next best place costs" in done.stderr
    assert run_cli("schemes", "check", out).code == 0
    (tmp_path / "mean.json").write_text(BAD["three"][0])
    bad = run_cli("align", "--onto", plane_file, tmp_path / "mean.json", "-o", out, "--overwrite")
    assert (bad.code, bad.stdout) == (1, "")
    assert bad.stderr.startswith("Error: ")


def test_names_that_are_no_parts_are_told_the_misspelt_first(align, plane_file, tmp_path):
    names = [f"spot {i}" for i in range(29)]
    names[28], names[8], names[9] = "chin", "left_eye_outer", "rigth_eye_outer"
    (tmp_path / "a.json").write_text(json_text(SHAPE, names))
    result = align("--onto", plane_file, tmp_path / "a.json", "-o", tmp_path / "a.yaml")
    assert result.code == 0, result.stderr
    said = "no part's: rigth_eye_outer (did you mean right_eye_outer?), spot 0, spot 1"
    assert said in result.stderr
    assert result.stderr.rstrip().endswith("and 19 more")
    (tmp_path / "b.json").write_text(json_text(SHAPE[:3], ["tail", "horn", None]))
    result = align("--onto", plane_file, tmp_path / "b.json", "-o", tmp_path / "b.yaml")
    assert result.code == 1
    assert "jaw@0.25; names that are no part's: tail, horn" in result.stderr


def test_names_and_parts(align, plane_file, tmp_path):
    points = np.array([PLANE["wflw98"][i] for i in (60, 72, 16, 85)])
    (tmp_path / "a.json").write_text(json_text(points * 50, [*EYES, "my point"]))
    args = ["--onto", plane_file, tmp_path / "a.json", "--overwrite"]
    result = align(*args, "-o", tmp_path / "a.yaml")
    assert result.code == 0, result.stderr
    assert "names that are no part's: my point" in result.stderr
    text = (tmp_path / "a.yaml").read_text()
    assert "{part: left_eye_outer}" in text
    assert 'name: "my point"' in text
    assert "place:" in text
    snapped = align(*args, "-o", tmp_path / "a.yaml", "--snap", "1", "--name", "other")
    assert snapped.code == 0, snapped.stderr
    assert "place:" not in (tmp_path / "a.yaml").read_text()
    assert 'name: "other"' in (tmp_path / "a.yaml").read_text()


def test_our_own_mean_shape_is_placed_by_meaning(align, plane_file, tmp_path):
    (tmp_path / "m.json").write_text(
        shapes_to_json({"cofw29": SchemeShape("cofw29", SHAPE[::1], 300)})
    )
    out = tmp_path / "mine.yaml"
    result = align("--onto", plane_file, tmp_path / "m.json", "-o", out)
    assert result.code == 0, result.stderr
    assert "place:" not in out.read_text()


@pytest.mark.parametrize(
    ("order", "advice"), [(1, ": --scheme ibug68 may do."), (-1, ", its points in another order.")]
)
def test_a_known_shape_in_another_order_is_not_said_to_do(align, tmp_path, order, advice):
    plane, mean = tmp_path / "plane.json", tmp_path / "a.json"
    plane.write_text(PLANE.to_json())
    mean.write_text(json_text(300 * builtin_shapes()["ibug68"].points[::order]))
    made = align("--onto", plane, mean, "-o", tmp_path / "a.yaml")
    assert "It is the shape of ibug68" in made.stderr
    assert made.stderr.endswith(f"of the plane off{advice}\n")


def test_a_weights_file_has_a_plane_too(align, weights_file, tmp_path):
    (tmp_path / "mean.json").write_text(json_text(SHAPE))
    out = tmp_path / "mine.yaml"
    result = align("--onto", weights_file, tmp_path / "mean.json", "-o", out)
    assert result.code == 0, result.stderr
    assert "shape of cofw29" in result.stderr
    assert out.exists()


BOX = [[0, 0], [4, 0], [2, 3], [2, 5], [1, 4]]
BAD = {
    "three": (json_text(BOX[:3]), "3 points are a face in many ways"),
    "line": (json_text([[i, i] for i in range(30)]), "all points lie on a line"),
    "many": (
        json_text(np.random.default_rng(0).random((10_000, 2))),
        "shape alone does not tell",
    ),
    "same": (json_text(BOX, ["chin", "chin", None, None, None]), "both named 'chin'"),
    "lacks": (json_text(BOX, ["jaw@3", None, None, None, None]), "is named 'jaw@3'"),
    "curve": (json_text(BOX, ["left_brow", None, None, None, None]), "left_brow is a curve"),
    "short": (json_text(BOX, ["chin"]), "1 names for 5 points"),
    "nan": ('{"points": [[0, 0], [NaN, 1], [2, 2]]}', "points[1]: no place"),
    "text": ('{"points": [[0, 0], ["a", 1]]}', "points[1]: expected [x, y]"),
    "none": ('{"points": []}', "'points' is a list of [x, y]"),
    "empty": ("", "not a mean shape file"),
    "list": ("[1, 2]", "not a mean shape file"),
    "words": ("hello\n", "not a mean shape file"),
    "deep": ("[" * 100_000, "not a mean shape file"),
    "two": (
        shapes_to_json({k: SchemeShape(k, SHAPE, 3) for k in ("a", "b")}),
        "mean shapes of 2 schemes",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_laid_is_said_in_one_line_and_a_hint(align, plane_file, tmp_path, case):
    text, words = BAD[case]
    path, out = tmp_path / f"{case}.json", tmp_path / "out.yaml"
    path.write_text(text)
    result = align("--onto", plane_file, path, "-o", out)
    assert (result.code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"Error: {path}: ")
    assert words in lines[0]
    assert len(lines) <= 2
    assert not out.exists()


@pytest.mark.parametrize("content", [None, "", "{}", "[" * 100_000, "PK\x03\x04broken"])
def test_what_is_no_plane_is_said(align, tmp_path, content):
    (tmp_path / "mean.json").write_text(json_text(SHAPE))
    path = tmp_path / "plane.json"
    if content is not None:
        path.write_text(content)
    args = ["--onto", path, tmp_path / "mean.json", "-o", tmp_path / "x.yaml"]
    result = align(*args)
    assert result.code == 1
    assert result.stderr.startswith(f"Error: {path}: ")
    assert len(result.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    "more", [["b.json"], ["--scheme", "ibug68"], ["--cross-check"], ["--snap", "101"]]
)
def test_what_does_not_go_together(align, tmp_path, more):
    result = align("--onto", "p.json", "a.json", *more, "-o", tmp_path / "x.yaml")
    assert result.code == 2


def test_snap_needs_onto(align, tmp_path):
    result = align("a.json", "--snap", "1", "-o", tmp_path / "x.json")
    assert result.code == 2
    assert "--snap goes with --onto" in result.stderr
