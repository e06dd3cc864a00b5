"""Schemes at the edge in the commands that take one: a right answer, or a clear error."""

from __future__ import annotations

import json

import numpy as np
import pytest
import skimage.data
import torch
from click.testing import CliRunner
from skimage.io import imsave

from tufa_cli.cli import cli
from tufa_cli.errors import TufaError
from tufa_cli.model.build import build_model
from tufa_cli.model.config import model_config
from tufa_cli.model.weights import Weights, save_weights
from tufa_cli.schemes import builtin_plane
from tufa_cli.schemes.meanshapes import SchemeShape, builtin_shapes, shapes_to_json

HEAD = "name: odd\nsource: made here\nnormaliser: plane_box\npoints:\n"
EYES = "  - {part: left_eye_outer}\n  - {part: right_eye_outer}\n  - {part: chin}\n"
GRID = "".join(f"  - {{place: [{x / 100}, {y / 100}]}}\n" for x in range(100) for y in range(100))
LINE = "  - {part: nose_bridge, from: 0, to: 1, count: 4}\n  - {part: chin}\n"
RIGHT = {"three": (EYES, 3), "line": (LINE, 5), "thousands": (GRID, 10_000)}
TWICE = EYES.replace("outer}", "outer, name: corner}")
WRONG = {
    "repeated names": (TWICE, "point name 'corner' is used twice"),
    "repeated places": (EYES + "  - {part: jaw, t: 0.5}\n", "both mean jaw@0.5"),
    "neither part nor place": (EYES + "  - {t: 0.5}\n", "points[3]: give a part or a place"),
    "a part nobody has": (EYES + "  - {part: left_horn}\n", "unknown part 'left_horn'"),
    "a part the plane lacks": (EYES + "  - {part: left_ear}\n", "no place for left_ear"),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A photo, a small plane without ears as a file and in weights, and its mean shapes."""
    folder = tmp_path_factory.mktemp("odd")
    imsave(folder / "a.png", skimage.data.astronaut()[:256, 90:346])
    whole = builtin_plane()
    plane = type(whole)("small", "wflw98", {"wflw98": whole["wflw98"]})
    torch.manual_seed(0)
    sizes = {"width": 32, "channels": [8, 16, 24], "blocks": [1, 1, 1], "input_size": 64}
    sizes["decoder_layers"] = 1
    save_weights(folder / "w.pt", Weights(build_model(model_config("nano", sizes)), plane))
    (folder / "plane.json").write_text(plane.to_json())
    shape = builtin_shapes()["wflw98"]
    (folder / "mean.json").write_text(shapes_to_json({"wflw98": shape}))
    return folder


def run(*words):
    """(exit code, stdout, what went wrong) of a command in this process."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    error = done.exception
    if isinstance(error, TufaError):
        return 1, done.stdout, f"{done.stderr}{error}"
    assert error is None or isinstance(error, SystemExit), repr(error)
    return done.exit_code, done.stdout, done.stderr


def commands(desk, scheme, out):
    """Every command on a scheme file; what they write goes to ``out``."""
    return {
        "check": ["schemes", "check", scheme, "--plane", desk / "plane.json"],
        "align": ["align", desk / "mean.json", "--scheme", scheme, "-o", out / "p.json"],
        "annotate": [
            *("annotate", desk / "a.png", "--scheme", scheme, "--weights", desk / "w.pt"),
            *("--detector", "whole-image", "--device", "cpu"),
        ],
    }


@pytest.mark.parametrize("case", RIGHT)
def test_odd_but_right(desk, tmp_path, case):
    points, count = RIGHT[case]
    scheme = tmp_path / "odd.yaml"
    scheme.write_text(HEAD + points)
    done = {key: run(*words) for key, words in commands(desk, scheme, tmp_path).items()}
    assert {key: code for key, (code, _, _) in done.items()} == dict.fromkeys(done, 0)
    assert f"fine, {count} points" in done["check"][1]
    made = json.loads((tmp_path / "p.json").read_text())["anchors"]["odd"]
    assert np.isfinite(made).all()
    assert len(made) == count
    face = json.loads(done["annotate"][1])["annotations"][0]
    assert len(face["keypoints"]) == 3 * count
    assert np.isfinite(face["keypoints"]).all()


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_by_every_command(desk, tmp_path, case):
    points, words = WRONG[case]
    scheme = tmp_path / "odd.yaml"
    scheme.write_text(HEAD + points)
    for name, command in commands(desk, scheme, tmp_path).items():
        code, stdout, error = run(*command)
        assert code == 1, name
        assert words in stdout + error, name
        assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize("points", [EYES, LINE])
def test_the_mean_shape_of_few_points_or_of_a_line(desk, tmp_path, points):
    """It is carried onto the plane by the places it shares, and lies on them."""
    scheme, mean, plane = (tmp_path / name for name in ("odd.yaml", "mean.json", "plane.json"))
    scheme.write_text(HEAD + points)
    assert run("align", desk / "mean.json", "--scheme", scheme, "-o", plane)[0] == 0
    truth = np.array(json.loads(plane.read_text())["anchors"]["odd"])
    shape = SchemeShape("odd", 300 * truth[:, ::-1] * (-1, 1) + 20, 1)  # turned by a quarter
    mean.write_text(shapes_to_json({"odd": shape}))
    words = ["align", desk / "mean.json", mean, "--scheme", scheme, "-o", plane, "--overwrite"]
    assert run(*words)[0] == 0
    found = np.array(json.loads(plane.read_text())["anchors"]["odd"])
    np.testing.assert_allclose(found, truth, atol=0.002)
