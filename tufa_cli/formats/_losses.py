"""What a format cannot hold: counted and named before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.formats._base import Capabilities, Format, MissingPolicy, WriteOptions, first, states

Check = Callable[[Face], bool]


def losses_in(
    images: Sequence[AnnotatedImage], chosen: Format, missing: MissingPolicy
) -> list[str]:
    """What ``chosen`` cannot hold of these records, each kind once, with counts and an example.

    Missing points count only under "error": otherwise the caller has said what becomes of them.
    """
    caps = chosen.CAPABILITIES
    lost = []
    checks = _face_checks(caps)
    if missing == "error" and not caps.missing:
        checks.append(("that points are missing", lambda face: not face.labelled.all()))
    for what, check in checks:
        hit = [image.path for image, face in _faces(images) if check(face)]
        if hit:
            lost.append(f"{what}: {_count(len(hit), 'face')}, first in {hit[0]}")
    if missing == "error":
        options = WriteOptions()
        hit = [i.path for i, face in _faces(images) if _misplaced(i, face, chosen, options).any()]
        if hit:
            lost.append(f"where points lie: {_count(len(hit), 'face')}, first in {hit[0]}")
    for what, image_check in _image_checks(caps):
        hit = [image.path for image in images if image_check(image)]
        if hit:
            lost.append(f"{what}: {_count(len(hit), 'photo')}, first {hit[0]}")
    renamed = getattr(chosen, "renamed", None)
    hit = renamed(images) if renamed is not None else []
    if hit:
        lost.append(f"the photo's name or folder: {_count(len(hit), 'photo')}, first {hit[0]}")
    own = getattr(chosen, "lost", None)
    lost += own(images) if own is not None else []
    names = sorted({name for _, face in _faces(images) for name in _unheld(face, chosen)})
    if names:
        lost.append(f"attributes of faces: {first(names, 8)}")
    return lost


def _faces(images: Sequence[AnnotatedImage]) -> Iterator[tuple[AnnotatedImage, Face]]:
    for image in images:
        for face in image.faces:
            yield image, face


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _face_checks(caps: Capabilities) -> list[tuple[str, Check]]:
    checks: list[tuple[str, Check]] = []
    if not caps.float:
        checks.append(("the fraction of the points", lambda face: _fraction(face.points_px)))
    if not caps.visibility:
        checks.append(("which points are occluded", lambda f: OCCLUDED in states(f)))
    if not caps.box:
        checks.append(("the box", lambda face: face.box is not None))
    elif not caps.float_box:
        checks.append(("the box's fraction", lambda f: f.box is not None and _fraction(f.box)))
    if not caps.confidence:
        checks.append(("the confidence", lambda face: face.confidence is not None))
        checks.append(("the score", lambda face: face.score is not None))
    if not caps.source:
        checks.append(("that a model made the points", lambda face: face.source == "auto"))
    return checks


def _image_checks(caps: Capabilities) -> list[tuple[str, Callable[[AnnotatedImage], bool]]]:
    checks: list[tuple[str, Callable[[AnnotatedImage], bool]]] = []
    if not caps.empty_images:
        checks.append(("the entry without a face", lambda image: not image.faces))
    if caps.split is not True:
        checks.append(
            ("the split", lambda i: i.split is not None and not caps.holds_split(i.split))
        )
    if caps.one_face:
        checks.append(("all but the first face", lambda image: len(image.faces) > 1))
    if not caps.image_attributes:
        checks.append(("the photo's attributes", lambda image: bool(image.attributes)))
    return checks


def _unheld(face: Face, chosen: Format) -> Iterator[str]:
    """Names of attributes the format has no place for, or cannot hold with these values."""
    caps = chosen.CAPABILITIES
    holds = getattr(chosen, "holds_attribute", None)
    for name, value in face.attributes.items():
        known = caps.attributes is None or name in caps.attributes
        if not known or (holds is not None and not holds(name, value, face)):
            yield name


def _fraction(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return bool(np.any(known != np.round(known)))


def prepare(
    images: Sequence[AnnotatedImage], chosen: Format, missing: MissingPolicy, options: WriteOptions
) -> tuple[list[AnnotatedImage], list[str]]:
    """Records that ``chosen`` can write, and in words what was left out or replaced for that.

    Raises OutputError for another number of points than the format's, and under "error" for
    points it cannot hold.
    """
    caps = chosen.CAPABILITIES
    ready = []
    faces_hit = points_hit = 0
    for image in images:
        faces: list[Face] = []
        for face in image.faces:
            if not caps.takes(len(face.points_px)):
                raise OutputError(
                    f"{image.path}: a face of {len(face.points_px)} points; "
                    f"{chosen.NAME} holds {caps.counts_text}",
                    "write coco or pts, which hold any number of points",
                )
            bad = _unholdable(image, face, chosen, options)
            if bad.any():
                if missing == "error":
                    raise _refusal(image, face, bad, chosen)
                faces_hit += 1
                points_hit += int(bad.sum())
                if missing == "drop-face":
                    continue
                face = _without(face, bad)
            faces.append(face)
        if caps.one_face:
            del faces[1:]  # said among the losses
        ready.append(replace(image, faces=tuple(faces)))
    if not faces_hit:
        return ready, []
    if missing == "drop-face":
        return ready, [f"{_count(faces_hit, 'face')} with points that {chosen.NAME} cannot hold"]
    return ready, [f"{_count(points_hit, 'point')} of {_count(faces_hit, 'face')} as sentinels"]


def _unholdable(
    image: AnnotatedImage, face: Face, chosen: Format, options: WriteOptions
) -> NDArray[np.bool_]:
    """(K,) points that the format cannot write: missing ones, and what it says of itself."""
    bad = _misplaced(image, face, chosen, options)
    if not chosen.CAPABILITIES.missing:
        bad |= ~face.labelled
    return bad


def _misplaced(
    image: AnnotatedImage, face: Face, chosen: Format, options: WriteOptions
) -> NDArray[np.bool_]:
    """(K,) labelled points that the format has no way to write where they are."""
    bad = np.zeros(len(face.points_px), dtype=bool)
    own = getattr(chosen, "unholdable", None)
    if own is not None:
        bad |= own(face, options)
    outside = getattr(chosen, "outside", None)
    if outside is not None:
        bad |= outside(face, image)
    return bad


def _without(face: Face, bad: NDArray[np.bool_]) -> Face:
    visibility = np.where(bad, UNLABELLED, states(face)).astype(np.uint8)
    return replace(face, visibility=visibility)


def _refusal(
    image: AnnotatedImage, face: Face, bad: NDArray[np.bool_], chosen: Format
) -> OutputError:
    indices = first([str(int(i)) for i in np.flatnonzero(bad)], 5)
    if (bad & face.labelled).any():
        what = f"has no way to write point {indices} where it is"
    else:
        what = f"cannot say that point {indices} is missing"
    return OutputError(
        f"{image.path}: {chosen.NAME} {what}",
        "--missing drop-face leaves such faces out, --missing sentinel writes the format's "
        "stand-in; coco holds them",
    )


def remarks_on(images: Sequence[AnnotatedImage], chosen: Format) -> list[str]:
    """What a user should know of a file that was written, beside what was lost."""
    remarks = []
    if not chosen.CAPABILITIES.several_faces and not chosen.CAPABILITIES.one_face:
        several = sum(len(image.faces) > 1 for image in images)
        if several:
            remarks.append(f"{_count(several, 'photo')} with several faces: files NAME_1, NAME_2")
    own = getattr(chosen, "remarks", None)
    return remarks + (own(images) if own is not None else [])
