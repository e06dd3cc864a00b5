"""The errors a user can meet: each says what is wrong and where, and hints at the next step.

The library raises these; only ``tufa_cli.cli`` turns them into text and an exit code. Anything
else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class TufaError(Exception):
    """Something the user can fix.

    ``message`` says what and where on one line; ``hint`` says what to do next, or is None.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(TufaError):
    """A file the user gave cannot be used: names the file and, where there is one, the line."""

    def __init__(
        self, path: object, problem: str, line: int | None = None, hint: str | None = None
    ) -> None:
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}", hint)
        self.path = path
        self.line = line
        self.problem = problem


class OutputError(TufaError):
    """A result could not be written (exists already, disk full, no permission)."""


class UnknownNameError(TufaError):
    """A name that is not among those known; the nearest ones are offered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str | None = None) -> None:
        known = sorted(known)
        near = nearest(name, known)
        known_list = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
        offer = f"did you mean {' or '.join(near)}?" if near else f"known: {known_list}"
        super().__init__(f"unknown {kind} '{name}'" + (f": {offer}" if known else ""), hint)
        self.name, self.known = name, known


class ProblemsError(TufaError):
    """Several mistakes in one file or configuration, reported together."""

    def __init__(self, path: object, problems: Sequence[str], hint: str | None = None) -> None:
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        lines = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{path}: {count}\n{lines}", hint)
        self.problems = tuple(problems)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names in ``known`` that look most like ``name``, best first (may be empty)."""
    lowered = {k.lower(): k for k in known}
    matches = difflib.get_close_matches(name.lower(), list(lowered), n=count, cutoff=0.5)
    return [lowered[m] for m in matches]
