"""Whole photos with all their faces in one HDF5 file: what the face finder is trained on.

Pixels are stored as they are, one after the other, so that a loader cuts from them without
decoding. No photo is named in the file: photo names are personal data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.geometry.boxes import iou
from tufa_cli.geometry.crop import fit_scale_shift
from tufa_cli.images.reading import read_rgb
from tufa_cli.schemes import Scheme, anchors_for, builtin_plane, get_scheme
from tufa_cli.schemes.plane import FACE_BOX
from tufa_cli.schemes.transfer import transfer
from tufa_cli.writing import replacing

FORMAT = "tufa-finder-photos"
#: What a face's points come to: eye centres, nose tip, mouth corners.
FIVE = "mtfl5"
#: A whole head in plane units (x, y, w, h), for labelled faces to which no detector gave a box:
#: where the boxes of WIDER FACE's manner lie in the median (fitted for the detector ``yunet``).
HEAD = (0.084, -0.230, 0.823, 1.125)
#: Boxes of a labelled face and of the teacher are one face's from this overlap on.
_SAME = 0.3

Teacher = Callable[[AnnotatedImage], NDArray[np.float64]]


@dataclass(frozen=True)
class Labelling:
    """What becomes a face to be found, and how large photos are kept.

    sure: teacher boxes that score less are regions that neither count as a face nor as none.
    largest_face: photos are shrunk until their largest face's longer side is at most so many px.
    layouts: schemes of the labels that do not ship, by name.
    """

    sure: float = 0.6
    largest_face: float = 240.0
    largest_side: int = 1600
    layouts: Mapping[str, Scheme] = field(default_factory=dict)

    def layout(self, face: Face) -> Scheme | None:
        """The scheme of a face's points; None for one that is not known."""
        try:
            found = self.layouts.get(face.scheme or "") or get_scheme(face.scheme or "")
        except UnknownNameError:
            return None
        return found if len(found) == len(face.points_px) else None


@dataclass(frozen=True, eq=False)
class FinderFaces:
    """The faces of one photo in its pixels.

    boxes: (N, 4) x, y, w, h. sure: (N,) False for regions to be ignored. points: (N, 5, 2), NaN
    where not labelled.
    """

    boxes: NDArray[np.float64]
    sure: NDArray[np.bool_]
    points: NDArray[np.float64]

    def scaled(self, factor: float) -> FinderFaces:
        """The same faces on the photo resized by ``factor``."""
        low = (self.boxes[:, :2] + 0.5) * factor - 0.5
        boxes = np.hstack([low, self.boxes[:, 2:] * factor])
        return FinderFaces(boxes, self.sure, (self.points + 0.5) * factor - 0.5)


def merge_faces(
    image: AnnotatedImage, teacher: NDArray[np.float64], labelling: Labelling
) -> FinderFaces:
    """People's labels and a detector's boxes of one photo as one list of faces.

    teacher: (M, 5) x, y, w, h, score. A labelled face keeps its own box where it has one, else it
    takes the teacher's on the same place, else that of a head laid on its points; a face too
    turned for any of them becomes a region to ignore. Teacher boxes without a label are faces
    from ``labelling.sure`` on and regions to ignore below.
    """
    boxes, sure, points = [], [], []
    free = np.ones(len(teacher), dtype=bool)
    for face in image.faces:
        layout = labelling.layout(face)
        found = _labelled(face, layout, teacher, labelling.sure)
        if found is not None:
            boxes.append(found[0])
            sure.append(found[1])
            points.append(_five(face, layout))
    if boxes and len(teacher):
        free &= iou(teacher[:, :4], np.array(boxes)).max(axis=1) <= _SAME
    for row in teacher[free]:
        boxes.append(row[:4])
        sure.append(bool(row[4] >= labelling.sure))
        points.append(np.full((5, 2), np.nan))
    return FinderFaces(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(sure, bool),
        np.array(points, np.float64).reshape(-1, 5, 2),
    )


def _labelled(
    face: Face, layout: Scheme | None, teacher: NDArray[np.float64], sure: float
) -> tuple[NDArray[np.float64], bool] | None:
    """A labelled face's box, and whether it is a face to be found; None without any place."""
    if face.box is not None and np.isfinite(face.box).all() and min(face.box[2:]) > 0:
        return face.box, True
    try:
        if layout is None:
            raise TufaError(f"the scheme {face.scheme} is not known")
        anchors = anchors_for(layout, builtin_plane())
        scale, shift = fit_scale_shift(anchors, face.points_px)
    except TufaError:
        box = face.tight_box()
        return None if box is None or min(box[2:]) <= 0 else (box, False)
    square = [*(scale * np.array(FACE_BOX[:2]) + shift), scale * FACE_BOX[2], scale * FACE_BOX[2]]
    trusted = teacher[teacher[:, 4] >= sure]
    if len(trusted):
        overlap = iou(square, trusted[:, :4])[0]
        if overlap.max() > _SAME:
            return trusted[overlap.argmax(), :4], True
    x, y, w, h = HEAD
    return np.array([*(scale * np.array([x, y]) + shift), scale * w, scale * h]), True


def _five(face: Face, layout: Scheme | None) -> NDArray[np.float64]:
    """(5, 2) eye centres, nose tip, mouth corners from labels of any scheme; NaN where not told."""
    if layout is None:
        return np.full((5, 2), np.nan)
    return transfer(layout, get_scheme(FIVE)).apply(face.points_px)


@dataclass
class StoreReport:
    """What a run did; ``failed`` holds (photo, reason)."""

    photos: int = 0
    faces: int = 0
    ignored: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def write_store(
    sources: Iterable[tuple[str, Iterable[AnnotatedImage]]],
    path: Path,
    teacher: Teacher,
    labelling: Labelling | None = None,
    overwrite: bool = False,
) -> StoreReport:
    """All photos of the sources into one file, whole or not at all.

    sources: name and labelled photos of each; a photo that an earlier source had is left out.
    teacher: gives a photo's detector boxes (M, 5), which may be none.
    """
    labelling = labelling or Labelling()
    report, seen = StoreReport(), set[str]()
    with replacing(path, overwrite) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        writer = _Writer(file)
        for name, images in sources:
            for image in images:
                where = str((Path(image.root or "") / image.path).resolve())
                if where in seen:
                    continue
                seen.add(where)
                try:
                    pixels = read_rgb(Path(where))
                except InputError as error:
                    report.failed.append((image.path, error.problem))
                    continue
                faces = merge_faces(image, teacher(image), labelling)
                writer.add(name, *_shrunk(pixels, faces, labelling))
                report.photos += 1
                report.faces += int(faces.sure.sum())
                report.ignored += int((~faces.sure).sum())
        writer.finish()
    return report


def _shrunk(
    pixels: NDArray[np.uint8], faces: FinderFaces, labelling: Labelling
) -> tuple[NDArray[np.uint8], FinderFaces]:
    largest = faces.boxes[faces.sure, 2:].max(initial=1.0)
    height, width = pixels.shape[:2]
    factor = min(labelling.largest_face / largest, labelling.largest_side / max(height, width))
    if factor >= 1:
        return pixels, faces
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), faces.scaled(factor)


class _Writer:
    """Appends photos to an open file; tables are written at the end."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self.pixels = file.create_group("pixels")
        self.names: list[str] = []
        self.faces: list[FinderFaces] = []

    def add(self, name: str, pixels: NDArray[np.uint8], faces: FinderFaces) -> None:
        # Neither chunked nor compressed: the bytes lie in one piece and can be mapped.
        self.pixels.create_dataset(f"{len(self.names):07d}", data=pixels)
        self.names.append(name)
        self.faces.append(faces)

    def finish(self) -> None:
        if not self.names:
            raise TufaError("no photo to train on", "check the sources and what is left out")
        names = sorted(set(self.names))
        counts = [len(faces.boxes) for faces in self.faces]
        self.file.attrs["sources"] = names
        self.file["source"] = np.array([names.index(n) for n in self.names], np.int16)
        self.file["first"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.file["boxes"] = np.concatenate([f.boxes for f in self.faces]).astype(np.float32)
        self.file["sure"] = np.concatenate([f.sure for f in self.faces])
        self.file["points"] = np.concatenate([f.points for f in self.faces]).astype(np.float32)


class FinderPhotos:
    """The photos of a store, read one at a time.

    Raises InputError when the file is not a store. Can be sent to a loader process.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._bytes: NDArray[np.uint8] | None = None
        try:
            with h5py.File(self.path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(path, "not a file of photos for the face finder")
                self.names = [str(name) for name in file.attrs["sources"]]
                self.source, self.first, self.boxes, self.sure, self.points = (
                    file[key][()] for key in ("source", "first", "boxes", "sure", "points")
                )
                photos = [file["pixels"][key] for key in sorted(file["pixels"])]
                #: (N, 3) where each photo's bytes begin in the file, its height and its width.
                self.rows = np.array([(p.id.get_offset(), *p.shape[:2]) for p in photos], np.int64)
        except OSError:
            raise InputError(path, "cannot be read as HDF5") from None

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_bytes": None}

    def pixels(self, index: int, top: int = 0, bottom: int | None = None) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, or its rows from ``top`` to before ``bottom``; not to be changed."""
        if self._bytes is None:
            self._bytes = np.memmap(self.path, np.uint8, "r")
        start, height, width = (int(v) for v in self.rows[index])
        end = height if bottom is None else min(bottom, height)
        flat = self._bytes[start + top * width * 3 : start + end * width * 3]
        return np.asarray(flat).reshape(end - top, width, 3)

    def faces(self, index: int) -> FinderFaces:
        """The photo's faces, with float64 numbers."""
        part = slice(int(self.first[index]), int(self.first[index + 1]))
        return FinderFaces(
            self.boxes[part].astype(np.float64),
            self.sure[part],
            self.points[part].astype(np.float64),
        )
