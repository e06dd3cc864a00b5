"""The face finder's second look: small networks that judge each find by a crop of its own.

The first network sees a whole photo once and must be cheap in every cell; what it takes for a
face is few places, and those can be looked at again, upright and in the photo's full resolution.
The idea of a cascade that grows more careful is Viola and Jones's, and MTCNN's (arXiv 1604.02878).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tufa_cli.detect.base import FLIP, Detections, RgbImage
from tufa_cli.detect.finder_net import Separable
from tufa_cli.geometry.crop import CropMap, crop_from_square
from tufa_cli.images.warp import warp_crop

FloatArray = NDArray[np.float64]

#: Side of a crop in pixels, and in the longer sides of the box it is about.
CROP, CONTEXT = 48, 1.75
#: What the first network's logit counts beside the second's.
FIRST_WEIGHT = 1.0
#: What one network judges outside of this is not looked at by the others: they would hardly make it
#: a face, or none.
DOUBTFUL = (0.3, 0.97)
_MIDDLE, _RANGE = 127.5, 64.0
#: Noise in the dark is not blown up beyond that (in the range above).
_LEAST_SPREAD = 0.1


@dataclass(frozen=True)
class SecondConfig:
    """Widths of the network: channels at strides 2, 4, 8, 16, and of the last hidden layer.

    own_light: every crop is brought to one mean and one spread first, so that a face in the dark
    looks like one in the sun.
    """

    widths: tuple[int, int, int, int] = (16, 48, 96, 128)
    blocks: tuple[int, int, int] = (1, 2, 1)
    hidden: int = 96
    own_light: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SecondConfig:
        """From ``to_dict``'s values."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


class Judgement(NamedTuple):
    """What the network says of B crops.

    logits: (B,) whether there is a face in the middle. boxes: (B, 3) in crop units, how far the
    face's middle is from the crop's, and the logarithm of its size over the given one.
    points: (B, 5, 2) in crop units (0..1).
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor


class SecondNet(nn.Module):
    """(B, 3, CROP, CROP) RGB pixels 0..255 to a ``Judgement``."""

    def __init__(self, config: SecondConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SecondConfig()
        self.stem = nn.Conv2d(3, config.widths[0], 3, 2, 1, bias=False)
        self.stem_norm: nn.Module = nn.BatchNorm2d(config.widths[0])
        layers: list[nn.Module] = []
        width = config.widths[0]
        for outer, blocks in zip(config.widths[1:], config.blocks, strict=True):
            layers += [
                Separable(width, outer, 2),
                *(Separable(outer, outer) for _ in range(blocks)),
            ]
            width = outer
        self.stages = nn.Sequential(*layers)
        self.hidden = nn.Linear(width * (CROP // 16) ** 2, config.hidden)
        self.out = nn.Linear(config.hidden, 14)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, pixels: Tensor) -> Judgement:
        """See the class; pixels of any type, values 0..255."""
        x = (pixels.float() - _MIDDLE) / _RANGE
        if self.config.own_light:
            # Not torch.std_mean: it takes five times as long.
            x = x - x.mean((1, 2, 3), keepdim=True)
            x = x / (x.square().mean((1, 2, 3), keepdim=True).sqrt() + _LEAST_SPREAD)
        x = self.stages(self.stem_norm(self.stem(x)).relu_())
        y = self.out(self.hidden(x.flatten(1)).relu_()).float()
        return Judgement(y[:, 0], y[:, 1:4], y[:, 4:].unflatten(1, (5, 2)) + 0.5)


def second_crops(boxes: FloatArray, points: FloatArray) -> list[CropMap]:
    """The crop of each find: around its box, turned upright by its five points.

    boxes: (N, 4) x, y, w, h; points: (N, 5, 2), all in image pixels.
    """
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    sides = np.maximum(boxes[:, 2:].max(axis=1), 1.0) * CONTEXT
    down = points[:, 3:5].mean(axis=1) - points[:, 0:2].mean(axis=1)
    rolls = np.arctan2(-down[:, 0], down[:, 1])
    return [
        crop_from_square(*find)
        for find in zip(middles, sides.tolist(), rolls.tolist(), strict=True)
    ]


def judge(
    networks: Sequence[SecondNet], pixels: Tensor, first: FloatArray
) -> tuple[NDArray[np.float64], Judgement]:
    """Scores (B,) of crops (B, 3, CROP, CROP), and the mean of what networks say of them.

    first: (B,) the first network's scores. All crops are judged by the first of the networks;
    what it leaves in doubt, by its mirror image too, and by the other networks from both sides.
    """
    plain = networks[0](pixels)
    certain = np.clip(first, 1e-6, 1 - 1e-6)
    given = FIRST_WEIGHT * np.log(certain / (1 - certain))
    scores = _together(given, plain.logits)
    doubtful = torch.from_numpy(np.flatnonzero((scores >= DOUBTFUL[0]) & (scores < DOUBTFUL[1])))
    if len(doubtful):
        chosen = pixels[doubtful]
        said = [Judgement(*(part[doubtful] for part in plain)), _mirrored(networks[0], chosen)]
        for network in networks[1:]:
            said += [network(chosen), _mirrored(network, chosen)]
        for part, parts in zip(plain, zip(*said, strict=True), strict=True):
            part[doubtful] = torch.stack(parts).mean(0)
        scores = _together(given, plain.logits)
    return scores, plain


def _together(given: FloatArray, logits: Tensor) -> FloatArray:
    """(B,) scores of the first network's weighted logits and the others' mean."""
    both = (logits.double().numpy() + given) / (1 + FIRST_WEIGHT)
    return np.asarray(1 / (1 + np.exp(-both)))


def _mirrored(network: SecondNet, pixels: Tensor) -> Judgement:
    """What a network says of the crops' mirror images, told of the crops."""
    said = network(pixels.flip(3))
    boxes = said.boxes * torch.tensor([-1.0, 1.0, 1.0])
    points = said.points[:, FLIP] * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    return Judgement(said.logits, boxes, points)


def second_look(
    networks: Sequence[SecondNet],
    image: RgbImage,
    boxes: FloatArray,
    scores: FloatArray,
    points: FloatArray,
) -> Detections:
    """Finds of the first network as all see them together, in the order given.

    image: the photo (H, W, 3) in whose pixels boxes (N, 4) and points (N, 5, 2) are. The score
    that comes out is that of the sum of the first network's logit, weighted by FIRST_WEIGHT, and
    the mean of the others', since they are wrong about different places; box and points are the
    others' mean.
    """
    crops = second_crops(boxes, points)
    pixels = np.stack([warp_crop(image, crop, CROP) for crop in crops])
    with torch.inference_mode():
        both, found = judge(networks, torch.from_numpy(pixels).permute(0, 3, 1, 2), scores)
    moves, inside = found.boxes.double().numpy(), found.points.double().numpy()
    middles = np.stack([c.to_image(0.5 + move[:2]) for c, move in zip(crops, moves, strict=True)])
    sizes = boxes[:, 2:] * np.exp(np.clip(moves[:, 2:], -0.7, 0.7))
    seen = np.stack([crop.to_image(five) for crop, five in zip(crops, inside, strict=True)])
    return Detections(np.hstack([middles - sizes / 2, sizes]), both, seen)
