"""Progress on stderr: a bar on a terminal, a line now and then elsewhere, nothing when unwanted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

#: Seconds between the lines of a progress that goes to a file.
_LINE_EVERY = 10.0

Item = TypeVar("Item")


@contextmanager
def progress(total: int, what: str, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """Show how many of ``total`` are done; call what it gives once for each.

    Off with ``quiet`` and where the variable CI or TUFA_NO_PROGRESS is set.
    """
    if quiet or os.environ.get("CI") or os.environ.get("TUFA_NO_PROGRESS"):
        yield lambda: None
    elif sys.stderr.isatty():
        with _bar(total, what) as advance:
            yield advance
    else:
        yield _lines(total, what)


@contextmanager
def _bar(total: int, what: str) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _lines(total: int, what: str) -> Callable[[], None]:
    done, last = 0, time.monotonic()

    def advance() -> None:
        nonlocal done, last
        done += 1
        if time.monotonic() - last >= _LINE_EVERY and done < total:
            last = time.monotonic()
            click.echo(f"{what}: {done}/{total}", err=True)

    return advance


def tracked(items: Iterable[Item], total: int, what: str) -> list[Item]:
    """All of ``items``; a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal
    return list(track(items, what, total, console=console, transient=True, disable=hidden))
