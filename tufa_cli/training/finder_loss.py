"""The loss of the face finder."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from tufa_cli.data.finder_targets import FACE, IGNORED, Targets
from tufa_cli.detect.finder_net import Cells

#: The share of the focal loss that faces' cells get (Lin and others, arXiv 1708.02002).
_ALPHA = 0.4
#: Errors of points, in the face's size, from which on the loss grows no faster than they do.
_KNEE = 0.05


class FinderLoss(NamedTuple):
    """Scalars: total is the weighted sum of the others."""

    total: Tensor
    face: Tensor
    box: Tensor
    points: Tensor


def finder_loss(
    cells: Cells, targets: Targets, gamma: float, box_weight: float, point_weight: float
) -> FinderLoss:
    """Focal loss over all cells; 1 - GIoU and the points' distances over the faces' cells.

    All are divided by the number of faces' cells, so that a scene without faces weighs little.
    """
    labels = targets.labels.to(cells.logits.device)
    truth = (labels == FACE).float()
    known = (labels != IGNORED).float()
    plain = binary_cross_entropy_with_logits(cells.logits, truth, reduction="none")
    wrong = torch.sigmoid(cells.logits.detach() * (1 - 2 * truth))
    share = truth * _ALPHA + (1 - truth) * (1 - _ALPHA)
    count = max(int(truth.sum()), 1)
    face = (plain * wrong**gamma * share * known).sum() / count
    index = targets.index.to(labels.device)
    edges = cells.edges.flatten(0, 1)[index]
    points = cells.points.flatten(0, 1)[index]
    box = (1 - giou(edges, targets.edges.to(edges))).sum() / count
    sizes = targets.sizes.to(edges)[:, None, None]
    seen = targets.known.to(edges)[..., None]
    step = smooth_l1_loss(
        points / sizes, targets.points.to(edges) / sizes, reduction="none", beta=_KNEE
    )
    point = (step * seen).sum() / count
    return FinderLoss(face + box_weight * box + point_weight * point, face, box, point)


def giou(first: Tensor, second: Tensor) -> Tensor:
    """(P,) generalised intersection over union of boxes given by their edges from one cell.

    first, second: (P, 4) left, top, right, bottom. Rezatofighi and others, arXiv 1902.09630.
    """
    inner, outer = torch.minimum(first, second), torch.maximum(first, second)
    inter = (inner[:, :2] + inner[:, 2:]).clamp(min=0).prod(dim=1)
    hull = (outer[:, :2] + outer[:, 2:]).clamp(min=1e-6).prod(dim=1)
    areas = [(e[:, :2] + e[:, 2:]).prod(dim=1) for e in (first, second)]
    union = areas[0] + areas[1] - inter
    return inter / union.clamp(min=1e-6) - (hull - union) / hull
