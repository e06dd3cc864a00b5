"""``pack`` and ``train`` as a user meets them: exit codes and what stderr says."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import skimage.data
from skimage.io import imsave

PTS = "version: 1\nn_points: 5\n{{\n{}\n}}\n"
FACE_PX = np.array([[198.0, 118.0], [248.0, 116.0], [224.0, 146.0], [205.0, 166.0], [246.0, 165.0]])


@pytest.fixture
def labelled(tmp_path):
    """A folder with three labelled photos, one of them unreadable."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "broken"):
        imsave(folder / f"{name}.png", skimage.data.astronaut())
        rows = "\n".join(f"{x + 1} {y + 1}" for x, y in FACE_PX)
        (folder / f"{name}.pts").write_text(PTS.format(rows))
    (folder / "broken.png").write_bytes(b"not a photo")
    return folder


def test_pack_reports_what_failed(labelled, tmp_path, run_cli):
    out = tmp_path / "faces.h5"
    (tmp_path / "val.txt").write_text("a.png\nmissing.png\n")
    result = run_cli(
        "pack", labelled, "--from", "pts", "--scheme", "mtfl5", "-o", out,
        "--val-list", tmp_path / "val.txt", "--json",
    )  # fmt: skip
    assert result.code == 3
    report = json.loads(result.stdout)
    assert report["faces"] == 2
    assert [name for name, _ in report["failed"]] == ["broken.png"]
    assert "1 listed name matched no photo: missing.png" in result.stderr
    assert out.exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--scheme", "mtfl6"], 1, "did you mean mtfl"),
        (["--scheme", "ibug68"], 1, "expected 68 points, found 5"),
        (["--scheme", "mtfl5", "--from", "wflv"], 1, "wflw"),
        (["--scheme"], 2, "requires an argument"),
    ],
)
def test_pack_mistakes(labelled, tmp_path, run_cli, words, code, message):
    (labelled / "broken.png").unlink()
    (labelled / "broken.pts").unlink()
    result = run_cli("pack", labelled, "-o", tmp_path / "x.h5", *words)
    assert (result.code, result.stdout) == (code, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "x.h5").exists()


def test_train_lists_every_mistake(tmp_path, run_cli):
    config = tmp_path / "c.yaml"
    config.write_text("stepps: 3\nlr: fast\n")
    result = run_cli("train", config, "packs=[a.h5]", "-o", tmp_path / "run")
    assert result.code == 1
    assert "2 problems" in result.stderr
    assert "did you mean steps?" in result.stderr
    assert not (tmp_path / "run").exists()


def test_train_without_its_pack(tmp_path, run_cli):
    config = tmp_path / "c.yaml"
    config.write_text("steps: 3\n")
    result = run_cli("train", config, "packs=[none.h5]", "-o", tmp_path / "run")
    assert result.code == 1
    assert "none.h5: no such file" in result.stderr
    assert "tufa-cli pack" in result.stderr


def test_pack_then_train_then_models_show(labelled, tmp_path, run_cli):
    out = tmp_path / "faces.h5"
    assert run_cli("pack", labelled, "--scheme", "mtfl5", "-o", out).code == 3
    config = tmp_path / "c.yaml"
    config.write_text(
        f"packs: [{out}]\nsteps: 2\nbatch_size: 2\namp: off\nworkers: 0\ndevice: cpu\n"
        "model_options: {width: 32, channels: [8, 16, 24], blocks: [1, 1, 1], input_size: 64}\n"
    )
    run = tmp_path / "run"
    dry = json.loads(run_cli("train", config, "--dry-run", "--json").stdout)
    assert [key.split("/")[1] for key in dry["faces"]["train"]] == ["mtfl5"]
    assert dry["trial"]["step_seconds"] > 0
    sizes = run_cli("train", config, "--find-batch-size", "--json").stdout.splitlines()
    assert json.loads(sizes[0])["batch_size"] == 8
    assert run_cli("train", config).code == 2
    assert not run.exists()
    result = run_cli("train", config, "-o", run)
    assert (result.code, result.stdout.strip()) == (0, str(run / "final.pt"))
    again = run_cli("train", config, "-o", run)
    assert again.code == 1
    assert "--resume" in again.stderr
    shown = json.loads(run_cli("models", "show", run / "final.pt", "--json").stdout)
    assert "research" in shown["terms"]


def test_pack_verify_and_info(labelled, tmp_path, run_cli):
    out = tmp_path / "faces.h5"
    (labelled / "broken.png").unlink()
    (labelled / "broken.pts").unlink()
    words = ["pack", labelled, "--scheme", "mtfl5", "-o", out, "--source", "here"]
    assert run_cli(*words, "--jobs", "2").code == 0
    again = run_cli(*words, "--resume", "--json")
    assert (again.code, json.loads(again.stdout)["present"]) == (0, 2)
    sound = run_cli("pack", "--verify", out)
    assert (sound.code, sound.stdout.strip()) == (0, f"{out}: 2 rows, all sound")
    shown = run_cli("pack", "--info", out)
    assert "here/mtfl5" in shown.stdout
    assert "checksums" in shown.stdout
    assert json.loads(run_cli("pack", "--info", out, "--json").stdout)["faces"] == 2
    shards = tmp_path / "shards"
    assert run_cli(*words[:5], shards, *words[6:], "--shard-size", "1").code == 0
    assert "2 faces in 2 files" in run_cli("pack", "--info", shards).stdout
    with h5py.File(out, "r+") as file:
        file["weight"][1] = 0.5
    bad = run_cli("pack", "--verify", out)
    assert (bad.code, bad.stdout.strip()) == (1, "row 1: the checksum does not fit")
    assert "1 of 2 rows" in bad.stderr
    report = json.loads(run_cli("pack", "--verify", out, "--json").stdout)
    assert report["bad"] == [{"row": 1, "problem": "the checksum does not fit"}]


@pytest.mark.parametrize(
    "words", [[], ["x"], ["-o", "x.h5"], ["x", "--verify", "a"], ["--verify", "a", "--info", "a"]]
)
def test_pack_needs_a_source_or_a_pack(run_cli, words):
    result = run_cli("pack", *words)
    assert result.code == 2
    assert "--verify" in result.stderr


def test_pack_verify_of_no_pack(tmp_path, run_cli):
    (tmp_path / "a.h5").write_bytes(b"x")
    for word in ("--verify", "--info"):
        result = run_cli("pack", word, tmp_path / "a.h5")
        assert (result.code, result.stdout) == (1, "")
        assert "not a readable HDF5 file" in result.stderr
