"""Semantic alignment embeddings: one learned displacement per point and scheme (paper, abstract).

They start at zero on the plane's anchors, so a network starts from points that already agree, and
move prompts only: crops are always made from the frozen anchors (DESIGN section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tufa_cli.schemes import Plane


class Alignment(nn.Module):
    """Prompts of several schemes in crop units: anchors + embeddings, mirror-symmetric.

    The embedding of a point is the mean of its own and of its partner's mirrored, so that a
    mirrored photo is asked for by the mirrored prompt and flipping stays exact; a point without a
    partner keeps its own.
    """

    def __init__(self, plane: Plane, schemes: Sequence[str]) -> None:
        super().__init__()
        self.plane, self.schemes = plane, list(schemes)
        counts = [len(plane[name]) for name in schemes]
        anchors = torch.full((len(counts), max(counts), 2), 0.5)
        flips = torch.arange(max(counts)).repeat(len(counts), 1)
        paired = torch.zeros(len(counts), max(counts), 1)
        for i, name in enumerate(schemes):
            anchors[i, : counts[i]] = torch.from_numpy(plane.window.to_crop(plane[name])).float()
            partner = torch.tensor(plane.layout(name).flip)
            own = torch.arange(counts[i])
            flips[i, : counts[i]] = torch.where(partner < 0, own, partner)
            paired[i, : counts[i], 0] = (partner >= 0).float()
        self.counts = counts
        self.register_buffer("anchors", anchors, persistent=False)
        self.register_buffer("flips", flips, persistent=False)
        self.register_buffer("paired", paired, persistent=False)
        self.embeddings = nn.Parameter(torch.zeros_like(anchors))

    def symmetric(self) -> Tensor:
        """(S, K, 2) embeddings in crop units."""
        partner = torch.gather(self.embeddings, 1, self.flips[..., None].expand(-1, -1, 2))
        mean = (self.embeddings + partner * partner.new_tensor([-1.0, 1.0])) / 2
        return torch.lerp(self.embeddings, mean, self.paired.expand_as(mean))

    def forward(self, scheme: Tensor, index: Tensor) -> Tensor:
        """scheme (B,), index (B, K) of points in it, to prompts (B, K, 2) in crop units."""
        prompts = (self.anchors + self.symmetric())[scheme]
        return torch.gather(prompts, 1, index[..., None].expand(-1, -1, 2))

    @torch.no_grad()
    def start_from(self, prompts: Mapping[str, NDArray[np.float64]]) -> None:
        """Take over learned prompts: scheme name to (K, 2) points_plane."""
        for i, name in enumerate(self.schemes):
            theirs = prompts.get(name)
            if theirs is not None and len(theirs) == self.counts[i]:
                places = torch.from_numpy(self.plane.window.to_crop(theirs)).float()
                own = slice(0, self.counts[i])
                self.embeddings[i, own] = places - self.anchors[i, own]

    def penalty(self) -> Tensor:
        """Mean squared length of the embeddings, in crop units squared."""
        return self.symmetric().square().sum(-1).mean()

    def learned(self) -> dict[str, NDArray[np.float64]]:
        """Every scheme's moved prompts as (K, 2) points_plane."""
        moved = (self.anchors + self.symmetric()).detach().cpu().double().numpy()
        return {
            name: self.plane.window.to_plane(moved[i, : self.counts[i]])
            for i, name in enumerate(self.schemes)
        }
