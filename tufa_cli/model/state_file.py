"""State dicts in other people's files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tufa_cli.errors import InputError


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch file by name: bare, or under "state_dict", "model" or "teacher".

    Raises InputError for a file that cannot be read, is not torch's, or holds more than plain
    values.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        reason = error.strerror or "not readable"
        raise InputError(path, f"cannot read it: {reason}") from None
    try:
        with file:
            data = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many types for a file that is not its own
        raise InputError(path, "not a torch file with plain tensors") from None
    for key in ("state_dict", "model", "teacher"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    if not isinstance(data, dict) or not any(isinstance(v, Tensor) for v in data.values()):
        raise InputError(path, "holds no state dict")
    return {str(key): value for key, value in data.items() if isinstance(value, Tensor)}
