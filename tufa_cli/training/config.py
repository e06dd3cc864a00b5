"""The training configuration: a frozen record from YAML plus ``key=value`` words.

Every mistake is reported at once with the nearest right name.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from tufa_cli.data.augment import AugmentConfig
from tufa_cli.errors import InputError, ProblemsError, nearest
from tufa_cli.model.config import SIZES, model_config


@dataclass(frozen=True)
class TrainConfig:
    """One run.

    packs: pack files, folders of them or patterns (relative to the working folder). model: a size;
    model_options: single values of ModelConfig. init: weights file to start from, or None.
    encoder_init: a state dict for the encoder alone (DINO's ViT-S for s8 and s16, or any with
    ``encoder_map``: parts of its keys to what they are here); encoder_sha256: its checksum, checked
    when given. encoder_lr: the encoder's rate over lr; layer_decay: every block of a ViT learns at
    this times the rate of the one above it.
    steps, batch_size: optimiser steps and faces per step, over all ranks. accumulate: a step's
    faces go through the network in so many pieces. lr is the peak after ``warmup`` steps and
    falls to ``lr_end`` times itself along a half cosine. ema: decay of the averaged weights, which
    are what is validated and saved.
    temperature, shares: how sources are drawn (data.packed.group_shares).
    align_lr: learning rate of the alignment embeddings over lr, 0 keeps the plane's anchors;
    align_penalty: weight of their squared length.
    validate_every, save_every: in steps. limit_per_group: at most so many faces of a source and
    scheme (for comparisons), or None. sources, schemes: train on these alone, or None for all.
    patience: stop after so many validations without a better mean, or None.
    amp: "bf16", "fp16" (GPU only) or "off". compile: use torch.compile where it works.
    augment_on: "cpu" in the loader's processes, "device" whole batches at once, "auto" the latter
    on a GPU.
    tensorboard: also write event files (needs the tensorboard package).
    """

    packs: tuple[str, ...] = ()
    model: str = "nano"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    encoder_init: str | None = None
    encoder_map: Mapping[str, str] = field(default_factory=dict)
    encoder_sha256: str | None = None
    encoder_lr: float = 1.0
    layer_decay: float = 1.0
    name: str = "run"
    seed: int = 0
    steps: int = 10000
    batch_size: int = 64
    accumulate: int = 1
    lr: float = 1e-3
    lr_end: float = 0.01
    warmup: int = 300
    weight_decay: float = 0.02
    grad_clip: float = 1.0
    ema: float = 0.998
    align_lr: float = 0.1
    align_penalty: float = 1.0
    temperature: float = 0.5
    shares: Mapping[str, float] = field(default_factory=dict)
    sources: tuple[str, ...] | None = None
    schemes: tuple[str, ...] | None = None
    limit_per_group: int | None = None
    validate_every: int = 500
    save_every: int = 250
    patience: int | None = None
    amp: Literal["bf16", "fp16", "off"] = "bf16"
    compile: bool = False
    tensorboard: bool = False
    device: str = "auto"
    threads: int | None = None
    workers: int = 1
    augment_on: Literal["auto", "cpu", "device"] = "auto"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON."""
        return plain(dataclasses.asdict(self))


def plain(value: Any) -> Any:
    """Mappings and lists of plain values, for YAML and JSON."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def load_config(path: Path | None, words: Sequence[str] = ()) -> TrainConfig:
    """A configuration from a YAML file (or the defaults) and ``key=value`` words.

    Keys of nested records are written with dots: ``augment.flip=0``. Raises InputError when the
    file is not YAML and ProblemsError with everything that is wrong.
    """
    config: TrainConfig = read_config(TrainConfig, path, words, _check)
    return config


def read_config(
    kind: type, path: Path | None, words: Sequence[str], check: Callable[[Any, list[str]], None]
) -> Any:
    """A record of ``kind`` as ``load_config`` makes one; ``check`` adds to the problems."""
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise InputError(path, f"cannot read the config: {error.strerror}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise InputError(path, "not valid YAML", mark.line + 1 if mark else None) from None
        if not isinstance(raw, dict):
            raise InputError(path, "a config is a mapping of keys to values")
    problems: list[str] = []
    for word in words:
        _set_word(raw, word, problems)
    config = _build(kind, raw, "", problems)
    check(config, problems)
    if problems:
        raise ProblemsError(path or "config", problems, "tufa-cli config show lists the keys")
    return config


def _set_word(raw: dict[str, Any], word: str, problems: list[str]) -> None:
    key, equals, text = word.partition("=")
    if not equals or not key:
        problems.append(f"'{word}': expected key=value")
        return
    *folders, last = key.split(".")
    for folder in folders:
        raw = raw.setdefault(folder, {})
        if not isinstance(raw, dict):
            problems.append(f"'{word}': {folder} is not a group of keys")
            return
    value = yaml.safe_load(text)
    # YAML 1.1 reads 1e-3 as text; a number was meant.
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    raw[last] = value


def _build(kind: type, raw: Mapping[str, Any], prefix: str, problems: list[str]) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in raw.items():
        if key not in hints:
            near = nearest(str(key), hints, 1)
            offer = f", did you mean {prefix}{near[0]}?" if near else ""
            problems.append(f"unknown key '{prefix}{key}'{offer}")
        elif dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping):
            values[key] = _build(hints[key], value, f"{prefix}{key}.", problems)
        else:
            fits, converted = _convert(hints[key], value)
            if fits:
                values[key] = converted
            else:
                problems.append(f"{prefix}{key}: {value!r} is not {_describe(hints[key])}")
    return kind(**values)


def _convert(hint: Any, value: Any) -> tuple[bool, Any]:
    """Whether a YAML value fits a type, and the value in that type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return type(None) in args, None
        return _convert(next(a for a in args if a is not type(None)), value)
    if origin is Literal:
        value = "off" if value is False else value
        return value in args, value
    if origin is tuple:
        value = [value] if isinstance(value, str) else value
        return isinstance(value, list), tuple(value) if isinstance(value, list) else value
    if origin is not None or hint is Mapping:
        return isinstance(value, Mapping), value
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool, value
    if hint is float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                return False, value
        return isinstance(value, (int, float)), float(value) if not isinstance(value, list) else 0
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, hint), value


def _describe(hint: Any) -> str:
    args = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, args))
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _describe(args[0]) + " or null"
    return words.get(hint, "a list" if typing.get_origin(hint) is tuple else "a mapping")


def _check(config: TrainConfig, problems: list[str]) -> None:
    """Values of the right type that cannot be; keys with a mistake already have their default."""
    found = []
    if not config.packs:
        found.append("packs: name at least one pack file")
    if config.model not in SIZES:
        near = nearest(config.model, SIZES, 1)
        offer = f"did you mean {near[0]}?" if near else f"known: {', '.join(SIZES)}"
        found.append(f"model: unknown size '{config.model}', {offer}")
    try:
        model_config(config.model if config.model in SIZES else "nano", config.model_options)
    except ProblemsError as error:
        found += [f"model_options: {problem}" for problem in error.problems]
    for key in ("steps", "batch_size", "accumulate", "validate_every", "save_every"):
        if getattr(config, key) < 1:
            found.append(f"{key}: must be at least 1")
    if config.batch_size % max(config.accumulate, 1):
        found.append("accumulate: batch_size must be a multiple of it")
    if config.patience is not None and config.patience < 1:
        found.append("patience: must be at least 1, or null")
    if not 0 < config.layer_decay <= 1:
        found.append("layer_decay: must be above 0, at most 1")
    if config.lr <= 0:
        found.append("lr: must be greater than 0")
    if not 0 <= config.ema < 1:
        found.append("ema: must be in 0..1, below 1")
    told = {problem.split(":")[0] for problem in problems}
    problems += [text for text in found if text.split(":")[0] not in told]
