"""How a training shows itself: a live view on a terminal, plain lines elsewhere, JSON lines."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tufa_cli.training.progress import Progress

Report = Callable[["Progress"], None]


@contextmanager
def view(as_json: bool) -> Iterator[Report]:
    """A callback for ``training.loop.train``."""
    plain = os.environ.get("CI") or os.environ.get("TUFA_NO_PROGRESS")
    if as_json:
        yield json_line
    elif plain or not sys.stderr.isatty():
        yield line
    else:
        with _live() as report:
            yield report


def line(progress: Progress) -> None:
    """One line on stderr per report; the weights' path on stdout."""
    at = f"step {progress.step}/{progress.steps}"
    if progress.kind == "step":
        left = (progress.steps - progress.step) * progress.seconds_per_step / 60
        click.echo(
            f"{at}  loss {progress.loss:.3f}  {progress.seconds_per_step:.3f} s/step  "
            f"waiting {progress.wait_share:.0%}  {left:.0f} min left",
            err=True,
        )
    elif progress.kind == "validation":
        scores = "  ".join(f"{key} {value:.2f}" for key, value in progress.nme_percent.items())
        click.echo(f"{at}  NME %  {scores}", err=True)
    elif progress.kind in ("remark", "stopped"):
        click.echo(f"{at}  {progress.text}", err=True)
    elif progress.kind == "done":
        click.echo(progress.path)


def json_line(progress: Progress) -> None:
    """One JSON object per report on stdout, without values that are not numbers."""
    values = {
        key: value
        for key, value in vars(progress).items()
        if not (isinstance(value, float) and math.isnan(value)) and value not in ({}, "")
    }
    click.echo(json.dumps(values))


@contextmanager
def _live() -> Iterator[Report]:
    from rich.console import Console
    from rich.live import Live

    state = _State()
    with Live(state.render(), console=Console(stderr=True), refresh_per_second=4) as live:

        def report(progress: Progress) -> None:
            state.add(progress)
            live.update(state.render())

        yield report
    if state.path:
        click.echo(state.path)


class _State:
    """The last report of each kind, and the best validation of each source."""

    def __init__(self) -> None:
        self.last: Progress | None = None
        self.scores: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.texts: list[str] = []
        self.saved, self.path = 0, ""

    def add(self, progress: Progress) -> None:
        if progress.kind == "step":
            self.last = progress
        elif progress.kind == "validation":
            self.scores = progress.nme_percent
            for key, value in self.scores.items():
                self.best[key] = min(value, self.best.get(key, math.inf))
        elif progress.kind == "saved":
            self.saved = progress.step
        elif progress.kind == "done":
            self.path = progress.path
        elif progress.text:
            self.texts.append(progress.text)

    def render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self.last is None:
            return Text("reading the packs …")
        now = self.last
        left = (now.steps - now.step) * now.seconds_per_step / 60
        memory = "" if math.isnan(now.memory_mb) else f"   {now.memory_mb:.0f} MB"
        head = Text(
            f"step {now.step}/{now.steps}   loss {now.loss:.3f}   "
            f"{now.faces_per_second:.0f} faces/s   waiting for data {now.wait_share:.0%}{memory}   "
            f"{left:.0f} min left   saved at {self.saved}"
        )
        losses = "   ".join(f"{key} {value:.3f}" for key, value in now.losses.items())
        table = Table("source/scheme", "NME %", "best", box=None)
        for key, value in self.scores.items():
            table.add_row(key, f"{value:.2f}", f"{self.best[key]:.2f}")
        bar = ProgressBar(total=now.steps, completed=now.step, width=60)
        return Group(
            head,
            bar,
            Text(f"loss by scheme   {losses}"),
            *(Text(text) for text in self.texts),
            table,
        )
