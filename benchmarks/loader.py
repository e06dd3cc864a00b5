"""Samples a second: packed faces against reading whole photos, same faces and augmentation.

    python benchmarks/loader.py ../shared/data/300w --scheme ibug68 [--faces 300] [--workers 1]

PHOTOS holds labelled photos (``--from`` their format). Ways to the same (3, S, S) uint8
samples and points:

* pack: ``PackedFaces``, as training reads them;
* pack, decoded only: what the loader does when the device augments (``augment_on: device``), which
  here has no device: the rest of the work is not in this line;
* photos: ``cv2.imread`` of the whole photo, one warp, the same augmentation functions per sample;
* photos, normalised: the same, and float32 with mean and deviation taken out in the worker, as the
  official release does (ours does that on the device).

The photos are taken as they are and, in a temporary folder, enlarged to ``--megapixels``. All ways
go through a DataLoader with as many workers. Rounds of the ways take turns, the best of each
counts. "CPU ms" is processor time per sample of the workers (or of this process with 0 workers),
which other work on the machine changes less than samples a second.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data.augment import AugmentConfig, apply_light, random_crop, random_light
from tufa_cli.data.on_device import RawBatch, collate_any
from tufa_cli.data.pack import PackOptions, pack
from tufa_cli.data.packed import Batch, Draw, PackedFaces
from tufa_cli.formats import read
from tufa_cli.geometry.crop import CropMap, oracle_crop
from tufa_cli.images.warp import warp_crop
from tufa_cli.schemes import builtin_plane, get_scheme

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class WholePhotos(Dataset):
    """Faces of photos that are read anew for every sample."""

    def __init__(self, images: list[AnnotatedImage], size: int, normalised: bool) -> None:
        self.size, self.normalised, self.config = size, normalised, AugmentConfig()
        plane = builtin_plane()
        self.faces: list[tuple[str, str, CropMap, np.ndarray]] = []
        for image in images:
            for face in image.faces:
                crop = oracle_crop(plane[face.scheme], face.points_px, plane.window)
                path = str(Path(image.root) / image.path)
                self.faces.append((path, face.scheme, crop, crop.to_crop(face.points_px)))

    def __getitem__(self, draw: Draw) -> dict:
        rng = np.random.default_rng(draw.seed)
        path, name, crop, points = self.faces[draw.row]
        scheme = get_scheme(name)
        photo = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        moved, mirrored = random_crop(self.config, rng, scheme.has_flip)
        points = moved.to_crop(points)
        points = points[scheme.flip_index] if mirrored else points
        picture = warp_crop(photo, crop.then(moved.matrix), self.size)
        picture = apply_light(picture, random_light(self.config, rng, self.size))
        if self.normalised:
            picture = ((picture / np.float32(255) - MEAN) / DEVIATION).astype(np.float32)
        return {
            "image": picture.transpose(2, 0, 1),
            "points": points,
            "index": np.arange(len(points)),
            "scheme": 0,
            "weight": 1.0,
            "row": draw.row,
        }


@dataclass
class Speed:
    """The best round of a way: samples a second, processor milliseconds a sample."""

    rate: float = 0.0
    cpu_ms: float = float("inf")


def batches(faces: int, batch: int, samples: int, epoch: int) -> list[list[Draw]]:
    """Every face in a random order, again and again."""
    rows = np.random.default_rng(epoch).permutation(np.arange(samples) % faces)
    draws = [Draw(int(row), (epoch, i)) for i, row in enumerate(rows)]
    return [draws[i : i + batch] for i in range(0, len(draws), batch)]


def measure(data: Dataset, faces: int, args: argparse.Namespace, epoch: int) -> tuple[float, float]:
    """Samples a second after the first batch, and processor milliseconds a sample."""
    loader = DataLoader(
        data,
        batch_sampler=batches(faces, args.batch, args.samples, epoch),
        collate_fn=collate_any,
        num_workers=args.workers,
        multiprocessing_context="spawn" if args.workers else None,
        worker_init_fn=one_thread if args.workers else None,
    )
    who = resource.RUSAGE_CHILDREN if args.workers else resource.RUSAGE_SELF
    before, warm_cpu = cpu_seconds(who), worker_start_seconds(args)
    iterator = iter(loader)
    next(iterator)
    begin = time.perf_counter()
    count = sum(faces_of(batch) for batch in iterator)
    rate = count / (time.perf_counter() - begin)
    del iterator
    used = cpu_seconds(who) - before - warm_cpu
    return rate, 1000 * used / args.samples


def faces_of(batch: Batch | RawBatch) -> int:
    """How many faces a batch has."""
    return len(batch.stored if isinstance(batch, RawBatch) else batch.images)


def one_thread(worker: int) -> None:
    """A worker computes on one core."""
    cv2.setNumThreads(1)


def cpu_seconds(who: int) -> float:
    """Processor time of this process or of its ended children."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


_start_cost: dict[int, float] = {}


class _Nothing(Dataset):
    def __getitem__(self, draw: Draw) -> dict:
        return {
            "image": np.zeros((3, 1, 1), np.uint8),
            "points": np.zeros((1, 2)),
            "index": np.arange(1),
            **{"scheme": 0, "weight": 1.0, "row": 0},
        }


def worker_start_seconds(args: argparse.Namespace) -> float:
    """Processor time that starting the workers takes, which is no sample's."""
    if not args.workers:
        return 0.0
    if args.workers not in _start_cost:
        _start_cost[args.workers] = 0.0
        small = argparse.Namespace(**{**vars(args), "samples": args.workers * args.batch})
        before = cpu_seconds(resource.RUSAGE_CHILDREN)
        measure(_Nothing(), 1, small, 0)
        _start_cost[args.workers] = cpu_seconds(resource.RUSAGE_CHILDREN) - before
    return _start_cost[args.workers]


def enlarged(images: list[AnnotatedImage], folder: Path, pixels: float) -> list[AnnotatedImage]:
    """The photos with so many pixels, as JPEG files in ``folder``, and their labels with them."""
    found = []
    for number, image in enumerate(images):
        photo = cv2.imread(str(Path(image.root) / image.path))
        factor = (pixels / (photo.shape[0] * photo.shape[1])) ** 0.5
        large = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.jpg"), large, [cv2.IMWRITE_JPEG_QUALITY, 92])
        ratio = np.array(large.shape[1::-1]) / photo.shape[1::-1]
        faces = [Face((f.points_px + 0.5) * ratio - 0.5, f.scheme) for f in image.faces]
        found.append(replace(image, path=f"{number}.jpg", root=str(folder), faces=tuple(faces)))
    return found


def compare(
    title: str, images: list[AnnotatedImage], folder: Path, args: argparse.Namespace
) -> None:
    """One block of the table."""
    file = folder / f"{len(list(folder.iterdir()))}.h5"
    for _ in pack(images, file, builtin_plane(), PackOptions("bench")):
        pass
    ways: dict[str, Callable[[], Dataset]] = {
        "pack": lambda: PackedFaces([file], args.size, AugmentConfig()),
        "pack, decoded only": lambda: PackedFaces([file], args.size, AugmentConfig(), True),
        "photos": lambda: WholePhotos(images, args.size, False),
        "photos, normalised": lambda: WholePhotos(images, args.size, True),
    }
    best = {name: Speed() for name in ways}
    sets = {name: make() for name, make in ways.items()}
    for epoch in range(args.rounds):
        for name, data in sets.items():
            rate, cpu_ms = measure(data, len(images), args, epoch)
            best[name].rate = max(best[name].rate, rate)
            best[name].cpu_ms = min(best[name].cpu_ms, cpu_ms)
    ours = best["pack"]
    for name, speed in best.items():
        print(
            f"| {title} | {name} | {speed.rate:.0f} | {ours.rate / speed.rate:.2f} | "
            f"{speed.cpu_ms:.2f} | {speed.cpu_ms / ours.cpu_ms:.2f} |",
            flush=True,
        )


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--from", dest="format", default="auto")
    parser.add_argument("--scheme")
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--samples", type=int, default=1500, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--megapixels", type=float, default=2.0)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    images = [i for i in read(args.photos, format=args.format, scheme=args.scheme) if i.faces]
    step = max(1, len(images) // args.faces)
    images = [replace(i, faces=i.faces[:1]) for i in images[::step][: args.faces]]
    print(f"{len(images)} faces, {args.size} px, {args.workers} workers", file=sys.stderr)
    print("| photos | way | samples/s | pack is | CPU ms a sample | of the pack's |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        compare("as they are", images, Path(name), args)
        large = enlarged(images, Path(name), args.megapixels * 1e6)
        compare(f"{args.megapixels:g} megapixels", large, Path(name), args)


if __name__ == "__main__":
    main()
