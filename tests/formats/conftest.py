"""Files by hand, and what must come of broken ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tufa_cli.errors import InputError
from tufa_cli.formats import read


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file below the test's folder, whose name may hold folders; gives its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def refused() -> Callable[..., InputError]:
    """The InputError of reading a source, which must be the same when reading goes on after it."""

    def check(source: Path, format: str, problem: str, line: int | None = None) -> InputError:
        with pytest.raises(InputError, match=problem) as caught:
            list(read(source, format))
        assert caught.value.line == line
        failures: list[InputError] = []
        try:
            list(read(source, format, on_error=failures.append))
        except InputError as error:  # the file as a whole cannot be read
            failures.append(error)
        assert any(re.search(problem, str(failure)) for failure in failures)
        return caught.value

    return check
