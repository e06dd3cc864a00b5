"""The training of the face finder's second look, on what the first network takes for faces."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from tufa_cli.data.finder_light import disturb_crops
from tufa_cli.data.finder_scenes import Scene, SceneMaker
from tufa_cli.data.finder_store import FinderFaces
from tufa_cli.detect.base import FLIP
from tufa_cli.detect.finder import find
from tufa_cli.detect.finder_net import FinderNet
from tufa_cli.detect.second_look import CROP, Judgement, SecondNet, second_crops
from tufa_cli.errors import TufaError
from tufa_cli.geometry.boxes import iou
from tufa_cli.geometry.crop import CropMap
from tufa_cli.images.warp import warp_crop
from tufa_cli.training.finder_config import SecondTrainConfig

FloatArray = NDArray[np.float64]

#: Crops are kept with a margin, so that each step can cut them at another place.
KEPT = 64
#: A find that overlaps a face that much is one; one that overlaps all faces less is none.
_FACE, _NONE = 0.4, 0.25
_MOST_SHIFT = 4


@dataclass(frozen=True, eq=False)
class Finds:
    """Crops of finds, and what is true of them.

    pixels: (N, KEPT, KEPT, 3) uint8. face: (N,) bool. boxes: (N, 3) and points: (N, 5, 2) as in
    ``Judgement``, in units of the crop that the network sees; NaN where there is none.
    """

    pixels: NDArray[np.uint8]
    face: NDArray[np.bool_]
    boxes: FloatArray
    points: FloatArray

    def __len__(self) -> int:
        return len(self.face)


def collect_finds(
    network: FinderNet,
    maker: SceneMaker,
    config: SecondTrainConfig,
    seed: int,
    report: Callable[[int], bool] = lambda done: False,
) -> Finds | None:
    """What ``network`` (ready to find) takes for faces in scenes of ``maker``.

    report: gets the number of scenes searched, now and then; None comes back when it says stop.
    """
    parts: list[Finds] = []
    for number in range(config.scenes):
        rng = np.random.default_rng([seed, 11, number])
        parts.append(_finds_of(network, maker.make(rng), config, rng))
        if (number + 1) % 500 == 0 and report(number + 1):
            return None
    columns = zip(*((f.pixels, f.face, f.boxes, f.points) for f in parts), strict=True)
    return Finds(*(np.concatenate(column) for column in columns))


def _finds_of(
    network: FinderNet, scene: Scene, config: SecondTrainConfig, rng: np.random.Generator
) -> Finds:
    boxes, scores, points = find(network, scene.picture, np.ones(2), config.lowest)
    faces = scene.faces
    owner, face, none = _meaning(boxes, faces)
    order = np.flatnonzero(none)[np.argsort(-scores[none])]
    best, rest = np.split(order, [min(len(order), round(config.per_scene * 2 / 3))])
    more = rng.permutation(rest)[: config.per_scene - len(best)]
    chosen = np.concatenate([np.flatnonzero(face), best, more])
    crops = second_crops(boxes[chosen], points[chosen])
    pixels = np.zeros((len(chosen), KEPT, KEPT, 3), np.uint8)
    truth_boxes = np.full((len(chosen), 3), np.nan)
    truth_points = np.full((len(chosen), 5, 2), np.nan)
    for i, (index, crop) in enumerate(zip(chosen, crops, strict=True)):
        pixels[i] = warp_crop(scene.picture, _widened(crop), KEPT)
        if face[index]:
            true = faces.boxes[owner[index]]
            size = np.log(np.sqrt(true[2:].prod() / boxes[index, 2:].prod()))
            truth_boxes[i] = [*(crop.to_crop(true[:2] + true[2:] / 2) - 0.5), size]
            truth_points[i] = crop.to_crop(faces.points[owner[index]])
    return Finds(pixels, face[chosen], truth_boxes, truth_points)


def _meaning(
    boxes: FloatArray, faces: FinderFaces
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each box: which face it overlaps most, whether it is a face, whether it is none."""
    count = len(boxes)
    if not len(faces.boxes):
        return np.zeros(count, np.intp), np.zeros(count, bool), np.ones(count, bool)
    overlap = iou(boxes, faces.boxes)
    owner = overlap.argmax(axis=1)
    best = overlap.max(axis=1)
    face = (best >= _FACE) & faces.sure[owner]
    middles = boxes[:, None, :2] + boxes[:, None, 2:] / 2 - faces.boxes[:, :2]
    within = ((middles >= 0) & (middles <= faces.boxes[:, 2:])).all(axis=-1)
    doubtful = (within | (overlap > 0.1)) & ~faces.sure
    return owner, face, (best < _NONE) & ~doubtful.any(axis=1)


def _widened(crop: CropMap) -> CropMap:
    """The crop with its margin."""
    wide = KEPT / CROP
    return crop.then(np.array([[wide, 0, (1 - wide) / 2], [0, wide, (1 - wide) / 2]]))


def train_second(
    finds: Finds,
    config: SecondTrainConfig,
    seed: int,
    report: Callable[[int, float, float], bool] = lambda step, loss, right: False,
    start: SecondNet | None = None,
) -> SecondNet | None:
    """A network trained on the finds, averaged over the last steps (EMA), on the CPU.

    report: gets the step, the mean loss and the share of right answers since the last report;
    None comes back when it says stop. start: a network to go on from.
    Raises TufaError when there is no find of a face, or none of another thing.
    """
    pools = np.flatnonzero(finds.face), np.flatnonzero(~finds.face)
    if not all(map(len, pools)):
        raise TufaError("the second look needs finds of faces and of other things")
    torch.manual_seed(seed)
    live = SecondNet() if start is None else copy.deepcopy(start).train().requires_grad_(True)
    live = live.to(memory_format=torch.channels_last)
    average = copy.deepcopy(live).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(live.parameters(), config.lr, weight_decay=config.weight_decay)
    rng = np.random.default_rng([seed, 12])
    seen: list[tuple[float, float]] = []
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * _rate(step, config.steps)
        pixels, truth = _batch(finds, pools, config, rng)
        said = live(pixels)
        loss = _loss(said, *truth, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(live.parameters(), 5.0)
        optimizer.step()
        follow(average, live, min(config.ema, (1 + step) / (10 + step)))
        seen.append((float(loss.detach()), float(((said.logits > 0) == truth[0]).float().mean())))
        if (step + 1) % 250 == 0 or step + 1 == config.steps:
            mean_loss, right = np.mean(seen, axis=0).tolist()
            if report(step + 1, mean_loss, right):
                return None
            seen = []
    return average


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def follow(average: nn.Module, live: nn.Module, keep: float) -> None:
    """Move averaged weights (EMA) towards the live ones; counters are copied."""
    with torch.no_grad():
        for mean, value in zip(
            average.state_dict().values(), live.state_dict().values(), strict=True
        ):
            if value.is_floating_point():
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)


def _batch(
    finds: Finds,
    pools: tuple[NDArray[np.intp], NDArray[np.intp]],
    config: SecondTrainConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Crops cut at random places, half of them mirrored, and what is true of them."""
    faces = round(config.batch_size * config.faces)
    chosen = np.concatenate(
        [rng.choice(pools[0], faces), rng.choice(pools[1], config.batch_size - faces)]
    )
    shifts = np.clip(np.round(rng.normal(size=(len(chosen), 2)) * 1.5), -_MOST_SHIFT, _MOST_SHIFT)
    corners = (shifts + (KEPT - CROP) // 2).astype(int)
    pixels = np.stack([
        finds.pixels[i, y : y + CROP, x : x + CROP]
        for i, (x, y) in zip(chosen, corners, strict=True)
    ])  # fmt: skip
    boxes, points = finds.boxes[chosen].copy(), finds.points[chosen].copy()
    boxes[:, :2] -= shifts / CROP
    points -= shifts[:, None] / CROP
    mirrored = rng.random(len(chosen)) < 0.5
    pixels[mirrored] = pixels[mirrored, :, ::-1]
    boxes[mirrored, 0] *= -1
    points[mirrored] = points[mirrored][:, FLIP] * [-1, 1] + [1, 0]
    disturb_crops(pixels, config.lit, config.patched, config.blurred, rng)
    truth = (
        torch.from_numpy(finds.face[chosen]),
        torch.from_numpy(boxes.astype(np.float32)),
        torch.from_numpy(points.astype(np.float32)),
    )
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), truth


def _loss(
    said: Judgement, face: Tensor, boxes: Tensor, points: Tensor, config: SecondTrainConfig
) -> Tensor:
    judged = binary_cross_entropy_with_logits(said.logits, face.float())
    moved = smooth_l1_loss(said.boxes[face], boxes[face], beta=0.05)
    known = torch.isfinite(points).all(dim=-1)
    placed = smooth_l1_loss(said.points[known], points[known], beta=0.02, reduction="sum")
    # A batch may hold no face with labelled points.
    placed = placed / max(2 * int(known.sum()), 1)
    return judged + config.box_weight * moved + config.point_weight * placed
