"""Packed faces as torch samples: decode, one warp, augment; batches may mix schemes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from tufa_cli.data.augment import (
    NONE,
    AugmentConfig,
    Light,
    apply_light,
    random_crop,
    random_light,
)
from tufa_cli.data.shards import pack_files
from tufa_cli.data.store import PackTables, joint_head, jpeg_size, open_pack
from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.crop import CropMap
from tufa_cli.images.warp import warp_source, warped


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

    paths: files, folders of packs (shards), or patterns.

    Files are opened by each worker on first use, so the object can be sent to workers. on_device:
    samples hold the stored crop and what is to be done to it (for ``on_device.collate_raw``).
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: int,
        augment: AugmentConfig = NONE,
        on_device: bool = False,
    ) -> None:
        self.paths = [file for path in paths for file in pack_files(Path(path))]
        self.size, self.augment, self.on_device = size, augment, on_device
        self._tables: list[PackTables] | None = None
        tables: dict[str, list[NDArray]] = {k: [] for k in ("scheme", "source", "split", "weight")}
        self._counts = []
        for path in self.paths:
            with open_pack(path) as file:
                for field in ("scheme", "source", "split"):
                    names = np.asarray(list(file.attrs[f"{field}s"]), dtype=object)
                    tables[field].append(names[file[field][:]])
                tables["weight"].append(file["weight"][:])
                self._counts.append(len(file["key"]))
        self.plane, self.context = joint_head(self.paths)
        self.scheme_of, self.source_of, self.split_of = (
            np.concatenate(tables[k]) for k in ("scheme", "source", "split")
        )
        self.weight_of = np.concatenate(tables["weight"])
        self.schemes = sorted(set(self.scheme_of))
        self._layouts = {name: self.plane.layout(name) for name in self.schemes}
        self._scheme_index = {name: i for i, name in enumerate(self.schemes)}
        self._starts = [0, *np.cumsum(self._counts).tolist()]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_tables": None}

    def rows(self, split: str) -> NDArray[np.intp]:
        """Indices of the rows of a split."""
        return np.flatnonzero(self.split_of == split)

    def stored(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The stored RGB crop (s, s, 3) and its (K, 2) points_crop of the window."""
        data, points = self._raw(row)
        return cv2.cvtColor(self._decoded(row, data), cv2.COLOR_BGR2RGB), points

    def _raw(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The row's JPEG file and its (K, 2) points_crop."""
        if self._tables is None:
            self._tables = [PackTables(path) for path in self.paths]
        which = bisect_right(self._starts, row) - 1
        return self._tables[which].row(row - self._starts[which])

    def _decoded(
        self, row: int, data: NDArray[np.uint8], mode: int = cv2.IMREAD_COLOR
    ) -> NDArray[np.uint8]:
        """(s, s, 3) BGR."""
        image = cv2.imdecode(data, mode) if len(data) else None
        if image is None:
            which = bisect_right(self._starts, row) - 1
            path, local = self.paths[which], row - self._starts[which]
            hint = f"tufa-cli pack --verify {path}"
            raise InputError(path, f"row {local} cannot be decoded", hint=hint)
        return image

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        rng = np.random.default_rng(draw.seed)
        data, points = self._raw(draw.row)
        name = self.scheme_of[draw.row]
        scheme = self._layouts[name]
        moved, mirrored = random_crop(self.augment, rng, scheme.has_flip)
        points = moved.to_crop(points)
        if mirrored:
            points = points[scheme.flip_index]
        light = random_light(self.augment, rng, self.size)
        index = np.arange(len(points))
        if draw.points and draw.points < len(points):
            index = np.sort(rng.choice(index, draw.points, replace=False))
        return {
            **self._pixels(draw.row, data, moved, light),
            "points": points[index],
            "index": index,
            "scheme": self._scheme_index[name],
            "weight": float(self.weight_of[draw.row]),
            "row": draw.row,
        }

    def _pixels(
        self, row: int, data: NDArray[np.uint8], moved: CropMap, light: Light
    ) -> dict[str, Any]:
        """The augmented crop ("image"), or what the device needs to make it."""
        image, crop = self._source(row, data, moved)
        image, matrix = warp_source(image, crop, self.size)
        if self.on_device:
            return {"stored": image, "map": matrix, "light": light, "size": self.size}
        # Four channels are warped in half the time of three, to the same values.
        rgba = warped(cv2.cvtColor(image, cv2.COLOR_BGR2RGBA), matrix, self.size)
        picture = apply_light(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), light)
        return {"image": picture.transpose(2, 0, 1)}

    def _source(
        self, row: int, data: NDArray[np.uint8], moved: CropMap
    ) -> tuple[NDArray[np.uint8], CropMap]:
        """The decoded (s, s, 3) BGR picture and the place of the crop ``moved`` in it.

        When the crop shows two stored pixels or more in one, it is decoded at half the size.
        """
        full = jpeg_size(data)
        if full is not None and moved.side_px * full[0] >= 2 * self.size * self.context:
            image = self._decoded(row, data, cv2.IMREAD_REDUCED_COLOR_2)
            # The decoder rounds an odd side up; its pixels are two wide all the same.
            return image, self._to_stored(moved, full[0] / 2)
        image = self._decoded(row, data)
        return image, self._to_stored(moved, image.shape[0])

    def _to_stored(self, moved: CropMap, side: float) -> CropMap:
        """From the new crop's units to pixel indices of the stored picture."""
        scale = side / self.context
        offset = (self.context - 1) / 2 * scale - 0.5
        window = CropMap(np.array([[scale, 0.0, offset], [0.0, scale, offset]]))
        return window.then(moved.matrix)


def collate(samples: Sequence[Mapping]) -> Batch:
    """Samples of any schemes to a padded batch.

    The images' channels lie together in memory (torch.channels_last), as they come from the
    decoder and as the network wants them.
    """
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
    images = np.stack([sample["image"].transpose(1, 2, 0) for sample in samples])
    return Batch(
        torch.from_numpy(images).permute(0, 3, 1, 2),
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
