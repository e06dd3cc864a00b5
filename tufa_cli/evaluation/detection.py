"""How well faces are found: recall, false alarms, precision and recall, by the faces' size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.boxes import iou

FloatArray = NDArray[np.float64]

#: A find is a face's from this overlap on; looser than in object detection, because every
#: detector cuts a face at other places.
MIN_IOU = 0.4
#: Name to the face's size in pixels, the longer side of its box.
SIZES = {"lt48": (0.0, 48.0), "48to96": (48.0, 96.0), "ge96": (96.0, np.inf)}
_CURVE_POINTS = 101


@dataclass(frozen=True, eq=False)
class SearchedPhoto:
    """One photo's labelled faces and what was found.

    truth: (N, 4) x, y, w, h. boxes: (M, 4), scores: (M,). confirmed: (M,) finds that another
    detector sees too: where no label is, they are left aside and no false alarms. seconds: of the
    search. failure: why the photo could not be read, or None.
    """

    truth: FloatArray
    boxes: FloatArray
    scores: FloatArray
    confirmed: NDArray[np.bool_]
    seconds: float = 0.0
    failure: str | None = None


@dataclass(frozen=True)
class DetectionScore:
    """The figures of one range of sizes; None where there is no face to give one.

    interval: 95 % Wilson interval of the recall. A false alarm's size is its own box's.
    """

    faces: int
    found: int
    interval: tuple[float, float] | None
    false_alarms: int
    false_alarms_per_photo: float
    average_precision: float | None

    @property
    def recall(self) -> float | None:
        """The share of the faces that were found."""
        return self.found / self.faces if self.faces else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        interval = self.interval
        return {
            "faces": self.faces,
            "found": self.found,
            "recall": _rounded(self.recall),
            "recall_interval": None if interval is None else [round(v, 4) for v in interval],
            "false_alarms": self.false_alarms,
            "false_alarms_per_photo": round(self.false_alarms_per_photo, 4),
            "average_precision": _rounded(self.average_precision),
        }


@dataclass(frozen=True)
class DetectionReport:
    """One measurement of a detector. No photo is named in it: photo names are personal data.

    curve: (score, precision, recall) from the surest find on. left_aside: confirmed finds without
    a label.
    """

    detector: str
    photos: int
    min_score: float
    min_iou: float
    total: DetectionScore
    by_size: dict[str, DetectionScore]
    left_aside: int
    ms_per_photo: float
    unreadable: int = 0
    curve: Sequence[tuple[float, float, float]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys that docs/evaluate.md lists."""
        return {
            "task": "detection",
            "detector": self.detector,
            "min_score": self.min_score,
            "min_iou": self.min_iou,
            "photos": self.photos,
            **self.total.to_dict(),
            "left_aside": self.left_aside,
            "ms_per_photo": round(self.ms_per_photo, 3),
            "by_size": {name: score.to_dict() for name, score in self.by_size.items()},
            "precision_recall": [[round(v, 4) for v in point] for point in self.curve],
            "unreadable_photos": self.unreadable,
        }


def assign(
    truth: FloatArray, boxes: FloatArray, scores: FloatArray, min_iou: float
) -> NDArray[np.intp]:
    """(M,) the labelled face of each find, or -1: the surest find first takes its best free face.

    A second find on a face that is taken has none: it is a false alarm.
    """
    owner = np.full(len(boxes), -1)
    if not len(truth) or not len(boxes):
        return owner
    overlap = iou(boxes, truth)
    for row in np.argsort(-scores, kind="stable"):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= min_iou:
            owner[row] = best
            overlap[:, best] = -1.0
    return owner


def detection_report(
    searched: Sequence[SearchedPhoto], detector: str, min_score: float, min_iou: float = MIN_IOU
) -> DetectionReport:
    """The figures of all photos that could be read.

    min_score: finds below count for the precision-recall curve and the average precision only.
    """
    photos = [photo for photo in searched if photo.failure is None]
    finds = _Finds.of(photos, min_iou)
    count = max(len(photos), 1)
    sides = finds.face_sides
    by_size = {
        name: _score(finds, (sides >= low) & (sides < high), (low, high), min_score, count)
        for name, (low, high) in SIZES.items()
    }
    total = _score(finds, np.ones(len(sides), bool), (0.0, np.inf), min_score, count)
    counted = finds.take(~(finds.aside))
    sure = finds.scores >= min_score
    return DetectionReport(
        detector,
        len(photos),
        min_score,
        min_iou,
        total,
        by_size,
        int((finds.aside & sure).sum()),
        1e3 * float(np.mean([photo.seconds for photo in photos])) if photos else 0.0,
        len(searched) - len(photos),
        _curve(counted, len(sides)),
    )


@dataclass(frozen=True, eq=False)
class _Finds:
    """All finds of all photos. face: the number of the face found, or -1; aside: not counted."""

    face_sides: FloatArray
    scores: FloatArray
    sides: FloatArray
    face: NDArray[np.intp]
    aside: NDArray[np.bool_]

    @classmethod
    def of(cls, photos: Sequence[SearchedPhoto], min_iou: float) -> _Finds:
        first, faces, aside = 0, [], []
        for photo in photos:
            owner = assign(photo.truth, photo.boxes, photo.scores, min_iou)
            # A second box on a labelled face is one too many, whoever confirms it.
            again = iou(photo.boxes, photo.truth).max(axis=1, initial=0.0) >= min_iou
            faces.append(np.where(owner >= 0, owner + first, -1))
            aside.append((owner < 0) & photo.confirmed & ~again)
            first += len(photo.truth)
        truth = np.concatenate([p.truth for p in photos] or [np.zeros((0, 4))])
        boxes = np.concatenate([p.boxes for p in photos] or [np.zeros((0, 4))])
        return cls(
            truth[:, 2:].max(axis=1, initial=0.0),
            np.concatenate([p.scores for p in photos] or [np.zeros(0)]),
            boxes[:, 2:].max(axis=1, initial=0.0),
            np.concatenate(faces or [np.zeros(0, int)]),
            np.concatenate(aside or [np.zeros(0, bool)]),
        )

    def take(self, kept: NDArray[np.bool_]) -> _Finds:
        return _Finds(
            self.face_sides, self.scores[kept], self.sides[kept], self.face[kept], self.aside[kept]
        )


def _score(
    finds: _Finds,
    wanted: NDArray[np.bool_],
    size: tuple[float, float],
    min_score: float,
    photos: int,
) -> DetectionScore:
    """The figures for the faces of ``wanted``; finds of other faces do not count at all."""
    hit = finds.face >= 0
    of_size = np.zeros(len(finds.face), bool)
    of_size[hit] = wanted[finds.face[hit]]
    alarm = ~hit & ~finds.aside & (finds.sides >= size[0]) & (finds.sides < size[1])
    sure = finds.scores >= min_score
    faces, found = int(wanted.sum()), int((of_size & sure).sum())
    alarms = int((alarm & sure).sum())
    return DetectionScore(
        faces,
        found,
        wilson_interval(found, faces),
        alarms,
        alarms / photos,
        _average_precision(finds.take(of_size | alarm), faces),
    )


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson 1927); None without a trial."""
    if not trials:
        return None
    share = successes / trials
    middle = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = ((middle + sign * spread) / (1 + z * z / trials) for sign in (-1, 1))
    return max(0.0, float(low)), min(1.0, float(high))


def _steps(finds: _Finds, faces: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scores, precision and recall after each find, the surest first."""
    order = np.argsort(-finds.scores, kind="stable")
    hits = np.cumsum(finds.face[order] >= 0)
    return finds.scores[order], hits / np.arange(1, len(hits) + 1), hits / max(faces, 1)


def _average_precision(finds: _Finds, faces: int) -> float | None:
    """The area under the curve of the best precision at each recall or more."""
    if not faces:
        return None
    _, precision, recall = _steps(finds, faces)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())


def _curve(finds: _Finds, faces: int) -> list[tuple[float, float, float]]:
    """At most 101 points of the precision-recall curve."""
    scores, precision, recall = _steps(finds, faces)
    if not len(scores) or not faces:
        return []
    chosen = np.unique(np.linspace(0, len(scores) - 1, _CURVE_POINTS).round().astype(int))
    return [(float(scores[i]), float(precision[i]), float(recall[i])) for i in chosen]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
