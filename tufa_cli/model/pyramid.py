"""nano's image encoder: a residual pyramid that two CPU cores can train.

The coarsest level gives the tokens that every query can attend to; the levels are merged top-down
into one fine map at stride 4, which queries sample around their current estimates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tufa_cli.model.config import ModelConfig
from tufa_cli.model.features import Features
from tufa_cli.model.prompt import sine_code


def _conv(norm: str, inputs: int, outputs: int, stride: int = 1, act: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs) if norm == "batch" else nn.GroupNorm(math.gcd(8, outputs), outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))


class _Residual(nn.Module):
    def __init__(self, norm: str, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(norm, channels, channels), _conv(norm, channels, channels, act=False)
        )
        # Each block starts as the identity: steadier first steps at a high learning rate.
        nn.init.zeros_(self.body[1][1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.body(x))


class PyramidEncoder(nn.Module):
    """Levels at stride 4, 8, 16 ... with ``config.channels`` and ``config.blocks``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels, blocks, norm = config.channels, config.blocks, config.norm
        self.stem = nn.Sequential(
            _conv(norm, 3, channels[0] // 2, 2), _conv(norm, channels[0] // 2, channels[0], 2)
        )
        self.levels = nn.ModuleList()
        for level, (width, depth) in enumerate(zip(channels, blocks, strict=True)):
            first = [] if level == 0 else [_conv(norm, channels[level - 1], width, 2)]
            residuals = (_Residual(norm, width) for _ in range(depth))
            self.levels.append(nn.Sequential(*first, *residuals))
        self.lateral = nn.ModuleList(nn.Conv2d(width, config.width, 1) for width in channels)
        self.smooth = nn.Conv2d(config.width, config.width, 3, padding=1, groups=config.width)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, images: Tensor) -> Features:
        """(B, 3, H, W), ImageNet-normalised, to tokens of the last level and a stride-4 map."""
        x = self.stem(images)
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        merged = self.lateral[-1](maps[-1])
        tokens = self.norm(merged.flatten(2).transpose(1, 2))
        positions = _grid_positions(merged)
        for lateral, level_map in zip(
            reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True
        ):
            up = functional.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = lateral(level_map) + up
        return Features(tokens, positions, self.smooth(merged))


def _grid_positions(level_map: Tensor) -> Tensor:
    """(1, T, D) sine code of the cell centres of a (B, D, H, W) map, in its token order."""
    width, height, columns = level_map.shape[1:]
    y = (torch.arange(height, device=level_map.device) + 0.5) / height
    x = (torch.arange(columns, device=level_map.device) + 0.5) / columns
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return sine_code(centres.flatten(0, 1), width)[None].to(level_map.dtype)
