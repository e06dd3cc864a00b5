"""The training loop: steps, validation, checkpoints; reports through a callback, prints nothing."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tufa_cli.data.augment import NONE
from tufa_cli.data.packed import Batch, MixedSampler, PackedFaces, collate, group_shares
from tufa_cli.errors import TufaError
from tufa_cli.model.predict import pick_device
from tufa_cli.training.config import TrainConfig
from tufa_cli.training.loss import landmark_loss
from tufa_cli.training.state import TrainState
from tufa_cli.training.validate import validate
from tufa_cli.writing import replacing, write_text

WEIGHTS_TERMS = (
    "research use only: trained on photos whose datasets allow research and non-commercial use; "
    "see WEIGHTS_LICENSE.md"
)


@dataclass
class Progress:
    """What a callback gets: kind "step", "validation", "saved" or "done"."""

    kind: str
    step: int
    steps: int
    loss: float = float("nan")
    seconds_per_step: float = float("nan")
    wait_share: float = float("nan")
    nme_percent: dict[str, float] = field(default_factory=dict)
    path: str = ""


Report = Callable[[Progress], None]


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Report = lambda progress: None,
    stop_at: int | None = None,
) -> TrainState:
    """Run (or go on with) a training in the folder ``out``.

    Writes config.yaml, last.pt (checkpoint), metrics.csv, best.pt and final.pt (weights). SIGTERM
    and SIGINT finish the step, save and stop. stop_at: leave after that step (tests, stretches).

    Raises TufaError when ``out`` holds a run and resume is not given, or a loss is not finite.
    """
    out = Path(out)
    last = out / "last.pt"
    if last.exists() and not resume:
        raise TufaError(f"{out}: holds a run already", "use --resume to go on with it")
    if config.threads:
        torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    dataset = PackedFaces([Path(p) for p in config.packs], _input_size(config), config.augment)
    train_rows, val_rows = (_select(dataset, split, config) for split in ("train", "val"))
    if not len(train_rows):
        raise TufaError("the packs hold no training faces for these sources and schemes")
    state = TrainState(config, dataset, device)
    out.mkdir(parents=True, exist_ok=True)
    if last.exists():
        state.load(last)
        _cut_metrics(out / "metrics.csv", state.step)
    write_text(out / "config.yaml", yaml.safe_dump(config.to_dict(), sort_keys=False), True)
    plain = PackedFaces([Path(p) for p in config.packs], dataset.size, NONE)
    runner = _Runner(state, dataset, plain, train_rows, val_rows, out, report)
    runner.run(min(config.steps, stop_at or config.steps))
    return state


def _input_size(config: TrainConfig) -> int:
    from tufa_cli.model.config import model_config

    return model_config(config.model, config.model_options).input_size


def _select(dataset: PackedFaces, split: str, config: TrainConfig) -> NDArray[np.intp]:
    """Rows of a split that the config trains on, cut to ``limit_per_group`` for training."""
    rows = dataset.rows(split)
    for names, of in ((config.sources, dataset.source_of), (config.schemes, dataset.scheme_of)):
        if names is not None:
            unknown = sorted(set(names) - set(of))
            if unknown:
                raise TufaError(
                    f"the packs hold no {', '.join(unknown)}",
                    f"they hold {', '.join(sorted(set(of)))}",
                )
            rows = rows[np.isin(of[rows].astype(str), names)]
    if split == "train" and config.limit_per_group:
        labels = np.array([f"{dataset.source_of[r]}/{dataset.scheme_of[r]}" for r in rows])
        rng = np.random.default_rng(0)  # the same faces for every seed and every comparison
        kept = [
            rng.permutation(rows[labels == label])[: config.limit_per_group]
            for label in sorted(set(labels))
        ]
        rows = np.sort(np.concatenate(kept))
    return rows


class _Runner:
    """One process's part of a run: the loop over steps and what happens between them."""

    def __init__(
        self,
        state: TrainState,
        dataset: PackedFaces,
        plain: PackedFaces,
        train_rows: NDArray[np.intp],
        val_rows: NDArray[np.intp],
        out: Path,
        report: Report,
    ) -> None:
        self.state, self.config, self.out, self.report = state, state.config, out, report
        self.dataset, self.plain, self.val_rows = dataset, plain, val_rows
        self.groups, self.share = group_shares(
            dataset, train_rows, self.config.temperature, self.config.shares
        )
        self.scaler = torch.amp.GradScaler(enabled=self.config.amp == "fp16")
        self.stopping = False

    def run(self, last_step: int) -> None:
        state, config = self.state, self.config
        waited = worked = 0.0
        losses: list[float] = []
        with stop_signals(self._ask):
            mark = time.perf_counter()
            for batch in self._batches(last_step):
                began = time.perf_counter()
                waited += began - mark
                losses.append(self._step(batch))
                state.step += 1
                state.update_average()
                mark = time.perf_counter()
                worked += mark - began
                if state.step % 50 == 0 or state.step == last_step:
                    self._tell("step", losses, waited, worked)
                    losses, waited, worked = [], 0.0, 0.0
                if state.step % config.validate_every == 0 or state.step == config.steps:
                    self._validate()
                if state.step % config.save_every == 0 or state.step == last_step or self.stopping:
                    state.save(self.out / "last.pt")
                    self.report(Progress("saved", state.step, config.steps))
                if self.stopping:
                    break
                mark = time.perf_counter()
        if state.step >= config.steps:
            state.export(self.out / "final.pt", self._meta())
            self.report(Progress("done", state.step, config.steps, path=str(self.out / "final.pt")))

    def _batches(self, last_step: int) -> Iterator[Batch]:
        config = self.config
        sampler = MixedSampler(
            self.groups,
            self.share,
            config.batch_size,
            self.state.step,
            last_step,
            config.seed,
            config.augment,
        )
        return iter(
            DataLoader(
                self.dataset,
                batch_sampler=sampler,
                collate_fn=collate,
                num_workers=config.workers,
                prefetch_factor=4 if config.workers else None,
                worker_init_fn=quiet_worker if config.workers else None,
                # Not fork: a child of a process whose OpenCV threads have run hangs in OpenCV.
                multiprocessing_context="spawn" if config.workers else None,
                pin_memory=self.state.device.type == "cuda",
            )
        )

    def _step(self, batch: Batch) -> float:
        state, config = self.state, self.config
        device = state.device
        batch = Batch(*(t.to(device, non_blocking=True) for t in batch))
        state.live.train()
        factor = state.learning_rate()
        for group in state.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        model, align = state.live["model"], state.live["align"]
        images = model.normalise(batch.images).contiguous(memory_format=torch.channels_last)
        dtype = torch.float16 if config.amp == "fp16" else torch.bfloat16
        with torch.autocast(device.type, dtype, enabled=config.amp != "off"):
            prediction = model(images, align(batch.scheme, batch.index), batch.valid)
        losses = landmark_loss(prediction, batch)
        total = losses.total + config.align_penalty * align.penalty()
        if not torch.isfinite(total):
            raise TufaError(
                f"step {state.step}: the loss is not finite",
                "lower lr or set amp=off; the last checkpoint is unharmed",
            )
        state.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.scaler.unscale_(state.optimizer)
        torch.nn.utils.clip_grad_norm_(state.live.parameters(), config.grad_clip)
        self.scaler.step(state.optimizer)
        self.scaler.update()
        return float(losses.points)

    def _tell(self, kind: str, losses: list[float], waited: float, worked: float) -> None:
        total = max(waited + worked, 1e-9)
        progress = Progress(
            kind,
            self.state.step,
            self.config.steps,
            float(np.mean(losses)),
            total / max(len(losses), 1),
            waited / total,
        )
        self._log({"loss": progress.loss, "seconds_per_step": progress.seconds_per_step})
        self.report(progress)

    def _validate(self) -> None:
        if not len(self.val_rows):
            return
        average = self.state.average
        scores = validate(
            average["model"], average["align"], self.plain, self.val_rows, self.state.device
        )
        self._log({f"nme {key}": value for key, value in scores.items()})
        self.report(Progress("validation", self.state.step, self.config.steps, nme_percent=scores))
        score = float(np.mean(list(scores.values())))
        if score < self.state.best["score"]:
            self.state.best = {"score": score, "step": self.state.step}
            self.state.export(self.out / "best.pt", self._meta(scores))

    def _meta(self, scores: dict[str, float] | None = None) -> dict[str, Any]:
        config = self.config.to_dict()
        # Paths of packs say something about a person's disk and nothing about the network.
        config["packs"] = [Path(p).name for p in self.config.packs]
        counts = {
            f"{self.dataset.source_of[g[0]]}/{self.dataset.scheme_of[g[0]]}": len(g)
            for g in self.groups
        }
        return {
            "name": self.config.name,
            "terms": WEIGHTS_TERMS,
            "step": self.state.step,
            "training_faces": counts,
            "validation_nme_percent": scores or {},
            "config": config,
        }

    def _log(self, values: dict[str, float]) -> None:
        """Append to metrics.csv: step, name, value."""
        with (self.out / "metrics.csv").open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in values.items():
                writer.writerow([self.state.step, name, f"{value:.6g}"])

    def _ask(self) -> None:
        self.stopping = True


@contextmanager
def stop_signals(ask: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call ``ask`` and nothing else; handlers are put back afterwards."""

    def handle(number: int, frame: object) -> None:
        ask()

    previous: dict[int, Any] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread: the caller handles signals
        pass
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def quiet_worker(worker: int) -> None:
    """Workers leave threads to the step and signals to the main process."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _cut_metrics(path: Path, step: int) -> None:
    """Drop rows after the checkpoint's step: they will be made again."""
    if not path.exists():
        return
    rows = [row for row in csv.reader(path.open(newline="")) if int(row[0]) <= step]
    with replacing(path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
