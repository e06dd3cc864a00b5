"""What may lie in the repository, and what may not: photos, labels, machine paths, pickles."""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
LABELS = {".pts", ".npz", ".csv", ".mat", ".h5", ".hdf5", ".jsonl"}
#: Folders that only exist on the machines this is written on; split so that this file passes.
MACHINE_PATH = re.compile(r"(?<![\w.])/(" + "|".join(["wo" + "rk", "fa" + "rm"]) + r")/")


def git(*args: str) -> str:
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("needs the git checkout")
    done = subprocess.run(["git", *args], cwd=CHECKOUT, capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file git knows, or would add: what a commit of everything would publish."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    files = [CHECKOUT / name for name in sorted(set(names)) if name]
    return [path for path in files if path.is_file()]


def test_nothing_is_a_copy_of_the_shared_data(tracked, shared):
    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    ours = defaultdict(list)
    for path in tracked:
        if path.stat().st_size > 64:
            ours[path.stat().st_size].append(path)
    copies = [
        (path, theirs)
        for theirs in shared.rglob("*")
        if theirs.is_file()
        for path in ours.get(theirs.stat().st_size, ())
        if digest(path) == digest(theirs)
    ]
    assert copies == []


def test_pictures_are_the_free_ones_and_what_is_made_from_them(tracked):
    pictures = {
        path.relative_to(CHECKOUT).as_posix() for path in tracked if path.suffix in PICTURES
    }
    photos = {name for name in pictures if not name.startswith("docs/images/")}
    assert photos == {"examples/photos/astronaut.jpg", "examples/photos/grace_hopper.jpg"}


def test_every_photo_has_its_source_and_status_written_down(tracked):
    text = (CHECKOUT / "examples/photos/README.md").read_text(encoding="utf-8")
    for path in (CHECKOUT / "examples/photos").glob("*.jpg"):
        row = next(line for line in text.splitlines() if f"`{path.name}`" in line)
        assert "public domain" in row


def test_no_label_file_is_tracked(tracked):
    assert [path for path in tracked if path.suffix in LABELS] == []


def test_no_path_of_one_machine_is_written_down(tracked):
    found = []
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


def test_files_are_small(tracked):
    large = [path for path in tracked if path.stat().st_size > 20_000_000]
    assert large == [] and sum(path.stat().st_size for path in tracked) < 80_000_000


@pytest.mark.parametrize(
    "name",
    [
        "faces.h5",
        "some/folder/pack.hdf5",
        "demo/wflw98.json",
        "demo/wflw98/astronaut.jpg",
        "runs/first/last.pt",
        "out/annotations.json",
        "overlays/a.jpg",
        "reports/val.json",
        "packs/all.h5",
        ".venv/bin/python",
        "build/lib/x.py",
    ],
)
def test_what_a_user_makes_is_ignored(name):
    assert git("check-ignore", "--no-index", name).strip() == name


@pytest.mark.parametrize("name", ["schemes/ibug68.yaml", "tufa_cli/model/weights/nano.pt"])
def test_what_the_package_needs_is_not_ignored(name):
    assert git("check-ignore", "--no-index", name) == ""


def test_weights_are_read_as_plain_tensors_only(tracked):
    """``torch.load`` without ``weights_only=True`` runs whatever code the file brings."""
    calls = []
    for path in (path for path in tracked if path.suffix == ".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                calls.append((path, node))
    assert calls, "nothing loads weights: has the loader moved away from torch.load?"
    for path, node in calls:
        values = {word.arg: ast.unparse(word.value) for word in node.keywords}
        assert values.get("weights_only") == "True", f"{path}:{node.lineno}"
