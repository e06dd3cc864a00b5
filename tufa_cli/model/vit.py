"""The paper's image encoder: DINO's ViT-S with patches of 8 or 16 pixels.

Parameter names are DINO's own, so that its published weights load unchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tufa_cli.model.config import ModelConfig
from tufa_cli.model.features import Features

#: DINO was trained on 224-pixel pictures; its position embedding is learned for that grid.
_PRETRAINED_SIZE = 224


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, width))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(tokens)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images)


class VitEncoder(nn.Module):
    """Images to patch tokens; the class token is computed and dropped, as in the release."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        grid = _PRETRAINED_SIZE // config.patch
        self.patch_embed = _PatchEmbed(config.width, config.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, config.width))
        self.blocks = nn.ModuleList(_Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def _positions(self, height: int, width: int) -> Tensor:
        """(1, T, D) patch positions for this grid.

        DINO passes a scale factor with 0.1 added rather than a size; bicubic interpolation is
        not the same for the two, and released weights were trained with the former.
        """
        patches = self.pos_embed[:, 1:]
        grid = round(patches.shape[1] ** 0.5)
        if (height, width) == (grid, grid):
            return patches
        square = patches.reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
        factor = ((height + 0.1) / grid, (width + 0.1) / grid)
        resized = functional.interpolate(square.float(), scale_factor=factor, mode="bicubic")
        return resized.permute(0, 2, 3, 1).flatten(1, 2).to(patches.dtype)

    def forward(self, images: Tensor) -> Features:
        """(B, 3, H, W), ImageNet-normalised, to (B, T, D) tokens and their positions."""
        patches = self.patch_embed(images)
        positions = self._positions(*patches.shape[-2:])
        tokens = patches.flatten(2).transpose(1, 2) + positions
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return Features(self.norm(tokens)[:, 1:], positions, None)
