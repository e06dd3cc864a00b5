"""What is minimised: distances to the labels at every decoder layer, and honest uncertainties."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tufa_cli.data.packed import Batch
from tufa_cli.model.tufa import Prediction

#: Distances are counted in hundredths of the crop's side, so that losses read as percent.
_PERCENT = 100.0
#: Below this distance (in percent) the loss is quadratic: labels are no better than that.
_SMOOTH = 0.3


class Losses(NamedTuple):
    """total: scalar to minimise. points: mean distance of the last layer in % of the crop's side.

    Both are sums over the faces given, divided by the weight asked for.
    per_face: (B,) the same for each face, NaN where nothing is labelled.
    """

    total: Tensor
    points: Tensor
    per_face: Tensor


def face_weight(batch: Batch) -> Tensor:
    """(B,) weights of the faces; 0 where nothing is labelled."""
    return batch.weight * batch.known.any(dim=1).float()


def landmark_loss(
    prediction: Prediction,
    batch: Batch,
    total_weight: Tensor | None = None,
    uncertainty: float = 0.2,
) -> Losses:
    """Mean over faces of the mean distance of their labelled points, layers weighted alike.

    total_weight: scalar to divide by instead of the batch's own weight: that of the whole step,
    when its faces are spread over ranks or pieces.

    The uncertainty is fitted to the last layers' own distances by the likelihood of an exponential
    distribution, log b + d / b; it does not reach back into the points, so asking for honest
    uncertainties cannot buy worse places.
    """
    target = batch.points_crop[:, None]
    known = batch.known[:, None].float()
    gap = (prediction.points - target) * _PERCENT
    distance = (gap.square().sum(-1) + _SMOOTH**2).sqrt() - _SMOOTH
    count = known.sum(-1).clamp(min=1)
    per_layer = (distance * known).sum(-1) / count
    weight = face_weight(batch)
    total_weight = (weight.sum() if total_weight is None else total_weight).clamp(min=1e-6)
    points = (per_layer * weight[:, None]).sum(0) / total_weight
    exact = gap.detach().square().sum(-1).sqrt() / _PERCENT
    log_scale = prediction.log_scale.clamp(-8, 1)
    likelihood = ((log_scale + exact * torch.exp(-log_scale)) * known).sum(-1) / count
    honest = (likelihood * weight[:, None]).sum(0) / total_weight
    per_face = torch.where(batch.known.any(dim=1), per_layer[:, -1], torch.nan).detach()
    return Losses(points.mean() + uncertainty * honest.mean(), points[-1].detach(), per_face)
