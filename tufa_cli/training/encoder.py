"""A pretrained encoder in a new network: DINO's ViT-S, or any state dict with a key map."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tufa_cli.errors import InputError, ProblemsError


def load_encoder(
    encoder: nn.Module, path: Path, key_map: Mapping[str, str], sha256: str | None = None
) -> list[str]:
    """Copy a state dict into ``encoder``; the file's keys that it has no use for are returned.

    path: a torch file with a state dict, bare or under "state_dict", "model" or "teacher".
    key_map: beginnings of the file's keys to what they are here (DINO's own names need none; a
    leading "module.", "backbone." or "Encoder." is dropped). sha256: hex digest to check first.

    Raises InputError for a file that cannot be read or is not the one named by its checksum, and
    ProblemsError with every key that is missing or of another shape.
    """
    _check_sum(path, sha256)
    theirs = {_renamed(key, key_map): value for key, value in _state_dict(path).items()}
    problems = []
    ours = encoder.state_dict()
    for key, value in ours.items():
        if key not in theirs:
            if not key.endswith("num_batches_tracked"):
                problems.append(f"{key}: not in the file")
        elif theirs[key].shape != value.shape:
            problems.append(
                f"{key}: {tuple(theirs[key].shape)} in the file, {tuple(value.shape)} here"
            )
    if problems:
        raise ProblemsError(path, problems, "encoder_map names what the file's keys are here")
    encoder.load_state_dict({k: theirs.get(k, v) for k, v in ours.items()})
    return sorted(set(theirs) - set(ours))


def _check_sum(path: Path, sha256: str | None) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while sha256 and (block := file.read(1 << 20)):
                digest.update(block)
    except OSError as error:
        raise InputError(path, f"cannot read the encoder: {error.strerror}") from None
    if sha256 and digest.hexdigest() != sha256.lower():
        raise InputError(path, f"its SHA-256 is {digest.hexdigest()}, the config names {sha256}")


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many types for a file that is not its own
        raise InputError(path, "not a torch file with plain tensors") from None
    for key in ("state_dict", "model", "teacher"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    if not isinstance(data, dict) or not any(isinstance(v, Tensor) for v in data.values()):
        raise InputError(path, "holds no state dict")
    return {str(key): value for key, value in data.items() if isinstance(value, Tensor)}


def _renamed(key: str, key_map: Mapping[str, str]) -> str:
    for theirs, ours in key_map.items():
        if key.startswith(theirs):
            return ours + key[len(theirs) :]
    for prefix in ("module.", "backbone.", "Encoder."):
        key = key.removeprefix(prefix)
    return key
