"""Augmentation of one packed face: a single warp, then light, noise and occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.crop import CropMap, crop_from_square

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class AugmentConfig:
    """How far training faces are changed; all zero leaves them alone.

    rotation: standard deviation in degrees, cut at three times. scale: of the log of the size.
    shift: of the crop's side. stretch: of the log of width over height. flip, gray, colour, blur,
    noise, jpeg, occlusion: chance of each. point_subset: a batch is trained on at most this many
    points of each face, chosen at random, with chance subset: cheaper, and the network learns to
    do without the others. most_points: and never on more than so many (a mesh has hundreds).
    """

    rotation: float = 18.0
    scale: float = 0.1
    shift: float = 0.05
    stretch: float = 0.04
    flip: float = 0.5
    gray: float = 0.1
    colour: float = 0.6
    blur: float = 0.15
    noise: float = 0.15
    jpeg: float = 0.2
    occlusion: float = 0.35
    point_subset: int = 56
    subset: float = 0.6
    most_points: int = 128


#: No change at all: validation.
NONE = AugmentConfig(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def random_crop(
    config: AugmentConfig, rng: np.random.Generator, has_flip: bool = True
) -> tuple[CropMap, bool]:
    """A disturbed crop in the window's crop units, and whether it is mirrored.

    has_flip: whether the labels can be mirrored (``Scheme.has_flip``).

    The map leads from the new crop's units to the window's, so that
    ``new_points = map.to_crop(points_crop)``.
    """
    turn = np.deg2rad(np.clip(rng.normal(), -3, 3) * config.rotation)
    side = float(np.exp(np.clip(rng.normal(), -2.5, 2.5) * config.scale))
    centre = 0.5 + np.clip(rng.normal(size=2), -2.5, 2.5) * config.shift
    crop = crop_from_square(centre, side, float(turn))
    ratio = float(np.exp(np.clip(rng.normal(), -2.5, 2.5) * config.stretch / 2))
    mirrored = bool(rng.random() < config.flip) and has_flip
    sign = -1.0 if mirrored else 1.0
    inner = np.array([[sign * ratio, 0.0, 0.0], [0.0, 1 / ratio, 0.0]])
    inner[:, 2] = 0.5 - inner[:, :2] @ (0.5, 0.5)
    return crop.then(inner), mirrored


def photometric(image: Rgb, config: AugmentConfig, rng: np.random.Generator) -> Rgb:
    """Light, colour, blur, noise, JPEG and occlusion on a (S, S, 3) uint8 RGB crop."""
    if rng.random() < config.colour:
        image = _colour(image, rng)
    if rng.random() < config.gray:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if rng.random() < config.blur:
        image = _blur(image, rng)
    if rng.random() < config.noise:
        grain = rng.normal(0, rng.uniform(2, 12), image.shape[:2])[..., None]
        image = np.clip(image + grain, 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    if rng.random() < config.occlusion:
        image = _occlude(image, rng)
    return image


def _colour(image: Rgb, rng: np.random.Generator) -> Rgb:
    """Gain and offset per channel and a gamma, as one look-up table."""
    levels = np.arange(256) / 255.0
    gamma = np.exp(rng.normal(0, 0.25))
    contrast = np.exp(rng.normal(0, 0.2))
    offset = rng.normal(0, 0.08)
    gains = np.exp(rng.normal(0, 0.08, 3))
    table = ((levels[:, None] ** gamma * gains - 0.5) * contrast + 0.5 + offset) * 255
    return cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])


def _blur(image: Rgb, rng: np.random.Generator) -> Rgb:
    """A soft focus, or the loss of a small photo that was enlarged."""
    size = image.shape[0]
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 0.016 * size))
    small = int(size * rng.uniform(0.25, 0.7))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)


def _occlude(image: Rgb, rng: np.random.Generator) -> Rgb:
    """A rectangle of one colour, of noise, or of another place of the same crop."""
    size = image.shape[0]
    height, width = (np.clip(rng.normal(0.25, 0.1, 2), 0.05, 0.5) * size).astype(int)
    top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
    image = image.copy()
    kind = rng.random()
    if kind < 0.4:
        patch = np.broadcast_to(rng.integers(0, 256, 3), (height, width, 3))
    elif kind < 0.6:
        patch = rng.integers(0, 256, (height, width, 3))
    else:
        y, x = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        patch = image[y : y + height, x : x + width].copy()
    image[top : top + height, left : left + width] = patch
    return image
