"""The training loop: steps, validation, checkpoints; reports through a callback, prints nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tufa_cli.data.augment import NONE
from tufa_cli.data.on_device import collate_any, ready
from tufa_cli.data.packed import Batch, MixedSampler, PackedFaces, group_shares
from tufa_cli.errors import TufaError
from tufa_cli.model.predict import pick_device
from tufa_cli.schemes import get_scheme
from tufa_cli.schemes.load import is_scheme_file
from tufa_cli.training.config import TrainConfig
from tufa_cli.training.distributed import Ranks, ranks
from tufa_cli.training.environment import environment
from tufa_cli.training.metrics import MetricsLog, draw_curves
from tufa_cli.training.process import quiet_worker, stop_signals
from tufa_cli.training.progress import Meter, Progress, Report
from tufa_cli.training.state import TrainState
from tufa_cli.training.step import Stepper
from tufa_cli.training.validate import mean_scores, validate
from tufa_cli.writing import write_text

WEIGHTS_TERMS = (
    "research use only: trained on photos whose datasets allow research and non-commercial use; "
    "see WEIGHTS_LICENSE.md"
)
#: Steps between reports, and between the looks that several ranks take whether one must stop.
_TELL_EVERY, _ASK_EVERY = 50, 10


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Report = lambda progress: None,
    stop_at: int | None = None,
) -> TrainState:
    """Run (or go on with) a training in the folder ``out``.

    Writes config.yaml, environment.json, last.pt (checkpoint), metrics.csv, curves.png, best.pt and
    final.pt (weights). SIGTERM and SIGINT finish the step, save and stop. stop_at: leave after that
    step (tests, stretches). Under torchrun the ranks share every batch; the first one writes.

    Raises TufaError when ``out`` holds a run and resume is not given, or a loss is not finite.
    """
    out = Path(out)
    last = out / "last.pt"
    if last.exists() and not resume:
        raise TufaError(f"{out}: holds a run already", "use --resume to go on with it")
    if config.threads:
        torch.set_num_threads(config.threads)
    with ranks(pick_device(config.device)) as (ours, device):
        dataset = open_faces(config, device)
        train_rows, val_rows = (select_rows(dataset, split, config) for split in ("train", "val"))
        if not len(train_rows):
            raise TufaError("the packs hold no training faces for these sources and schemes")
        state = TrainState(config, dataset, device)
        if last.exists():
            state.load(last)
        ours.wait()
        if ours.is_main:
            _prepare(out, config, environment(device, ours.world))
        runner = _Runner(state, dataset, train_rows, val_rows, out, ours, report)
        if resume:
            found = f"goes on after step {state.step}" if last.exists() else "starts: no run there"
            runner.remark(f"{out}: {found}")
        try:
            runner.run(min(config.steps, stop_at or config.steps))
        except torch.OutOfMemoryError:
            raise TufaError(
                f"step {state.step}: memory does not suffice for augmenting or validating",
                "lower batch_size, set augment_on=cpu, or end what else runs on that GPU",
            ) from None
        finally:
            if ours.is_main:
                draw_curves(out)
    return state


def _prepare(out: Path, config: TrainConfig, where: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "config.yaml", yaml.safe_dump(config.to_dict(), sort_keys=False), True)
    write_text(out / "environment.json", json.dumps(where, indent=1) + "\n", True)


def input_size(config: TrainConfig) -> int:
    """Side of the crops in pixels that the config's network sees."""
    from tufa_cli.model.config import model_config

    return model_config(config.model, config.model_options).input_size


def open_faces(config: TrainConfig, device: torch.device) -> PackedFaces:
    """The config's packs, augmented where it says: "auto" is on the device when that is a GPU."""
    there = config.augment_on == "device" or (config.augment_on == "auto" and device.type == "cuda")
    paths = [Path(p) for p in config.packs]
    return PackedFaces(paths, input_size(config), config.augment, there)


def select_rows(dataset: PackedFaces, split: str, config: TrainConfig) -> NDArray[np.intp]:
    """Rows of a split that the config trains on, cut to ``limit_per_group`` for training."""
    rows = dataset.rows(split)
    schemes = config.schemes
    if schemes is not None:
        schemes = tuple(get_scheme(n).name if is_scheme_file(n) else n for n in schemes)
    for names, of in ((config.sources, dataset.source_of), (schemes, dataset.scheme_of)):
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
        train_rows: NDArray[np.intp],
        val_rows: NDArray[np.intp],
        out: Path,
        ours: Ranks,
        report: Report,
    ) -> None:
        self.state, self.config, self.out, self.ranks = state, state.config, out, ours
        self.report: Report = report if ours.is_main else lambda progress: None
        self.dataset, self.val_rows = dataset, val_rows
        self.plain = PackedFaces(dataset.paths, dataset.size, NONE)
        self.groups, self.share = group_shares(
            dataset, train_rows, self.config.temperature, self.config.shares
        )
        self.log = MetricsLog(out, state.step, self.config.tensorboard) if ours.is_main else None
        self.asked = False

    def run(self, last_step: int) -> None:
        state, config = self.state, self.config
        stepper = Stepper(state, self.ranks, self.out)
        for text in self._remarks():
            self.remark(text)
        meter = Meter(state, config.batch_size)
        with stop_signals(self._ask):
            batches = self._batches(last_step)
            while state.step < last_step and not self._tired():
                with meter.waiting():
                    pieces = self._next(batches)
                if not pieces:
                    self._save()
                    break
                meter.add(stepper.step(pieces))
                while stepper.remarks:
                    self.remark(stepper.remarks.pop(0))
                state.step += 1
                state.update_average()
                stopping = self._must_stop() or self._tired()
                ends = state.step == last_step or stopping
                if state.step % _TELL_EVERY == 0 or ends:
                    stepper.check()
                    self._tell(meter, stepper)
                if state.step % config.validate_every == 0 or state.step == config.steps:
                    stepper.check()
                    self._validate()
                    ends = ends or self._tired()
                if state.step % config.save_every == 0 or ends:
                    stepper.check()
                    self._save()
                    # Asked while it saved: nothing is left to do.
                    ends = ends or (self.asked and self.ranks.world == 1)
                meter.restart()
                if ends:
                    break
        self._finish()

    def _next(self, batches: Iterator[Batch]) -> list[Batch]:
        """A step's pieces; none when the signal that ends the run ended the loader's processes.

        Raises TufaError when something else did.
        """
        try:
            return list(islice(batches, self.config.accumulate))
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
        if self.asked and self.ranks.world == 1:
            return []
        raise TufaError(
            f"step {self.state.step}: a process that loads data was killed, perhaps because memory "
            "ran out",
            "lower workers or batch_size and go on with --resume",
        )

    def remark(self, text: str) -> None:
        """Tell something of the run that is no number."""
        self.report(Progress("remark", self.state.step, self.config.steps, text=text))

    def _finish(self) -> None:
        state = self.state
        done = state.step >= self.config.steps
        if self.ranks.is_main and (done or self._tired()):
            state.export(self.out / "final.pt", self._meta())
            if self._tired() and not done:
                text = f"no better validation since step {state.best['step']}"
                self.report(Progress("stopped", state.step, self.config.steps, text=text))
            path = str(self.out / "final.pt")
            self.report(Progress("done", state.step, self.config.steps, path=path))
        if self.log is not None:
            self.log.close()
        self.ranks.wait()

    def _save(self) -> None:
        if self.ranks.is_main:
            self.state.save(self.out / "last.pt")
            self.report(Progress("saved", self.state.step, self.config.steps))

    def _remarks(self) -> list[str]:
        remarks = []
        if self.state.unused_keys and self.state.step == 0:
            keys = ", ".join(self.state.unused_keys[:4])
            remarks.append(f"the encoder's file has keys without a place here: {keys}")
        absent = sorted(set(self.config.shares) - set(self.dataset.source_of))
        if absent:
            remarks.append(f"the packs hold no source of these shares: {', '.join(absent)}")
        norms = any(isinstance(m, torch.nn.BatchNorm2d) for m in self.state.live.modules())
        if norms and self.ranks.world > 1 and self.state.device.type != "cuda":
            remarks.append("batch statistics are each rank's own on CPUs; model_options.norm=group")
        return remarks

    def _must_stop(self) -> bool:
        """Whether a signal came; several ranks agree, so that none waits for another."""
        if self.ranks.world == 1:
            return self.asked
        if self.state.step % _ASK_EVERY:
            return False
        asked = torch.tensor(float(self.asked), device=self.state.device)
        return bool(self.ranks.total(asked) > 0)

    def _tired(self) -> bool:
        patience = self.config.patience
        return patience is not None and self.state.best["since"] >= patience

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
            self.ranks.rank,
            self.ranks.world,
            config.accumulate,
        )
        loader = DataLoader(
            self.dataset,
            batch_sampler=sampler,
            collate_fn=collate_any,
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
            worker_init_fn=quiet_worker if config.workers else None,
            # Not fork: a child of a process whose OpenCV threads have run hangs in OpenCV.
            multiprocessing_context="spawn" if config.workers else None,
            pin_memory=self.state.device.type == "cuda",
        )
        return (ready(batch, self.state.device, self.dataset.size) for batch in loader)

    def _tell(self, meter: Meter, stepper: Stepper) -> None:
        progress = meter.progress(self.config.steps)
        progress.losses = stepper.losses_by_scheme()
        if self.log is not None:
            names = ("loss", "seconds_per_step", "faces_per_second", "wait_share")
            values = {name: getattr(progress, name) for name in names}
            values |= {f"loss {name}": value for name, value in progress.losses.items()}
            self.log.add(self.state.step, values)
        self.report(progress)

    def _validate(self) -> None:
        if not len(self.val_rows):
            return
        average = self.state.average
        own = self.val_rows[self.ranks.rank :: self.ranks.world]
        errors = validate(average["model"], average["align"], self.plain, own, self.state.device)
        scores = mean_scores(self.ranks.gather(errors))
        best = self.state.best
        score = float(np.mean(list(scores.values())))
        best["since"] += 1
        if score < best["score"]:
            best.update(score=score, step=self.state.step, since=0)
            if self.ranks.is_main:
                self.state.export(self.out / "best.pt", self._meta(scores))
        if self.log is not None:
            self.log.add(self.state.step, {f"nme {key}": value for key, value in scores.items()})
        self.report(Progress("validation", self.state.step, self.config.steps, nme_percent=scores))

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

    def _ask(self) -> None:
        self.asked = True
