"""The face finder's training loop; reports through a callback, prints nothing."""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from torch.utils.data import DataLoader, Sampler

from tufa_cli.data.finder_scenes import (
    HardRegion,
    SceneBatch,
    SceneMaker,
    Scenes,
    collate_scenes,
    mirrored_batch,
)
from tufa_cli.data.finder_store import HEAD, FinderPhotos
from tufa_cli.detect.base import BoxPlane
from tufa_cli.detect.finder import FinderDetector
from tufa_cli.detect.finder_net import FinderNet, fused
from tufa_cli.detect.finder_weights import FinderWeights, load_finder, save_finder
from tufa_cli.detect.second_look import SecondConfig, SecondNet
from tufa_cli.errors import InputError, TufaError
from tufa_cli.model.predict import pick_device
from tufa_cli.training.finder_config import FinderTrainConfig
from tufa_cli.training.finder_loss import finder_loss
from tufa_cli.training.finder_mining import false_alarms
from tufa_cli.training.finder_second import collect_finds, follow, train_second
from tufa_cli.training.loop import WEIGHTS_TERMS
from tufa_cli.training.metrics import draw_curves
from tufa_cli.training.process import quiet_worker, stop_signals
from tufa_cli.writing import replacing, write_text

FORMAT = "tufa-finder-checkpoint"
#: What may differ between a run and its continuation: nothing that changes the numbers.
_FREE_KEYS = {"device", "threads", "workers", "save_every", "name", "store", "sources", "teacher"}
_FREE_KEYS |= {"teacher_root"}
_TELL_EVERY = 50


@dataclass
class FinderProgress:
    """What a callback gets: kind "step", "mined", "saved", "searched", "second" or "done".

    With "searched" and "second", step and steps count the second look's scenes and steps.
    """

    kind: str
    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    seconds_per_step: float = float("nan")
    wait_share: float = float("nan")
    mined: int = 0
    path: str = ""


Report = Callable[[FinderProgress], None]


class FinderState:
    """Network, its average (EMA), optimiser, step, and the false alarms found so far."""

    def __init__(self, config: FinderTrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        start = load_finder(Path(config.init)) if config.init else None
        #: The networks of the second look to go on from, if there are some.
        self.second = () if start is None else tuple(start.second)
        network = FinderNet() if start is None else start.model
        self.live = (
            network.train().requires_grad_(True).to(device).to(memory_format=torch.channels_last)
        )
        self.average = copy.deepcopy(self.live).eval().requires_grad_(False)
        decay = [p for p in self.live.parameters() if p.dim() > 1]
        plain = [p for p in self.live.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": config.weight_decay},
             {"params": plain, "weight_decay": 0.0}],
            lr=config.lr,
        )  # fmt: skip
        self.step, self.minings = 0, 0
        #: Whether a signal ended the run early.
        self.interrupted = False
        self.hard: list[HardRegion] = []

    def learning_rate(self) -> float:
        """At this step: linear warm-up, then half a cosine."""
        config = self.config
        if self.step < config.warmup:
            return config.lr * (self.step + 1) / config.warmup
        done = (self.step - config.warmup) / max(1, config.steps - config.warmup)
        low = config.lr_end
        return config.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))

    def update_average(self) -> None:
        """Move the averaged weights; a short memory at first."""
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        follow(self.average, self.live, keep)

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        payload = {
            "format": FORMAT,
            "config": json.dumps(self.config.to_dict()),
            "step": self.step,
            "minings": self.minings,
            "hard": torch.tensor([list(region) for region in self.hard], dtype=torch.float64),
            "live": self.live.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with replacing(path, overwrite=True) as temporary:
            torch.save(payload, temporary)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; TufaError when it is of a run with other settings."""
        try:
            payload = torch.load(path, map_location="cpu", weights_only=True)
            if payload["format"] != FORMAT:
                raise ValueError
        except Exception:
            raise InputError(path, "not a checkpoint of a face finder's training") from None
        theirs, ours = json.loads(payload["config"]), self.config.to_dict()
        changed = [k for k in ours if k not in _FREE_KEYS and theirs.get(k) != ours[k]]
        if changed:
            raise TufaError(
                f"{path}: belongs to a run with other settings: {', '.join(changed)}",
                "give the same config to go on, or another --out to start anew",
            )
        self.live.load_state_dict(payload["live"])
        self.average.load_state_dict(payload["average"])
        self.optimizer.load_state_dict(payload["optimizer"])
        self.step, self.minings = payload["step"], payload["minings"]
        self.hard = [HardRegion(int(row[0]), *row[1:]) for row in payload["hard"].tolist()]

    def export(self, path: Path, second: Sequence[SecondNet]) -> None:
        """Write the averaged network as weights; the place of its boxes is still to be fitted."""
        meta = {"name": self.config.name, "terms": WEIGHTS_TERMS, "step": self.step}
        weights = FinderWeights(self.average, BoxPlane(*HEAD), 0.5, meta, second)
        save_finder(path, weights, overwrite=True)


def train_finder(
    config: FinderTrainConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Report = lambda progress: None,
    stop_at: int | None = None,
) -> FinderState:
    """Run (or go on with) a training in the folder ``out``, on the store that exists.

    Writes config.yaml, last.pt (checkpoint), metrics.csv, curves.png and final.pt (weights).
    SIGTERM and SIGINT finish the step, save and stop. stop_at: leave after that step.

    Raises TufaError when ``out`` holds a run and resume is not given, or a loss is not finite.
    """
    out = Path(out)
    last = out / "last.pt"
    if last.exists() and not resume:
        raise TufaError(f"{out}: holds a run already", "use --resume to go on with it")
    if config.threads:
        torch.set_num_threads(config.threads)
    photos = FinderPhotos(Path(config.store))
    state = FinderState(config, pick_device(config.device))
    out.mkdir(parents=True, exist_ok=True)
    if last.exists():
        state.load(last)
    write_text(out / "config.yaml", yaml.safe_dump(config.to_dict(), sort_keys=False), True)
    try:
        _Runner(state, photos, out, report).run(min(config.steps, stop_at or config.steps))
    finally:
        draw_curves(out)
    return state


class _Runner:
    """The loop over steps and what happens between them."""

    def __init__(self, state: FinderState, photos: FinderPhotos, out: Path, report: Report) -> None:
        self.state, self.config, self.photos = state, state.config, photos
        self.out, self.report = out, report
        self.stopping = False

    def run(self, last_step: int) -> None:
        state, config = self.state, self.config
        minings = sorted(round(share * config.steps) for share in config.mine_at)
        with stop_signals(self._ask):
            while state.step < last_step and not self.stopping:
                while state.minings < len(minings) and state.step >= minings[state.minings]:
                    self._mine()
                ahead = minings[state.minings] if state.minings < len(minings) else last_step
                self._stretch(min(last_step, ahead))
                state.save(self.out / "last.pt")
                self.report(FinderProgress("saved", state.step, config.steps))
        if not config.steps:
            state.save(self.out / "last.pt")  # what says that the folder holds a run
        state.export(self.out / "final.pt", ())
        if state.step >= config.steps and config.second.steps and not self.stopping:
            with stop_signals(self._ask):
                state.export(self.out / "final.pt", self._second())
        state.interrupted = self.stopping
        path = str(self.out / "final.pt")
        self.report(FinderProgress("done", state.step, config.steps, path=path))

    def _ask(self) -> None:
        self.stopping = True

    def _stretch(self, end: int) -> None:
        """Steps up to ``end`` with the false alarms that are known now."""
        state, config = self.state, self.config
        waited = worked = 0.0
        losses: list[dict[str, float]] = []
        mark = time.perf_counter()
        for batch in self._views(end):
            began = time.perf_counter()
            waited += began - mark
            losses.append(self._step(batch))
            state.step += 1
            state.update_average()
            mark = time.perf_counter()
            worked += mark - began
            if state.step % _TELL_EVERY == 0 or state.step == end:
                self._tell(losses, waited, worked)
                losses, waited, worked = [], 0.0, 0.0
            if state.step % config.save_every == 0:
                state.save(self.out / "last.pt")
            if self.stopping:
                return

    def _views(self, end: int) -> Iterator[SceneBatch]:
        """The batches of the steps from now to before ``end``: each as it is, then mirrored."""
        step = self.state.step
        for batch in self._batches(end):
            if step % 2 == 0:
                yield batch
                step += 1
            if step < end:
                yield mirrored_batch(batch)
                step += 1

    def _batches(self, end: int) -> Iterator[SceneBatch]:
        config = self.config
        maker = SceneMaker(self.photos, config.scenes, self.state.hard)
        return iter(
            DataLoader(
                Scenes(maker, config.seed),
                batch_sampler=_Numbers(self.state.step // 2, (end + 1) // 2, config.batch_size),
                collate_fn=collate_scenes,
                num_workers=config.workers,
                prefetch_factor=8 if config.workers else None,
                worker_init_fn=quiet_worker if config.workers else None,
                # Not fork: a child of a process whose OpenCV threads have run hangs in OpenCV.
                multiprocessing_context="spawn" if config.workers else None,
            )
        )

    def _step(self, batch: SceneBatch) -> dict[str, float]:
        state, config = self.state, self.config
        state.live.train()
        for group in state.optimizer.param_groups:
            group["lr"] = state.learning_rate()
        pixels = batch.pictures.to(state.device, non_blocking=True).permute(0, 3, 1, 2)
        loss = finder_loss(
            state.live(pixels),
            batch.targets,
            config.focal_gamma,
            config.box_weight,
            config.point_weight,
        )
        if not torch.isfinite(loss.total):
            raise TufaError(
                f"step {state.step}: the loss is not finite",
                "lower lr; the last checkpoint is unharmed",
            )
        state.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(state.live.parameters(), config.grad_clip)
        state.optimizer.step()
        return {name: float(value.detach()) for name, value in loss._asdict().items()}

    def _mine(self) -> None:
        """Look for false alarms with the averaged weights; those found before are replaced."""
        state, config = self.state, self.config
        rng = np.random.default_rng([config.seed, 7, state.minings])
        maker = SceneMaker(self.photos, config.scenes)
        rest = rng.permutation(maker.singles)[: max(0, config.mine_photos - len(maker.crowds))]
        model = copy.deepcopy(state.average).cpu()
        detector = FinderDetector(FinderWeights(model, BoxPlane(*HEAD), config.mine_score))
        chosen = np.concatenate([rng.permutation(maker.crowds)[: config.mine_photos], rest])
        state.hard = false_alarms(detector, self.photos, chosen, config.mine_score)
        state.minings += 1
        progress = FinderProgress("mined", state.step, config.steps, mined=len(state.hard))
        self.report(progress)

    def _second(self) -> list[SecondNet]:
        """The second look, trained on what the averaged network finds; none when interrupted."""
        config, seed = self.config.second, self.config.seed
        network = fused(copy.deepcopy(self.state.average).cpu())
        maker = SceneMaker(self.photos, self.config.scenes)

        def found(done: int) -> bool:
            self.report(FinderProgress("searched", done, config.scenes))
            return self.stopping

        def stepped(step: int, loss: float, right: float) -> bool:
            losses = {"second": loss, "right": right}
            self.report(FinderProgress("second", step, config.steps, losses))
            return self.stopping

        finds = collect_finds(network, maker, config, seed, found)
        if finds is None:
            return []
        starts = {network.config.own_light: network for network in self.state.second}
        made: list[SecondNet] = []
        for number, light in enumerate(config.own_light):
            torch.manual_seed(seed + number)
            start = starts.get(light) or SecondNet(SecondConfig(own_light=light))
            network = train_second(finds, config, seed + number, stepped, start)
            if network is None:
                return []
            made.append(network)
        return made

    def _tell(self, losses: list[dict[str, float]], waited: float, worked: float) -> None:
        total = max(waited + worked, 1e-9)
        means = {name: float(np.mean([row[name] for row in losses])) for name in losses[0]}
        step = self.state.step
        with (self.out / "metrics.csv").open("a", newline="") as file:
            csv.writer(file).writerows([step, name, f"{v:.6g}"] for name, v in means.items())
        self.report(
            FinderProgress(
                "step", step, self.config.steps, means, total / len(losses), waited / total
            )
        )


class _Numbers(Sampler[list[int]]):
    """Scene numbers of the batches from ``start`` to before ``end``; each serves two steps."""

    def __init__(self, start: int, end: int, size: int) -> None:
        self.start, self.end, self.size = start, end, size

    def __len__(self) -> int:
        return max(0, self.end - self.start)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(self.start, self.end):
            yield list(range(batch * self.size, (batch + 1) * self.size))
