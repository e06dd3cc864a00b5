"""What a detector is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
RgbImage = NDArray[np.uint8]

#: Order of the five points (eyes, nose, corners of the mouth) on the mirrored face.
FLIP = [1, 0, 2, 4, 3]


class BoxPlane(NamedTuple):
    """The part of the plane that a detector's boxes cover: x, y, w, h in plane units."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, eq=False)
class Detections:
    """The faces found in one photo, best first.

    boxes: (N, 4) x, y, w, h in image pixels. scores: (N,) in 0..1, comparable within one detector.
    points: (N, 5, 2) image pixels (eye centres, nose tip, mouth corners; image-left first), or
    None when the detector finds none.
    """

    boxes: FloatArray
    scores: FloatArray
    points: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, chosen: ArrayLike) -> Detections:
        """The detections at some indices, in that order."""
        index = np.asarray(chosen, dtype=np.intp)
        points = None if self.points is None else self.points[index]
        return Detections(self.boxes[index], self.scores[index], points)


def no_detections() -> Detections:
    """Nothing found."""
    return Detections(np.zeros((0, 4)), np.zeros(0))


class Detector(Protocol):
    """Finds faces.

    box_plane: where on the plane its boxes lie, so that a box is a crop.
    min_score: finds below are not worth a second look.
    min_confidence: a find on which the landmark network's mean confidence is lower is taken for a
        false alarm; 0 for a detector that makes few.
    """

    name: str
    box_plane: BoxPlane
    min_score: float
    min_confidence: float

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """The faces in ``image`` (H, W, 3 uint8 RGB).

        photo: the photo's path relative to its root; only detectors that look boxes up need it.
        """
        ...
