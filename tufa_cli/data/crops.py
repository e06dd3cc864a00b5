"""Photos to rows, in this process or in several: decode, crop by the oracle rule, encode."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import cv2
import numpy as np

from tufa_cli.annotation import Face
from tufa_cli.data.store import Row
from tufa_cli.errors import TufaError
from tufa_cli.geometry.crop import CropMap, oracle_crop
from tufa_cli.images.reading import read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.schemes import Plane
from tufa_cli.schemes.anchors import anchors_for

#: Photos a process gets at a time, and how many such lots are on their way for each process.
_LOT, _AHEAD = 8, 4


@dataclass(frozen=True)
class PackOptions:
    """scheme None: the one each face names. split: of photos that name none.

    context: side of the stored crop over that of the window. max_size: of a stored crop in pixels
    (a face is never enlarged). quality: of the JPEG.
    """

    source: str
    split: str = "train"
    scheme: str | None = None
    context: float = 1.5
    max_size: int = 256
    quality: int = 92


@dataclass(frozen=True)
class Photo:
    """A photo and those of its faces that are to be packed, each with its index in the photo."""

    path: str
    root: str | None
    split: str
    faces: tuple[tuple[int, Face], ...]


@dataclass
class Crops:
    """What became of a photo: rows, and (photo or face, reason) of what failed."""

    rows: list[Row]
    failed: list[tuple[str, str]]


def row_key(source: str, photo: str, face: int, scheme: str) -> bytes:
    """The identity of a row; a hash, because photo names are personal data."""
    text = "\0".join((source, photo, str(face), scheme))
    return hashlib.sha256(text.encode()).hexdigest()[:32].encode()


def context_crop(crop: CropMap, context: float) -> CropMap:
    """The crop enlarged ``context`` times about its middle."""
    shift = (1 - context) / 2
    return crop.then(np.array([[context, 0.0, shift], [0.0, context, shift]]))


def make_row(
    image: np.ndarray, face: Face, index: int, photo: Photo, plane: Plane, options: PackOptions
) -> Row:
    """One face as a row. Raises TufaError when its scheme or points do not fit the plane."""
    name = options.scheme or face.scheme
    if name is None:
        raise TufaError("the format does not tell the scheme", "give --scheme NAME")
    scheme = plane.layout(name)
    if len(face.points_px) != len(scheme):
        raise TufaError(f"{len(face.points_px)} points, {scheme.name} has {len(scheme)}")
    crop = oracle_crop(anchors_for(scheme, plane), face.points_px, plane.window)
    wide = context_crop(crop, options.context)
    size = int(np.clip(np.ceil(wide.side_px), 16, options.max_size))
    stored = warp_crop(image, wide, size)
    quality = [cv2.IMWRITE_JPEG_QUALITY, options.quality]
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(stored, cv2.COLOR_RGB2BGR), quality)
    if not ok:
        raise TufaError("the crop cannot be encoded as JPEG")
    return Row(
        key=row_key(options.source, photo.path, index, scheme.name),
        scheme=scheme.name,
        source=options.source,
        split=photo.split,
        jpeg=jpeg.reshape(-1),
        points_crop=crop.to_crop(face.points_px),
        visibility=np.asarray(face.visibility),
        crop_to_px=crop.matrix,
        weight=float(face.attributes.get("weight", 1.0)),
    )


def crop_photo(photo: Photo, plane: Plane, options: PackOptions) -> Crops:
    """All faces of a photo as rows; what fails is told, not raised."""
    crops = Crops([], [])
    if not photo.faces:
        return crops
    try:
        pixels = read_rgb(Path(photo.root or ".") / photo.path)
    except TufaError as error:
        crops.failed.append((photo.path, error.message))
        return crops
    for index, face in photo.faces:
        try:
            crops.rows.append(make_row(pixels, face, index, photo, plane, options))
        except TufaError as error:
            crops.failed.append((f"{photo.path}, face {index}", error.message))
    return crops


def crop_photos(
    photos: Iterable[Photo], plane: Plane, options: PackOptions, jobs: int = 1
) -> Iterator[Crops]:
    """``crop_photo`` of all, in their order, with ``jobs`` processes; a bounded number is on its
    way at any time. What comes out does not depend on ``jobs``.

    Raises TufaError when a process is killed (too little memory).
    """
    if jobs == 1:
        yield from (crop_photo(photo, plane, options) for photo in photos)
        return
    lots = iter(photos)
    waiting: deque[Future[list[Crops]]] = deque()
    # Not fork: a child of a process whose OpenCV threads have run hangs in OpenCV.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (plane, options))
    try:
        while True:
            while len(waiting) < jobs * _AHEAD and (lot := list(islice(lots, _LOT))):
                waiting.append(pool.submit(_crop_lot, lot))
            if not waiting:
                break
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise TufaError(
            "a process of pack was killed, perhaps because memory ran out",
            "give the command again with fewer --jobs: it goes on where it was",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_given: tuple[Plane, PackOptions]


def _start_worker(plane: Plane, options: PackOptions) -> None:
    """What a worker process does first."""
    import signal

    global _given
    _given = plane, options
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends the work
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker waits for work for ever when the main process is killed; so it watches it."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _crop_lot(photos: list[Photo]) -> list[Crops]:
    return [crop_photo(photo, *_given) for photo in photos]
