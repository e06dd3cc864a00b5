"""Networks by the name of their size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tufa_cli.model.config import ModelConfig, model_config
from tufa_cli.model.tufa import Tufa


def build_model(size: str | ModelConfig, overrides: Mapping[str, Any] | None = None) -> Tufa:
    """A network with fresh weights; torch's global seed decides which."""
    config = size if isinstance(size, ModelConfig) else model_config(size, overrides)
    return Tufa(config)


def count_parameters(model: torch.nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in model.parameters())
