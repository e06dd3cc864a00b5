"""What a format cannot hold: counted and named before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.formats._base import (
    Capabilities,
    Format,
    MissingPolicy,
    WriteOptions,
    first,
    several_files,
    states,
)
from tufa_cli.formats._ids import Place
from tufa_cli.formats._names import scheme_named

Check = Callable[[Face], bool]

#: What is lost of points that a format has no way to write where they are.
WHERE = "where points lie"
ATTRIBUTES = "attributes of faces"
_IDS = "the ids of {}"
_MISPLACED = ("unholdable", "outside")


def losses_in(
    images: Iterable[AnnotatedImage], chosen: Format, missing: MissingPolicy
) -> list[str]:
    """What ``chosen`` cannot hold of these records, each kind once, with counts and an example.

    Missing points count only under "error": otherwise the caller has said what becomes of them.
    """
    losses = Losses(chosen, missing)
    for image in images:
        losses.add(image)
    return losses.lines()


class Losses:
    """What a format cannot hold of records that go by one after the other."""

    def __init__(self, chosen: Format, missing: MissingPolicy) -> None:
        caps = chosen.CAPABILITIES
        self._chosen = chosen
        self._face_checks = _face_checks(caps)
        if missing == "error" and not caps.missing:
            self._face_checks.append(
                ("that points are missing", lambda face: not face.labelled.all())
            )
        self._places = missing == "error" and any(map(partial(hasattr, chosen), _MISPLACED))
        # Most formats that hold any attribute hold any value.
        self._attributes = chosen.CAPABILITIES.attributes is not None or hasattr(
            chosen, "holds_attribute"
        )
        self._image_checks = _image_checks(chosen)
        self._own: Callable[[AnnotatedImage], Iterable[str]] = getattr(chosen, "lost", lambda i: ())
        self._more: dict[str, None] = {}
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._names: set[str] = set()
        self._ids = [what for what in ("photos", "faces") if what not in caps.ids]

    def __bool__(self) -> bool:
        """Whether anything is lost so far."""
        return bool(self._counts or self._names)

    def add(self, image: AnnotatedImage) -> None:
        """Look at one more record."""
        self._add_ids(image)
        for what, image_check in self._image_checks:
            if image_check(image):
                self._hit(what, image)
        for what in self._own(image):
            self._more.setdefault(what)
            self._hit(what, image)
        for face in image.faces:
            for what, check in self._face_checks:
                if check(face):
                    self._hit(what, image)
            if self._places and _misplaced(image, face, self._chosen, WriteOptions()).any():
                self._hit(WHERE, image)
            if self._attributes and (names := set(_unheld(face, self._chosen))):
                self._names |= names
                self._hit(ATTRIBUTES, image)

    def _add_ids(self, image: AnnotatedImage) -> None:
        for what in self._ids:
            for given in [image.id] if what == "photos" else [face.id for face in image.faces]:
                if given is not None and not isinstance(given, Place):
                    self._hit(_IDS.format(what), image)

    def _hit(self, what: str, image: AnnotatedImage) -> None:
        self._counts[what] += 1
        self._first.setdefault(what, image.path)

    def lines(self) -> list[str]:
        """Each kind in words, with its count and the first record that has it."""
        lost = []
        for what in [*(what for what, _ in self._face_checks), WHERE]:
            if self._counts[what]:
                count = _count(self._counts[what], "face")
                lost.append(f"{what}: {count}, first in {self._first[what]}")
        for what in [*(what for what, _ in self._image_checks), *self._more]:
            if self._counts[what]:
                count = _count(self._counts[what], "photo")
                lost.append(f"{what}: {count}, first {self._first[what]}")
        for what in self._ids:
            kind = _IDS.format(what)
            if self._counts[kind]:
                count = _count(self._counts[kind], what.removesuffix("s"))
                lost.append(f"{kind}: {count}, first in {self._first[kind]}")
        if self._names:
            count = _count(self._counts[ATTRIBUTES], "face")
            names = first(sorted(self._names), 8)
            lost.append(f"{ATTRIBUTES} ({names}): {count}, first in {self._first[ATTRIBUTES]}")
        return lost


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
    elif caps.confidence == "labelled":
        checks.append(("the confidence of missing points", _unplaced_confidence))
    if not (caps.confidence if caps.score is None else caps.score):
        checks.append(("the score", lambda face: face.score is not None))
    if not caps.source:
        checks.append(("that a model made the points", lambda face: face.source == "auto"))
    return checks


def _unplaced_confidence(face: Face) -> bool:
    """Whether a point without a place has a confidence to lose; 0 is what it is read as."""
    if face.confidence is None:
        return False
    return not face.labelled.any() or bool(np.any(face.confidence[~face.labelled] != 0))


def _image_checks(chosen: Format) -> list[tuple[str, Callable[[AnnotatedImage], bool]]]:
    caps = chosen.CAPABILITIES
    checks: list[tuple[str, Callable[[AnnotatedImage], bool]]] = []
    if not caps.empty_images:
        checks.append(("the entry without a face", lambda image: not image.faces))
    if caps.split is not True:
        checks.append(
            ("the split", lambda i: i.split is not None and not caps.holds_split(i.split))
        )
    if caps.one_face:
        checks.append(("all but the first face", lambda image: len(image.faces) > 1))
    renames = getattr(chosen, "renames", None)
    if renames is not None:
        checks.append(("the photo's name or folder", renames()))
    checks.append(("the photo's attributes", lambda image: _unheld_of_photo(image, chosen)))
    return checks


def _unheld_of_photo(image: AnnotatedImage, chosen: Format) -> bool:
    if not image.attributes:
        return False
    held = chosen.CAPABILITIES.image_attributes
    holds = getattr(chosen, "holds_image_attribute", None)
    for name, value in image.attributes.items():
        known = name in held if isinstance(held, tuple) else held
        if not known or (holds is not None and not holds(name, value)):
            return True
    return False


def _unheld(face: Face, chosen: Format) -> Iterator[str]:
    """Names of attributes the format has no place for, or cannot hold with these values."""
    caps = chosen.CAPABILITIES
    holds = getattr(chosen, "holds_attribute", None)
    for name, value in face.attributes.items():
        known = caps.attributes is None or name in caps.attributes
        if not known or (holds is not None and not holds(name, value, face)):
            yield name


def _fraction(values: NDArray[np.float64]) -> bool:
    """Whether a number is not whole, in the six decimals that formats of text have."""
    known = values[np.isfinite(values)]
    return bool(np.any(np.abs(known - np.round(known)) > 1e-6))


class Preparation:
    """Makes records ready for a format to write while they go by, and keeps count.

    losses: what the format cannot hold of them. images, faces: how many were handed on.
    counted: the losses where somebody counts them already, before a record comes here.
    """

    def __init__(
        self,
        chosen: Format,
        missing: MissingPolicy,
        options: WriteOptions,
        counted: Losses | None = None,
    ) -> None:
        self.losses = Losses(chosen, missing) if counted is None else counted
        self._counts_losses = counted is None
        self.images = self.faces = 0
        self._chosen, self._missing, self._options = chosen, missing, options
        self._faces_hit = self._points_hit = 0
        self._anywhere = not any(hasattr(chosen, name) for name in _MISPLACED)

    def stream(self, images: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        """Records that the format can write.

        Raises OutputError for another number of points than the format's, and under "error" for
        points it cannot hold.
        """
        for image in images:
            if self._counts_losses:
                self.losses.add(image)
            faces = image.faces
            if not all(map(self._fits, faces)):
                faces = tuple(face for found in faces for face in self._ready(image, found))
            if self._chosen.CAPABILITIES.one_face:
                faces = faces[:1]  # said among the losses
            self.images += 1
            self.faces += len(faces)
            yield image if faces is image.faces else replace(image, faces=faces)

    def _fits(self, face: Face) -> bool:
        """Whether nothing of a face need be looked at closer."""
        caps = self._chosen.CAPABILITIES
        known = caps.points is None or caps.takes(len(face.points_px))
        return self._anywhere and known and (caps.missing or bool(face.labelled.all()))

    def _ready(self, image: AnnotatedImage, face: Face) -> Iterator[Face]:
        """The face as the format can write it, or nothing when it is dropped."""
        caps = self._chosen.CAPABILITIES
        if not caps.takes(len(face.points_px)):
            raise OutputError(
                f"{image.path}: a face of {len(face.points_px)} points; "
                f"{self._chosen.NAME} holds {caps.counts_text}",
                _way_on(face, self._chosen),
            )
        bad = _misplaced(image, face, self._chosen, self._options)
        if not caps.missing:
            bad |= ~face.labelled
        if not bad.any():
            yield face
            return
        if self._missing == "error":
            raise _refusal(image, face, bad, self._chosen)
        self._faces_hit += 1
        self._points_hit += int(bad.sum())
        if self._missing == "sentinel":
            yield _without(face, bad)

    def dropped(self) -> list[str]:
        """Faces left out, or points replaced by a sentinel, in words."""
        if not self._faces_hit:
            return []
        faces = _count(self._faces_hit, "face")
        if self._missing == "drop-face":
            return [f"{faces} with points that {self._chosen.NAME} cannot hold"]
        return [f"{_count(self._points_hit, 'point')} of {faces} as sentinels"]


def _misplaced(
    image: AnnotatedImage, face: Face, chosen: Format, options: WriteOptions
) -> NDArray[np.bool_]:
    """(K,) labelled points that the format has no way to write where they are."""
    bad = np.zeros(len(face.points_px), dtype=bool)
    unholdable = getattr(chosen, "unholdable", None)
    if unholdable is not None:
        bad |= unholdable(face, options)
    outside = getattr(chosen, "outside", None)
    if outside is not None:
        bad |= outside(face, image)
    return bad


def _way_on(face: Face, chosen: Format) -> str:
    """What to do about a face of another number of points than a format holds."""
    own = getattr(chosen, "SCHEME", None) or next(iter(getattr(chosen, "SCHEMES", {}).values()), "")
    hint = "write coco or pts, which hold any number of points"
    if scheme_named(face.scheme) and scheme_named(own):
        hint = f"--scheme {own} converts the labels, or {hint}"
    return hint


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
            remarks.append(several_files(several))
    own = getattr(chosen, "remarks", None)
    return remarks + (own(images) if own is not None else [])
