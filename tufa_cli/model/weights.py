"""Weights files: one file that can annotate on its own.

A file is a ``torch.save`` of tensors and JSON text only, read with ``weights_only=True``: the
network's state, its config, the plane with every scheme's anchors, the prompts that training moved,
and the terms of use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.crop import Window
from tufa_cli.model.build import build_model
from tufa_cli.model.config import model_config
from tufa_cli.model.tufa import Tufa
from tufa_cli.schemes import Plane, Scheme
from tufa_cli.schemes.anchors import anchors_for, is_on
from tufa_cli.schemes.plane import plane_from_json
from tufa_cli.writing import replacing

FORMAT = "tufa-weights"
VERSION = 1

#: The network that ships with the package.
BUILTIN = "nano"


@dataclass(eq=False)
class Weights:
    """A network with all it needs to annotate.

    plane: frozen anchors, what crops are made from. learned: scheme name to (K, 2) points_plane
    that training moved the anchors to, for the schemes it saw.
    meta: name, terms of use, what it was trained on, how it measures.
    """

    model: Tufa
    plane: Plane
    learned: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.meta.get("name", self.model.config.name))

    @property
    def window(self) -> Window:
        """The square of the plane that the network sees."""
        return self.plane.window

    @property
    def input_size(self) -> int:
        """Side of a crop in pixels."""
        return self.model.config.input_size

    def anchors(self, scheme: Scheme) -> NDArray[np.float64]:
        """(K, 2) points_plane that crops are made from: the plane's, or placed by meaning.

        Raises TufaError when some point of the scheme has no place on the plane.
        """
        return anchors_for(scheme, self.plane)

    def prompts(self, scheme: Scheme) -> NDArray[np.float64]:
        """(K, 2) points_plane to query with: as trained, else ``anchors``."""
        learned = self.learned.get(scheme.name)
        if learned is not None and len(learned) == len(scheme) and is_on(scheme, self.plane):
            return learned
        return self.anchors(scheme)


def save_weights(path: Path, weights: Weights, overwrite: bool = False, half: bool = False) -> None:
    """Write a weights file, whole or not at all; ``half`` stores matrices in float16."""
    state = {name: _stored(tensor, half) for name, tensor in weights.model.state_dict().items()}
    payload = {
        "format": FORMAT,
        "version": VERSION,
        "config": json.dumps(weights.model.config.to_dict()),
        "plane": weights.plane.to_json(),
        "learned": {k: torch.from_numpy(np.asarray(v)) for k, v in weights.learned.items()},
        "meta": json.dumps(dict(weights.meta)),
        "state": state,
    }
    with replacing(path, overwrite) as temporary:
        torch.save(payload, temporary)


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() and tensor.dim() > 1 else tensor


def builtin_weights_path() -> Path:
    """Where the shipped network lies; raises TufaError when this package has none."""
    path = Path(str(resources.files("tufa_cli.model") / "weights" / f"{BUILTIN}.pt"))
    if not path.is_file():
        raise TufaError("this package ships no weights", "give a file with --weights")
    return path


def load_weights(path: Path | None = None) -> Weights:
    """The weights in a file (None: the shipped ``nano``), in evaluation mode on the CPU.

    Raises InputError when the file is missing, is no weights file, or does not fit its own config.
    """
    path = builtin_weights_path() if path is None else Path(path)
    payload = _payload(path)
    config = json.loads(payload["config"])
    model = build_model(model_config(config.pop("name"), config))
    try:
        model.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in payload["state"].items()}
        )
    except RuntimeError:
        raise InputError(path, "the weights do not fit the size their config names") from None
    model.eval()
    return Weights(
        model,
        plane_from_json(payload["plane"], str(path)),
        {k: v.double().numpy() for k, v in payload["learned"].items()},
        json.loads(payload["meta"]),
    )


def _payload(path: Path) -> dict[str, Any]:
    hint = "see 'tufa-cli models list' for the shipped weights"
    try:
        file = path.open("rb")
    except OSError as error:
        reason = error.strerror or "not readable"
        raise InputError(path, f"cannot read the weights: {reason}", hint=hint) from None
    try:
        with file:
            payload = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many types for a file that is not its own
        raise InputError(path, "not a weights file", hint=hint) from None
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise InputError(path, "not a weights file of tufa-cli", hint=hint)
    if payload["version"] != VERSION:
        raise InputError(path, f"weights of version {payload['version']}, known: {VERSION}")
    return payload
