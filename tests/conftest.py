"""What every test may use: the shared data when it is there, one photo, and the real command."""

from __future__ import annotations

import errno
import os
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Before numpy or torch is loaded by any test: a pool of threads per library on two cores is slower
# than two threads, and the children that `run_cli` starts inherit these too.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.update({"PYTHONHASHSEED": "0", "NO_COLOR": "1", "COLUMNS": "100", "TZ": "UTC"})
for _name in [name for name in os.environ if name.startswith("TUFA_")]:
    del os.environ[_name]

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = CHECKOUT.parent / "shared"

settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


class Result(NamedTuple):
    """What a command did."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Every test starts from the same random state, whatever ran before it or alone."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of datasets beside the checkout; tests that need it are skipped without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the datasets in ../shared/data, which this machine does not have")
    return SHARED


@pytest.fixture(scope="session")
def own_scheme() -> str:
    """The YAML of a scheme nobody trained: three points of the jaw and the tip of the nose."""
    return """
name: mine
source: made here
normaliser: plane_box
points:
  - {part: jaw, t: [0.25, 0.5, 0.75]}
  - {part: nose_tip}
"""


@pytest.fixture
def astronaut() -> Any:
    """(512, 512, 3) uint8 RGB: one face, free to use; the file lies inside scikit-image."""
    from skimage.data import astronaut

    return astronaut().copy()


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., Result]:
    """The command as a user runs it, in a process of its own.

    ``run_cli("schemes", "list", cwd=..., stdin=..., env=...)`` returns code, stdout, stderr.
    """

    def run(
        *args: object,
        cwd: Path | None = None,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> Result:
        return run_python(["-m", "tufa_cli", *args], cwd, stdin, env, timeout)

    return run


def run_python(
    args: Sequence[object],
    cwd: Path | None = None,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Result:
    """This interpreter with ``args``; text in and out is UTF-8."""
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        input=stdin,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def python() -> Callable[..., Result]:
    """``run_python`` as a fixture: the interpreter with any arguments."""
    return run_python


class Desk(NamedTuple):
    """Where a user tries the lines of a page: ``folder`` has ``examples`` in it, and ``tufa-cli``
    and ``python`` are this very code and interpreter."""

    folder: Path
    env: Mapping[str, str]

    def run(self, text: str, timeout: float = 300) -> Result:
        """``text`` in a shell that stops at the first line that fails."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text],
            cwd=self.folder,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """See ``Desk``; ``tmp_path`` is the folder above."""
    for name, words in (("tufa-cli", " -m tufa_cli"), ("python", "")):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "examples").symlink_to(CHECKOUT / "examples", target_is_directory=True)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return Desk(folder, {**os.environ, "PATH": path, "PYTHONPATH": str(CHECKOUT)})


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called, it fills the disk: whatever a path is opened for writing takes half of one write."""
    opened = Path.open

    def full(self: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
        stream = opened(self, mode, *more, **options)
        if not set("wax+") & set(mode):
            return stream

        class Full:
            def write(self, data: Any) -> int:
                stream.write(data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")

            def writelines(self, lines: Any) -> None:
                self.write("".join(lines))

            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                stream.close()

            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

        return Full()

    return lambda: monkeypatch.setattr(Path, "open", full)


@pytest.fixture(scope="session")
def understands() -> Callable[[str], None]:
    """Fails when a shell line calls a command of ours, or an option, that does not exist.

    Runs nothing: ``understands("tufa-cli schemes list | head")``.
    """
    return check_line


def check_line(line: str) -> None:
    """See the fixture ``understands``."""
    import click

    from tufa_cli.cli import cli

    for part in re.split(r"\s[|;]\s|&&|\s>>?\s", line):
        words = shlex.split(part, comments=True)
        if "tufa-cli" not in words:
            continue
        words = words[words.index("tufa-cli") + 1 :]
        command: click.Command | None = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            command = command.get_command(click.Context(command), words.pop(0))
            assert command is not None, f"{line}: no such command"
        context = click.Context(command, help_option_names=["-h", "--help"])
        command.make_parser(context).parse_args(words)
