"""``tufa-cli schemes new``, and what a scheme file alone is enough for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tufa_cli.cli import main
from tufa_cli.formats import read, write
from tufa_cli.schemes import anchors_for, builtin_plane, get_scheme
from tufa_cli.schemes.parts import same


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def tufa(capfd, monkeypatch):
    """The command in this process (starting one takes a second or two)."""
    monkeypatch.setenv("TUFA_NO_PROGRESS", "1")

    def run(*args):
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def photos(checkout) -> Path:
    return checkout / "examples" / "photos"


@pytest.fixture(scope="module")
def predicted(photos, tmp_path_factory, run_cli) -> dict[str, dict[str, np.ndarray]]:
    """What the shipped network says of the photos: scheme to photo to points_px."""
    found = {}
    schemes = {"own": photos.parent / "my_scheme.yaml", "wflw98": "wflw98", "ibug68": "ibug68"}
    for key, scheme in schemes.items():
        file = tmp_path_factory.mktemp("labels") / f"{key}.json"
        done = run_cli("annotate", photos, "--scheme", scheme, "-o", file, "--device", "cpu")
        assert done.code == 0, done.stderr
        own = scheme if key == "own" else key
        found[key] = {image.path: image.faces[0].points_px for image in read(file, scheme=str(own))}
    return found


def save(path: Path, points, names=None) -> Path:
    entries = {"points": np.asarray(points).tolist()} | ({"names": names} if names else {})
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def test_parts_to_a_file_that_check_finds_fine(tufa, tmp_path):
    out = tmp_path / "mine.yaml"
    made = tufa("schemes", "new", "--parts", "jaw:33, left_eye:8", "-o", out, "--title", "T: é")
    assert made.code == 0 and made.out == ""
    assert "mine, 41 points" in made.err
    assert "8 points have no counterpart" in made.err and "right_eye_upper" in made.err
    scheme = get_scheme(str(out))
    assert (scheme.name, scheme.title, len(scheme)) == ("mine", "T: é", 41)
    checked = tufa("schemes", "check", out)
    assert checked.code == 0
    assert "fine, 41 points" in checked.out and "Warning" in checked.err
    again = tufa("schemes", "new", "--parts", "jaw:3", "-o", out)
    assert again.code == 1 and "use --overwrite" in again.err
    assert len(get_scheme(str(out))) == 41
    report = tufa("schemes", "new", "--parts", "jaw:3, pupils", "-o", out, "--overwrite", "--json")
    fields = json.loads(report.out)
    assert fields["points"] == 5 and fields["normaliser"] == [3, 4]
    assert fields["missing_sides"] == fields["warnings"] == []


def test_like_goes_to_stdout_and_reads_back(tufa, tmp_path):
    made = tufa("schemes", "new", "--like", "wflw", "--only", "eyes,mouth", "--name", "em")
    file = tmp_path / "x.yaml"
    file.write_text(made.out, encoding="utf-8")
    assert len(get_scheme(str(file))) == 38
    assert get_scheme(str(file)).name == "em"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ([], 2, "one of --parts, --from-points and --like"),
        (["--parts", "jaw:3", "--like", "wflw98"], 2, "one of --parts"),
        (["--parts", "jaw:3", "--only", "eyes"], 2, "--only goes with --like"),
        (["--parts", "jaw:3", "--json"], 2, "--json needs an --output"),
        (["--parts", "jaw:3, jawz:3, chin:2"], 1, "did you mean jaw"),
        (["--parts", "jaw:10000"], 1, "both mean jaw@"),
        (["--parts", "jaw:3", "--name", "300w"], 1, "another one with --name"),
        (["--parts", "jaw:3", "--normaliser", "0,7"], 1, "no point 7"),
        (["--like", "wlfw98"], 1, "did you mean wflw98"),
        (["--like", "mtfl5", "--only", "jaw"], 1, "no point in jaw"),
        (["--from-points", "none.json"], 1, "no such file"),
        (["--from-points", "."], 1, "none of the known formats"),
    ],
)
def test_what_does_not_go(tufa, tmp_path, monkeypatch, args, code, words):
    monkeypatch.chdir(tmp_path)
    ran = tufa("schemes", "new", *args)
    assert ran.code == code
    assert words in ran.err and ran.out == ""


def test_a_part_that_the_plane_lacks(tufa, tmp_path):
    plane = builtin_plane()
    small = type(plane)("small", "wflw98", {"wflw98": plane["wflw98"]})
    file = tmp_path / "plane.json"
    file.write_text(small.to_json(), encoding="utf-8")
    ran = tufa("schemes", "new", "--parts", "ears, chin", "--plane", file)
    assert ran.code == 1
    assert "no place for left_ear" in ran.err and "no place for right_ear" in ran.err
    assert tufa("schemes", "new", "--parts", "ears, chin").code == 0


@pytest.mark.parametrize(
    ("points", "names", "count"),
    [
        ([[0.3, 0.2], [0.7, 0.2], [0.5, 0.7]], None, 3),
        ([[0.5, 0.1 + 0.02 * i] for i in range(30)], None, 30),
        (
            [[0.1 + 0.008 * (i % 100), 0.1 + 0.008 * (i // 100)] for i in range(10_000)],
            None,
            10_000,
        ),
    ],
    ids=["three", "line", "many"],
)
def test_few_points_points_on_a_line_and_thousands(tufa, tmp_path, photos, points, names, count):
    file, out = save(tmp_path / "p.json", points, names), tmp_path / "p.yaml"
    made = tufa("schemes", "new", "--from-points", file, "--on", "plane", "-o", out)
    assert made.code == 0, made.err
    places = anchors_for(get_scheme(str(out)), builtin_plane())
    assert len(places) == count
    assert np.linalg.norm(places - points, axis=1).max() < 0.0051
    assert tufa("schemes", "check", out).code == 0
    assert tufa("schemes", "plot", out, "-o", tmp_path / "p.png").code == 0
    if count == 10_000:
        return  # annotating with it takes ten seconds
    photo = photos / "astronaut.jpg"
    ran = tufa("annotate", photo, "--scheme", out, "-o", tmp_path / "o.json", "--device", "cpu")
    assert ran.code == 0 and "1 face" in ran.err


@pytest.mark.parametrize(
    ("points", "names", "words"),
    [
        ([[0.5, 0.1], [0.5, 0.1]], None, "points 0 and 1 both mean plane(0.5, 0.1)"),
        ([[0.5, 0.1], [0.5, 0.2]], ["a", "a"], "points 0 and 1 are both named 'a'"),
        ([[0.5, 0.1], [0.5, 0.1003]], None, "closer to each other than 0.05 %"),
        ([[300, 200], [400, 200]], None, "lies far from the face"),
        ([], None, "'points' is a list"),
    ],
)
def test_points_that_do_not_go(tufa, tmp_path, points, names, words):
    file = save(tmp_path / "p.json", points, names)
    ran = tufa("schemes", "new", "--from-points", file, "--on", "plane")
    assert ran.code == 1
    assert words in ran.err


def test_points_clicked_on_a_photo(tufa, tmp_path, photos, predicted):
    """The network's own points, without their meanings, find these again in another file type."""
    clicked = predicted["ibug68"]["astronaut.jpg"]
    wanted = [36, 45, 30, 48, 54, 8, 19]
    file, out = save(tmp_path / "clicks.json", clicked[wanted]), tmp_path / "mine.yaml"
    bare = tufa("schemes", "new", "--from-points", file, "-o", out)
    assert bare.code == 1 and "--photo" in bare.err
    args = ["--photo", photos / "astronaut.jpg", "--device", "cpu"]
    made = tufa("schemes", "new", "--from-points", file, "-o", out, *args)
    assert made.code == 0, made.err
    ibug = get_scheme("ibug68")
    for found, index in zip(get_scheme(str(out)).meanings, wanted, strict=True):
        assert (
            found.part == ibug.meanings[index].part and abs(found.t - ibug.meanings[index].t) < 0.1
        )
    pts = tmp_path / "face.pts"
    rows = "\n".join(f"{x + 1} {y + 1}" for x, y in clicked[wanted])
    pts.write_text(f"version: 1\nn_points: {len(wanted)}\n{{\n{rows}\n}}\n", encoding="utf-8")
    (tmp_path / "face.jpg").write_bytes((photos / "astronaut.jpg").read_bytes())
    beside = tufa("schemes", "new", "--from-points", pts, "--name", "mine", "--device", "cpu")
    assert beside.out == out.read_text(encoding="utf-8")
    off = save(tmp_path / "off.json", clicked[wanted] + 2000)
    lost = tufa("schemes", "new", "--from-points", off, *args)
    assert lost.code == 1 and "on none of the faces" in lost.err


def test_names_and_labels_need_no_photo(tufa, tmp_path):
    wflw = builtin_plane()["wflw98"]
    names = ["left_eye_outer", "right_eye_outer", "chin", "mole"]
    points = 200 * np.array([*wflw[[60, 72, 16]], [0.25, 0.55]]) + 30
    file, out = save(tmp_path / "n.json", points, names), tmp_path / "n.yaml"
    assert tufa("schemes", "new", "--from-points", file, "-o", out).code == 0
    scheme = get_scheme(str(out))
    assert scheme.names[3] == "mole" and scheme.normaliser == (0, 1)
    np.testing.assert_allclose(
        anchors_for(scheme, builtin_plane()), [*wflw[[60, 72, 16]], [0.25, 0.55]], atol=1e-3
    )
    swapped = save(tmp_path / "s.json", points, [names[1], names[0], *names[2:]])
    assert "mirrored face" in tufa("schemes", "new", "--from-points", swapped).err


def test_labels_in_a_scheme_of_ours_mean_what_that_says(tufa, tmp_path, predicted):
    from tufa_cli.annotation import AnnotatedImage, Face

    points = predicted["ibug68"]["astronaut.jpg"]
    file, out = tmp_path / "l.json", tmp_path / "l.yaml"
    write([AnnotatedImage("gone.jpg", (Face(points, "ibug68"),))], file, "coco")
    assert tufa("schemes", "new", "--from-points", file, "-o", out).code == 0
    scheme = get_scheme(str(out))
    assert all(map(same, scheme.meanings, get_scheme("ibug68").meanings))


def test_the_scheme_written_by_hand_annotates_photos(checkout, predicted):
    """Ten lines, and each point is near what the network says in the schemes it was trained on."""
    file = checkout / "examples" / "my_scheme.yaml"
    assert len(file.read_text(encoding="utf-8").splitlines()) == 10
    assert len(predicted["own"]) == 2
    for photo, own in predicted["own"].items():
        wflw, ibug = predicted["wflw98"][photo], predicted["ibug68"][photo]
        jaw = [
            [np.interp(32 * t, range(33), wflw[:33, axis]) for axis in (0, 1)]
            for t in np.linspace(0.1, 0.9, 9)
        ]
        lip = wflw[[76, 87, 86, 85, 84, 83, 82]]
        between = wflw[[37, 38, 42, 50]].mean(axis=0)
        expected = np.array([*jaw, *lip, wflw[96], wflw[97], ibug[30], between])
        apart = np.linalg.norm(own - expected, axis=1) / np.linalg.norm(wflw[60] - wflw[72])
        assert apart.max() < 0.03, apart.round(3)
        assert apart.mean() < 0.015


@pytest.mark.parametrize(("to", "name"), [("pts", "labels"), ("coco", "labels.json")])
def test_a_scheme_file_alone_is_enough_to_evaluate_and_to_average(
    tufa, tmp_path, checkout, photos, to, name
):
    file, labels = checkout / "examples" / "my_scheme.yaml", tmp_path / name
    ran = tufa("annotate", photos, "--scheme", file, "-t", to, "-o", labels, "--device", "cpu")
    assert ran.code == 0, ran.err
    source = [labels, "--scheme", file, "--from", to]
    measured = tufa("evaluate", *source, "--images", photos, "--device", "cpu", "--json")
    assert measured.code == 0, measured.err
    report = json.loads(measured.out)
    assert report["scheme"] == "my-scheme"
    # Its own predictions, on crops that are cut by them: near, not equal.
    assert 0 < report["nme_percent"] < 5, report
    mean = tufa("meanshape", *source, "-o", tmp_path / "mean.json")
    assert mean.code == 0, mean.err
