"""``tufa-cli schemes``: list, show, plot, check."""

from __future__ import annotations

import json
import re

import pytest

from tufa_cli.schemes import get_scheme, scheme_names

TWO_MISTAKES = (
    "name: mine\nsource: me\nnormaliser: [0, 1]\npoints:\n"
    "  - {part: left_pupil}\n  - {part: right_pupil}\n"
    "  - {part: jawz, t: [0, 1]}\n  - {part: chin, t: 3}\n"
)


def test_list(run_cli):
    plain = run_cli("schemes", "list")
    assert plain.code == 0
    assert re.search(r"^ibug68 +300w\b", plain.stdout, re.MULTILINE)
    rows = json.loads(run_cli("schemes", "list", "--json").stdout)
    assert {row["name"]: row["points"] for row in rows} == {
        name: len(get_scheme(name)) for name in scheme_names()
    }


def test_show(run_cli):
    text = run_cli("schemes", "show", "cofw").stdout
    assert "errors are divided by: the distance of points 8 and 9" in text
    found = json.loads(run_cli("schemes", "show", "cofw29", "--json").stdout)
    assert len(found["landmarks"]) == 29
    assert found["landmarks"][28]["part"] == "jaw"
    assert found["landmarks"][28]["t"] == 0.5
    unknown = run_cli("schemes", "show", "coffee")
    assert unknown.code == 1
    assert "cofw" in unknown.stderr


def test_plot(run_cli, tmp_path):
    picture = tmp_path / "p.png"
    args = ["schemes", "plot", "ibug68", "mtfl", "-o", picture]
    assert run_cli(*args).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run_cli(*args).code == 1
    odd = run_cli("schemes", "plot", "-o", tmp_path / "p.what")
    assert odd.code == 1
    assert "use .png, .jpg or .svg" in odd.stderr
    assert not (tmp_path / "p.what").exists()


def test_check_lists_both_mistakes(run_cli, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(TWO_MISTAKES)
    result = run_cli("schemes", "check", file, "ibug68")
    assert result.code == 1
    assert "jawz" in result.stderr
    assert "chin is one named point" in result.stderr
    assert "ibug68: fine, 68 points" in result.stdout
    rows = json.loads(run_cli("schemes", "check", file, "--json").stdout)
    assert len(rows[0]["problems"]) == 2


@pytest.mark.parametrize("name", ["none.yaml", "wlfw"])
def test_check_of_what_is_not_there(run_cli, name):
    result = run_cli("schemes", "check", name)
    assert result.code == 1
    assert "Traceback" not in result.stderr


def test_every_shipped_scheme_is_fine(run_cli):
    names = ["aflw19", "aflw21", "cofw29", "ibug68", "mtfl5", "scut86", "wflw98"]
    assert run_cli("schemes", "check", *names).code == 0


def test_check_tells_warnings_and_goes_on_to_the_next_file(run_cli, tmp_path):
    bad, odd = tmp_path / "bad.yaml", tmp_path / "odd.yaml"
    bad.write_text(TWO_MISTAKES + "  - {place: [0.5, 0.5]}\n  - {place: [0.5, 0.5003]}\n")
    odd.write_text(
        "name: odd\nsource: me\nnormaliser: plane_box\npoints:\n  - {part: left_pupil}\n"
    )
    result = run_cli("schemes", "check", odd, bad, tmp_path / "none.yaml", "wlfw")
    assert result.code == 1
    assert "jawz" in result.stderr and "chin is one named point" in result.stderr
    assert "closer to each other than 0.05 %" in result.stderr
    assert "missing: right_pupil" in result.stderr
    assert "none.yaml: cannot read" in result.stderr and "did you mean wflw" in result.stderr
    assert "3 schemes have mistakes" in result.stderr
    alone = run_cli("schemes", "check", odd, "--json")
    assert alone.code == 0
    assert len(json.loads(alone.stdout)[0]["warnings"]) == 2


@pytest.mark.parametrize(("ground", "panels"), [("both", 4), ("mean-face", 2), ("plane", 3)])
def test_plot_on_the_plane_and_on_the_mean_face(run_cli, tmp_path, ground, panels):
    import cv2

    picture = tmp_path / "p.png"
    done = run_cli("schemes", "plot", "ibug68", "mtfl", "--on", ground, "-o", picture)
    assert done.code == 0
    height, width = cv2.imread(str(picture)).shape[:2]
    assert width == panels * height
