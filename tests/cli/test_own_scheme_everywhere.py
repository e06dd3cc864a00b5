"""A scheme of the user's own, one-sided and with a free place, in every command that takes one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner
from skimage.io import imsave

from tufa_cli.cli import cli
from tufa_cli.data.packed import PackedFaces
from tufa_cli.errors import TufaError
from tufa_cli.formats import read, write
from tufa_cli.geometry.crop import fit_scale_shift
from tufa_cli.model.weights import load_weights
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme
from tufa_cli.schemes.load import parse_scheme

OWN = """
name: mine
source: made here
normaliser: plane_box
points:
  - {part: jaw, t: [0.1, 0.25, 0.5]}
  - {part: left_eye_upper, t: [0, 0.5, 1]}
  - {part: nose_tip}
  - {place: [0.21, 0.62], name: cheek}
"""
FIVE_PX = np.array([[198.0, 118.0], [248.0, 116.0], [224.0, 146.0], [205.0, 166.0], [246.0, 165.0]])
CONFIG = (
    "steps: 2\nbatch_size: 2\namp: 'off'\nworkers: 0\ndevice: cpu\n"
    "model_options: {width: 32, channels: [8, 16, 24], blocks: [1, 1, 1], input_size: 64}\n"
)


def run(*words):
    """A command in this process, which starts faster; its stdout. Raises what it raises."""
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a photo, its labels in the scheme (as .pts and COCO), and the scheme's file."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.yaml").write_text(OWN)
    five, plane = get_scheme("mtfl5"), builtin_plane()
    scale, shift = fit_scale_shift(anchors_for(five, plane), FIVE_PX)
    points = anchors_for(parse_scheme(OWN, "mine"), plane) * scale + shift
    (folder / "photos").mkdir()
    for name in "ab":
        imsave(folder / "photos" / f"{name}.png", skimage.data.astronaut())
        rows = "\n".join(f"{x + 1:.6f} {y + 1:.6f}" for x, y in points)
        text = f"version: 1\nn_points: {len(points)}\n{{\n{rows}\n}}\n"
        (folder / "photos" / f"{name}.pts").write_text(text)
    return folder


@pytest.fixture(scope="module")
def pack(desk):
    """Packed with the file, which is then out of reach."""
    out = desk / "own.h5"
    (desk / "val.txt").write_text("b\n")
    words = ["--scheme", desk / "mine.yaml", "--val-list", desk / "val.txt", "-o", out]
    run("pack", desk / "photos", *words)
    return out


@pytest.fixture(scope="module")
def weights(desk, pack, run_cli):
    """Trained from the pack alone, in another folder and process."""
    config = desk / "c.yaml"
    config.write_text(CONFIG)
    (desk / "away").mkdir()
    done = run_cli("train", config, f"packs=[{pack}]", "-o", desk / "run", cwd=desk / "away")
    assert done.code == 0, done.stderr
    return desk / "run" / "final.pt"


def test_a_pack_knows_its_scheme(pack):
    assert run("pack", "--verify", pack).strip().endswith("all sound")
    held = json.loads(run("pack", "--info", pack, "--json"))
    assert {group["scheme"] for group in held["groups"]} == {"mine"}
    assert "mine" in held["plane"]["schemes"]


def test_weights_know_it_too(weights, desk):
    loaded = load_weights(weights)
    mine = get_scheme(str(desk / "mine.yaml"))
    assert loaded.plane.schemes["mine"].means_as(mine)
    assert set(loaded.learned) == {"mine"}
    np.testing.assert_array_equal(loaded.prompts(mine), loaded.learned["mine"])
    words = ["evaluate", desk / "photos", "--weights", weights, "--json", "--scheme"]
    by_name, by_file = (run(*words, word) for word in ("mine", desk / "mine.yaml"))
    assert by_name == by_file
    assert json.loads(by_name)["anchors"] == "learned"


def test_other_points_under_its_name_are_not_those_that_were_learned(weights):
    other = parse_scheme(OWN.replace("0.21, 0.62", "0.25, 0.62"), "other")
    loaded = load_weights(weights)
    np.testing.assert_array_equal(loaded.prompts(other)[-1], [0.25, 0.62])
    np.testing.assert_allclose(loaded.prompts(other), anchors_for(other, builtin_plane()))


def test_annotate_by_the_name_that_the_weights_carry(weights, desk):
    words = ["annotate", desk / "photos" / "a.png", "--detector", "whole-image", "--scheme"]
    made = json.loads(run(*words, "mine", "--weights", weights))
    assert made["annotations"][0]["num_keypoints"] == 8
    assert json.loads(run(*words, desk / "mine.yaml"))["annotations"][0]["num_keypoints"] == 8
    with pytest.raises(TufaError, match="unknown scheme 'yours'") as error:
        run(*words, "yours", "--weights", weights)
    assert "holds mine of its own" in error.value.hint
    with pytest.raises(TufaError, match="unknown scheme 'mines': did you mean mine"):
        run(*words, "mines", "--weights", weights)
    with pytest.raises(TufaError, match="unknown scheme 'mine'"):
        run(*words, "mine")


def test_packs_with_and_without_it_train_together(desk, pack):
    five = desk / "five"
    five.mkdir()
    imsave(five / "a.png", skimage.data.astronaut())
    rows = "\n".join(f"{x + 1} {y + 1}" for x, y in FIVE_PX)
    (five / "a.pts").write_text(f"version: 1\nn_points: 5\n{{\n{rows}\n}}\n")
    other, both = desk / "five.h5", desk / "both.h5"
    run("pack", five, "--scheme", "mtfl5", "-o", other)
    both.write_bytes(pack.read_bytes())
    run("pack", five, "--scheme", "mtfl5", "--append", "-o", both)
    for packs in ([pack, other], [other, pack], [both]):
        faces = PackedFaces(packs, 64)
        assert faces.schemes == ["mine", "mtfl5"]
        assert set(faces.plane.schemes) == {"mine"}
        assert len(faces.plane["mine"]) == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: mine", "name: ibug68", "ibug68 is also the name of another scheme"),
        ("0.21, 0.62", "0.25, 0.62", "its scheme mine has other points than the mine of"),
        ("nose_tip", "nose_tap", "unknown part 'nose_tap', did you mean"),
        ("- {part: nose_tip}", "- {part: left_cheek_line, t: 0.5}", "unknown part"),
    ],
)
def test_pack_says_what_is_wrong_with_a_scheme(desk, pack, tmp_path, old, new, message):
    (tmp_path / "bad.yaml").write_text(OWN.replace(old, new))
    copy = tmp_path / "copy.h5"
    copy.write_bytes(pack.read_bytes())
    words = ["--scheme", tmp_path / "bad.yaml", "--append", "--source", "again", "-o", copy]
    with pytest.raises(TufaError) as error:
        run("pack", desk / "photos", *words)
    assert message in str(error.value)
    assert copy.read_bytes() == pack.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".parts"] == []


@pytest.mark.parametrize(
    "name",
    ["coco", "cvat", "datumaro", "hf-jsonl", "label-studio", "labelme", "supervisely", "via"],
)
def test_convert_there_and_back(desk, tmp_path, name):
    scheme = get_scheme(str(desk / "mine.yaml"))
    before = list(read(desk / "photos", "pts", scheme))
    write(before, tmp_path / "out", name)
    after = list(read(tmp_path / "out", name, str(desk / "mine.yaml")))
    assert [face.scheme for photo in after for face in photo.faces] == ["mine", "mine"]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new.faces[0].points_px, old.faces[0].points_px, atol=1e-4)


def test_meanshape_and_align(desk, tmp_path, checkout):
    mean, plane = tmp_path / "mean.json", tmp_path / "plane.json"
    own = ["--scheme", desk / "mine.yaml"]
    run("meanshape", desk / "photos", "--from", "pts", *own, "-o", mean)
    run("align", checkout / "schemes" / "meanshapes.json", mean, *own, "-o", plane)
    made = json.loads(plane.read_text())
    assert "cheek" in made["schemes"]["mine"]
    anchors = {name: np.array(points) for name, points in made["anchors"].items()}
    # The outer corner of the left eye, which wflw98 has too.
    np.testing.assert_allclose(anchors["mine"][3], anchors["wflw98"][60], atol=0.002)
    run("pack", desk / "photos", *own, "--plane", plane, "-o", tmp_path / "p.h5")
    np.testing.assert_array_equal(
        PackedFaces([tmp_path / "p.h5"], 64).plane["mine"], anchors["mine"]
    )


def test_convert_writes_its_names_and_reads_them_back(desk, tmp_path):
    names = list(get_scheme(str(desk / "mine.yaml")).names)
    own = ("--from-scheme", desk / "mine.yaml")
    run("convert", desk / "photos", "--to", "coco", "-o", tmp_path / "a.json", *own)
    (row,) = json.loads((tmp_path / "a.json").read_text())["categories"]
    assert row["keypoints"] == names and row["scheme"] == "mine" and row["skeleton"]
    for given in (own, ("--scheme", desk / "mine.yaml")):
        to = tmp_path / given[0].strip("-")
        run("convert", tmp_path / "a.json", "--to", "labelme", "-o", to, *given)
        labels = {shape["label"] for shape in json.loads((to / "a.json").read_text())["shapes"]}
        assert labels == {"mine", *names}
        run("convert", to, "--to", "coco", "-o", to / "out.json", *given)
        (row,) = json.loads((to / "out.json").read_text())["categories"]
        assert row["keypoints"] == names
