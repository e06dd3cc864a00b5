"""Trials before a run: one real step, and how large a batch pays or fits. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tufa_cli.data.on_device import collate_any, ready
from tufa_cli.data.packed import MixedSampler, group_shares
from tufa_cli.errors import TufaError
from tufa_cli.model.predict import pick_device
from tufa_cli.training.config import TrainConfig
from tufa_cli.training.distributed import Ranks
from tufa_cli.training.loop import open_faces, select_rows
from tufa_cli.training.state import TrainState
from tufa_cli.training.step import OutOfMemory, Stepper

#: Steps that are timed, after one that warms up.
_TIMED = 2


@dataclass(frozen=True)
class Trial:
    """What steps of one batch size cost.

    load_seconds: to decode and augment a batch in this process; step_seconds: to learn from it.
    memory_mb: the most a GPU held, None on a CPU. loss: of the last step, % of the crop.
    """

    batch_size: int
    load_seconds: float
    step_seconds: float
    memory_mb: float | None
    loss: float

    @property
    def faces_per_second(self) -> float:
        return self.batch_size / self.step_seconds


def try_steps(config: TrainConfig, batch_size: int | None = None) -> Trial:
    """Make the network and take a few steps on the packs' first batches.

    Raises TufaError as training does: unknown sources, no faces, memory that does not suffice.
    """
    config = replace(config, batch_size=batch_size or config.batch_size)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    dataset = open_faces(config, device)
    rows = select_rows(dataset, "train", config)
    if not len(rows):
        raise TufaError("the packs hold no training faces for these sources and schemes")
    state = TrainState(config, dataset, device)
    stepper = Stepper(state, Ranks(), Path())
    groups, share = group_shares(dataset, rows, config.temperature, config.shares)
    sampler = MixedSampler(
        groups, share, config.batch_size, 0, 1 + _TIMED, config.seed, config.augment,
        pieces=config.accumulate,
    )  # fmt: skip
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    draws = list(sampler)
    loads, steps, loss = [], [], float("nan")
    for start in range(0, len(draws), config.accumulate):
        began = time.perf_counter()
        batch = [
            ready(collate_any([dataset[draw] for draw in piece]), device, dataset.size)
            for piece in draws[start : start + config.accumulate]
        ]
        loaded = time.perf_counter()
        loss = float(stepper.step(batch))
        loads.append(loaded - began)
        steps.append(time.perf_counter() - loaded)
        state.step += 1
    memory = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    return Trial(config.batch_size, min(loads[1:]), min(steps[1:]), memory, loss)


def batch_sizes(config: TrainConfig, largest: int = 4096) -> Iterator[Trial]:
    """Trials of 8, 16, 32 ... faces (multiples of ``accumulate``) until one does not fit, and of
    the largest that does.

    On a CPU, where everything fits, until a larger batch is no longer 5 % faster per face.
    """
    size, best = 8 * config.accumulate, 0.0
    while size <= largest:
        try:
            trial = try_steps(config, size)
        except OutOfMemory as error:
            if not best:
                raise
            between = error.fits * config.accumulate
            if between > size // 2:
                with suppress(OutOfMemory):
                    yield try_steps(config, between)
            return
        yield trial
        if not _pays(trial, best):
            return
        best = max(best, trial.faces_per_second)
        size *= 2


def _pays(trial: Trial, best: float) -> bool:
    """Whether to try a larger one: on a GPU until it is full."""
    return trial.memory_mb is not None or trial.faces_per_second >= 1.05 * best
