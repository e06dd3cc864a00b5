"""Points clicked on photos, carried onto the plane: what ``schemes new --from-points`` needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.annotation import Face
from tufa_cli.detect import DEFAULT_DETECTOR, make_detector
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import read
from tufa_cli.formats._files import PhotoFinder, is_photo
from tufa_cli.geometry.thin_plate import thin_plate_map
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import load_weights
from tufa_cli.pipeline.annotate import Annotator
from tufa_cli.schemes import Plane, anchors_for, get_scheme
from tufa_cli.schemes.anchors import curves_of
from tufa_cli.schemes.clicked import place_by_names, read_clicked
from tufa_cli.schemes.new import meaning_of

FloatArray = NDArray[np.float64]

#: The schemes whose predictions tie a photo to the plane. Together they carry people's 68 points of
#: 35 validation photos of 300-W to within 1.8 % of the plane of where the plane has them, alone to
#: 1.9 % (wflw98) and 1.8 % (ibug68); a similarity in place of the spline is 3.6 % off.
TIES = ("wflw98", "ibug68")
#: Clicked points further from every predicted one than this part of the face are not on it.
_APART = 0.35
#: Of the spline; both ties have some places in common, so that some is needed.
_SMOOTHING = 0.01


@dataclass(frozen=True, eq=False)
class ClickedFace:
    """Points on one face of one photo.

    points: (K, 2) in the frame of the file. names: (K), None for points without one.
    photo: where it is, or None. where: the file, and the photo in it, for messages.
    """

    points: FloatArray
    names: tuple[str | None, ...]
    photo: Path | None
    where: str


def read_faces(
    source: Path, format_name: str = "auto", photo: Path | None = None, on_plane: bool = False
) -> list[ClickedFace]:
    """The faces of a points file: plain JSON with ``points``, or any format that we read.

    photo: that the points were clicked on; left out, the one that the format names, or the one
    beside the file with the same stem. on_plane: the numbers are the plane's, so that no format
    counts them from another pixel. Faces of a scheme of ours carry its points' names where those
    are places. Raises InputError when there are no faces, or they differ in their points.
    """
    plain = read_clicked(source) if format_name == "auto" else None
    if plain is not None:
        beside = photo or _photo_beside(source)
        return [ClickedFace(plain.points, plain.names, beside, str(source))]
    if format_name == "auto" and source.suffix.lower() == ".pts":
        format_name = "pts"  # MERL-RAV's hidden points would be no places
    records = read(
        source,
        format_name,
        index_base=0 if on_plane else None,
        negatives="keep" if on_plane else "error",
    )
    faces = []
    for record in records:
        found = Path(record.root or ".", record.path)
        at = photo or (found if is_photo(found) else None)
        for face in record.faces:
            where = str(source) if found.stem == source.stem else f"{source}: {record.path}"
            faces.append(ClickedFace(face.points_px, _names(face), at, where))
    if not faces:
        raise InputError(source, "no face in it")
    counts = {len(face.points) for face in faces}
    if len(counts) > 1:
        raise InputError(source, f"faces of {' and '.join(map(str, sorted(counts)))} points")
    if photo is not None and len(faces) > 1:
        raise InputError(source, f"{len(faces)} faces for one --photo", hint="leave --photo out")
    return faces


def _photo_beside(source: Path) -> Path | None:
    found = PhotoFinder(source.parent).find(source.stem)
    return source.parent / found if found is not None else None


def _names(face: Face) -> tuple[str | None, ...]:
    """What the points of a face in a scheme of ours mean, as names of places."""
    count = len(face.points_px)
    try:
        scheme = get_scheme(face.scheme) if face.scheme else None
    except TufaError:
        scheme = None
    if scheme is None or len(scheme) != count:
        return (None,) * count
    return tuple(str(m) if m.place is None else None for m in scheme.meanings)


def place_faces(
    faces: Sequence[ClickedFace],
    plane: Plane,
    on_plane: bool,
    mapper: Callable[[], PhotoMapper],
) -> FloatArray:
    """(K, 2) points_plane: each face carried onto the plane, and the mean over the faces.

    A face with a photo goes by the network's points on it; one without, or in whose photo no face
    is found, by the names of its points. on_plane: the points are on the plane already. mapper:
    makes the network, when it is needed. A row is NaN only where the point's name says what it
    means. Raises InputError when neither way goes, or a point is on no face.
    """
    names = faces[0].names
    if on_plane:
        placed = [face.points for face in faces]
    elif all(meaning_of(name) is not None for name in names):
        placed = [np.full_like(faces[0].points, np.nan)]
    else:
        placed = _carried(faces, plane, mapper)
    stack = np.array(placed)
    known = np.isfinite(stack).all(axis=2)
    total = np.where(known[:, :, None], stack, 0.0).sum(axis=0)
    count = known.sum(axis=0)[:, None]
    lost = [i for i in np.flatnonzero(count == 0) if meaning_of(names[i]) is None]
    if lost:
        raise InputError(faces[0].where, f"point {lost[0]} has no place in the file")
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _carried(
    faces: Sequence[ClickedFace], plane: Plane, mapper: Callable[[], PhotoMapper]
) -> list[FloatArray]:
    """(K, 2) points_plane of each face, NaN where it lacks a point."""
    network: PhotoMapper | None = None
    placed = []
    for face in faces:
        by_names = partial(place_by_names, face.points, face.names, curves_of(plane), face.where)
        found: FloatArray | None = None
        if face.photo is not None:
            network = network or mapper()
            try:
                found = network.to_plane(face.photo, face.points)
            except NoFaceError:
                found = by_names()
                if found is None:
                    raise
        else:
            found = by_names()
        if found is None:
            raise InputError(
                face.where,
                "nothing says where these points lie on the plane",
                hint="give their --photo, or names of two parts such as left_eye_outer, or say "
                "--on plane when they are coordinates of the plane",
            )
        placed.append(found)
    return placed


class NoFaceError(InputError):
    """No face was found where points were clicked."""


class PhotoMapper:
    """Photos to the plane by a network's points.

    The predictions of ``TIES`` and their anchors are the pairs of a thin-plate spline, so that the
    face's own shape and turn are taken out, not its place and size alone.
    """

    def __init__(
        self,
        plane: Plane,
        weights: Path | None = None,
        device: str = "auto",
        detector: str | None = None,
    ) -> None:
        loaded = load_weights(weights)
        finder = make_detector(detector or DEFAULT_DETECTOR)
        predictor = Predictor(loaded, device)
        schemes = [get_scheme(name) for name in TIES]
        self._annotators = [Annotator(finder, predictor, loaded, scheme) for scheme in schemes]
        self._anchors = np.concatenate([anchors_for(scheme, plane) for scheme in schemes])

    def to_plane(self, photo: Path, points_px: ArrayLike) -> FloatArray:
        """(K, 2) points on a face of the photo to points_plane; NaN stays NaN.

        Raises NoFaceError when no face is found there, InputError for a photo that cannot be read.
        """
        points = np.asarray(points_px, dtype=np.float64)
        known = np.isfinite(points).all(axis=1)
        placed = np.full_like(points, np.nan)
        if known.any():
            pairs = [_face_under(each, photo, points[known]) for each in self._annotators]
            carry = thin_plate_map(np.concatenate(pairs), self._anchors, _SMOOTHING)
            placed[known] = carry(points[known])
        return placed


def _face_under(annotator: Annotator, photo: Path, points: FloatArray) -> FloatArray:
    """(K, 2) points_px predicted on the face that clicked points are on."""
    result = next(iter(annotator.run([photo], photo.parent, lambda path: path.name)))
    if result.image is None:
        raise InputError(photo, result.failure or "cannot be used")
    faces = [face.points_px for face in result.image.faces]
    apart = [_apart(points, face) for face in faces]
    hint = "take a photo of a frontal face, or name some of the points (left_eye_outer, chin ...)"
    if not faces:
        raise NoFaceError(photo, "no face found that its points could be tied to", hint=hint)
    best = int(np.argmin(apart))
    if apart[best] > _APART:
        raise NoFaceError(photo, "the points are on none of the faces found in it", hint=hint)
    return faces[best]


def _apart(points: FloatArray, face: FloatArray) -> float:
    """How far points are from a face's own on average, in units of the face."""
    size = float(np.ptp(face, axis=0).max())
    distance = np.linalg.norm(points[:, None] - face[None], axis=2).min(axis=1)
    return float(distance.mean()) / max(size, 1e-9)
