"""Packed faces as torch samples: decode, one warp, augment; batches may mix schemes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from tufa_cli.data.augment import NONE, AugmentConfig, photometric, random_crop
from tufa_cli.data.store import open_pack
from tufa_cli.errors import TufaError
from tufa_cli.geometry.crop import CropMap
from tufa_cli.images.warp import warp_crop
from tufa_cli.schemes import Plane, get_scheme
from tufa_cli.schemes.plane import plane_from_json


class Batch(NamedTuple):
    """images (B, 3, S, S) uint8 RGB; points_crop (B, K, 2), 0 where not known; known (B, K);
    valid (B, K) False for padding; index (B, K) of each point in its scheme; scheme (B,) index
    into the dataset's ``schemes``; weight (B,); rows (B,) of the dataset.
    """

    images: Tensor
    points_crop: Tensor
    known: Tensor
    valid: Tensor
    index: Tensor
    scheme: Tensor
    weight: Tensor
    rows: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


@dataclass(frozen=True)
class Draw:
    """One sample to make: a row, the seed of its augmentation, and how many points to keep."""

    row: int
    seed: tuple[int, ...]
    points: int | None = None


class PackedFaces(Dataset):
    """The rows of one pack or several that were packed on the same plane.

    Files are opened by each worker on first use, so the object can be sent to workers.
    """

    def __init__(self, paths: Sequence[Path], size: int, augment: AugmentConfig = NONE) -> None:
        self.paths = [Path(path) for path in paths]
        self.size, self.augment = size, augment
        self._files: list[h5py.File] | None = None
        tables: dict[str, list[NDArray]] = {k: [] for k in ("scheme", "source", "split", "weight")}
        planes, contexts, self._counts = [], set(), []
        for path in self.paths:
            with open_pack(path) as file:
                for field in ("scheme", "source", "split"):
                    names = np.asarray(list(file.attrs[f"{field}s"]), dtype=object)
                    tables[field].append(names[file[field][:]])
                tables["weight"].append(file["weight"][:])
                planes.append(file.attrs["plane"])
                contexts.add(float(file.attrs["context"]))
                self._counts.append(len(file["key"]))
        if len(set(planes)) > 1 or len(contexts) > 1:
            raise TufaError(
                "the packs were made with different planes or contexts",
                "pack them again with the same --plane and options",
            )
        self.plane: Plane = plane_from_json(planes[0], str(self.paths[0]))
        self.context = contexts.pop()
        self.scheme_of, self.source_of, self.split_of = (
            np.concatenate(tables[k]) for k in ("scheme", "source", "split")
        )
        self.weight_of = np.concatenate(tables["weight"])
        self.schemes = sorted(set(self.scheme_of))
        self._scheme_index = {name: i for i, name in enumerate(self.schemes)}
        self._starts = np.cumsum([0, *self._counts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_files": None}

    def rows(self, split: str) -> NDArray[np.intp]:
        """Indices of the rows of a split."""
        return np.flatnonzero(self.split_of == split)

    def stored(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The stored RGB crop (s, s, 3) and its (K, 2) points_crop of the window."""
        if self._files is None:
            self._files = [open_pack(path) for path in self.paths]
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        file, local = self._files[which], row - int(self._starts[which])
        start, end = file["jpeg_start"][local : local + 2]
        image = cv2.imdecode(file["jpeg"][start:end], cv2.IMREAD_COLOR)
        start, end = file["point_start"][local : local + 2]
        return image[..., ::-1], file["points"][start:end]

    def __getitem__(self, draw: Draw) -> dict[str, NDArray | int | float]:
        rng = np.random.default_rng(draw.seed)
        image, points = self.stored(draw.row)
        name = self.scheme_of[draw.row]
        scheme = get_scheme(name)
        moved, mirrored = random_crop(self.augment, rng, scheme.has_flip)
        points = moved.to_crop(points)
        if mirrored:
            points = points[scheme.flip_index]
        picture = warp_crop(image, self._to_stored(moved, image.shape[0]), self.size)
        picture = photometric(picture, self.augment, rng)
        index = np.arange(len(points))
        if draw.points and draw.points < len(points):
            index = np.sort(rng.choice(index, draw.points, replace=False))
        return {
            "image": np.ascontiguousarray(picture.transpose(2, 0, 1)),
            "points": points[index],
            "index": index,
            "scheme": self._scheme_index[name],
            "weight": float(self.weight_of[draw.row]),
            "row": draw.row,
        }

    def _to_stored(self, moved: CropMap, side: int) -> CropMap:
        """From the new crop's units to pixel indices of the stored picture."""
        scale = side / self.context
        offset = (self.context - 1) / 2 * scale - 0.5
        window = CropMap(np.array([[scale, 0.0, offset], [0.0, scale, offset]]))
        return window.then(moved.matrix)


def collate(samples: Sequence[Mapping]) -> Batch:
    """Samples of any schemes to a padded batch."""
    most = max(len(sample["index"]) for sample in samples)
    batch = len(samples)
    points = np.zeros((batch, most, 2), np.float32)
    known, valid = np.zeros((batch, most), bool), np.zeros((batch, most), bool)
    index = np.zeros((batch, most), np.int64)
    for i, sample in enumerate(samples):
        count = len(sample["index"])
        finite = np.isfinite(sample["points"]).all(axis=1)
        points[i, :count] = np.where(finite[:, None], sample["points"], 0)
        known[i, :count], valid[i, :count] = finite, True
        index[i, :count] = sample["index"]
    return Batch(
        torch.from_numpy(np.stack([sample["image"] for sample in samples])),
        torch.from_numpy(points),
        torch.from_numpy(known),
        torch.from_numpy(valid),
        torch.from_numpy(index),
        torch.tensor([sample["scheme"] for sample in samples]),
        torch.tensor([sample["weight"] for sample in samples], dtype=torch.float32),
        torch.tensor([sample["row"] for sample in samples]),
    )


def group_shares(
    dataset: PackedFaces, rows: NDArray, temperature: float, shares: Mapping[str, float]
) -> tuple[list[NDArray], NDArray[np.float64]]:
    """Rows by (source, scheme), and how often each group is drawn.

    A group is drawn in proportion to (its faces)^temperature times its entry in ``shares`` (by
    source name, 1 when absent): 1 draws faces evenly, 0 draws groups evenly.
    """
    labels = np.array([f"{dataset.source_of[r]}\0{dataset.scheme_of[r]}" for r in rows])
    names = sorted(set(labels))
    groups = [rows[labels == name] for name in names]
    share = np.array([len(g) ** temperature for g in groups], dtype=float)
    share *= [shares.get(name.split("\0")[0], 1.0) for name in names]
    return groups, share / share.sum()


class MixedSampler(Sampler[list[Draw]]):
    """Batches of a whole run, a pure function of the seed and the step.

    So a resumed run draws what the uninterrupted one would have, and the number of workers does
    not matter. Within a group, faces come in a new random order each time all have been seen.
    Rank ``rank`` of ``world`` gets every world-th face of a step, in ``pieces`` batches.
    """

    def __init__(
        self,
        groups: Sequence[NDArray],
        share: NDArray[np.float64],
        batch_size: int,
        first_step: int,
        last_step: int,
        seed: int,
        augment: AugmentConfig,
        rank: int = 0,
        world: int = 1,
        pieces: int = 1,
    ) -> None:
        if batch_size % (world * pieces):
            raise TufaError(
                f"batch_size {batch_size} cannot be shared evenly by {world} ranks in {pieces} "
                "pieces each",
                f"make it a multiple of {world * pieces}",
            )
        self.rank, self.world, self.pieces = rank, world, pieces
        self.groups, self.share, self.batch_size = groups, share, batch_size
        self.first_step, self.last_step = first_step, last_step
        self.seed, self.augment = seed, augment

    def __len__(self) -> int:
        return (self.last_step - self.first_step) * self.pieces

    def __iter__(self) -> Iterator[list[Draw]]:
        served = [0] * len(self.groups)
        orders: dict[int, tuple[int, NDArray]] = {}
        for step in range(self.last_step):
            rng = np.random.default_rng((self.seed, step))
            chosen = rng.choice(len(self.groups), self.batch_size, p=self.share)
            few = rng.random() < self.augment.subset
            keep = self.augment.point_subset if few else self.augment.most_points
            draws = []
            for place, group in enumerate(chosen):
                rows = self.groups[group]
                cycle, position = divmod(served[group], len(rows))
                served[group] += 1
                if step < self.first_step:
                    continue
                if orders.get(group, (None,))[0] != cycle:
                    shuffle = np.random.default_rng((self.seed, 1, int(group), cycle))
                    orders[group] = cycle, shuffle.permutation(rows)
                row = int(orders[group][1][position])
                draws.append(Draw(row, (self.seed, step, place), keep))
            if step >= self.first_step:
                own = draws[self.rank :: self.world]
                for piece in range(self.pieces):
                    yield own[piece :: self.pieces]
