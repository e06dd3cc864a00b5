"""Ranks: the same program alone, or as one of several under ``torchrun`` (DDP)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tufa_cli.errors import TufaError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """Which process of how many this is."""

    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """The process that writes and reports."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all ranks, the same on each."""
        if self.world > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in rank order, on each."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.world > 1:
            distributed.barrier()

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with gradients averaged over ranks.

        Batch statistics are synchronised on GPUs; on CPUs torch has no such path, and each rank
        keeps its own (``norm: group`` in model_options avoids the difference).
        """
        if self.world == 1:
            return module
        if device.type != "cuda":
            return DistributedDataParallel(module)
        return DistributedDataParallel(
            nn.SyncBatchNorm.convert_sync_batchnorm(module), device_ids=[device.index]
        )


@contextmanager
def ranks(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """This process's rank and device: what torchrun says in the environment, or alone.

    Raises TufaError in the others when one is lost.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(distributed.get_rank(), world), device
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        # torchrun tells which one and why, and starts all anew where --max-restarts says so.
        raise TufaError("another process of this run was lost", "--resume goes on") from None
    finally:
        distributed.destroy_process_group()
