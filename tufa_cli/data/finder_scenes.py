"""Training pictures for the face finder, made on the fly from whole photos.

A scene is a piece of one photo, often with other photos laid over it at other sizes and turns, so
that one picture holds faces of many sizes before many backgrounds. Every scene is decided by the
seed and its number alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tufa_cli.data.finder_layers import (
    Rgb,
    Scene,
    draw_layer,
    faces_inside,
    hiding_ellipse,
    joined_faces,
    mirrored_faces,
    mostly_inside,
    moved_faces,
    quarter_turned,
    share_on_mask,
    similarity,
    uncovered_faces,
)
from tufa_cli.data.finder_light import disturbed, own_light
from tufa_cli.data.finder_store import FinderFaces, FinderPhotos
from tufa_cli.data.finder_targets import Targets, targets_of
from tufa_cli.detect.base import FLIP
from tufa_cli.detect.finder_net import STRIDES

FloatArray = NDArray[np.float64]
#: Faces with less of their box inside the picture are regions to ignore.
_VISIBLE = 0.45


@dataclass(frozen=True)
class SceneConfig:
    """How scenes are made.

    size: side in pixels. smallest, largest: faces in pixels, drawn evenly in the logarithm.
    mosaic: chance of photos laid over the first, at most ``pasted``. turned: chance of a turn
    by any angle, otherwise it has a standard deviation of ``rotation`` degrees. crowded: chance
    that the first photo is of the sources ``crowds`` (those with many faces and much background).
    soft: chance that of a photo laid over others only the surroundings of one face are seen, fading
    out: a face must not be told by the straight edge of its photo. decoys: chance of pieces without
    a face, with straight edges, for the same reason. hard: chance that a false alarm is laid in,
    once some are known. favoured: how many times as often a portrait of a source is drawn, by the
    source's name. lit: chance that a photo laid over others has a light of its own. hidden: chance
    that a face is hidden in part by a piece without a face, to be found all the same. flip, gray,
    blur, noise, jpeg: chance of each.
    """

    size: int = 320
    smallest: float = 9.0
    largest: float = 300.0
    mosaic: float = 0.7
    pasted: int = 6
    rotation: float = 12.0
    turned: float = 0.22
    crowded: float = 0.6
    crowds: tuple[str, ...] = ("group",)
    soft: float = 0.6
    decoys: float = 0.4
    hard: float = 0.5
    favoured: Mapping[str, float] = field(default_factory=dict)
    lit: float = 0.0
    hidden: float = 0.0
    flip: float = 0.5
    gray: float = 0.1
    blur: float = 0.15
    noise: float = 0.15
    jpeg: float = 0.2


class HardRegion(NamedTuple):
    """A place of a photo that was taken for a face and is none: x, y, w, h in its pixels."""

    photo: int
    x: float
    y: float
    w: float
    h: float


class SceneMaker:
    """Makes scenes from a store's photos."""

    def __init__(
        self, photos: FinderPhotos, config: SceneConfig, hard: Sequence[HardRegion] = ()
    ) -> None:
        self.photos, self.config, self.hard = photos, config, list(hard)
        crowds = np.isin([photos.names[s] for s in photos.source], config.crowds)
        self.crowds, self.singles = np.flatnonzero(crowds), np.flatnonzero(~crowds)
        if not len(self.crowds) or not len(self.singles):
            self.crowds = self.singles = np.arange(len(photos))
        favour = np.array([config.favoured.get(name, 1.0) for name in photos.names])
        self._favour = np.cumsum(favour[photos.source[self.singles]])

    def make(self, rng: np.random.Generator) -> Scene:
        """A new scene."""
        config = self.config
        scene = self._ground(rng)
        pool = self.crowds if rng.random() < config.crowded else self.singles
        photo = self._drawn(pool, rng)
        scene = self._lay(scene, photo, self._first_map(photo, rng), rng)
        if rng.random() < config.mosaic:
            for _ in range(int(rng.integers(1, config.pasted + 1))):
                scene = self._paste(scene, rng)
        if rng.random() < config.decoys:
            for _ in range(int(rng.integers(1, 4))):
                scene = self._lay_decoy(scene, rng)
        if self.hard and rng.random() < config.hard:
            for _ in range(int(rng.integers(1, 4))):
                region = self.hard[int(rng.integers(len(self.hard)))]
                scene = self._lay_region(scene, region, rng)
        faces = _worth(scene.faces, config)
        if config.hidden:
            faces = self._hide(Scene(scene.picture, faces), rng)
        return Scene(disturbed(scene.picture, config, rng), faces)

    def _drawn(self, pool: NDArray[np.intp], rng: np.random.Generator) -> int:
        if pool is not self.singles or not self.config.favoured:
            return int(rng.choice(pool))
        place = rng.random() * self._favour[-1]
        return int(pool[np.searchsorted(self._favour, place, side="right")])

    def _ground(self, rng: np.random.Generator) -> Scene:
        """The lowest layer, seen where the others leave room: a square of a crowd's photo."""
        size = self.config.size
        photo = int(rng.choice(self.crowds))
        _, height, width = (int(v) for v in self.photos.rows[photo])
        side = int(max(16, min(height, width) * rng.uniform(0.25, 1.0)))
        left, top = (int(rng.integers(0, most - side + 1)) for most in (width, height))
        part = self.photos.pixels(photo, top, top + side)[:, left : left + side]
        area = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        picture = cv2.resize(part, (size, size), interpolation=area)
        faces = self.photos.faces(photo)
        moved = FinderFaces(
            faces.boxes - [left, top, 0, 0], faces.sure, faces.points - (left, top)
        ).scaled(size / side)
        scene = Scene(picture, faces_inside(moved, np.array([size, size], float), 0.0))
        return quarter_turned(scene, int(rng.integers(4)) if rng.random() < 0.2 else 0)

    def _first_map(self, photo: int, rng: np.random.Generator) -> FloatArray:
        """(2, 3) photo to picture: around a face, or anywhere; the picture is mostly filled."""
        config = self.config
        _, height, width = (int(v) for v in self.photos.rows[photo])
        faces = self.photos.faces(photo)
        sides = faces.boxes[faces.sure, 2:].max(axis=1) if faces.sure.any() else np.zeros(0)
        fill = config.size / min(height, width)
        if len(sides) and rng.random() < 0.75:
            chosen = int(rng.integers(len(sides)))
            scale = self._size(rng) / sides[chosen]
            scale = float(np.clip(scale, 0.7 * fill, 3.0))
            box = faces.boxes[faces.sure][chosen]
            place = box[:2] + box[2:] * rng.uniform(0.3, 0.7, 2)
            # Where on the picture the face comes to lie: its middle stays inside.
            target = config.size * rng.uniform(0.05, 0.95, 2)
        else:
            scale = fill * float(np.exp(rng.uniform(-0.2, 1.6)))
            place = rng.uniform(0, 1, 2) * (width, height)
            target = config.size * rng.uniform(0.25, 0.75, 2)
        return similarity(scale, self._turn(rng), place, target)

    def _paste(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """One face of another photo over the scene: with all of its photo, or fading out."""
        soft = rng.random() < self.config.soft
        # A crowd's photo would hide the scene: of those only one face's surroundings are taken.
        photo = self._drawn(self.crowds if soft and rng.random() < 0.3 else self.singles, rng)
        _, height, width = (int(v) for v in self.photos.rows[photo])
        boxes = self.photos.faces(photo).boxes[self.photos.faces(photo).sure]
        middle, side = np.array([width, height]) / 2, float(max(height, width)) * 0.6
        if len(boxes):
            # The largest of a portrait, any of a crowd.
            largest = int(boxes[:, 2:].prod(axis=1).argmax())
            box = boxes[int(rng.integers(len(boxes))) if soft else largest]
            middle, side = box[:2] + box[2:] / 2, float(max(box[2:]))
        scale = min(self._size(rng, 0.55) / side, 2.0)
        target = self.config.size * rng.uniform(0.02, 0.98, 2)
        matrix = similarity(scale, self._turn(rng), middle, target)
        if not (soft and len(boxes)):
            return self._lay(scene, photo, matrix, rng)
        return self._lay_soft(scene, photo, matrix, box, rng)

    def _lay_soft(
        self,
        scene: Scene,
        photo: int,
        matrix: FloatArray,
        box: FloatArray,
        rng: np.random.Generator,
    ) -> Scene:
        """The surroundings of one face over the scene, fading out."""
        pixels, faces = self.photos.pixels(photo), self.photos.faces(photo)
        reach = box[2:] * rng.uniform(0.6, 1.3, 2)
        middle = box[:2] + box[2:] * [0.5, rng.uniform(0.4, 0.7)]
        low = np.clip(np.floor(middle - 1.5 * reach), 0, None).astype(int)
        high = np.ceil(middle + 1.5 * reach).astype(int)
        part = pixels[low[1] : high[1], low[0] : high[0]]
        shift = np.column_stack([np.zeros((2, 2)), matrix[:, :2] @ low])
        layer = scene.picture.copy()
        covered = draw_layer(layer, part, matrix + shift).astype(np.float32)
        if self.config.lit and rng.random() < self.config.lit:
            layer = own_light(layer, rng)
        size = self.config.size
        # Distance from the face's middle in units of the reach, seen from the picture's pixels.
        back = np.linalg.inv(matrix[:, :2])
        y, x = np.mgrid[:size, :size].astype(np.float32)
        offset = np.stack([x - matrix[0, 2], y - matrix[1, 2]], axis=-1) @ back.T.astype(np.float32)
        far = np.linalg.norm((offset - middle) / reach, axis=-1)
        width = rng.uniform(0.05, 0.5)
        alpha = np.clip((1 + width / 2 - far) / width, 0, 1).astype(np.float32) * covered
        picture = scene.picture + (layer.astype(np.float32) - scene.picture) * alpha[..., None]
        seen = (alpha > 0.5).astype(np.uint8)
        moved = moved_faces(faces, matrix)
        share = np.array([share_on_mask(seen, face) for face in moved.boxes])
        ours = FinderFaces(
            moved.boxes[share > 0.3], (moved.sure & (share > 0.7))[share > 0.3],
            moved.points[share > 0.3],
        )  # fmt: skip
        return Scene(
            np.round(picture).astype(np.uint8),
            joined_faces(uncovered_faces(scene.faces, seen), ours),
        )

    def _lay_decoy(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """A piece of a photo that holds no face, with straight edges, over the scene."""
        part = self._piece(rng)
        if part is None:
            return scene
        shown = float(np.exp(rng.uniform(*np.log([16.0, 160.0]))))
        target = self.config.size * rng.uniform(0.02, 0.98, 2)
        side = len(part)
        middle = np.full(2, side / 2)
        covered = draw_layer(
            scene.picture, part, similarity(shown / side, self._turn(rng), middle, target)
        )
        return Scene(scene.picture, uncovered_faces(scene.faces, covered))

    def _piece(self, rng: np.random.Generator) -> Rgb | None:
        """A square without a face out of a photo; None when four tries found none."""
        photo = int(rng.choice(self.crowds if rng.random() < 0.5 else self.singles))
        _, height, width = (int(v) for v in self.photos.rows[photo])
        boxes = self.photos.faces(photo).boxes
        for _ in range(4):
            side = float(min(height, width) * rng.uniform(0.15, 0.6))
            low = rng.uniform(0, 1, 2) * (np.array([width, height]) - side)
            touches = (boxes[:, :2] < low + side) & (boxes[:, :2] + boxes[:, 2:] > low)
            if not touches.all(axis=1).any():
                left, top = low.astype(int)
                return self.photos.pixels(photo)[top : top + int(side), left : left + int(side)]
        return None

    def _hide(self, scene: Scene, rng: np.random.Generator) -> FinderFaces:
        """Lay pieces over parts of some faces; the faces that are still to be found."""
        picture, faces = scene.picture, scene.faces
        for number in np.flatnonzero(faces.sure):
            if rng.random() >= self.config.hidden:
                continue
            part, mask = self._piece(rng), hiding_ellipse(faces.boxes[number], len(picture), rng)
            if part is None or mask is None:
                continue
            left, top, width, height = cv2.boundingRect(mask)
            rows, columns = slice(top, top + height), slice(left, left + width)
            layer = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
            cv2.copyTo(layer, mask[rows, columns], picture[rows, columns])
            shares = np.array([share_on_mask(mask, box) for box in faces.boxes])
            spared = np.arange(len(shares)) == number
            faces = FinderFaces(faces.boxes, faces.sure & ((shares < 0.25) | spared), faces.points)
        return faces

    def _size(self, rng: np.random.Generator, most: float = 1.0) -> float:
        low, high = np.log([self.config.smallest, self.config.largest * most])
        return float(np.exp(rng.uniform(low, high)))

    def _turn(self, rng: np.random.Generator) -> float:
        """An angle in radians; large ones are rarer the larger they are."""
        if rng.random() < self.config.turned:
            return float(np.pi * rng.triangular(-1, 0, 1) if rng.random() < 0.6 else
                         np.pi * rng.uniform(-1, 1))  # fmt: skip
        return float(np.deg2rad(self.config.rotation) * rng.normal())

    def _lay(self, scene: Scene, photo: int, matrix: FloatArray, rng: np.random.Generator) -> Scene:
        """A photo over the scene; faces that it hides are gone, its own are added."""
        pixels, faces = self.photos.pixels(photo), self.photos.faces(photo)
        if rng.random() < self.config.flip:
            pixels, faces = pixels[:, ::-1], mirrored_faces(faces, pixels.shape[1])
        covered = draw_layer(scene.picture, pixels, matrix)
        if self.config.lit and rng.random() < self.config.lit:
            cv2.copyTo(own_light(scene.picture, rng), covered, scene.picture)
        return Scene(
            scene.picture,
            joined_faces(uncovered_faces(scene.faces, covered), moved_faces(faces, matrix)),
        )

    def _lay_region(self, scene: Scene, region: HardRegion, rng: np.random.Generator) -> Scene:
        """The surroundings of a false alarm over the scene, about as large as it was seen."""
        around = 2.2 * max(region.w, region.h)
        pixels = self.photos.pixels(region.photo)
        height, width = pixels.shape[:2]
        middle = np.array([region.x + region.w / 2, region.y + region.h / 2])
        low = np.clip(np.floor(middle - around / 2), 0, (width - 1, height - 1)).astype(int)
        high = np.clip(np.ceil(middle + around / 2), low + 1, (width, height)).astype(int)
        faces = self.photos.faces(region.photo)
        part = FinderFaces(faces.boxes - [*low, 0, 0], faces.sure, faces.points - low)
        side = float(np.exp(rng.uniform(*np.log([12.0, 140.0]))))
        target = self.config.size * rng.uniform(0.05, 0.95, 2)
        turn = self._turn(rng)
        matrix = similarity(side / max(region.w, region.h), turn, middle - low, target)
        covered = draw_layer(scene.picture, pixels[low[1] : high[1], low[0] : high[0]], matrix)
        inside = faces_inside(part, (high - low).astype(float), 0.8)
        return Scene(
            scene.picture,
            joined_faces(uncovered_faces(scene.faces, covered), moved_faces(inside, matrix)),
        )


def _worth(faces: FinderFaces, config: SceneConfig) -> FinderFaces:
    """Faces too small, too large or too far outside become regions to ignore."""
    sides = faces.boxes[:, 2:].max(axis=1)
    size = np.array([config.size, config.size], float)
    middles = faces.boxes[:, :2] + faces.boxes[:, 2:] / 2
    sure = faces.sure & (sides >= 0.85 * config.smallest) & (sides <= 1.15 * config.size)
    sure &= mostly_inside(faces, size, _VISIBLE) & ((middles > 0) & (middles < size)).all(axis=1)
    return FinderFaces(faces.boxes, sure, faces.points)


class SceneBatch(NamedTuple):
    """Scenes for one step: (B, S, S, 3) uint8 pictures and what their cells should say."""

    pictures: Tensor
    targets: Targets


def mirrored_batch(batch: SceneBatch) -> SceneBatch:
    """The same scenes as in a mirror: new pictures for the network at no cost for the loader."""
    size = batch.pictures.shape[1]
    others = _mirror_cells(size)
    targets = batch.targets
    scene, cell = targets.index // len(others), targets.index % len(others)
    points = targets.points[:, FLIP] * torch.tensor([-1.0, 1.0])
    return SceneBatch(
        batch.pictures.flip(2),
        Targets(
            targets.labels[:, others],
            scene * len(others) + others[cell],
            targets.edges[:, [2, 1, 0, 3]],
            points,
            targets.known[:, FLIP],
            targets.sizes,
        ),
    )


@lru_cache(maxsize=4)
def _mirror_cells(size: int) -> Tensor:
    """(N,) for each cell of a square picture the cell that it changes places with."""
    start, parts = 0, []
    for stride in STRIDES:
        side = size // stride
        parts.append(torch.arange(side * side).reshape(side, side).flip(1).flatten() + start)
        start += side * side
    return torch.cat(parts)


class Scenes(Dataset[tuple[Rgb, Targets]]):
    """Scene number i of a run, with its targets."""

    def __init__(self, maker: SceneMaker, seed: int) -> None:
        self.maker, self.seed = maker, seed

    def __getitem__(self, number: int) -> tuple[Rgb, Targets]:
        scene = self.maker.make(np.random.default_rng([self.seed, number]))
        return scene.picture, targets_of(scene.faces, self.maker.config.size)


def collate_scenes(items: Sequence[tuple[Rgb, Targets]]) -> SceneBatch:
    """Scenes to a batch; the faces' cells are numbered through all scenes."""
    pictures = torch.from_numpy(np.stack([picture for picture, _ in items]))
    cells = items[0][1].labels.shape[-1]
    labels = torch.cat([t.labels for _, t in items])
    index = torch.cat([t.index + i * cells for i, (_, t) in enumerate(items)])
    rest = (torch.cat(parts) for parts in zip(*[t[2:] for _, t in items], strict=True))
    return SceneBatch(pictures, Targets(labels, index, *rest))
