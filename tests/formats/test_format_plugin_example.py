"""examples/format_plugin as another package: installed, tested, used, and beside broken ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "format_plugin"
DOTS = "DOTSHEET 1\nphoto 9 8 s/a.jpg\nface mtfl5 1 1 6 6\n" + "v 2 3\n" * 4 + "h 1.5 1\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has put the example into, without the net."""
    source = tmp_path_factory.mktemp("source") / "format_plugin"
    shutil.copytree(
        EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg*")
    )
    target = tmp_path_factory.mktemp("site")
    words = ["install", "--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(
        [*command, "--target", str(target), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture
def env(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(site), str(CHECKOUT)])}


@pytest.fixture
def bring(tmp_path: Path, env: dict[str, str]) -> Callable[..., None]:
    """Puts one more package on the path: ``bring("name", "format = module", "code of module")``."""

    def make(package: str, entry: str, code: str = "") -> None:
        info = tmp_path / "more" / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[tufa_cli.formats]\n{entry}\n")
        (info.parent / f"{package}.py").write_text(code)
        env["PYTHONPATH"] = os.pathsep.join(
            [str(info.parent), *env["PYTHONPATH"].split(os.pathsep)]
        )

    return make


def test_its_own_tests_pass(python: Callable[..., Any], env: dict[str, str]) -> None:
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of this machine take their time to load
    words = ["-m", "pytest", "-p", "no:cacheprovider", "--rootdir", EXAMPLE]
    done = python([*words, EXAMPLE / "test_dots_format.py"], env=env)
    assert done.code == 0, done.stdout
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_the_command_knows_it(run_cli: Any, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in.dots").write_text(DOTS)
    words = ("--to", "coco", "-o", "o.json", "--where", "hidden == 1")
    done = run_cli("convert", "in.dots", *words, cwd=tmp_path, env=env)
    assert done.code == 0, done.stderr
    assert done.stderr.startswith("Read 1 photo, 1 face (dots).\n")
    face = json.loads((tmp_path / "o.json").read_text())["annotations"][0]
    assert face["keypoints"] == [1, 2, 2] * 4 + [0.5, 0, 1] and face["bbox"] == [0, 0, 6, 6]
    done = run_cli("convert", "o.json", "--to", "dots", "-o", "b.dots", cwd=tmp_path, env=env)
    assert done.code == 0, done.stderr
    assert (tmp_path / "b.dots").read_text().count("v 2.000000 3.000000\n") == 4
    done = run_cli("convert", "in.dots", "--to", "coco", "--dry-run", cwd=tmp_path)
    assert done.code == 1 and "looks like none of the known formats" in done.stderr


def test_broken_packages_are_said_and_take_nothing_down(
    run_cli: Any, env: dict[str, str], bring: Callable[..., None], tmp_path: Path
) -> None:
    bring("gone", "gone = gone", "import a_library_nobody_has")
    bring("exits", "exits = exits", "raise SystemExit('no licence')")
    bring("old", "old = old", "NAME = 'old'\ndef sniff(path): return True")
    bring("taker", "coco = taker")
    bring("again", "dots = again")
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 1\n{\n1 2\n}\n")
    done = run_cli("convert", "a.pts", "--to", "coco", "-o", "o.json", cwd=tmp_path, env=env)
    assert done.code == 0 and "Traceback" not in done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning: format ")]
    assert warnings == [
        "Warning: format 'coco' of another package (taker 1.0, taker) is not used: built in",
        "Warning: format 'dots' is brought by several packages (again 1.0, again, "
        "tufa-format-dots 0.1, dots_format): none is used",
        "Warning: format 'exits' (exits 1.0, exits) cannot be loaded: SystemExit: no licence",
        "Warning: format 'gone' (gone 1.0, gone) cannot be loaded: ModuleNotFoundError: "
        "No module named 'a_library_nobody_has'",
        "Warning: format 'old' (old 1.0, old) has no TITLE, CAPABILITIES, read, write",
    ]
    words = ("--from", "gone", "--to", "coco", "-o", "p.json")
    done = run_cli("convert", "a.pts", *words, cwd=tmp_path, env=env)
    assert done.code == 1
    assert done.stderr.startswith("Error: format 'gone' (gone 1.0, gone) cannot be loaded")
    assert "TUFA_DISABLE_PLUGINS=1" in done.stderr


def test_a_package_whose_list_of_formats_is_damaged(
    run_cli: Any, env: dict[str, str], bring: Callable[..., None], tmp_path: Path
) -> None:
    bring("odd", "[[\n= =\nno sense")
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 1\n{\n1 2\n}\n")
    done = run_cli("convert", "a.pts", "--to", "coco", "--dry-run", cwd=tmp_path, env=env)
    assert (done.code, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "Warning: " in done.stderr
