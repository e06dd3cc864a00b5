"""Validation: NME of every source and scheme on centred crops, no augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tufa_cli.data.augment import NONE
from tufa_cli.data.packed import Draw, PackedFaces, collate
from tufa_cli.model.alignment import Alignment
from tufa_cli.model.tufa import Tufa
from tufa_cli.schemes import get_scheme
from tufa_cli.schemes.plane import FACE_BOX_SIDE


def nme_percent(
    predicted: NDArray, labelled: NDArray, scheme_name: str, window_side: float
) -> float:
    """NME of one face in %, both (K, 2) in crop units; NaN when its normaliser is not labelled.

    Crops are similar to their photos, so the ratio of two distances is the photo's.
    """
    pair = get_scheme(scheme_name).normaliser
    if pair is None:
        length = FACE_BOX_SIDE / window_side
    else:
        length = float(np.linalg.norm(labelled[pair[0]] - labelled[pair[1]]))
    distance = np.linalg.norm(predicted - labelled, axis=1)
    return 100 * float(np.nanmean(distance)) / length if length > 0 else float("nan")


@torch.inference_mode()
def validate(
    model: Tufa,
    align: Alignment,
    dataset: PackedFaces,
    rows: Sequence[int],
    device: torch.device,
    batch_size: int = 64,
) -> dict[str, float]:
    """NME in % by "source/scheme" over packed rows (model in evaluation mode, float32).

    dataset must have been opened without augmentation.
    """
    assert dataset.augment == NONE
    errors: dict[str, list[float]] = {}
    for start in range(0, len(rows), batch_size):
        chunk = rows[start : start + batch_size]
        batch = collate([dataset[Draw(int(row), (0,))] for row in chunk])
        images = model.normalise(batch.images.to(device))
        anchors = align(batch.scheme.to(device), batch.index.to(device))
        points = model(images, anchors, batch.valid.to(device)).points[:, -1]
        known = torch.where(batch.known[..., None], batch.points_crop, torch.nan)
        for i, row in enumerate(chunk):
            name = dataset.scheme_of[row]
            count = int(batch.valid[i].sum())
            error = nme_percent(
                points[i, :count].cpu().double().numpy(),
                known[i, :count].double().numpy(),
                name,
                dataset.plane.window.side,
            )
            if np.isfinite(error):
                errors.setdefault(f"{dataset.source_of[row]}/{name}", []).append(error)
    return {key: float(np.mean(values)) for key, values in sorted(errors.items())}
