"""What a run reports while it goes on, and the clock that measures it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tufa_cli.training.state import TrainState


@dataclass
class Progress:
    """What a callback gets: kind "step", "validation", "saved", "remark", "stopped" or "done".

    loss: mean distance in % of the crop since the last report, losses: by scheme. wait_share: of
    the time that went into waiting for data. memory_mb: the most a GPU held, NaN on a CPU.
    """

    kind: str
    step: int
    steps: int
    loss: float = float("nan")
    seconds_per_step: float = float("nan")
    faces_per_second: float = float("nan")
    wait_share: float = float("nan")
    memory_mb: float = float("nan")
    losses: dict[str, float] = field(default_factory=dict)
    nme_percent: dict[str, float] = field(default_factory=dict)
    path: str = ""
    text: str = ""


Report = Callable[[Progress], None]


class Meter:
    """Time and losses between two reports."""

    def __init__(self, state: TrainState, batch_size: int) -> None:
        self.state, self.batch_size = state, batch_size
        self._losses: list[Tensor] = []
        self._waited = self._spent = 0.0
        self.restart()

    def restart(self) -> None:
        """Time spent on validating and saving is not a step's."""
        self._mark = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began

    def add(self, loss: Tensor) -> None:
        self._losses.append(loss)
        self._spent += time.perf_counter() - self._mark
        self.restart()

    def progress(self, steps: int) -> Progress:
        """What happened since the last report."""
        device, count = self.state.device, max(len(self._losses), 1)
        loss = float(torch.stack(self._losses).mean()) if self._losses else float("nan")
        seconds = max(self._spent, 1e-9) / count
        memory = float("nan")
        if device.type == "cuda":
            memory = torch.cuda.max_memory_allocated(device) / 2**20
        found = Progress(
            "step", self.state.step, steps, loss, seconds, self.batch_size / seconds,
            self._waited / max(self._spent, 1e-9), memory,
        )  # fmt: skip
        self._losses, self._waited, self._spent = [], 0.0, 0.0
        return found
