"""Crops in, points out: the numpy-facing side of the network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tufa_cli.errors import TufaError
from tufa_cli.model.weights import Weights

#: A point's confidence is the chance that it lies within this part of the crop's side of the
#: true place (about 5 % of the distance between the outer eye corners).
CONFIDENT_WITHIN = 0.02


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1", "mps"; raises TufaError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise TufaError(f"device '{name}' cannot be used here", "try --device cpu") from None
    return device


class Predictor:
    """Holds a network on a device and predicts batches of crops, in float32."""

    def __init__(self, weights: Weights, device: str = "auto", threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.weights = weights
        self.device = pick_device(device)
        self.model = weights.model.to(self.device).eval()

    @torch.inference_mode()
    def predict(
        self, crops: NDArray[np.uint8], prompts_plane: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict one scheme on a batch of crops.

        crops: (B, S, S, 3) uint8 RGB, S the network's input size.
        prompts_plane: (K, 2).
        Returns points_crop (B, K, 2) and confidence (B, K), the chance that a point lies within
        ``CONFIDENT_WITHIN`` of the true place; NaN from a network that does not tell.
        """
        size = self.weights.input_size
        if crops.shape[1:] != (size, size, 3):
            raise ValueError(f"crops of shape {crops.shape[1:]}, expected {(size, size, 3)}")
        images = torch.from_numpy(np.ascontiguousarray(crops)).to(self.device).permute(0, 3, 1, 2)
        anchors = torch.from_numpy(self.weights.window.to_crop(prompts_plane)).float()
        anchors = anchors.to(self.device).expand(len(crops), -1, -1)
        output = self.model(self.model.normalise(images), anchors)
        points = output.points[:, -1].double().cpu().numpy()
        if output.log_scale is None:
            return points, np.full(points.shape[:2], np.nan)
        scale = output.log_scale[:, -1].double().exp()
        confidence = 1.0 - torch.exp(-CONFIDENT_WITHIN / scale)
        return points, confidence.cpu().numpy()
