"""A crop of a photo as a square picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.crop import CropMap

#: Photos are shrunk by area averaging first when a crop pixel covers more than this many pixels.
_SHRINK_ABOVE = 1.5


def warp_crop(image: NDArray[np.uint8], crop: CropMap, size: int) -> NDArray[np.uint8]:
    """The crop as (size, size, 3) uint8; black outside the photo.

    image: (H, W, 3) uint8. Bilinear, after area averaging where the crop shrinks the photo, since
    plain bilinear sampling skips pixels there.
    """
    return warped(*warp_source(image, crop, size), size)


def warped(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """(size, size, C) bilinear samples of an image that is not empty; ``matrix`` as from
    ``warp_source``."""
    return cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )


def warp_source(
    image: NDArray[np.uint8], crop: CropMap, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """What ``warp_crop`` samples from: the photo, or its part under the crop shrunk, and the (2, 3)
    map from pixel indices of the crop to those of it."""
    matrix = crop.warp_matrix(size)
    shrink = crop.side_px / size
    if shrink > _SHRINK_ABOVE:
        return _shrunk_region(image, crop, matrix, shrink)
    return image, matrix


def _shrunk_region(
    image: NDArray[np.uint8], crop: CropMap, matrix: NDArray[np.float64], shrink: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the photo under the crop, shrunk, and the warp matrix onto it."""
    height, width = image.shape[:2]
    corners = crop.to_image([[0, 0], [0, 1], [1, 0], [1, 1]])
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, (width, height))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 3, 0, (width, height))
    region = image[top:bottom, left:right]
    if not region.size:
        return np.zeros((1, 1, 3), np.uint8), matrix  # black wherever it is looked at
    new_size = [max(1, round(n / shrink)) for n in region.shape[1::-1]]
    ratio = np.array(new_size) / region.shape[1::-1]
    moved = matrix.copy()
    # cv2.resize keeps the outer edges in place: p' = (p + 0.5) * ratio - 0.5
    moved[:, 2] = (moved[:, 2] - (left, top) + 0.5) * ratio - 0.5
    moved[:, :2] *= ratio[:, None]
    return cv2.resize(region, new_size, interpolation=cv2.INTER_AREA), moved
