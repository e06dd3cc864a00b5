"""What an encoder hands to the decoder."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """tokens: (B, T, D). positions: (1, T, D). fine: (B, D, H, W) map to sample, or None."""

    tokens: Tensor
    positions: Tensor
    fine: Tensor | None
