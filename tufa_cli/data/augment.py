"""Augmentation of one packed face: a single warp, then light, noise and occlusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.crop import CropMap

Rgb = NDArray[np.uint8]
_LEVELS = np.arange(256) / 255.0


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
    draws = rng.standard_normal(5).tolist()
    turn = math.radians(_cut(draws[0], 3) * config.rotation)
    side = math.exp(_cut(draws[1], 2.5) * config.scale)
    x, y = (0.5 + _cut(value, 2.5) * config.shift for value in draws[2:4])
    ratio = math.exp(_cut(draws[4], 2.5) * config.stretch / 2)
    mirrored = bool(rng.random() < config.flip) and has_flip
    # crop_from_square(...).then(the stretch and mirror about the middle), in plain numbers.
    wide, high = side * (-ratio if mirrored else ratio), side / ratio
    cos, sin = math.cos(turn), math.sin(turn)
    (a, b), (c, d) = (wide * cos, -high * sin), (wide * sin, high * cos)
    matrix = [[a, b, x - (a + b) / 2], [c, d, y - (c + d) / 2]]
    return CropMap(np.array(matrix)), mirrored


def _cut(value: float, most: float) -> float:
    """The value, at most ``most`` from 0 (numpy's clip takes 5 microseconds for a number)."""
    return min(max(value, -most), most)


@dataclass(frozen=True)
class Colour:
    """Gamma, then gains (3,), then contrast about the middle and an offset, on values 0..1."""

    gamma: float
    gains: NDArray[np.float64]
    contrast: float
    offset: float


@dataclass(frozen=True)
class Occlusion:
    """A rectangle in fractions of the side's pixels: top, left, height, width, all whole numbers.

    Filled with ``colour`` (3,), or with noise from ``seed``, or with the pixels at ``source``
    (top, left); two of the three are None.
    """

    place: tuple[int, int, int, int]
    colour: NDArray[np.int64] | None = None
    seed: int | None = None
    source: tuple[int, int] | None = None


@dataclass(frozen=True)
class Light:
    """What happens to a crop's pixels, in this order; None where nothing does.

    soften: sigma of a Gaussian in pixels; shrink: side in pixels that the crop is reduced to and
    enlarged from; noise: standard deviation in grey levels and a seed; jpeg: quality.
    """

    colour: Colour | None = None
    gray: bool = False
    soften: float | None = None
    shrink: int | None = None
    noise: tuple[float, int] | None = None
    jpeg: int | None = None
    occlusion: Occlusion | None = None


def random_light(config: AugmentConfig, rng: np.random.Generator, size: int) -> Light:
    """Draw light, colour, blur, noise, JPEG and occlusion for a crop of ``size`` pixels."""
    colour = soften = shrink = noise = jpeg = occlusion = None
    if rng.random() < config.colour:
        draws = rng.standard_normal(6)
        gamma, contrast = math.exp(0.25 * draws[0]), math.exp(0.2 * draws[1])
        colour = Colour(gamma, np.exp(0.08 * draws[3:]), contrast, 0.08 * draws[2])
    gray = bool(rng.random() < config.gray)
    if rng.random() < config.blur:
        if rng.random() < 0.5:  # a soft focus, or the loss of a small photo that was enlarged
            soften = rng.uniform(0.5, 0.016 * size)
        else:
            shrink = int(size * rng.uniform(0.25, 0.7))
    if rng.random() < config.noise:
        noise = rng.uniform(2, 12), int(rng.integers(2**31))
    if rng.random() < config.jpeg:
        jpeg = int(rng.integers(20, 80))
    if rng.random() < config.occlusion:
        occlusion = _random_occlusion(rng, size)
    return Light(colour, gray, soften, shrink, noise, jpeg, occlusion)


def _random_occlusion(rng: np.random.Generator, size: int) -> Occlusion:
    """A rectangle of one colour, of noise, or of another place of the same crop."""
    height, width = (int(size * min(max(v, 0.05), 0.5)) for v in rng.normal(0.25, 0.1, 2))

    def corner() -> tuple[int, int]:
        return int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))

    place, kind = (*corner(), height, width), rng.random()
    if kind < 0.4:
        return Occlusion(place, colour=rng.integers(0, 256, 3))
    if kind < 0.6:
        return Occlusion(place, seed=int(rng.integers(2**31)))
    return Occlusion(place, source=corner())


def colour_table(colour: Colour) -> NDArray[np.uint8]:
    """(256, 3) what each level of each channel becomes."""
    # ((x * gains - 0.5) * contrast + 0.5 + offset) * 255 as one product and one sum
    shift = (0.5 - 0.5 * colour.contrast + colour.offset) * 255
    table = np.multiply.outer(_LEVELS**colour.gamma, colour.gains * (colour.contrast * 255))
    table += shift
    return np.clip(table, 0, 255, out=table).astype(np.uint8)


def apply_light(image: Rgb, light: Light) -> Rgb:
    """A (S, S, 3) uint8 RGB crop as ``light`` says; may write into ``image``."""
    if light.colour is not None:
        image = cv2.LUT(image, colour_table(light.colour)[None])
    if light.gray:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if light.soften is not None:
        image = cv2.GaussianBlur(image, (0, 0), light.soften)
    if light.shrink is not None:
        small = cv2.resize(image, (light.shrink, light.shrink), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if light.noise is not None:
        image = _add_noise(image, *light.noise)
    if light.jpeg is not None:
        # Red and blue change places for the encoder, and back: its loss is as good either way.
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, light.jpeg])[1]
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if light.occlusion is not None:
        _occlude(image, light.occlusion)
    return image


def _add_noise(image: Rgb, deviation: float, seed: int) -> Rgb:
    """The same grain on all channels. OpenCV draws eight times as fast as numpy."""
    cv2.setRNGSeed(seed)
    grain = np.empty(image.shape[:2], np.int16)
    cv2.randn(grain, 0, deviation)
    return cv2.add(image, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U)


def _occlude(image: Rgb, occlusion: Occlusion) -> None:
    top, left, height, width = occlusion.place
    target = image[top : top + height, left : left + width]
    if occlusion.colour is not None:
        target[:] = occlusion.colour
    elif occlusion.seed is not None:
        noise = np.random.default_rng(occlusion.seed)
        target[:] = noise.integers(0, 256, target.shape, np.uint8)
    elif occlusion.source is not None:
        y, x = occlusion.source
        target[:] = image[y : y + height, x : x + width].copy()
