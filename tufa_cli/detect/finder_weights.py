"""The face finder's weights file: tensors and JSON text only, read with ``weights_only=True``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tufa_cli.detect.base import BoxPlane
from tufa_cli.detect.finder_net import FinderConfig, FinderNet
from tufa_cli.detect.second_look import SecondConfig, SecondNet
from tufa_cli.detect.weights_path import builtin_finder_path
from tufa_cli.errors import InputError, TufaError
from tufa_cli.writing import replacing

FORMAT = "tufa-finder"
VERSION = 3
#: Version 2 had one network for the second look.
_READ = (2, 3)


@dataclass(eq=False)
class FinderWeights:
    """A network with all it needs to find faces.

    second: the networks that judge the first one's finds; none leaves its scores as they are.
    box_plane: where on the plane its boxes lie (fitted, ``examples/fit_detector.py``). min_score:
    finds below are not worth a second look. meta: terms of use, what it was trained on.
    """

    model: FinderNet
    box_plane: BoxPlane
    min_score: float = 0.5
    meta: Mapping[str, Any] = field(default_factory=dict)
    second: Sequence[SecondNet] = ()


def save_finder(path: Path, weights: FinderWeights, overwrite: bool = False) -> None:
    """Write a weights file with matrices in float16, whole or not at all."""
    payload = {
        "format": FORMAT,
        "version": VERSION,
        "config": json.dumps(weights.model.config.to_dict()),
        "box_plane": torch.tensor(weights.box_plane, dtype=torch.float64),
        "min_score": float(weights.min_score),
        "meta": json.dumps(dict(weights.meta)),
        "state": _half(weights.model),
        "second_config": json.dumps([network.config.to_dict() for network in weights.second]),
        "second": [_half(network) for network in weights.second],
    }
    with replacing(path, overwrite) as temporary:
        torch.save(payload, temporary)


def _half(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a network, matrices in float16."""
    state = {}
    for name, tensor in model.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        state[name] = tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
    return state


def _whole(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as networks hold them."""
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def load_finder(path: Path | None = None) -> FinderWeights:
    """The weights in a file (None: the shipped ones), in evaluation mode on the CPU.

    Raises TufaError when the package ships none, InputError when the file is not such weights.
    """
    path = path or builtin_finder_path()
    if path is None:
        raise TufaError(
            "this package ships no network of the face finder",
            "give one with --detector-weights, or use --detector lbp",
        )
    payload = _payload(Path(path))
    try:
        model = FinderNet(FinderConfig.from_dict(json.loads(payload["config"])))
        model.load_state_dict(_whole(payload["state"]))
        second = _second(payload)
        box_plane = BoxPlane(*payload["box_plane"].tolist())
        meta, min_score = json.loads(payload["meta"]), float(payload["min_score"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError):
        raise InputError(path, "the weights of the face finder are damaged") from None
    return FinderWeights(model.eval(), box_plane, min_score, meta, second)


def _second(payload: Mapping[str, Any]) -> tuple[SecondNet, ...]:
    settings, states = json.loads(payload["second_config"]), payload["second"]
    if payload["version"] == 2:
        settings, states = ([settings], [states]) if settings is not None else ([], [])
    networks = []
    for one, state in zip(settings, states, strict=True):
        networks.append(SecondNet(SecondConfig.from_dict(one)).eval())
        networks[-1].load_state_dict(_whole(state))
    return tuple(networks)


def _payload(path: Path) -> dict[str, Any]:
    try:
        file = path.open("rb")
    except OSError as error:
        reason = error.strerror or "not readable"
        raise InputError(path, f"cannot read the weights: {reason}") from None
    try:
        with file:
            payload = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many types for a file that is not its own
        raise InputError(path, "not a weights file") from None
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise InputError(path, "not weights of a face finder", hint="see tufa-cli train-finder")
    if payload.get("version") not in _READ:
        raise InputError(path, f"weights of version {payload.get('version')}, known: {VERSION}")
    return payload
