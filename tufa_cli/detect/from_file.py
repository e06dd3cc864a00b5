"""Boxes that somebody else found: read from any annotation file that tufa_cli.formats reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.base import BoxPlane, Detections, RgbImage, no_detections
from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.crop import fit_scale_shift
from tufa_cli.schemes.plane import FACE_BOX, builtin_plane


class BoxesDetector:
    """Looks a photo's faces up in annotations instead of searching for them.

    A face with at least three labelled points of a scheme on the plane is placed by them (the
    oracle crop); otherwise its box is taken for the tight box of a whole face's landmarks.
    """

    name = "boxes"
    box_plane = BoxPlane(FACE_BOX[0], FACE_BOX[1], FACE_BOX[2], FACE_BOX[2])
    min_score = 0.0
    min_confidence = 0.0

    def __init__(self, images: Iterable[AnnotatedImage], where: str = "the annotations") -> None:
        self._boxes: dict[str, list[tuple[np.ndarray, float]]] = {}
        for image in images:
            faces = self._boxes.setdefault(image.path, [])
            for face in image.faces:
                box = face_box(face)
                if box is not None:
                    faces.append((box, 1.0 if face.score is None else face.score))
        if not any(self._boxes.values()):
            raise TufaError(f"{where}: no face with a box or points")
        self._by_tail = _unique_names(self._boxes)

    @classmethod
    def from_file(cls, path: Path | None) -> BoxesDetector:
        """From an annotation file of any format; raises TufaError without one."""
        if path is None:
            raise TufaError("the detector 'boxes' needs annotations", "give them with --boxes FILE")
        if not path.exists():
            raise InputError(path, "no such file or folder")
        from tufa_cli import formats

        return cls(formats.read(path), str(path))

    def detect(self, image: RgbImage, photo: str | None = None) -> Detections:
        """The faces that the file has for ``photo``, a relative POSIX path.

        Where the file names photos from another root, a file name that occurs only once in it is
        enough. A photo that the file does not have has no faces.
        """
        found = self._boxes.get(self._key(photo or ""), [])
        if not found:
            return no_detections()
        scores = np.array([score for _, score in found], dtype=np.float64)
        boxes = np.stack([box for box, _ in found])
        order = np.argsort(-scores, kind="stable")
        return Detections(boxes[order], scores[order])

    def _key(self, photo: str) -> str:
        if photo in self._boxes:
            return photo
        return self._by_tail.get(PurePosixPath(photo).name, photo)


def _unique_names(paths: Iterable[str]) -> dict[str, str]:
    """File name to path, for the file names that occur once."""
    table: dict[str, str | None] = {}
    for path in paths:
        name = PurePosixPath(path).name
        table[name] = None if name in table else path
    return {name: path for name, path in table.items() if path is not None}


def face_box(face: Face) -> np.ndarray | None:
    """(4,) the square that covers the plane's face box on a labelled face, or None.

    By the labelled points where their scheme is on the plane, else the face's own box, else the
    tight box of its points.
    """
    plane = builtin_plane()
    if face.scheme in plane.anchors and face.labelled.sum() >= 3:
        anchors = plane.anchors[face.scheme]
        if len(anchors) == len(face.points_px):
            try:
                scale, shift = fit_scale_shift(anchors, face.points_px)
            except TufaError:
                pass
            else:
                x, y, side = FACE_BOX
                return np.array([*(scale * np.array([x, y]) + shift), scale * side, scale * side])
    box = face.box if face.box is not None else face.tight_box()
    if box is None or not np.isfinite(box).all() or min(box[2:]) <= 0:
        return None
    return box
