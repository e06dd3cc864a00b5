"""``tufa-cli meanshape``: labels in, one mean shape out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tufa_cli.cli import cli
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme, read_scheme
from tufa_cli.schemes.meanshapes import builtin_shapes, read_shapes


@pytest.fixture
def pts_folder(tmp_path):
    """Eight faces of ibug68: the shipped mean shape, turned, scaled and a little disturbed."""
    folder = tmp_path / "labels"
    folder.mkdir()
    rng = np.random.default_rng(0)
    mean = builtin_shapes()["ibug68"].points
    for i in range(8):
        angle, scale = rng.uniform(-0.3, 0.3), rng.uniform(100, 400)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = scale * mean @ turn.T + 300 + rng.normal(size=(68, 2))
        lines = [f"{x:.6f} {y:.6f}" for x, y in points]
        text = "\n".join(["version: 1", "n_points: 68", "{", *lines, "}", ""])
        (folder / f"face{i}.pts").write_text(text)
    return folder


def test_mean_shape_file_and_picture(run_cli, pts_folder, tmp_path):
    out, picture = tmp_path / "m.json", tmp_path / "m.png"
    (tmp_path / "leave.txt").write_text("face3\nnobody\n")
    args = ["meanshape", pts_folder, "--from", "pts", "--scheme", "300w", "-o", out]
    result = run_cli(*args, "--exclude", tmp_path / "leave.txt", "--plot", picture, "--json")
    assert result.code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["scheme"], report["faces"], report["converged"]) == ("ibug68", 7, True)
    assert "matched no photo: nobody" in result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    shape = read_shapes(out)["ibug68"]
    assert np.abs(shape.points - builtin_shapes()["ibug68"].points).max() < 0.01
    again = run_cli(*args)
    assert again.code == 1
    assert "exists already" in again.stderr
    assert run_cli(*args, "--overwrite").code == 0


def test_two_sources_are_one_mean(run_cli, pts_folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for i in range(4):
        (pts_folder / f"face{i}.pts").rename(other / f"face{i}.pts")
    args = ["meanshape", pts_folder, other, "--from", "pts", "--scheme", "ibug68"]
    result = run_cli(*args, "-o", tmp_path / "m.json", "--json")
    assert json.loads(result.stdout)["faces"] == 8


def test_unreadable_labels_are_named_and_the_rest_is_used(run_cli, pts_folder, tmp_path):
    text = (pts_folder / "face0.pts").read_text().splitlines()
    (pts_folder / "short.pts").write_text("\n".join([*text[:-2], "}", ""]))
    args = ["meanshape", pts_folder, "--from", "pts", "--scheme", "ibug68"]
    result = run_cli(*args, "-o", tmp_path / "m.json", "--json")
    assert result.code == 3
    assert json.loads(result.stdout)["unreadable"] == 1
    assert "short.pts" in result.stderr


@pytest.mark.parametrize(
    ("scheme", "words"),
    [("ibug86", "did you mean"), ("wflw98", "wflw98")],
)
def test_errors_are_said_in_two_lines(run_cli, pts_folder, tmp_path, scheme, words):
    result = run_cli(
        "meanshape", pts_folder, "--from", "pts", "--scheme", scheme, "-o", tmp_path / "m.json"
    )
    assert result.code in (1, 3)
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize(
    ("source", "format_name", "scheme", "exclude", "faces"),
    [
        ("300w", "pts", "ibug68", "val_300w.txt", 1811),
        ("scut", "scut", "scut86", "val_scut.txt", 3000),
        ("mtfl/training.txt", "mtfl", "mtfl5", "val_mtfl.txt", 2700),
        ("aflw/aflw21_coco.json", "coco", "aflw21", "val_aflw.txt", 1358),
        ("annotations/wflw98_annotations_only.txt", "wflw", "wflw98", None, 1760),
    ],
)
def test_shipped_mean_shapes_come_from_the_training_labels(
    run_cli, shared, tmp_path, source, format_name, scheme, exclude, faces
):
    args = ["meanshape", shared / "data" / source, "--from", format_name, "--scheme", scheme]
    if exclude:
        args += ["--exclude", shared / "data" / "splits" / exclude]
    result = run_cli(*args, "-o", tmp_path / "m.json", "--json")
    assert result.code == 0, result.stderr
    assert json.loads(result.stdout)["faces"] == faces
    found = read_shapes(tmp_path / "m.json")[scheme].points
    np.testing.assert_allclose(found, builtin_shapes()[scheme].points, atol=2e-6)


def test_an_order_that_nobody_wrote_down(tmp_path):
    """HELEN's files alone, whose 194 points no scheme of ours describes, give a scheme."""
    plane, rng = builtin_plane(), np.random.default_rng(0)
    pairs = [(i, j) for i, j in enumerate(get_scheme("dense314").flip) if i < j]
    chosen = rng.permutation(pairs)[:97].ravel()
    truth = plane["dense314"][rng.permutation(chosen)]
    folder = tmp_path / "annotation"
    folder.mkdir()
    for i in range(1, 7):
        angle, scale = rng.uniform(-0.3, 0.3), rng.uniform(200, 400)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = scale * truth @ turn.T + 300 + rng.normal(size=truth.shape) * 0.5
        rows = "\n".join(f"{x:.6f} , {y:.6f}" for x, y in points)
        (folder / f"{i}.txt").write_text(f"face{i}\n{rows}\n")
    mean, scheme = tmp_path / "helen.json", tmp_path / "helen194.yaml"
    words = ["meanshape", folder, "--from", "helen", "-o", mean]

    def run(*words):
        return CliRunner().invoke(cli, list(map(str, words)))

    assert "helen, mean of 6 faces" in run(*words, "--points", 194).stdout
    (tmp_path / "plane.json").write_text(plane.to_json())
    assert run("align", "--onto", tmp_path / "plane.json", mean, "-o", scheme).exit_code == 0
    off = np.linalg.norm(anchors_for(read_scheme(scheme), plane) - truth, axis=1)
    assert off.mean() < 0.003
    assert off.max() < 0.01
    for wrong in ([], ["--points", 194, "--scheme", "ibug68"], ["--points", 2]):
        assert run(*words, *wrong, "--overwrite").exit_code == 2
    nothing = run(*words, "--points", 68, "--overwrite").exception
    assert str(nothing).startswith("no face labelled in 68 points among 6 photos")
