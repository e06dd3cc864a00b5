"""Crops as affine maps between three frames: plane, crop and image pixels.

* plane: the canonical face (DESIGN section 4); ``points_plane``.
* crop: the square window of the plane that a network sees; 0..1 over its outer edges, so pixel i
  of a crop drawn at S pixels has its centre at (i + 0.5) / S; ``points_crop``.
* image: ``points_px``, pixel centres at integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.errors import TufaError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """The square part of the plane that a network sees.

    x, y: its top-left corner on the plane; side: its side in plane units.
    """

    x: float
    y: float
    side: float

    def to_crop(self, points_plane: ArrayLike) -> FloatArray:
        """(..., 2) plane to crop units."""
        points = np.asarray(points_plane, dtype=np.float64)
        return (points - (self.x, self.y)) / self.side

    def to_plane(self, points_crop: ArrayLike) -> FloatArray:
        """(..., 2) crop units to plane."""
        return np.asarray(points_crop, dtype=np.float64) * self.side + (self.x, self.y)


#: Wide enough for the foreheads of scut86 (y = -0.22 on average) and the ears of aflw21;
#: against a window of side 1.2 it costs a face 4 % of its pixels a side.
DEFAULT_WINDOW = Window(-0.125, -0.21, 1.25)


@dataclass(frozen=True, eq=False)
class CropMap:
    """An affine map from crop units (0..1) to image pixels; ``matrix`` is (2, 3)."""

    matrix: FloatArray

    def to_image(self, points_crop: ArrayLike) -> FloatArray:
        """(..., 2) crop units to image pixels."""
        points = np.asarray(points_crop, dtype=np.float64)
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def to_crop(self, points_px: ArrayLike) -> FloatArray:
        """(..., 2) image pixels to crop units."""
        points = np.asarray(points_px, dtype=np.float64)
        # Written out: on matrices this small most of numpy's time goes into its checks.
        (a, b, _), (c, d, _) = self.matrix.tolist()
        inverse = np.array([[d, -c], [-b, a]]) / (a * d - b * c)
        return np.asarray((points - self.matrix[:, 2]) @ inverse)

    @property
    def side_px(self) -> float:
        """Side of the crop in image pixels (root of its area)."""
        (a, b, _), (c, d, _) = self.matrix.tolist()
        return math.sqrt(abs(a * d - b * c))

    def warp_matrix(self, size: int) -> FloatArray:
        """(2, 3) map from crop pixel indices (a ``size`` x ``size`` picture) to image pixels."""
        (a, b, x), (c, d, y) = self.matrix.tolist()
        a, b, c, d = a / size, b / size, c / size, d / size
        return np.array([[a, b, x + (a + b) / 2], [c, d, y + (c + d) / 2]])

    def then(self, inner: FloatArray) -> CropMap:
        """The crop whose units are first carried by ``inner`` (2, 3), then by this map."""
        (a, b, x), (c, d, y) = self.matrix.tolist()
        (p, q, u), (r, s, v) = inner.tolist()
        first = [a * p + b * r, a * q + b * s, a * u + b * v + x]
        return CropMap(np.array([first, [c * p + d * r, c * q + d * s, c * u + d * v + y]]))


def crop_from_square(centre_px: ArrayLike, side_px: float, roll: float = 0.0) -> CropMap:
    """A square crop by its centre and side in image pixels, turned by ``roll`` radians.

    A positive roll means that the face's up direction is turned clockwise in the image; the crop
    shows it upright.
    """
    cos, sin = side_px * np.cos(roll), side_px * np.sin(roll)
    linear = np.array([[cos, -sin], [sin, cos]])
    offset = np.asarray(centre_px, dtype=np.float64) - linear @ np.array([0.5, 0.5])
    return CropMap(np.column_stack([linear, offset]))


def crop_from_plane(scale: float, shift_px: ArrayLike, window: Window) -> CropMap:
    """The crop of ``window`` when the plane lies on the image as ``px = scale * plane + shift``."""
    side = scale * window.side
    offset = np.asarray(shift_px, dtype=np.float64) + scale * np.array([window.x, window.y])
    return CropMap(np.column_stack([np.eye(2) * side, offset]))


def fit_scale_shift(source: ArrayLike, target: ArrayLike) -> tuple[float, FloatArray]:
    """The scale s and shift t that minimise ``|s * source + t - target|^2``; no rotation.

    source, target: (K, 2); rows with a NaN in either are left out.
    Raises TufaError with fewer than three such rows, or when they do not fix a positive scale.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    known = np.isfinite(source).all(axis=1) & np.isfinite(target).all(axis=1)
    if known.sum() < 3:
        raise TufaError(f"a crop needs at least three labelled points, found {int(known.sum())}")
    source_mean, target_mean = source[known].mean(axis=0), target[known].mean(axis=0)
    centred = source[known] - source_mean
    spread = float((centred**2).sum())
    scale = float((centred * (target[known] - target_mean)).sum()) / max(spread, 1e-12)
    if not np.isfinite(scale) or scale <= 0:
        raise TufaError(
            "the labelled points do not fit the plane upright",
            "points in the wrong order, or a face turned by 90 degrees or more?",
        )
    return scale, target_mean - scale * source_mean


def oracle_crop(points_plane: ArrayLike, points_px: ArrayLike, window: Window) -> CropMap:
    """The crop a perfect detector would give: the plane carried onto labelled points.

    points_plane: (K, 2) anchors; points_px: (K, 2) labels, NaN where missing.
    The best scale and shift, no rotation (DESIGN section 4), so that a 5-point and a 98-point
    label of one face give nearly the same crop. Raises TufaError as ``fit_scale_shift`` does.
    """
    scale, shift = fit_scale_shift(points_plane, points_px)
    return crop_from_plane(scale, shift, window)


def release_crop(points_px: ArrayLike, fraction: float = 1.2) -> CropMap:
    """The official release's crop: ``fraction`` times the longer side of the landmarks' box.

    points_px: (K, 2), NaN left out. 1.32 is used for 29 points (facts: reference/tufa.md 1.5).
    """
    points = np.asarray(points_px, dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    low, high = points.min(axis=0), points.max(axis=0)
    return crop_from_square((low + high) / 2, fraction * float((high - low).max()))
