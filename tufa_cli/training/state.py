"""Everything that a run is at one step, and its checkpoint."""

from __future__ import annotations

import copy
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tufa_cli.data.packed import PackedFaces
from tufa_cli.errors import InputError, TufaError
from tufa_cli.model.alignment import Alignment
from tufa_cli.model.build import build_model
from tufa_cli.model.config import model_config
from tufa_cli.model.weights import Weights, load_weights, save_weights
from tufa_cli.training.config import TrainConfig
from tufa_cli.training.encoder import load_encoder
from tufa_cli.writing import replacing

FORMAT = "tufa-checkpoint"


class TrainState:
    """Network, alignment, their averages (EMA), optimiser and step."""

    def __init__(self, config: TrainConfig, dataset: PackedFaces, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        model = build_model(model_config(config.model, config.model_options))
        align = Alignment(dataset.plane, dataset.schemes)
        if config.init:
            _start_from(model, align, Path(config.init))
        self.unused_keys: list[str] = []
        if config.encoder_init:
            self.unused_keys = load_encoder(
                model.encoder,
                Path(config.encoder_init),
                config.encoder_map,
                config.encoder_sha256,
            )
        self.live = nn.ModuleDict({"model": model, "align": align}).to(device)
        self.live["model"].to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.live).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(_groups(self.live, config), betas=(0.9, 0.98))
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.amp == "fp16")
        self.step = 0
        #: Best mean validation score, its step, and how many validations ago that was.
        self.best: dict[str, Any] = {"score": math.inf, "step": 0, "since": 0}

    def update_average(self) -> None:
        """Move the averaged weights; a short memory at first, so that early steps are forgotten."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            live = list(self.live.parameters())
            average = list(self.average.parameters())
            torch._foreach_lerp_(average, live, 1 - decay)
            for mean, buffer in zip(self.average.buffers(), self.live.buffers(), strict=True):
                if buffer.is_floating_point():
                    mean.lerp_(buffer, 1 - decay)
                else:
                    mean.copy_(buffer)

    def learning_rate(self) -> float:
        """The factor on every group's peak rate at this step: linear warm-up, half a cosine."""
        config = self.config
        if self.step < config.warmup:
            return (self.step + 1) / config.warmup
        done = (self.step - config.warmup) / max(1, config.steps - config.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return config.lr_end + (1 - config.lr_end) * cosine

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        payload = {
            "format": FORMAT,
            "config": json.dumps(self.config.to_dict()),
            "live": self.live.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "best": json.dumps(self.best),
            "torch_rng": torch.get_rng_state(),
        }
        with replacing(path, overwrite=True) as temporary, temporary.open("wb") as stream:
            torch.save(payload, stream)
            # On the disk before the old one goes: a machine that is taken away writes no more.
            stream.flush()
            os.fsync(stream.fileno())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same run. Raises InputError or TufaError."""
        try:
            payload = torch.load(path, map_location=self.device, weights_only=True)
        except Exception:  # torch raises many types for a file that is not its own
            raise InputError(path, "not a readable checkpoint") from None
        if not isinstance(payload, dict) or payload.get("format") != FORMAT:
            raise InputError(path, "not a checkpoint of tufa-cli train")
        theirs = json.loads(payload["config"])
        _require_same_run(path, theirs, self.config.to_dict())
        try:
            self.live.load_state_dict(payload["live"])
            self.average.load_state_dict(payload["average"])
            self.optimizer.load_state_dict(payload["optimizer"])
        except (RuntimeError, ValueError):
            raise InputError(path, "a checkpoint of another size or other schemes") from None
        self.scaler.load_state_dict(payload.get("scaler", {}))
        self.step, self.best = payload["step"], self.best | json.loads(payload["best"])
        torch.set_rng_state(payload["torch_rng"].cpu())

    def export(self, path: Path, meta: dict[str, Any]) -> None:
        """The averaged network as a weights file."""
        align = self.average["align"]
        weights = Weights(self.average["model"], align.plane, align.learned(), meta)
        save_weights(path, weights, overwrite=True)


#: What may differ between a run and its continuation: nothing that changes the numbers.
_FREE_KEYS = {
    *("device", "threads", "workers", "validate_every", "save_every", "name", "tensorboard"),
    "patience",
}


def _require_same_run(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    # A key that the checkpoint's version did not know had its default.
    known = TrainConfig().to_dict() | theirs
    changed = [k for k in ours if k not in _FREE_KEYS and known[k] != ours[k]]
    if changed:
        raise TufaError(
            f"{path}: belongs to a run with other settings: {', '.join(changed)}",
            "give the same config to go on, or another --out to start anew",
        )


def _groups(live: nn.ModuleDict, config: TrainConfig) -> list[dict[str, Any]]:
    """Optimiser groups: matrices decay; biases, norms and alignment do not.

    The encoder learns at its own rate, the lower blocks of a ViT more slowly than the upper.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    depth = live["model"].config.depth
    for name, parameter in live["model"].named_parameters():
        decay = config.weight_decay if parameter.dim() > 1 else 0.0
        peak = config.lr * _rate(name, depth, config)
        groups.setdefault((decay, peak), []).append(parameter)
    groups[0.0, -1.0] = list(live["align"].parameters())
    return [
        {"params": members, "weight_decay": decay, "peak": rate, "lr": rate}
        for (decay, peak), members in groups.items()
        for rate in [peak if peak >= 0 else config.lr * config.align_lr]
    ]


def _rate(name: str, depth: int, config: TrainConfig) -> float:
    """A parameter's rate over lr."""
    if not name.startswith("encoder."):
        return 1.0
    words = name.split(".")
    if words[1] == "blocks":
        above = depth - 1 - int(words[2])
    else:
        above = 0 if words[1] == "norm" else depth
    return config.encoder_lr * config.layer_decay**above


def _start_from(model: nn.Module, align: Alignment, path: Path) -> None:
    """Copy a weights file's network, and its prompts of the schemes that both know.

    Raises InputError when it is of another size.
    """
    weights = load_weights(path)
    try:
        model.load_state_dict(weights.model.state_dict())
    except RuntimeError:
        raise InputError(path, "weights of another size than this run's model") from None
    align.start_from(weights.learned)
