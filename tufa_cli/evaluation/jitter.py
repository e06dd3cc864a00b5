"""Oracle crops disturbed as a face detector's boxes are, for a fair figure without a detector."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from tufa_cli.geometry.crop import CropMap


@dataclass(frozen=True)
class Jitter:
    """How boxes are disturbed.

    shift: standard deviation of the shift along x and along y, in sides of the crop.
    scale: standard deviation of the log of the factor on the side.
    """

    shift: float = 0.05
    scale: float = 0.08
    seed: int = 0

    def __str__(self) -> str:
        return (
            f"shift N(0, {self.shift:g}) of the side, scale exp(N(0, {self.scale:g})), "
            f"seed {self.seed}"
        )

    def apply(self, crop: CropMap, photo: str, face: int) -> CropMap:
        """``crop`` moved and scaled about its centre.

        The draw depends on the photo's path, the face's index and the seed only, so that the same
        face gets the same box whatever else is measured with it.
        """
        rng = np.random.default_rng([self.seed, zlib.crc32(photo.encode()), face])
        shift = rng.normal(0, self.shift, 2)
        factor = float(np.exp(rng.normal(0, self.scale)))
        offset = 0.5 - 0.5 * factor + shift
        return crop.then(np.column_stack([np.eye(2) * factor, offset]))
