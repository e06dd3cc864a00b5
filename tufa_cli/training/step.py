"""One optimiser step: the faces of all pieces and ranks count as one batch."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tufa_cli.data.packed import Batch
from tufa_cli.errors import TufaError
from tufa_cli.model.tufa import Prediction
from tufa_cli.training.distributed import Ranks
from tufa_cli.training.loss import face_weight, landmark_loss
from tufa_cli.training.state import TrainState
from tufa_cli.writing import replacing


class Joint(nn.Module):
    """Network and alignment as one module, so that DDP and torch.compile see the whole."""

    def __init__(self, model: nn.Module, align: nn.Module) -> None:
        super().__init__()
        self.model, self.align = model, align

    def forward(
        self, images: Tensor, scheme: Tensor, index: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Points, log scales (see ``Prediction``) and the alignment's penalty."""
        crops = self.model.normalise(images).contiguous(memory_format=torch.channels_last)
        points, log_scale = self.model(crops, self.align(scheme, index), valid)
        return points, log_scale, self.align.penalty()


@dataclass
class _Unchecked:
    """A step whose loss has not been looked at yet, so that a GPU need not be waited for."""

    step: int
    total: Tensor
    pieces: Sequence[Batch]


class OutOfMemory(TufaError):
    """So many faces at a time do not fit into memory. fits: how many do, tried."""

    def __init__(self, state: TrainState, ranks: Ranks, faces: int, fits: int) -> None:
        self.fits = fits
        what = f"step {state.step}: {faces} faces at a time do not fit into memory"
        if not fits:
            super().__init__(f"{what}, nor does one", "take a smaller model, or an idle GPU")
            return
        config, ways = state.config, []
        largest = fits * ranks.world * config.accumulate
        ways.append(f"batch_size={largest} fits")
        shared = config.batch_size // ranks.world
        for pieces in range(config.accumulate + 1, shared + 1):
            if shared % pieces == 0 and shared // pieces <= fits:
                ways.append(
                    f"accumulate={pieces} keeps batch_size={config.batch_size} and its numbers"
                )
                break
        super().__init__(f"{what}, {fits} do", "; ".join(ways))


class Stepper:
    """Steps of a run. Raises TufaError when a loss is not finite, OutOfMemory."""

    def __init__(self, state: TrainState, ranks: Ranks, out: Path) -> None:
        self.state, self.ranks, self.out = state, ranks, out
        self._joint: nn.Module = Joint(state.live["model"], state.live["align"])
        #: What is to be told of the steps so far; whoever tells it takes it out.
        self.remarks: list[str] = []
        self.compiled = state.config.compile
        self._wrap(torch.compile(self._joint) if self.compiled else self._joint)
        self._unchecked: _Unchecked | None = None
        #: Sum and number of the faces' distances by scheme, since they were last asked for.
        self._distances = torch.zeros(2, len(state.live["align"].schemes), device=state.device)

    def _wrap(self, joint: nn.Module) -> None:
        """Learn with this form of the network; ``_alone``: without the other ranks."""
        self._alone, self.joint = joint, self.ranks.wrap(joint, self.state.device)

    def step(self, pieces: Sequence[Batch]) -> Tensor:
        """Learn from one step's pieces; the mean distance in % of the crop, over all ranks."""
        try:
            return self._step(pieces)
        except torch.OutOfMemoryError:
            # Looked into below: here the error still holds all that filled the memory.
            pass
        except TufaError:
            raise
        except Exception as error:
            if not self.compiled:
                raise
            # Compilers fail in many ways, forwards and backwards, none of which is the user's.
            self._give_up_compiling(error)
            return self.step(pieces)
        largest = max(pieces, key=lambda piece: len(piece.images))
        raise OutOfMemory(self.state, self.ranks, len(largest.images), self._largest_fit(largest))

    def _give_up_compiling(self, error: Exception) -> None:
        self.compiled = False
        self._wrap(self._joint)
        reason = next(iter(str(error).strip().splitlines()), "")
        self.remarks.append(
            f"torch.compile does not work here, going on without ({type(error).__name__}: {reason})"
        )

    def _largest_fit(self, piece: Batch) -> int:
        """How many faces of a piece that is too large fit, found by trying, 0 when not one does."""
        state = self.state
        if self.ranks.world > 1:
            state.live.eval()  # synchronised statistics would wait for the other ranks
        # The first step makes these, after its faces.
        moments = [
            torch.zeros_like(parameter)
            for parameter in state.live.parameters()
            for _ in range(0 if state.optimizer.state else 2)
        ]
        full = len(piece.images)
        fits, too_many = 0, full
        while too_many - fits > max(1, full // 16 if fits else 1):
            middle = (fits + too_many) // 2
            if self._fits(piece, middle):
                fits = middle
            else:
                too_many = middle
        del moments
        return fits

    def _fits(self, piece: Batch, count: int) -> bool:
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        if state.device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            part = Batch(*(tensor[:count] for tensor in piece)).to(state.device)
            loss, _ = self._loss(part, face_weight(part).sum(), 1, self._alone)
            if state.device.type == "cuda" or math.isfinite(float(loss.detach())):  # see _step
                state.scaler.scale(loss).backward()
        except torch.OutOfMemoryError:
            return False
        return True

    def _step(self, pieces: Sequence[Batch]) -> Tensor:
        state, config = self.state, self.state.config
        state.live.train()
        factor = state.learning_rate()
        for group in state.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        pieces = [
            Batch(*(t.to(state.device, non_blocking=True) for t in piece)) for piece in pieces
        ]
        weight = self.ranks.total(torch.stack([face_weight(piece).sum() for piece in pieces]).sum())
        state.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=state.device)
        points = torch.zeros((), device=state.device)
        for i, piece in enumerate(pieces):
            # Gradients of ranks are averaged: each counts its faces' share world times.
            loss, distance = self._loss(piece, weight / self.ranks.world, len(pieces))
            if state.device.type != "cuda":
                # Looked at before going back: with places that are no numbers, sampling's
                # backward on a CPU reads outside the picture and takes the process down.
                self._unchecked = _Unchecked(state.step, loss.detach(), pieces)
                self.check()
            with self._kept_local(last=i == len(pieces) - 1):
                state.scaler.scale(loss).backward()
            total, points = total + loss.detach(), points + distance
        self.check()
        self._unchecked = _Unchecked(state.step, total, pieces)
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.live.parameters(), config.grad_clip)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        return self.ranks.total(points) / self.ranks.world

    def _loss(
        self, piece: Batch, weight: Tensor, pieces: int, joint: nn.Module | None = None
    ) -> tuple[Tensor, Tensor]:
        config, device = self.state.config, self.state.device
        dtype = torch.float16 if config.amp == "fp16" else torch.bfloat16
        with torch.autocast(device.type, dtype, enabled=config.amp != "off"):
            points, log_scale, penalty = (joint or self.joint)(
                piece.images, piece.scheme, piece.index, piece.valid
            )
        losses = landmark_loss(Prediction(points, log_scale), piece, weight)
        seen = losses.per_face.isfinite()
        both = torch.stack([losses.per_face.nan_to_num(), seen.float()])
        self._distances.index_add_(1, piece.scheme, both.to(self._distances))
        return losses.total + config.align_penalty * penalty / pieces, losses.points

    def losses_by_scheme(self) -> dict[str, float]:
        """Mean distance in % of the crop by scheme since the last call, over all ranks' faces."""
        total, count = self.ranks.total(self._distances).tolist()
        self._distances.zero_()
        names = self.state.live["align"].schemes
        return {n: t / c for n, t, c in zip(names, total, count, strict=True) if c}

    def _kept_local(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Ranks exchange gradients once a step: after its last piece."""
        if last or self.ranks.world == 1:
            return contextlib.nullcontext()
        return self.joint.no_sync()

    def check(self) -> None:
        """Raise TufaError when the loss of the last step was not finite; its batch is saved."""
        seen, self._unchecked = self._unchecked, None
        if seen is None or math.isfinite(float(seen.total)):
            return
        path = self.out / f"not_finite_{seen.step}_rank{self.ranks.rank}.pt"
        with replacing(path, overwrite=True) as temporary:
            torch.save([piece._asdict() for piece in seen.pieces], temporary)
        raise TufaError(
            f"step {seen.step}: the loss is not finite; its faces are in {path}",
            "lower lr or set amp=off and go on with --resume; the last checkpoint is unharmed",
        )
