"""``convert`` as a user runs it: files, messages on stderr, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PTS = "version: 1\nn_points: 2\n{\n1.5 2\n3 4\n}\n"
FACE = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 0, 0, 0]}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [FACE],
    "categories": [{"id": 1, "name": "face", "keypoints": []}],
}


#: Exit code, stdout and stderr of a run in this process: ``Ran`` of conftest.
Run = Any


@pytest.fixture
def run(run_convert: Callable[..., Run]) -> Callable[..., Run]:
    return run_convert


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """A folder of two .pts files, one photo."""
    folder = tmp_path / "points"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pts").write_text(PTS)
    (folder / "sub/b.pts").write_text(PTS)
    (folder / "a.jpg").touch()
    return folder


def test_converts_and_says_so_on_stderr(run: Callable[..., Run], points: Path) -> None:
    done = run("points", "--to", "coco", "-o", "out/faces.json")
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "Read 2 photos, 2 faces (pts).\n"
        "Photos not found: 1 (--images names their folder).\n"
        "Wrote 2 faces of 2 photos in 1 file to out/faces.json (coco).\n"
    )
    data = json.loads(Path("out/faces.json").read_text())
    assert [row["file_name"] for row in data["images"]] == ["a.jpg", "sub/b.jpg"]
    assert data["annotations"][0]["keypoints"] == [0.5, 1, 2, 2, 3, 2]


def test_there_and_back(run: Callable[..., Run], points: Path) -> None:
    run("points", "--to", "coco", "-o", "faces.json")
    done = run("faces.json", "--to", "pts", "-o", "back")
    assert done.code == 0
    text = Path("back/sub/b.pts").read_text()
    assert text == "version: 1\nn_points: 2\n{\n1.500000 2.000000\n3.000000 4.000000\n}\n"


def test_json_report_on_stdout(run: Callable[..., Run], points: Path) -> None:
    done = run("points", "--to", "coco", "-o", "f.json", "--json")
    report = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert report["read"] == {"photos": 2, "faces": 2}
    assert report["written"] == {"files": 1, "photos": 2, "faces": 2}
    assert (report["from"], report["to"], report["output"]) == ("pts", "coco", "f.json")
    assert (report["lost"], report["dropped"], report["failed"]) == ([], [], [])


def test_refuses_to_lose_anything_unsaid(run: Callable[..., Run], tmp_path: Path) -> None:
    face = FACE | {"bbox": [1, 2, 3, 4], "keypoints": [1, 2, 2, 3, 4, 2]}
    Path("in.json").write_text(json.dumps(COCO | {"annotations": [face]}))
    done = run("in.json", "--to", "pts", "-o", "out")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "pts cannot hold the box: 1 face, first in a.jpg\n"
        "Error: pts cannot hold all of it; nothing written\n"
        "Hint: --allow-lossy writes the rest; coco holds everything\n"
    )
    assert not Path("out").exists()
    done = run("in.json", "--to", "pts", "-o", "out", "--allow-lossy")
    assert done.code == 0
    assert "Lost: the box: 1 face, first in a.jpg\n" in done.err
    assert Path("out/a.pts").is_file()


def test_missing_points(run: Callable[..., Run], tmp_path: Path) -> None:
    Path("in.json").write_text(json.dumps(COCO))
    done = run("in.json", "--to", "pts", "-o", "out")
    assert done.code == 1
    assert "pts cannot hold that points are missing: 1 face, first in a.jpg" in done.err
    assert "--missing drop-face or sentinel" in done.err
    done = run("in.json", "--to", "pts", "-o", "out", "--allow-lossy")
    assert done.code == 1
    assert "a.jpg: pts cannot say that point 1 is missing" in done.err
    done = run("in.json", "--to", "pts", "-o", "out", "--missing", "drop-face")
    assert (done.code, Path("out").exists()) == (0, False)
    assert "Dropped: 1 face with points that pts cannot hold\n" in done.err
    assert "Wrote 0 faces" in done.err
    done = run("in.json", "--to", "pts", "-o", "out", "--missing", "sentinel")
    assert done.code == 0
    assert Path("out/a.pts").read_text().splitlines()[4] == "-1 -1"


def test_dry_run_writes_nothing(run: Callable[..., Run], tmp_path: Path) -> None:
    Path("in.json").write_text(json.dumps(COCO))
    done = run("in.json", "--to", "pts", "--dry-run")
    assert done.code == 0
    assert "Would be lost: that points are missing: 1 face" in done.err
    assert done.err.endswith("Dry run: nothing written (pts).\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_overwrite(run: Callable[..., Run], points: Path) -> None:
    Path("f.json").write_text("mine")
    done = run("points", "--to", "coco", "-o", "f.json")
    assert done.code == 1
    assert done.err == "Error: f.json: exists already\nHint: use --overwrite to replace it\n"
    assert Path("f.json").read_text() == "mine"
    assert run("points", "--to", "coco", "-o", "f.json", "--overwrite").code == 0


def test_a_broken_file_stops_or_is_skipped(run: Callable[..., Run], points: Path) -> None:
    (points / "b.pts").write_text(PTS.replace("3 4\n", ""))
    done = run("points", "--from", "pts", "--to", "coco", "-o", "f.json")
    assert (done.code, Path("f.json").exists()) == (1, False)
    assert done.err.startswith("Error: points/b.pts, line 5: n_points says 2, found 1 points\n")
    done = run("points", "-f", "pts", "-t", "coco", "-o", "f.json", "--on-error", "skip")
    assert done.code == 3
    assert done.err.startswith("Skipped: points/b.pts, line 5: n_points says 2, found 1 points\n")
    assert len(json.loads(Path("f.json").read_text())["images"]) == 2


def test_nothing_readable(run: Callable[..., Run], tmp_path: Path) -> None:
    Path("a.pts").write_text("x")
    done = run(".", "--from", "pts", "--to", "coco", "-o", "f.json", "--on-error", "skip")
    assert (done.code, Path("f.json").exists()) == (1, False)
    assert "Skipped: a.pts, line 1" in done.err
    assert "Error: .: nothing could be read" in done.err


def test_explain_tells_why(run: Callable[..., Run], points: Path) -> None:
    done = run("points", "--explain")
    assert (done.code, done.err) == (0, "")
    rows = {line.split()[0]: line.split(None, 2)[1:] for line in done.out.splitlines()}
    assert rows["pts"] == ["yes", ".pts text without a pair of negative numbers"]
    assert rows["coco"] == ["no", "no .json file in it"]
    verdicts = json.loads(run("points", "--explain", "--json").out)["formats"]
    assert verdicts["pts"]["yes"] is True and verdicts["scut"]["yes"] is False


def test_ambiguity_names_the_candidates(run: Callable[..., Run], points: Path) -> None:
    (points / "f.json").write_text(json.dumps(COCO))
    done = run("points", "--to", "coco", "-o", "f.json")
    assert done.code == 1
    assert done.err.startswith(
        "Error: points: looks like coco and pts\nHint: say which with --from"
    )


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("points", "--to", "pst", "-o", "o"), 1, "unknown format 'pst': did you mean pts"),
        (("points", "--from", "wlfw", "--to", "pts", "-o", "o"), 1, "did you mean wflw"),
        (("points", "--to", "coco", "-o", "o", "--scheme", "ibug"), 1, "unknown scheme 'ibug'"),
        (
            ("points", "--to", "coco", "-o", "o", "--scheme", "ibug68"),
            1,
            "expected 68 points, found 2",
        ),
        (("points", "--to", "coco", "-o", "o", "--images", "no"), 1, "no such folder of photos"),
        (("absent", "--to", "coco", "-o", "o"), 1, "absent: no such file or folder"),
        (("points", "--to", "coco", "-o", "points"), 1, "points: is a folder"),
        (("points", "--to", "wflw", "-o", "o"), 1, "a face of 2 points; wflw holds 98"),
        (("points", "-o", "o"), 2, "Missing option '--to'"),
        (("points", "--to", "coco"), 2, "Missing option '--output'"),
        (
            ("points", "--to", "coco", "-o", "o", "--missing", "x"),
            2,
            "Invalid value for '--missing'",
        ),
        ((), 2, "Missing argument 'SOURCES...'"),
    ],
)
def test_mistakes(
    run: Callable[..., Run], points: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    done = run(*args)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not Path("o").exists()


def test_index_bases(run: Callable[..., Run], points: Path) -> None:
    args = ("points/a.pts", "--to", "pts", "-o", "o.pts", "--index-base", "0")
    assert run(*args).code == 0
    assert Path("o.pts").read_text().splitlines()[3] == "2.500000 3.000000"
    assert run(*args, "--to-index-base", "0", "--overwrite").code == 0
    assert Path("o.pts").read_text().splitlines()[3] == "1.500000 2.000000"


def test_in_a_process_of_its_own(run_cli: Callable[..., Any], points: Path) -> None:
    done = run_cli("convert", points, "--to", "coco", "-o", points.parent / "f.json")
    assert (done.code, done.stdout) == (0, "")
    assert "Wrote 2 faces" in done.stderr
    assert (points.parent / "f.json").is_file()


@pytest.mark.parametrize("format", ["aflw-sqlite", "aflwinfo"])
def test_formats_that_are_read_only_say_so_before_reading(
    run: Callable[..., Run], points: Path, format: str
) -> None:
    (points / "a.pts").write_text("broken")
    done = run("points", "--to", format, "-o", "out")
    assert done.code == 1 and f"Error: {format} is read only: " in done.err
    assert "broken" not in done.err and not Path("out").exists()


def test_a_dry_run_extracts_nothing(run: Callable[..., Run], tmp_path: Path) -> None:
    import numpy as np

    from tufa_cli.annotation import AnnotatedImage, Face
    from tufa_cli.formats import write
    from tufa_cli.images.drawing import write_picture

    write_picture(tmp_path / "000001.png", np.full((9, 7, 3), 99, dtype=np.uint8))
    image = AnnotatedImage("000001.png", (Face(np.ones((29, 2))),), root=str(tmp_path))
    write([image], tmp_path / "cofw.mat", "cofw")
    words = ("cofw.mat", "--to", "coco", "--from-setting", "extract=photos")
    assert run(*words, "--dry-run").code == 0
    assert not Path("photos").exists()
    done = run(*words, "-o", "o.json")
    assert done.code == 0 and "not found" not in done.err
    assert Path("photos/000001.png").is_file()
