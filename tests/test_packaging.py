"""The wheel and the sdist: what is inside, what must not be, and that the wheel works elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from email.parser import Parser
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
FREE_PHOTOS = {"examples/photos/astronaut.jpg", "examples/photos/grace_hopper.jpg"}
LABEL_SUFFIXES = {".pts", ".npz", ".csv", ".mat", ".jsonl"}
PACK_SUFFIXES = {".h5", ".hdf5"}
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}
WEIGHTS = "tufa_cli/model/weights/nano.pt"
MAX_BYTES = 20_000_000


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of what git would publish, so that building leaves no build/ in the checkout."""
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("needs the git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    root = tmp_path_factory.mktemp("tree")
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, root / name)
    return root


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", out, tree)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(tree, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    call = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", call, out], cwd=tree, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    (path,) = out.glob("*.tar.gz")
    return path


def pip(*args: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*command, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def contents(archive: Path) -> dict[str, bytes]:
    """Name in the archive (an sdist's top folder left out) -> bytes."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            return {name: file.read(name) for name in file.namelist()}
    with tarfile.open(archive) as file:
        return {
            member.name.partition("/")[2]: file.extractfile(member).read()
            for member in file.getmembers()
            if member.isfile()
        }


@pytest.fixture(params=["wheel", "sdist"])
def archive(request) -> Path:
    return request.getfixturevalue(request.param)


def test_no_photo_but_the_free_ones(archive):
    photos = {name for name in contents(archive) if Path(name).suffix.lower() in PHOTO_SUFFIXES}
    assert photos == (set() if archive.suffix == ".whl" else FREE_PHOTOS)


def test_no_label_file_and_no_pack(archive):
    names = contents(archive)
    assert len(names) > 50
    assert [n for n in names if Path(n).suffix.lower() in LABEL_SUFFIXES | PACK_SUFFIXES] == []


def test_no_photo_name_in_any_file(archive, shared):
    """Names of dataset photos are personal data: not in YAML, JSON, weights or tests."""
    names = photo_names(shared)
    assert len(names) > 10_000
    found = {
        (inside, word)
        for inside, data in contents(archive).items()
        for word in words(data)
        if word in names
    }
    assert found == set()


def photo_names(shared: Path) -> set[str]:
    """Every photo's file name, and its stem where that is a name and not just a number."""
    photos = [p for p in (shared / "data").rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES]
    stems = {p.stem for p in photos if len(p.stem) >= 8 and re.search(r"[\d_-]", p.stem)}
    return {p.name for p in photos if not re.fullmatch(r"\d{1,3}", p.stem)} | stems


def words(data: bytes) -> Iterator[str]:
    return (match.group().decode("ascii") for match in re.finditer(rb"[\w.-]{8,}", data))


def test_data_files_are_inside(wheel, sdist):
    in_wheel, in_sdist = contents(wheel), contents(sdist)
    data = sorted(p for s in ("*.yaml", "*.json") for p in (CHECKOUT / "schemes").glob(s))
    assert {"plane.json", "meanshapes.json", "ibug68.yaml"} <= {path.name for path in data}
    for path in data:
        assert in_wheel[f"tufa_cli/schemes/builtin/{path.name}"] == path.read_bytes()
        assert in_sdist[f"schemes/{path.name}"] == path.read_bytes()
    assert "tufa_cli/py.typed" in in_wheel
    for name in ("Makefile", "constraints.txt", "tests/conftest.py", "README.md", "LICENSE"):
        assert name in in_sdist


def test_the_weights_are_inside(wheel, sdist):
    assert (CHECKOUT / WEIGHTS).is_file(), "the trained weights are not in the checkout"
    assert len(contents(wheel)[WEIGHTS]) == len(contents(sdist)[WEIGHTS]) > 100_000


def test_every_module_is_inside(wheel):
    modules = {path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("tufa_cli/**/*.py")}
    inside = {name for name in contents(wheel) if name.endswith(".py")}
    assert inside == modules | {"tufa_cli/schemes/builtin/__init__.py"}


def test_the_size_stays_small(archive):
    assert archive.stat().st_size < MAX_BYTES


def test_metadata_says_who_may_do_what(wheel):
    inside = contents(wheel)
    (name,) = (name for name in inside if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(inside[name].decode("utf-8"))
    assert metadata["License-Expression"] == "Apache-2.0 AND LicenseRef-tufa-research-weights"
    assert metadata["Requires-Python"] == ">=3.10"
    folder = name.rpartition("/")[0]
    assert "Apache License" in inside[f"{folder}/licenses/LICENSE"].decode("utf-8")
    weights = inside[f"{folder}/licenses/WEIGHTS_LICENSE.md"].decode("utf-8")
    assert "research" in weights and "Apache" in weights


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the wheel unpacked by pip, for a process that must not see the checkout."""
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-compile", "--target", target, wheel)
    return target


@pytest.fixture
def elsewhere(installed, python) -> Callable:
    """The installed command, run from the root folder."""

    def run(*args: object):
        return python(["-m", "tufa_cli", *args], cwd=Path("/"), env={"PYTHONPATH": str(installed)})

    return run


def test_the_wheel_is_what_runs(installed, python):
    code = "import tufa_cli, tufa_cli.schemes.builtin as b; print(tufa_cli.__file__, b.__file__)"
    result = python(["-c", code], cwd=Path("/"), env={"PYTHONPATH": str(installed)})
    assert result.stdout.count(str(installed)) == 2, result.stderr


def test_the_installed_wheel_finds_its_schemes(elsewhere):
    result = elsewhere("schemes", "list")
    assert result.code == 0, result.stderr
    for name in ("ibug68", "wflw98", "cofw29", "aflw21", "aflw19", "scut86", "mtfl5"):
        assert name in result.stdout


def test_the_installed_wheel_annotates(elsewhere, tmp_path):
    photos, out = CHECKOUT / "examples" / "photos", tmp_path / "faces.json"
    result = elsewhere("annotate", photos, "--scheme", "wflw", "-o", out)
    assert result.code == 0, result.stderr
    assert out.stat().st_size > 1000
