"""Validation: NME of every source and scheme on centred crops, no augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tufa_cli.data.augment import NONE
from tufa_cli.data.packed import Draw, PackedFaces, collate
from tufa_cli.evaluation.metrics import face_errors
from tufa_cli.model.alignment import Alignment
from tufa_cli.model.tufa import Tufa


@torch.inference_mode()
def validate(
    model: Tufa,
    align: Alignment,
    dataset: PackedFaces,
    rows: Sequence[int],
    device: torch.device,
    batch_size: int = 64,
) -> dict[str, NDArray]:
    """Every face's NME in % by "source/scheme" over packed rows (evaluation mode, float32).

    dataset must have been opened without augmentation.
    """
    assert dataset.augment == NONE
    pairs: dict[tuple[str, str], list[tuple[NDArray, NDArray]]] = {}
    for start in range(0, len(rows), batch_size):
        chunk = rows[start : start + batch_size]
        batch = collate([dataset[Draw(int(row), (0,))] for row in chunk])
        images = model.normalise(batch.images.to(device))
        anchors = align(batch.scheme.to(device), batch.index.to(device))
        points = model(images, anchors, batch.valid.to(device)).points[:, -1].cpu().double()
        labels = torch.where(batch.known[..., None], batch.points_crop, torch.nan).double()
        for i, row in enumerate(chunk):
            count = int(batch.valid[i].sum())
            key = dataset.source_of[row], dataset.scheme_of[row]
            pairs.setdefault(key, []).append((labels[i, :count].numpy(), points[i, :count].numpy()))
    errors = {key: _nme(key[1], dataset, faces) for key, faces in sorted(pairs.items())}
    return {f"{s}/{name}": 100 * nme for (s, name), nme in errors.items()}


def mean_scores(parts: Sequence[Mapping[str, NDArray]]) -> dict[str, float]:
    """The mean NME in % by "source/scheme" of what several ranks measured."""
    found: dict[str, list[NDArray]] = {}
    for part in parts:
        for key, errors in part.items():
            found.setdefault(key, []).append(errors)
    merged = {key: np.concatenate(errors) for key, errors in sorted(found.items())}
    return {key: float(errors.mean()) for key, errors in merged.items() if len(errors)}


def _nme(name: str, dataset: PackedFaces, faces: list[tuple[NDArray, NDArray]]) -> NDArray:
    """NME of the faces whose normaliser is labelled, in crop units: crops are similar to photos."""
    labels, predicted = zip(*faces, strict=True)
    return face_errors(dataset.plane.layout(name), dataset.plane[name], labels, predicted).nme
