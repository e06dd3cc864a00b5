"""Layers of a training picture for the face finder: photos laid over others with their faces."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.data.finder_store import FinderFaces
from tufa_cli.detect.base import FLIP

Rgb = NDArray[np.uint8]
FloatArray = NDArray[np.float64]


class Scene(NamedTuple):
    """A picture (S, S, 3) uint8 RGB and its faces."""

    picture: Rgb
    faces: FinderFaces


def quarter_turned(scene: Scene, quarters: int) -> Scene:
    """The scene turned by right angles, clockwise."""
    if not quarters:
        return scene
    size = len(scene.picture)
    picture = np.ascontiguousarray(np.rot90(scene.picture, -quarters))
    middle = np.full(2, (size - 1) / 2)
    return Scene(
        picture, moved_faces(scene.faces, similarity(1.0, quarters * np.pi / 2, middle, middle))
    )


def joined_faces(first: FinderFaces, second: FinderFaces) -> FinderFaces:
    """The faces of both, the first ones first."""
    pairs = zip(
        (first.boxes, first.sure, first.points),
        (second.boxes, second.sure, second.points),
        strict=True,
    )
    return FinderFaces(*(np.concatenate(pair) for pair in pairs))


def similarity(scale: float, turn: float, place: FloatArray, target: FloatArray) -> FloatArray:
    """(2, 3) that turns and scales, and carries ``place`` to ``target``."""
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, target - linear @ place])


def draw_layer(picture: Rgb, pixels: Rgb, matrix: FloatArray) -> NDArray[np.uint8]:
    """Draw ``pixels`` onto ``picture`` in place; where it covers it: (S, S) 0 or 1."""
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    height, width = pixels.shape[:2]
    mask = np.zeros(picture.shape[:2], np.uint8)
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], float)
    outline = corners @ matrix[:, :2].T + matrix[:, 2]
    cv2.fillConvexPoly(mask, np.round(outline).astype(np.int32), 1)
    if scale < 0.7:
        # Shrink by area first: sampling alone would leave grain that no small photo has.
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        factor = np.array(size) / (width, height)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        linear = matrix[:, :2] / factor
        matrix = np.column_stack([linear, matrix[:, 2] + linear @ (0.5 - factor / 2)])
    cv2.warpAffine(
        np.ascontiguousarray(pixels), matrix, picture.shape[1::-1],
        dst=picture, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT,
    )  # fmt: skip
    return mask


def mirrored_faces(faces: FinderFaces, width: int) -> FinderFaces:
    """The faces of a photo ``width`` pixels wide as in a mirror."""
    boxes, points = faces.boxes.copy(), faces.points[:, FLIP].copy()
    boxes[:, 0] = width - 1 - boxes[:, 0] - boxes[:, 2]
    points[..., 0] = width - 1 - points[..., 0]
    return FinderFaces(boxes, faces.sure, points)


def moved_faces(faces: FinderFaces, matrix: FloatArray) -> FinderFaces:
    """Faces under a similarity; a turned box is that of the turned ellipse in the box."""
    linear, shift = matrix[:, :2], matrix[:, 2]
    middles = (faces.boxes[:, :2] + faces.boxes[:, 2:] / 2) @ linear.T + shift
    sizes = np.sqrt(faces.boxes[:, 2:] ** 2 @ (linear**2).T)
    points = faces.points @ linear.T + shift
    return FinderFaces(np.hstack([middles - sizes / 2, sizes]), faces.sure, points)


def uncovered_faces(faces: FinderFaces, covered: NDArray[np.uint8]) -> FinderFaces:
    """Without the faces that are mostly covered; half covered ones become regions to ignore."""
    if not len(faces.boxes):
        return faces
    share = np.array([_mean(covered, box) for box in faces.boxes])
    kept = share < 0.7
    sure = faces.sure & (share < 0.25)
    return FinderFaces(faces.boxes[kept], sure[kept], faces.points[kept])


def hiding_ellipse(
    box: FloatArray, size: int, rng: np.random.Generator
) -> NDArray[np.uint8] | None:
    """(size, size) 0 or 1: an ellipse over an eighth to a half of a box; None when it failed.

    It comes from any side, as a hand, a shoulder or a neighbour's head does.
    """
    middle, side = box[:2] + box[2:] / 2, float(box[2:].max())
    for _ in range(3):
        axes = side * np.exp(rng.uniform(np.log(0.2), np.log(0.9), 2))
        way = rng.uniform(0, 2 * np.pi)
        far = side * rng.uniform(0.1, 0.5) + axes.min() * rng.uniform(0.0, 1.0)
        place = middle + far * np.array([np.cos(way), np.sin(way)])
        mask = np.zeros((size, size), np.uint8)
        ellipse = (place.tolist(), (2 * axes).tolist(), float(rng.uniform(0, 180)))
        cv2.ellipse(mask, ellipse, 1, cv2.FILLED)
        if 0.125 <= share_on_mask(mask, box) <= 0.5:
            return mask
    return None


def share_on_mask(mask: NDArray[np.uint8], box: FloatArray) -> float:
    """The share of a box that lies on the mask; what is outside the picture does not count."""
    height, width = mask.shape
    inside = np.clip(box[:2] + box[2:], 0, (width, height)) - np.clip(box[:2], 0, (width, height))
    if (inside < 1).any():
        return 0.0
    return _mean(mask, box)


def _mean(mask: NDArray[np.uint8], box: FloatArray) -> float:
    height, width = mask.shape
    left, top = np.clip(np.floor(box[:2]), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(box[:2] + box[2:]), (left + 1, top + 1), (width, height))
    return float(mask[top : int(bottom), left : int(right)].mean())


def faces_inside(faces: FinderFaces, size: FloatArray, whole: float) -> FinderFaces:
    """The faces that touch a part of a photo; those with a share below ``whole`` are not sure."""
    far = faces.boxes[:, :2] + faces.boxes[:, 2:]
    touches = ((faces.boxes[:, :2] < size) & (far > 0)).all(axis=1)
    sure = faces.sure & mostly_inside(faces, size, whole)
    return FinderFaces(faces.boxes[touches], sure[touches], faces.points[touches])


def mostly_inside(faces: FinderFaces, size: FloatArray, share: float) -> NDArray[np.bool_]:
    """(N,) whether so much of a box lies inside a picture of that size."""
    low = np.clip(faces.boxes[:, :2], 0, size)
    high = np.clip(faces.boxes[:, :2] + faces.boxes[:, 2:], 0, size)
    return (high - low).prod(axis=1) >= share * faces.boxes[:, 2:].prod(axis=1)
