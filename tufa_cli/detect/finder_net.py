"""The face finder's network: fully convolutional, one shot, three strides, no anchor boxes.

Every cell of three maps (strides 8, 16, 32) says how sure it is to lie in the middle of a face of
about the map's size, where that face's edges are, and where its five points are. An idea with many
parents: FCOS (arXiv 1904.01355) for cells and edges, depthwise-separable convolutions and their
light heads from the mobile detectors.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

Network = TypeVar("Network", bound=nn.Module)

STRIDES = (8, 16, 32)
#: Pixels at 0 lie in the middle of the range, so that the padding of convolutions is grey.
_MIDDLE, _RANGE = 127.5, 64.0
#: A map's usual face is some four cells wide; outputs near 0 then mean about that.
_POINT_UNIT = 4.0
_LOG_EDGE = 0.7
_MOST_LOG = 6.0


@dataclass(frozen=True)
class FinderConfig:
    """Widths of the network.

    stem, quarter: channels at strides 2 and 4; widths: at strides 8, 16, 32; blocks: separable
    blocks after the step down to each of these; neck: channels of the pyramid and the head.
    """

    stem: int = 16
    quarter: int = 32
    widths: tuple[int, int, int] = (64, 128, 128)
    blocks: tuple[int, int, int] = (2, 3, 2)
    neck: int = 64

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FinderConfig:
        """From ``to_dict``'s values."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


class Cells(NamedTuple):
    """What the network says, for all cells of all maps, the finest map first, row by row.

    logits: (B, N). edges: (B, N, 4) distances left, top, right, bottom from the cell's middle in
    pixels. points: (B, N, 5, 2) offsets from the cell's middle in pixels.
    """

    logits: Tensor
    edges: Tensor
    points: Tensor


class Separable(nn.Module):
    """Depthwise 3 x 3, pointwise, norm, ReLU; the input is added where the shape stays."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__()
        self.depth = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.point = nn.Conv2d(inner, outer, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outer)
        self.same = inner == outer and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.point(self.depth(x)))
        return (x + y if self.same else y).relu_()


class FinderNet(nn.Module):
    """(B, 3, H, W) RGB pixels 0..255, H and W multiples of 32, to ``Cells``."""

    def __init__(self, config: FinderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FinderConfig()
        self.stem = nn.Conv2d(3, config.stem, 3, 2, 1, bias=False)
        self.stem_norm: nn.Module = nn.BatchNorm2d(config.stem)
        self.quarter = nn.Sequential(
            Separable(config.stem, config.quarter, 2), Separable(config.quarter, config.quarter)
        )
        stages, sides, width = [], [], config.quarter
        for outer, blocks in zip(config.widths, config.blocks, strict=True):
            down = [Separable(width, outer, 2)]
            stages.append(nn.Sequential(*down, *(Separable(outer, outer) for _ in range(blocks))))
            sides.append(nn.Conv2d(outer, config.neck, 1))
            width = outer
        self.stages, self.sides = nn.ModuleList(stages), nn.ModuleList(sides)
        self.smooth = nn.ModuleList(Separable(config.neck, config.neck) for _ in STRIDES)
        self.head = Separable(config.neck, config.neck)
        self.out = nn.Conv2d(config.neck, 15, 1)
        #: Per map: what its faces' size does to the edges and points.
        self.scale = nn.Parameter(torch.ones(len(STRIDES), 2))
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        # About one cell in a hundred is a face's: training starts from there.
        nn.init.constant_(self.out.bias[:1], -4.6)

    def forward(self, pixels: Tensor) -> Cells:
        """See the class; pixels of any type, values 0..255."""
        x = (pixels.float() - _MIDDLE) / _RANGE
        x = self.stem_norm(self.stem(x)).relu_()
        x = self.quarter(x)
        maps = []
        for stage, side in zip(self.stages, self.sides, strict=True):
            x = stage(x)
            maps.append(side(x))
        for i in (1, 0):
            maps[i] = maps[i] + interpolate(maps[i + 1], scale_factor=2.0, mode="nearest")
        found = [self._cells(i, smooth(maps[i])) for i, smooth in enumerate(self.smooth)]
        return Cells(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True)))

    def _cells(self, level: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw = self.out(self.head(x)).permute(0, 2, 3, 1).flatten(1, 2).float()
        stride = STRIDES[level]
        edges = (raw[..., 1:5] * self.scale[level, 0] + _LOG_EDGE).clamp(max=_MOST_LOG).exp()
        points = raw[..., 5:] * (self.scale[level, 1] * _POINT_UNIT)
        return raw[..., 0], edges * stride, points.unflatten(-1, (5, 2)) * stride


@lru_cache(maxsize=32)
def cell_middles(height: int, width: int) -> Tensor:
    """(N, 3) x, y (pixel centres at integers) and stride of every cell, in ``Cells``' order."""
    parts = []
    for stride in STRIDES:
        y = torch.arange(height // stride) * stride + (stride - 1) / 2
        x = torch.arange(width // stride) * stride + (stride - 1) / 2
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
        parts.append(torch.cat([grid, torch.full((len(grid), 1), float(stride))], dim=1))
    return torch.cat(parts)


def fused(model: Network) -> Network:
    """A copy in evaluation mode with its norms folded into the convolutions: only for finding.

    model: a network of ``Separable`` blocks behind a ``stem`` with its ``stem_norm``.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    lean: Any = copy.deepcopy(model).eval()
    lean.stem = fuse_conv_bn_eval(lean.stem, lean.stem_norm)
    lean.stem_norm = nn.Identity()
    for block in [m for m in lean.modules() if isinstance(m, Separable)]:
        block.point = fuse_conv_bn_eval(block.point, block.norm)
        block.norm = nn.Identity()
    lean.requires_grad_(False).to(memory_format=torch.channels_last)
    return cast(Network, lean)


def multiply_adds(model: FinderNet, height: int = 320, width: int = 320) -> int:
    """Multiply-adds of all convolutions for one picture of that size."""
    total = 0

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += module.weight.numel() * output.shape[-2] * output.shape[-1]

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, height, width))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
