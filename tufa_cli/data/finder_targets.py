"""What each cell of the face finder's maps should say about a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tufa_cli.data.finder_store import FinderFaces
from tufa_cli.detect.finder_net import STRIDES, cell_middles

#: For each map the faces (root of the box's area, px) that its cells must find; beside that, those
#: that they may find. Neighbours share some sizes, so that no face lies on a border.
_MUST = ((0.0, 44.0), (36.0, 100.0), (84.0, np.inf))
_MAY = ((0.0, 64.0), (26.0, 140.0), (60.0, np.inf))
#: A face's cells are those within this share of its size from its middle, in bounds of cells.
_RADIUS, _LEAST, _MOST = 0.25, 0.6, 1.5

NONE, FACE, IGNORED = 0, 1, -1


class Targets(NamedTuple):
    """labels: (B, N) int8, one per cell: 1 a face's, 0 none's, -1 left out.

    index: (P,) the cells with label 1, numbered through the batch. edges: (P, 4) left, top, right,
    bottom from the cell's middle, px. points: (P, 5, 2) offsets, px, 0 where not known.
    known: (P, 5) where they are. sizes: (P,) root of the face's area.
    """

    labels: Tensor
    index: Tensor
    edges: Tensor
    points: Tensor
    known: Tensor
    sizes: Tensor


@lru_cache(maxsize=8)
def _cells(size: int) -> NDArray[np.float64]:
    return cell_middles(size, size).numpy().astype(np.float64)


def targets_of(faces: FinderFaces, size: int) -> Targets:
    """The targets of one picture of ``size`` x ``size`` pixels.

    Each map finds faces of about its own size; a cell near the middles of several faces belongs
    to the smallest. Regions to ignore, and cells around those of a face, are left out.
    """
    cells = _cells(size)
    labels = np.zeros(len(cells), np.int8)
    owner = np.full(len(cells), -1)
    sides = np.sqrt(faces.boxes[:, 2:].prod(axis=1))
    for number in np.flatnonzero(~faces.sure):
        labels[_within(cells, faces.boxes[number])] = IGNORED
    # The largest first: smaller faces take its cells.
    for number in sorted(np.flatnonzero(faces.sure), key=lambda n: -sides[n]):
        near, around = _near(cells, faces.boxes[number], sides[number])
        labels[around & (labels == NONE)] = IGNORED
        labels[near], owner[near] = FACE, number
    index = np.flatnonzero(labels == FACE)
    boxes = faces.boxes[owner[index]]
    middles = cells[index, :2]
    edges = np.hstack([middles - boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - middles])
    points = faces.points[owner[index]] - middles[:, None]
    known = np.isfinite(points).all(axis=-1)
    points = np.where(known[..., None], points, 0.0)
    return Targets(
        torch.from_numpy(labels)[None],
        torch.from_numpy(index),
        torch.from_numpy(edges.astype(np.float32)),
        torch.from_numpy(points.astype(np.float32)),
        torch.from_numpy(known),
        torch.from_numpy(sides[owner[index]].astype(np.float32)),
    )


def _within(cells: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.bool_]:
    step = cells[:, :2] - box[:2]
    return np.asarray(((step >= 0) & (step <= box[2:])).all(axis=1))


def _near(
    cells: NDArray[np.float64], box: NDArray[np.float64], side: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells are a face's, and which lie around them or on a map of nearly its size."""
    stride = cells[:, 2]
    level = np.searchsorted(STRIDES, stride)
    must, may = (np.array(ranges)[level] for ranges in (_MUST, _MAY))
    far = np.abs(cells[:, :2] - (box[:2] + box[2:] / 2)).max(axis=1)
    radius = np.clip(_RADIUS * side, _LEAST * stride, _MOST * stride)
    inside = _within(cells, box)
    near = inside & (far <= radius) & (side >= must[:, 0]) & (side < must[:, 1])
    if not near.any():
        # Between four cells of a tiny face: the nearest one is its own.
        fits = (side >= must[:, 0]) & (side < must[:, 1])
        near[np.flatnonzero(fits)[far[fits].argmin()]] = True
    around = inside & (far <= radius + 0.6 * stride) & (side >= may[:, 0]) & (side < may[:, 1])
    return near, around & ~near
