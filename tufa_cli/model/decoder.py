"""The decoder: queries that carry a place on the plane read the image, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tufa_cli.model.config import ModelConfig
from tufa_cli.model.features import Features


class LocalSampler(nn.Module):
    """Reads a fine map at a few learned offsets around each query's current estimate.

    The idea of deformable attention (Zhu et al. 2021, arXiv 2010.04159), one level.
    """

    def __init__(self, width: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.value = nn.Conv2d(width, width, 1)
        self.offset = nn.Linear(width, heads * points * 2)
        self.weight = nn.Linear(width, heads * points)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.offset.weight)
        # Start spread over a ring of one to a few cells, a different direction per head.
        angle = torch.arange(heads) * (2 * torch.pi / heads)
        ring = torch.stack([angle.cos(), angle.sin()], -1)[:, None] * torch.arange(points)[:, None]
        with torch.no_grad():
            self.offset.bias.copy_(ring.flatten())

    def forward(self, query: Tensor, estimate: Tensor, fine: Tensor) -> Tensor:
        """query (B, K, D), estimate (B, K, 2) crop units, fine (B, D, H, W) to (B, K, D)."""
        batch, count, width = query.shape
        height, columns = fine.shape[-2:]
        value = self.value(fine).reshape(batch * self.heads, width // self.heads, height, columns)
        offset = self.offset(query).reshape(batch, count, self.heads, self.points, 2).float()
        cell = torch.tensor([columns, height], device=query.device)
        place = 2.0 * (estimate[:, :, None, None].float() + offset / cell) - 1.0
        grid = place.transpose(1, 2).flatten(0, 1)
        # Sampling in float32: bfloat16 places would be off by a third of a cell.
        with torch.autocast(device_type=query.device.type, enabled=False):
            sampled = functional.grid_sample(
                value.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
            )
            weight = self.weight(query.float()).reshape(batch, count, self.heads, self.points)
            weight = weight.softmax(-1).transpose(1, 2).flatten(0, 1)[:, None]
            mixed = (sampled * weight).sum(-1)
        return self.out(mixed.reshape(batch, width, count).transpose(1, 2))


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, attention to the tokens, local sampling (optional), feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.self_attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.linear1 = nn.Linear(width, config.ffn)
        self.linear2 = nn.Linear(config.ffn, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.local = None
        if config.local_points:
            self.local = LocalSampler(width, config.heads, config.local_points)
            self.norm_local = nn.LayerNorm(width)

    def forward(
        self,
        target: Tensor,
        prompt: Tensor,
        features: Features,
        estimate: Tensor,
        padding: Tensor | None,
    ) -> Tensor:
        """target, prompt (B, K, D); estimate (B, K, 2); padding (B, K) True where unused."""
        x = self.norm1(target)
        query = x + prompt
        target = (
            target
            + self.self_attn(query, query, x, key_padding_mask=padding, need_weights=False)[0]
        )
        query = self.norm2(target) + prompt
        key = features.tokens + features.positions
        target = target + self.multihead_attn(query, key, features.tokens, need_weights=False)[0]
        if self.local is not None and features.fine is not None:
            query = self.norm_local(target) + prompt
            target = target + self.local(query, estimate, features.fine)
        hidden = functional.relu(self.linear1(self.norm3(target)))
        return target + self.linear2(hidden)
