"""Augmentation of a whole batch on the device: the warp and what happens to the pixels.

The loader's processes then only decode. What is drawn is the same as on the CPU (``data.augment``);
the pixels agree with OpenCV's up to rounding, but for the noise, whose grains are others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tufa_cli.data.augment import Light
from tufa_cli.data.packed import Batch, collate

_GRAY = (0.299, 0.587, 0.114)

#: Quantisation of light and colour, ITU T.81 annex K.1, which OpenCV's encoder scales by quality.
_LUMINANCE = """
16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101
72 92 95 98 112 100 103 99
"""
_CHROMINANCE = """
17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
"""


class RawBatch(NamedTuple):
    """A batch before augmentation.

    labels: the batch's other fields, its images empty. stored: (B, s, s, 3) uint8 BGR, black beyond
    a smaller crop's edges. maps: (B, 2, 3) float32, pixel indices of the new crops to those of the
    stored. lights: what happens to the pixels. smooth: (n, S, S) float32, see ``smoothing``, of the
    faces whose lights soften or shrink.
    """

    labels: Batch
    stored: Tensor
    maps: Tensor
    lights: Sequence[Light]
    smooth: Tensor


def collate_any(samples: Sequence[Mapping[str, Any]]) -> Batch | RawBatch:
    """Samples of a ``PackedFaces`` of either kind to a batch."""
    return collate_raw(samples) if "stored" in samples[0] else collate(samples)


def ready(batch: Batch | RawBatch, device: torch.device, size: int) -> Batch:
    """A batch to learn from: augmented on the device when it is not yet."""
    return augment_on(device, batch, size) if isinstance(batch, RawBatch) else batch


def collate_raw(samples: Sequence[Mapping[str, Any]]) -> RawBatch:
    """Samples of ``PackedFaces(..., on_device=True)`` to a batch."""
    labels = collate([{**sample, "image": np.empty((3, 0, 0), np.uint8)} for sample in samples])
    height, width = (max(sample["stored"].shape[axis] for sample in samples) for axis in (0, 1))
    stored = np.empty((len(samples), height, width, 3), np.uint8)
    for place, sample in zip(stored, samples, strict=True):
        rows, columns = sample["stored"].shape[:2]
        place[:rows, :columns] = sample["stored"]
        place[rows:], place[:rows, columns:] = 0, 0
    maps = np.stack([sample["map"] for sample in samples]).astype(np.float32)
    size, lights = samples[0]["size"], [sample["light"] for sample in samples]
    smooth = [smoothing(light, size) for light in lights if light.soften or light.shrink]
    return RawBatch(
        labels,
        torch.from_numpy(stored),
        torch.from_numpy(maps),
        lights,
        torch.from_numpy(np.stack(smooth) if smooth else np.empty((0, size, size), np.float32)),
    )


def smoothing(light: Light, size: int) -> NDArray[np.float32]:
    """(size, size) matrix M of a blur: the picture x becomes M x Mᵀ.

    As OpenCV does it for 8 bits: a Gaussian cut at three sigma with mirrored borders, or averages
    over areas and bilinear enlargement.
    """
    if light.soften is not None:
        radius = (round(light.soften * 6 + 1) | 1) // 2
        steps = np.arange(-radius, radius + 1)
        weights = np.exp(-(steps**2) / (2 * light.soften**2))
        matrix = np.zeros((size, size))
        at = np.abs(np.arange(size)[:, None] + steps)
        at = np.where(at >= size, 2 * size - 2 - at, at)
        np.add.at(matrix, (np.arange(size)[:, None], at), weights / weights.sum())
        return matrix.astype(np.float32)
    assert light.shrink is not None
    small, ratio = light.shrink, size / light.shrink
    begin, pixel = np.arange(small)[:, None] * ratio, np.arange(size)
    overlap = np.minimum(begin + ratio, pixel + 1) - np.maximum(begin, pixel)
    shrinking = overlap.clip(0) / ratio
    place = ((pixel + 0.5) / ratio - 0.5).clip(0, small - 1)
    enlarging = (1 - np.abs(place[:, None] - np.arange(small))).clip(0)
    return (enlarging @ shrinking).astype(np.float32)


@torch.no_grad()
def augment_on(device: torch.device, raw: RawBatch, size: int) -> Batch:
    """The batch of (B, 3, size, size) uint8 RGB crops, on the device."""
    labels = raw.labels.to(device)
    pixels = raw.stored.to(device, non_blocking=True).permute(0, 3, 1, 2).flip(1).float()
    crops = warp(pixels, raw.maps.to(device, non_blocking=True), size)
    crops = _coloured(crops, raw.lights)
    chosen = [i for i, light in enumerate(raw.lights) if light.soften or light.shrink]
    if chosen:
        matrix = raw.smooth.to(device, non_blocking=True)[:, None]
        crops[chosen] = matrix @ crops[chosen] @ matrix.transpose(-1, -2)
    for i, light in enumerate(raw.lights):
        if light.noise is not None:
            deviation, seed = light.noise
            source = torch.Generator(device).manual_seed(seed)
            crops[i] += deviation * torch.randn(size, size, generator=source, device=device)
    chosen = [i for i, light in enumerate(raw.lights) if light.jpeg is not None]
    if chosen:
        qualities = [light.jpeg for light in raw.lights if light.jpeg is not None]
        crops[chosen] = compressed(crops[chosen].clamp(0, 255), qualities)
    for crop, light in zip(crops, raw.lights, strict=True):
        if light.occlusion is not None:
            _occlude(crop, light)
    return labels._replace(images=crops.clamp(0, 255).round().to(torch.uint8))


def warp(pixels: Tensor, maps: Tensor, size: int) -> Tensor:
    """(B, 3, s, t) pictures to (B, 3, size, size), bilinear, black outside.

    maps: (B, 2, 3) from pixel indices of the new picture to those of the old.
    """
    height, width = pixels.shape[-2:]
    index = torch.arange(size, device=pixels.device, dtype=torch.float32)
    y, x = torch.meshgrid(index, index, indexing="ij")
    here = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    there = torch.einsum("bij,hwj->bhwi", maps, here)
    sides = torch.tensor([width, height], device=pixels.device)
    grid = (2 * there + 1) / sides - 1
    return functional.grid_sample(pixels, grid, "bilinear", "zeros", align_corners=False)


def colour_matrix(light: Light) -> tuple[float, NDArray[np.float64]]:
    """A gamma, and the (3, 4) map of values 0..1 after it: gains, contrast, offset and gray."""
    gamma, matrix = 1.0, np.eye(3, 4)
    if light.colour is not None:
        colour = light.colour
        gamma = colour.gamma
        matrix[:, :3] *= colour.gains[:, None] * colour.contrast
        matrix[:, 3] = 0.5 - 0.5 * colour.contrast + colour.offset
    if light.gray:
        matrix = np.repeat(np.array([_GRAY]) @ matrix, 3, axis=0)
    return gamma, matrix


def _coloured(crops: Tensor, lights: Sequence[Light]) -> Tensor:
    gammas, matrices = zip(*map(colour_matrix, lights), strict=True)
    gamma = torch.tensor(gammas, dtype=torch.float32).to(crops.device)[:, None, None, None]
    matrix = torch.from_numpy(np.stack(matrices)).float().to(crops.device)
    values = (crops / 255).clamp(0, 1) ** gamma
    mixed = torch.einsum("bij,bjhw->bihw", matrix[:, :, :3], values) + matrix[:, :, 3, None, None]
    return (255 * mixed).clamp(0, 255)


@lru_cache
def _jpeg_constants() -> tuple[Tensor, Tensor, Tensor]:
    """The 8 x 8 cosine transform, RGB to light and two colours, and the (3, 8, 8) tables."""
    rows = torch.arange(8, dtype=torch.float64)
    cosines = torch.cos((2 * rows + 1) * rows[:, None] * torch.pi / 16) / 2
    cosines[0] /= 2**0.5
    # OpenCV's encoder takes the first channel for blue (see ``apply_light``).
    blue, green, red = _GRAY[2], _GRAY[1], _GRAY[0]
    light = torch.tensor([blue, green, red], dtype=torch.float64)
    unit = torch.eye(3, dtype=torch.float64)
    mix = torch.stack([light, (unit[0] - light) / 1.772, (unit[2] - light) / 1.402])
    colour = torch.full((64,), 99.0)
    colour[:32] = torch.tensor([float(word) for word in _CHROMINANCE.split()])
    first = torch.tensor([float(word) for word in _LUMINANCE.split()])
    return cosines.float(), mix.float(), torch.stack([first, colour, colour]).view(3, 8, 8)


def compressed(crops: Tensor, qualities: Sequence[int]) -> Tensor:
    """(n, 3, S, S) values 0..255 as JPEG of these qualities leaves them (4:2:0, ITU T.81)."""
    size = crops.shape[-1]
    cosines, mix, tables = (tensor.to(crops.device) for tensor in _jpeg_constants())
    quality = torch.tensor(qualities, dtype=torch.float32)
    scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    steps = ((tables * scale.to(crops.device)[:, None, None, None] + 50) / 100).floor()
    steps = steps.clamp(1, 255)
    planes = torch.einsum("ij,njhw->nihw", mix, crops)
    planes = functional.pad(planes, [0, -size % 16, 0, -size % 16], mode="replicate")
    light = _quantised(planes[:, :1] - 128, steps[:, :1], cosines) + 128
    half = functional.avg_pool2d(planes[:, 1:], 2)
    half = _quantised(half, steps[:, 1:], cosines)
    colour = functional.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)
    planes = torch.cat([light, colour], dim=1)[..., :size, :size]
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(mix), planes).clamp(0, 255)


def _quantised(planes: Tensor, steps: Tensor, cosines: Tensor) -> Tensor:
    """(n, c, H, W) planes, their 8 x 8 blocks' coefficients rounded to multiples of ``steps``."""
    n, c, height, width = planes.shape
    blocks = planes.view(n, c, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = steps[:, :, None, None]
    kept = (cosines @ blocks @ cosines.T / steps).round() * steps
    return (cosines.T @ kept @ cosines).transpose(3, 4).reshape(n, c, height, width)


def _occlude(crop: Tensor, light: Light) -> None:
    """Write the occlusion into a (3, S, S) crop, with the pixels that the CPU writes."""
    occlusion = light.occlusion
    assert occlusion is not None
    top, left, height, width = occlusion.place
    target = crop[:, top : top + height, left : left + width]
    if occlusion.source is not None:
        y, x = occlusion.source
        target.copy_(crop[:, y : y + height, x : x + width].clone())
        return
    if occlusion.colour is not None:
        values = occlusion.colour.reshape(3, 1, 1).astype(np.float32)
    else:
        noise = np.random.default_rng(occlusion.seed)
        values = noise.integers(0, 256, (height, width, 3), np.uint8).transpose(2, 0, 1)
    target.copy_(torch.from_numpy(np.ascontiguousarray(values)).to(crop.device))
