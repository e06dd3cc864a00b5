"""Structure prompts: places on the plane as vectors that the decoder's queries carry."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sine_code(anchors: Tensor, width: int) -> Tensor:
    """The release's fixed code of places: (..., 2) crop units to (..., D).

    c = 2 * anchor - 1; per axis sin and cos interleaved at frequencies
    10000^(-2 floor(i/2) / (D/2)), i = 0 .. D/2 - 1; the y half comes first
    (facts: reference/tufa.md 1.4).
    """
    half = width // 2
    index = torch.arange(half, device=anchors.device)
    frequency = 10000.0 ** (-2.0 * torch.div(index, 2, rounding_mode="floor") / half)
    angle = (2.0 * anchors.float() - 1.0)[..., None] * frequency
    code = torch.where(index % 2 == 0, angle.sin(), angle.cos())
    return torch.cat([code[..., 1, :], code[..., 0, :]], dim=-1)


class SinePrompt(nn.Module):
    """``sine_code`` as a module without parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, anchors: Tensor) -> Tensor:
        """(B, K, 2) anchors in crop units to (B, K, D)."""
        return sine_code(anchors, self.width)


class FourierPrompt(nn.Module):
    """Fourier features of a place over octaves, then a learned two-layer projection.

    The release's code turns by at most one radian over half a crop, so that neighbouring points
    look alike; a small decoder needs sharper prompts. The highest of ``octaves`` has a period of
    1 / 16 of the crop.
    """

    def __init__(self, width: int, octaves: int = 6) -> None:
        super().__init__()
        frequency = math.pi * 2.0 ** torch.arange(octaves)
        self.register_buffer("frequency", frequency, persistent=False)
        self.project = nn.Sequential(
            nn.Linear(4 * octaves + 2, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, anchors: Tensor) -> Tensor:
        """(B, K, 2) anchors in crop units to (B, K, D)."""
        centred = 2.0 * anchors - 1.0
        angle = centred[..., None] * self.frequency
        code = torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(-2)
        return self.project(torch.cat([centred, code], dim=-1))
