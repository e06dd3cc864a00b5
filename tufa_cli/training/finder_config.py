"""The configuration of the face finder's training: a record from YAML and key=value words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tufa_cli.data.finder_scenes import SceneConfig
from tufa_cli.training.config import read_config


@dataclass(frozen=True)
class SecondTrainConfig:
    """The second look's part of a run.

    scenes: how many pictures are searched for finds; lowest: the score of the first network from
    which on a find is judged; per_scene: finds of no face kept of one picture, two thirds of them
    those with the best scores. faces: share of faces in a batch. own_light: one network for each
    entry, with that setting of ``SecondConfig``; what they say is averaged.
    lit, patched, blurred: chance that a crop gets another light, has a piece of another crop laid
    over a side of it, or is shrunk and enlarged again.
    """

    scenes: int = 12000
    lowest: float = 0.08
    per_scene: int = 9
    steps: int = 6000
    batch_size: int = 256
    faces: float = 0.4
    own_light: tuple[bool, ...] = (False, True)
    lit: float = 0.0
    patched: float = 0.0
    blurred: float = 0.0
    lr: float = 2e-3
    weight_decay: float = 0.05
    ema: float = 0.998
    box_weight: float = 2.0
    point_weight: float = 2.0


@dataclass(frozen=True)
class FinderTrainConfig:
    """One run.

    store: file of photos; made from ``sources`` and ``teacher`` when it is not there.
    sources: labelled photos, each a mapping with ``labels`` and perhaps ``name``, ``format``,
    ``scheme``, ``images``, ``list``, ``exclude`` (files of names) and ``hold_out_last`` (so many
    photos at the end of the sorted names are left out).
    teacher: JSON lines of a detector's boxes (photo, boxes of x y w h score), photos relative to
    ``teacher_root``; or None.
    steps, batch_size, lr, warmup, weight_decay, grad_clip, ema: as for the regressor.
    init: weights of a face finder to start from, or None; with steps 0 its first network stays.
    second: the training of the second look, after the last step; none with ``second.steps`` 0.
    mine_at: shares of the run after which false alarms are looked for, in ``mine_photos`` photos
    each time; they are shown again in a share ``scenes.hard`` of the scenes.
    """

    store: str = "packs/finder.h5"
    sources: tuple[Mapping[str, Any], ...] = ()
    teacher: str | None = None
    teacher_root: str | None = None
    name: str = "finder"
    seed: int = 0
    steps: int = 8000
    batch_size: int = 16
    lr: float = 4e-3
    lr_end: float = 0.01
    warmup: int = 200
    weight_decay: float = 0.02
    grad_clip: float = 5.0
    ema: float = 0.999
    focal_gamma: float = 2.0
    box_weight: float = 2.0
    point_weight: float = 1.0
    init: str | None = None
    mine_at: tuple[float, ...] = (0.4, 0.65)
    mine_photos: int = 1500
    mine_score: float = 0.3
    save_every: int = 250
    device: str = "auto"
    threads: int | None = None
    workers: int = 1
    scenes: SceneConfig = field(default_factory=SceneConfig)
    second: SecondTrainConfig = field(default_factory=SecondTrainConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON."""
        from tufa_cli.training.config import plain

        return plain(dataclasses.asdict(self))


def load_finder_config(path: Path | None, words: Sequence[str] = ()) -> FinderTrainConfig:
    """From a YAML file (or the defaults) and ``key=value`` words.

    Raises InputError when the file is not YAML and ProblemsError with everything that is wrong.
    """
    config: FinderTrainConfig = read_config(FinderTrainConfig, path, words, _check)
    return config


def _check(config: FinderTrainConfig, problems: list[str]) -> None:
    if config.steps < (0 if config.init else 1):
        problems.append("steps: must be at least 1, or 0 with init to train the second look alone")
    for key in ("batch_size", "save_every", "mine_photos"):
        if getattr(config, key) < 1:
            problems.append(f"{key}: must be at least 1")
    if config.lr <= 0:
        problems.append("lr: must be greater than 0")
    if not 0 <= config.ema < 1:
        problems.append("ema: must be in 0..1, below 1")
    if config.scenes.size % 32 or config.scenes.size < 64:
        problems.append("scenes.size: must be a multiple of 32, at least 64")
    for number, source in enumerate(config.sources, start=1):
        known = {"name", "labels", "format", "scheme", "images", "list", "exclude", "hold_out_last"}
        if not isinstance(source, Mapping) or "labels" not in source:
            problems.append(f"sources: the {number}. names no labels")
        elif unknown := sorted(set(source) - known):
            problems.append(f"sources: the {number}. has unknown keys: {', '.join(unknown)}")
