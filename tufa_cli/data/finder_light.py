"""Light on training pictures for the face finder, and what cameras do to them."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.data.finder_layers import FloatArray, Rgb


class Chances(Protocol):
    """Chance of each disturbance, 0..1."""

    @property
    def gray(self) -> float: ...
    @property
    def blur(self) -> float: ...
    @property
    def noise(self) -> float: ...
    @property
    def jpeg(self) -> float: ...


def own_light(picture: Rgb, rng: np.random.Generator) -> Rgb:
    """The picture in another light: in shadow, against the light, in haze, under a coloured lamp.

    Meant for one layer of a scene: a face is often darker than what is around it.
    """
    levels = np.arange(256, dtype=np.float32) / 255
    gamma = np.exp(rng.normal() * 0.35 + 0.1)
    gain = np.exp(np.clip(rng.normal() * 0.4 - 0.25, -1.6, 0.4))
    haze = rng.uniform(0.0, 0.4) if rng.random() < 0.3 else 0.0
    curve = (levels**gamma * gain)[:, None] * np.exp(rng.normal(size=3) * 0.1)
    curve = curve * (1 - haze) + haze * rng.uniform(0.2, 0.9)
    return _through(picture, curve)


def _through(picture: Rgb, curves: FloatArray) -> Rgb:
    """curves: (256, 3) what each value of each channel becomes, 1 for 255."""
    table = np.clip(curves * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table.reshape(1, 256, 3)), np.uint8)


def disturb_crops(
    pixels: NDArray[np.uint8], lit: float, patched: float, blurred: float, rng: np.random.Generator
) -> None:
    """Other light, a hidden side and blur, in place, each by its chance; (N, S, S, 3) crops.

    Finds of a face finder are few, and are seen a hundred times each.
    """
    size = pixels.shape[1]
    in_light, hidden, soft = (
        np.flatnonzero(rng.random(len(pixels)) < chance) for chance in (lit, patched, blurred)
    )
    for i in hidden:
        # From a side, at most two fifths of it; what is laid over comes from any other crop.
        depth, side = int(rng.integers(size // 12, size * 2 // 5)), int(rng.integers(4))
        view = np.rot90(pixels[i], side)
        view[:depth] = np.rot90(pixels[rng.integers(len(pixels))], side)[:depth]
    for i in soft:
        small = int(rng.integers(size // 5 + 1, size * 2 // 3))
        shrunk = cv2.resize(pixels[i], (small, small), interpolation=cv2.INTER_AREA)
        pixels[i] = cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)
    for i in in_light:
        pixels[i] = own_light(pixels[i], rng)


def disturbed(picture: Rgb, chances: Chances, rng: np.random.Generator) -> Rgb:
    """Light, colour, blur, noise and compression."""
    levels = np.arange(256, dtype=np.float32) / 255
    curves = []
    # Night photos and dark skin are rarer in the sources than among faces.
    gamma, gain = np.exp(rng.normal() * 0.45 + 0.1), np.exp(rng.normal() * 0.25 - 0.05)
    flat = np.exp(-abs(rng.normal()) * 0.5) if rng.random() < 0.4 else 1.0
    lift = rng.normal() * 0.07 + 0.5 * (1 - flat) * rng.random()
    for tint in rng.normal(size=3) * 0.05:
        curves.append(levels**gamma * gain * flat * (1 + tint) + lift)
    picture = _through(picture, np.stack(curves, axis=-1))
    if rng.random() < chances.gray:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)
    if rng.random() < chances.blur:
        sigma = float(rng.uniform(0.4, 2.2))
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if rng.random() < chances.noise:
        noise = np.empty(picture.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(1 << 31)))
        cv2.randn(noise, 0, float(rng.uniform(2, 14)))
        picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
    if rng.random() < chances.jpeg:
        quality = int(rng.integers(25, 90))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return picture
