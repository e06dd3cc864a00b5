"""``Tufa``: a photo's crop and the anchors of any scheme in, that scheme's points out.

Method: TUFA, arXiv 2503.22359 (facts: reference/tufa.md 1.4); the sizes differ in encoder and
widths only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tufa_cli.model.config import ModelConfig
from tufa_cli.model.decoder import DecoderLayer
from tufa_cli.model.prompt import FourierPrompt, SinePrompt
from tufa_cli.model.pyramid import PyramidEncoder
from tufa_cli.model.vit import VitEncoder

#: Means and deviations of ImageNet's RGB values in 0..1, which DINO's weights expect.
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)


class Prediction(NamedTuple):
    """points: (B, L, K, 2) crop units, the last layer is the answer.

    log_scale: (B, L, K) log of the expected distance to the true place, in crop units; None from
    a network that does not tell.
    """

    points: Tensor
    log_scale: Tensor | None


class Head(nn.Module):
    """A query to a place (or a step) and the log of its expected error, if it tells."""

    def __init__(self, width: int, hidden: int, step: bool, uncertainty: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.place = nn.Linear(hidden, 2)
        self.scale = nn.Linear(hidden, 1) if uncertainty else None
        if step:
            nn.init.zeros_(self.place.weight)
            nn.init.zeros_(self.place.bias)
        if self.scale is None:
            return
        nn.init.zeros_(self.scale.weight)
        # The log of 3 % of the crop: about the error of a fresh network after its first steps.
        nn.init.constant_(self.scale.bias, -3.5)

    def forward(self, query: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, K, D) to (B, K, 2) and (B, K)."""
        hidden = self.hidden(query).relu()
        return self.place(hidden), None if self.scale is None else self.scale(hidden)[..., 0]


class Tufa(nn.Module):
    """The whole network; what differs between sizes is in ``config``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = VitEncoder(config) if config.encoder == "vit" else PyramidEncoder(config)
        self.prompt = (
            SinePrompt(config.width) if config.prompt == "sine" else FourierPrompt(config.width)
        )
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.width)
        self.steps = config.head == "offset"
        heads = config.decoder_layers if self.steps else 1
        hidden = 256 if config.width > 256 else config.width
        self.heads = nn.ModuleList(
            Head(config.width, hidden, self.steps, config.uncertainty) for _ in range(heads)
        )
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(RGB_STD).view(3, 1, 1), persistent=False)

    def normalise(self, crops: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 RGB to the encoder's float input."""
        return (crops.float() / 255.0 - self.mean) / self.std

    def forward(self, images: Tensor, anchors: Tensor, valid: Tensor | None = None) -> Prediction:
        """Predict every anchor's place in every layer.

        images: (B, 3, H, W) RGB, normalised (see ``normalise``).
        anchors: (B, K, 2) crop units; schemes may differ from face to face.
        valid: (B, K) False where a face has fewer than K points (padding), or None.
        """
        features = self.encoder(images)
        prompt = self.prompt(anchors)
        target = torch.zeros_like(prompt)
        padding = None if valid is None else ~valid
        estimate = anchors
        points, log_scales = [], []
        for index, layer in enumerate(self.layers):
            target = layer(target, prompt, features, estimate.detach(), padding)
            head = self.heads[index if self.steps else 0]
            place, log_scale = head(self.norm(target))
            place = place.float()
            # Each layer learns a step from where the one before arrived.
            estimate = (
                estimate.detach() + place
                if self.steps and index
                else (anchors + place if self.steps else place)
            )
            points.append(estimate)
            if log_scale is not None:
                log_scales.append(log_scale.float())
        told = torch.stack(log_scales, dim=1) if log_scales else None
        return Prediction(torch.stack(points, dim=1), told)
