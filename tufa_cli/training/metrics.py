"""What a run tells of itself: metrics.csv, TensorBoard events where wished, and curves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tufa_cli.errors import TufaError
from tufa_cli.images.curves import Panel, curves_picture
from tufa_cli.images.plots import write_picture
from tufa_cli.writing import replacing

#: Metrics that say how fast a run was and nothing about what it learned.
_RATES = ("seconds_per_step", "faces_per_second", "wait_share")


class MetricsLog:
    """Appends to metrics.csv (step, name, value), and to event files when asked."""

    def __init__(self, folder: Path, step: int, tensorboard: bool = False) -> None:
        self.path = folder / "metrics.csv"
        _cut(self.path, step)
        self._events = _event_writer(folder) if tensorboard else None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """One row for each value."""
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows([step, name, f"{v:.6g}"] for name, v in values.items())
        for name, value in values.items():
            if self._events is not None:
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Nothing is left in memory."""
        if self._events is not None:
            self._events.close()


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TufaError(
            "tensorboard=true needs the tensorboard package", "pip install tensorboard"
        ) from None
    return SummaryWriter(str(folder / "events"))


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by name, in the order written; empty when there is no file."""
    found: dict[str, list[tuple[int, float]]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for step, name, value in csv.reader(file):
                found.setdefault(name, []).append((int(step), float(value)))
    return found


def _cut(path: Path, step: int) -> None:
    """Drop rows after the checkpoint's step, and a last one cut short by a kill."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == 3 and int(row[0]) <= step]
    with replacing(path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def draw_curves(folder: Path) -> None:
    """curves.png of a run's metrics.csv: losses, and NME by source and scheme, over steps.

    Without metrics nothing is drawn.
    """
    found = read_metrics(folder / "metrics.csv")
    if not found:
        return
    scores = {name[4:]: rows for name, rows in found.items() if name.startswith("nme ")}
    losses = {
        name: rows
        for name, rows in found.items()
        if name not in _RATES and not name.startswith("nme ")
    }
    panels = [Panel("loss in % of the crop's side", losses)]
    if scores:
        panels.append(Panel("NME % on held-out faces", scores))
    write_picture(folder / "curves.png", curves_picture(panels), overwrite=True)
