"""Networks for tests."""

from __future__ import annotations

from torch import nn


def with_norms(model: nn.Module) -> nn.Module:
    """For use, with norms that do something, so that folding them in can go wrong."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()
