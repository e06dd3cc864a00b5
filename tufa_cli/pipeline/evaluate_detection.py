"""Labelled photos and a detector to what ``tufa_cli.evaluation.detection`` counts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.base import Detections, Detector
from tufa_cli.detect.from_file import face_box
from tufa_cli.errors import InputError
from tufa_cli.evaluation.detection import SearchedPhoto
from tufa_cli.geometry.boxes import iou
from tufa_cli.images.reading import RgbImage, read_rgb

FloatArray = NDArray[np.float64]

#: How sure another detector must be to confirm a find, and how much they overlap then.
CONFIRM_SCORE = 0.5
CONFIRM_IOU = 0.3


def true_box(face: Face) -> FloatArray | None:
    """(4,) the label's own box, else the plane's face box laid on the labelled points, or None."""
    box = face.box
    if box is not None and np.isfinite(box).all() and min(box[2:]) > 0:
        return box
    return face_box(face)


def search(
    images: Iterable[AnnotatedImage], detector: Detector, confirm: Detector | None = None
) -> Iterator[SearchedPhoto]:
    """Each photo with its labelled faces and its finds, in order.

    confirm: another detector; unlabelled finds that it is fairly sure of too are left aside. A
    photo that cannot be read is yielded with its ``failure``.
    """
    for image in images:
        try:
            pixels = read_rgb(Path(image.root or "") / image.path)
        except InputError as error:
            none = np.zeros((0, 4))
            yield SearchedPhoto(none, none, none[:, 0], none[:, 0] > 0, failure=error.problem)
            continue
        boxes = [box for box in map(true_box, image.faces) if box is not None]
        truth = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        yield search_photo(pixels, truth, detector, confirm, image.path)


def search_photo(
    pixels: RgbImage,
    truth: FloatArray,
    detector: Detector,
    confirm: Detector | None = None,
    name: str | None = None,
) -> SearchedPhoto:
    """One photo (H, W, 3) RGB with its labelled boxes (N, 4)."""
    began = time.perf_counter()
    found = detector.detect(pixels, name)
    seconds = time.perf_counter() - began
    confirmed = np.zeros(len(found), bool)
    if confirm is not None and len(found):
        confirmed = _confirmed(found, confirm.detect(pixels, name))
    return SearchedPhoto(truth, found.boxes, found.scores, confirmed, seconds)


def _confirmed(found: Detections, other: Detections) -> NDArray[np.bool_]:
    sure = other.boxes[other.scores >= CONFIRM_SCORE]
    overlap = iou(found.boxes, sure)
    return np.asarray(overlap.max(axis=1, initial=0.0) >= CONFIRM_IOU)
