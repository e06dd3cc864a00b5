"""Labelled photos and weights to the figures of a report.

``measure`` yields photo by photo what was labelled and what was predicted, so that a caller can
show how far it is; ``make_report`` turns all of it into figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.base import Detector
from tufa_cli.detect.crops import crop_of
from tufa_cli.errors import InputError, TufaError
from tufa_cli.evaluation.jitter import Jitter
from tufa_cli.evaluation.metrics import face_errors, face_side, match_faces
from tufa_cli.evaluation.report import Report, score, subset_scores
from tufa_cli.geometry.crop import CropMap, oracle_crop
from tufa_cli.images.reading import read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.model.carry import PredictsCrops, Query, query_for
from tufa_cli.model.weights import Weights
from tufa_cli.schemes.anchors import is_on
from tufa_cli.schemes.model import Scheme

FloatArray = NDArray[np.float64]
Box = Literal["oracle", "jitter", "detector"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is measured, and how the crops are made.

    box "oracle": the plane carried onto the labels; "jitter": that, disturbed by ``jitter``;
    "detector": what ``detector`` finds, each labelled face matched to at most one find.
    """

    scheme: Scheme
    weights: Weights
    box: Box = "oracle"
    jitter: Jitter = field(default_factory=Jitter)
    detector: Detector | None = None
    batch_size: int = 32
    carry: bool = True

    @cached_property
    def query(self) -> Query:
        """What the network is asked; ``carry`` says whether with guides (``model.carry``)."""
        return query_for(self.scheme, self.weights, self.carry)

    @property
    def anchors_plane(self) -> FloatArray:
        """(K, 2) the plane's anchors: crops and box normalisers come from these, never prompts."""
        return self.weights.anchors(self.scheme)

    @property
    def box_detail(self) -> str:
        """The parameters of the box, in words."""
        if self.box == "jitter":
            return f"oracle crop with {self.jitter}"
        if self.box == "detector":
            return self.detector.name if self.detector else ""
        return "plane's anchors laid on the labels by scale and shift"


@dataclass(frozen=True, eq=False)
class MeasuredPhoto:
    """One photo's labelled faces and what was found for each.

    index: of the photo among those given. labels_px: (K, 2) per face. predicted_px: (K, 2) or None
    (not found) per face; baseline_px: the plane's anchors laid on the same crop, likewise.
    failure: why the photo could not be used (then there are no faces), or None.
    """

    index: int
    path: str
    labels_px: Sequence[FloatArray] = ()
    predicted_px: Sequence[FloatArray | None] = ()
    baseline_px: Sequence[FloatArray | None] = ()
    failure: str | None = None


@dataclass(eq=False)
class _Waiting:
    """A photo whose crops wait for their batch; ``owners`` is None when faces must be matched."""

    index: int
    path: str
    labels: list[FloatArray]
    crops: list[CropMap]
    pictures: list[NDArray[np.uint8]]
    owners: list[int] | None


def faces_of_scheme(
    images: Iterable[AnnotatedImage], scheme: Scheme
) -> tuple[list[AnnotatedImage], int]:
    """The photos with the faces that are labelled in ``scheme``, and how many others were left out.

    A face without a scheme's name belongs when it has as many points. Raises TufaError when no
    face is left.
    """
    kept: list[AnnotatedImage] = []
    others: list[Face] = []
    for image in images:
        faces = [face for face in image.faces if _fits(face, scheme)]
        others += [face for face in image.faces if not _fits(face, scheme)]
        if faces:
            kept.append(
                AnnotatedImage(
                    image.path, tuple(faces), image.width, image.height, image.split, image.root
                )
            )
    if not kept:
        raise TufaError(
            f"no face to measure: {_found(others)}, {scheme.name} has {len(scheme)} points",
            "name the scheme of the labels with --scheme, and check --list and --exclude",
        )
    return kept, len(others)


def _fits(face: Face, scheme: Scheme) -> bool:
    named = face.scheme is None or face.scheme in (scheme.name, *scheme.aliases)
    return named and len(face.points_px) == len(scheme)


def _found(faces: Sequence[Face]) -> str:
    if not faces:
        return "no labelled faces found"
    kinds = {f.scheme or f"{len(f.points_px)} points" for f in faces}
    return f"the labels are {', '.join(sorted(kinds))}"


def measure(
    images: Sequence[AnnotatedImage], plan: Plan, predictor: PredictsCrops
) -> Iterator[MeasuredPhoto]:
    """Predict every labelled face, in batches across photos; yields the photos in their order.

    images: as ``faces_of_scheme`` gives them. A photo that cannot be read is yielded with its
    ``failure``.
    """
    waiting: list[_Waiting | MeasuredPhoto] = []
    for index, image in enumerate(images):
        waiting.append(_crops_of(index, image, plan))
        if sum(len(w.crops) for w in waiting if isinstance(w, _Waiting)) >= plan.batch_size:
            yield from _predict(waiting, plan, predictor)
            waiting = []
    yield from _predict(waiting, plan, predictor)


def _crops_of(index: int, image: AnnotatedImage, plan: Plan) -> _Waiting | MeasuredPhoto:
    path = Path(image.root or "") / image.path
    try:
        photo = read_rgb(path)
    except InputError as error:
        return MeasuredPhoto(index, image.path, failure=error.problem)
    labels = [face.points_px for face in image.faces]
    size = plan.weights.input_size
    if plan.box == "detector":
        crops, owners = _detected_crops(photo, image, plan), None
    else:
        crops, owners = _labelled_crops(labels, image, plan)
    pictures = [warp_crop(photo, crop, size) for crop in crops]
    return _Waiting(index, image.path, labels, crops, pictures, owners)


def _labelled_crops(
    labels: Sequence[FloatArray], image: AnnotatedImage, plan: Plan
) -> tuple[list[CropMap], list[int]]:
    """Oracle crops, disturbed or not, and the face each is of.

    A face that no upright crop fits (turned by 90 degrees or more) gets none and counts as missed.
    """
    crops, owners = [], []
    for number, points in enumerate(labels):
        try:
            crop = oracle_crop(plan.anchors_plane, points, plan.weights.window)
        except TufaError:
            continue
        if plan.box == "jitter":
            crop = plan.jitter.apply(crop, image.path, number)
        crops.append(crop)
        owners.append(number)
    return crops, owners


def _detected_crops(photo: NDArray[np.uint8], image: AnnotatedImage, plan: Plan) -> list[CropMap]:
    if plan.detector is None:
        raise ValueError("box 'detector' needs a detector")
    crops = []
    found = plan.detector.detect(photo, image.path)
    for number in np.flatnonzero(found.scores >= plan.detector.min_score).tolist():
        with suppress(TufaError):  # a box without an area finds no face
            crops.append(crop_of(found, number, plan.detector.box_plane, plan.weights.window))
    return crops


def _predict(
    waiting: Sequence[_Waiting | MeasuredPhoto], plan: Plan, predictor: PredictsCrops
) -> Iterator[MeasuredPhoto]:
    """The waiting photos with their predictions."""
    pictures = [p for w in waiting if isinstance(w, _Waiting) for p in w.pictures]
    points: list[FloatArray] = []
    for start in range(0, len(pictures), plan.batch_size):
        batch = np.stack(pictures[start : start + plan.batch_size])
        points += list(plan.query.ask(predictor, batch)[0])
    done = 0
    for photo in waiting:
        if isinstance(photo, MeasuredPhoto):
            yield photo
            continue
        count = len(photo.crops)
        yield _assigned(photo, points[done : done + count], plan)
        done += count


def _assigned(photo: _Waiting, points_crop: Sequence[FloatArray], plan: Plan) -> MeasuredPhoto:
    """Each labelled face with the prediction that belongs to it."""
    predicted = [crop.to_image(p) for crop, p in zip(photo.crops, points_crop, strict=True)]
    anchors = plan.weights.window.to_crop(plan.anchors_plane)
    if photo.owners is not None:
        of_face = {face: number for number, face in enumerate(photo.owners)}
        chosen = [of_face.get(face) for face in range(len(photo.labels))]
    else:
        sides = np.array([face_side(plan.anchors_plane, points) for points in photo.labels])
        found = np.reshape(predicted, (-1, *plan.anchors_plane.shape))
        chosen = match_faces(np.stack(photo.labels), found, sides)
    return MeasuredPhoto(
        photo.index,
        photo.path,
        photo.labels,
        [None if number is None else predicted[number] for number in chosen],
        [None if number is None else photo.crops[number].to_image(anchors) for number in chosen],
    )


def make_report(
    measured: Sequence[MeasuredPhoto],
    plan: Plan,
    subsets: Sequence[frozenset[str]] | None = None,
    baseline: bool = False,
    seed: int = 0,
) -> Report:
    """The figures of all photos.

    subsets: for each photo given to ``measure`` the subsets it belongs to. baseline: measure the
    bare mean shape on the same crops too. Raises TufaError when no face could be measured.
    """
    failed = [photo for photo in measured if photo.failure is not None]
    labels = [points for photo in measured for points in photo.labels_px]
    if not labels:
        raise TufaError(
            f"no face could be measured, {len(failed)} photos failed; "
            f"the first: {failed[0].path}: {failed[0].failure}"
            if failed
            else "no face to measure",
            "name the folder of the photos with --images",
        )
    predicted = [points for photo in measured for points in photo.predicted_px]
    errors = face_errors(plan.scheme, plan.anchors_plane, labels, predicted)
    bare = [points for photo in measured for points in photo.baseline_px]
    members = [
        subsets[photo.index] if subsets else frozenset[str]()
        for photo in measured
        for _ in photo.labels_px
    ]
    bare_anchors = "plane" if plan.query.carry is None else "carried"
    learned = plan.scheme.name in plan.weights.learned and is_on(plan.scheme, plan.weights.plane)
    return Report(
        scheme=plan.scheme.name,
        box=plan.box,
        total=score(errors, plan.scheme, seed),
        subsets=subset_scores(errors, plan.scheme, members, seed),
        baseline=score(
            face_errors(plan.scheme, plan.anchors_plane, labels, bare), plan.scheme, seed
        )
        if baseline
        else None,
        box_detail=plan.box_detail,
        weights=plan.weights.name,
        anchors="learned" if learned else bare_anchors,
        unreadable=len(failed),
    )
