"""What points are called in files that name them, and which index a name stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import Face
from tufa_cli.errors import TufaError
from tufa_cli.formats._base import ReadOptions, first
from tufa_cli.schemes import Scheme, anchors_for, builtin_plane, get_scheme, scheme_names

#: Class of a face whose scheme is not known.
FACE = "face"

_GENERIC = re.compile(r"(?:faces?|heads?|persons?|landmarks?|keypoints?)(?:-\d+)?", re.IGNORECASE)


def tells_class(label: str | None) -> bool:
    """Whether what a file calls a face says more than that it is one, or of which scheme."""
    return bool(label) and _GENERIC.fullmatch(str(label)) is None and scheme_named(label) is None


def _is_own(options: ReadOptions, label: str | None) -> bool:
    """Whether a class is named as a scheme of the user's."""
    return label in options.schemes or (options.scheme is not None and label == options.scheme)


def class_attribute(options: ReadOptions, label: str | None) -> dict[str, str]:
    """The attribute that tells the class of a face, where it tells something."""
    tells = tells_class(label) and not _is_own(options, label)
    return {"class": str(label)} if tells else {}


def note_class(options: ReadOptions, where: Path | None, label: str | None) -> None:
    """Say that the class of faces is not kept, where it tells something."""
    if class_attribute(options, label):
        start = "" if where is None else f"{where}: "
        options.note(f"{start}that faces are called '{str(label)[:40]}' is not kept")


#: The setting that tells the order of points a file names in its own way.
NAMES_SETTING = {"names": "the file's point names in the scheme's order, with commas between"}


#: Schemes that the caller gave, by name: those of a user's files.
Own = Mapping[str, Scheme]
_NONE: Own = MappingProxyType({})


def known_scheme(name: str | None, count: int = 0, own: Own = _NONE) -> Scheme | None:
    """The scheme of this name that has so many points (0: any): one given, or shipped."""
    if name is None:
        return None
    if name in own:
        return own[name] if count in (0, len(own[name])) else None
    return _known(name, count)


@lru_cache(maxsize=256)
def _known(name: str, count: int) -> Scheme | None:
    """The scheme of this name, if it ships and has so many points (0: any)."""
    try:
        scheme = get_scheme(name)
    except (TufaError, OSError, ValueError):
        return None  # a scheme that is not known here still has its name and number of points
    return scheme if count in (0, len(scheme)) else None


def point_names(scheme: str | None, count: int, own: Own = _NONE) -> list[str]:
    """(count,) a name for each point: the scheme's where it is known, else numbers from 0."""
    known = known_scheme(scheme, count, own)
    return list(known.names) if known is not None else [str(index) for index in range(count)]


def note_names(
    options: ReadOptions, where: Path | None, names: Sequence[str], lines: bool = False
) -> None:
    """Say that the names of points are not kept, unless they are mere numbers.

    lines: whether lines between them are not, either.
    """
    names = [name for name in names if name]
    named = bool(names) and not all(name.isdigit() for name in names)
    what = [f"the names of the points ({first(names)})"] if named else []
    what += ["the lines between the points"] if lines else []
    if what:
        start = "" if where is None else f"{where}: "
        options.note(
            f"{start}{' and '.join(what)} are of no known scheme and are not kept; "
            "--from-scheme names one"
        )


def skeleton_of(scheme: str | None, count: int, own: Own = _NONE) -> list[tuple[int, int]]:
    """Pairs of indices to draw lines between, none where the scheme is not known."""
    known = known_scheme(scheme, count, own)
    return list(known.skeleton) if known is not None else []


def template(scheme: str | None, count: int, own: Own = _NONE) -> NDArray[np.float64]:
    """(count, 2) places in 5..95 to show a face's points at: the plane's, or rows of ten."""
    known = known_scheme(scheme, count, own)
    with suppress(TufaError):
        if known is not None:
            anchors = anchors_for(known, builtin_plane())
            low, high = anchors.min(axis=0), anchors.max(axis=0)
            side = max(float((high - low).max()), 1e-9)
            return np.asarray(((anchors - (low + high) / 2) / side * 90 + 50).round(2))
    index = np.arange(count)
    step = 90 / max(9, (count - 1) // 10)
    return np.stack([5 + 10 * (index % 10), 5 + step * (index // 10)], axis=1).astype(np.float64)


def scheme_named(label: Any, count: int = 0) -> str | None:
    """The known scheme that a class is named after and that has so many points (0: any)."""
    if not isinstance(label, str) or Path(label).suffix or "/" in label or not label.strip():
        return None
    known = _known(label, count)
    return known.name if known is not None else None


def scheme_with_names(names: Iterable[str], own: Own = _NONE) -> str | None:
    """The known scheme whose points have exactly these names in this order, or None."""
    wanted = tuple(names)
    mine = next((scheme.name for scheme in own.values() if scheme.names == wanted), None)
    return mine if mine is not None else _by_point_names().get(wanted)


@lru_cache(maxsize=1)
def _by_point_names() -> dict[tuple[str, ...], str]:
    return {get_scheme(name).names: name for name in scheme_names()}


@dataclass(frozen=True)
class FaceClass:
    """What a file calls a kind of face, and each of its points.

    scheme: what must be said beside, since the class alone does not tell a reader the scheme.
    count: the same for the number of points.
    """

    label: str
    names: tuple[str, ...]
    scheme: str | None = None
    count: int | None = None


class FaceClasses:
    """The classes of the faces that are written to one file: one per scheme and size."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self.found: dict[tuple[str | None, int], FaceClass] = {}
        self._labels: set[str] = set()

    def of(self, face: Face) -> FaceClass:
        """The face's class; the first of a scheme's name has it as label."""
        key = (face.scheme, len(face.points_px))
        if key not in self.found:
            scheme, count = key
            plain = scheme is not None and scheme.isprintable() and scheme.strip() == scheme != ""
            label = str(scheme) if plain else FACE
            while label in self._labels:
                label = f"{label}-{count}"
            self._labels.add(label)
            told = scheme_named(label, count)
            self.found[key] = FaceClass(
                label,
                tuple(point_names(scheme, count, self._own)),
                scheme=scheme if told != scheme else None,
                count=count if told is None else None,
            )
        return self.found[key]


@dataclass(frozen=True)
class Order:
    """Which index each name stands for, in a face of ``count`` points of a scheme."""

    scheme: str | None
    count: int
    index: Mapping[str, int]


@dataclass(frozen=True)
class Told:
    """What a file tells of a face's points beside their names.

    label: the face's class. scheme, count: what a file of ours says beside.
    declared: the names of the class's points in order, where the format lists them.
    several: whether the file lists several classes of faces.
    """

    label: str | None = None
    scheme: str | None = None
    count: int | None = None
    declared: tuple[str, ...] | None = None
    several: bool = False


class Orders:
    """Finds the order of named points; see docs/formats.md, "Names of points".

    survey: gives all point names of a class of faces, in the order they first occur in the file;
    called only where the names of one face do not tell, and once for a class; or, given names, all
    names of the faces that share one of them.
    by_text: names that are no numbers stand in the order of the alphabet, as dlib has it.
    """

    def __init__(
        self,
        options: ReadOptions,
        survey: Callable[[str | frozenset[str] | None], Iterable[str]],
        by_text: bool = False,
    ) -> None:
        self._survey = survey
        self._surveyed: dict[str | None, list[str]] = {}
        self._by_text = by_text
        self._options = options
        self._noted: set[tuple[str, ...]] = set()
        self._classes: set[str | None] = set()
        self._asked = options.layout
        given = options.settings.get("names")
        self._given = None if given is None else [name.strip() for name in given.split(",")]
        if self._given and self._asked is not None and len(self._given) != len(self._asked):
            raise TufaError(
                f"the setting names has {len(self._given)} names, {self._asked.name} has "
                f"{len(self._asked)} points"
            )

    def class_of(self, told: Told) -> dict[str, str]:
        """A face's class as an attribute, where it is one of several; else it is said, once.

        A face with marks is of ours, who made its class up.
        """
        if told.scheme is not None or told.count is not None:
            return {}
        if told.several:
            return class_attribute(self._options, told.label)
        if told.label not in self._classes:
            self._classes.add(told.label)
            note_class(self._options, None, told.label)
        return {}

    def of(self, told: Told, names: Sequence[str]) -> Order | None:
        """The order for a face that has points of these names; None when it is of another scheme.

        Raises ValueError when the names do not tell.
        """
        if self._given is not None:
            return self._as_given(self._given, told)
        own = self._scheme_told(told)
        size = told.count if told.declared is None else len(told.declared)
        if self._asked is not None:
            return self._as_asked(self._asked, own, size, told, names)
        if own is not None and set(names) <= set(own.names) and size in (None, len(own)):
            return Order(own.name, len(own), _indices(own.names))
        index, count, certain = self._index(told, names)
        if told.scheme is not None and own is None and not certain:
            raise ValueError(
                f"its scheme '{told.scheme[:40]}' is none that ships, and the names of its points "
                "do not tell their order: --from-scheme FILE does"
            )
        if told.scheme is not None and own is not None:
            return Order(told.scheme, count, index)
        by_names = self._by_names(index, count)  # says that names are not kept
        return Order(told.scheme if told.scheme is not None else by_names, count, index)

    def _scheme_told(self, told: Told) -> Scheme | None:
        """The known scheme that a face's mark or class names."""
        name = told.scheme or told.label or ""
        if name in self._options.schemes:
            return self._options.schemes[name]
        return _known(scheme_named(name) or "", 0)

    def _by_names(self, index: Mapping[str, int], count: int) -> str | None:
        """The known scheme with just these names; a note, once, where there is none."""
        names = tuple(sorted(index, key=index.__getitem__))
        own = self._options.schemes
        scheme = scheme_with_names(names, own) if len(names) == count else None
        if scheme is None and names not in self._noted:
            self._noted.add(names)
            note_names(self._options, None, names)
        return scheme

    def of_unnamed(self, told: Told, count: int) -> Order | None:
        """The order for a face whose points have no names of their own; None as for ``of``."""
        scheme = scheme_named(told.scheme or told.label, count) or told.scheme
        if self._asked is not None:
            if len(self._asked) != count:
                return None
            scheme = self._asked.name
        return Order(scheme, count, _indices([str(index) for index in range(count)]))

    def _as_given(self, given: list[str], told: Told) -> Order:
        asked = self._asked
        scheme = asked.name if asked is not None else told.scheme or scheme_named(told.label)
        return Order(scheme, len(given), _indices(given))

    def _as_asked(
        self, asked: Scheme, own: Scheme | None, size: int | None, told: Told, names: Sequence[str]
    ) -> Order | None:
        count = len(asked)
        other = own is not None and own.name != asked.name
        if size not in (None, count) or (other and own is not None and len(own) != count):
            return None
        if set(names) <= set(asked.names):
            return Order(asked.name, count, _indices(asked.names))
        if own is not None and set(names) <= set(own.names):
            return Order(asked.name, count, _indices(own.names))
        index, found, certain = self._index(told, names)
        if not certain:
            raise ValueError(
                f"the names {first(names)} are not those of {asked.name} ({first(asked.names)}); "
                "the setting names says their order"
            )
        return Order(asked.name, count, index) if found <= count else None

    def _index(self, told: Told, names: Sequence[str]) -> tuple[dict[str, int], int, bool]:
        """The index of each name, the number of points, and whether the order is more than a guess.

        Names that are numbers are the indices, from 0 where a 0 occurs anywhere, else from 1.
        """
        if told.declared is not None:
            return _indices(_in_order(told.declared)), len(told.declared), True
        numbers = _numbers(names)
        if told.count is not None and max(numbers or [-1]) < told.count and numbers is not None:
            return dict(zip(names, numbers, strict=True)), told.count, True
        everything = self._all(told.label)
        numbers = _numbers(everything)
        if numbers is None:
            ordered = sorted(everything) if self._by_text else everything
            return _indices(ordered), max(len(ordered), told.count or 0), self._by_text
        base = 0 if 0 in numbers else 1
        index = {name: value - base for name, value in zip(everything, numbers, strict=True)}
        return index, max([told.count or 0, *(value + 1 for value in index.values())]), True

    def _all(self, label: str | None) -> list[str]:
        if label not in self._surveyed:
            found = list(dict.fromkeys(self._survey(label)))
            if label is None:
                # A face without a box of a class is one of those with a box that have its names.
                found = list(dict.fromkeys(self._survey(frozenset(found))))
            self._surveyed[label] = found
        return self._surveyed[label]


def _indices(names: Sequence[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(names)}


def _in_order(names: Sequence[str]) -> list[str]:
    """Names as they are listed; numbers by their value."""
    numbers = _numbers(names)
    if numbers is None:
        return list(names)
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The names as whole numbers, or None where one is none; raises ValueError for 1 and 01."""
    if not all(name.isascii() and name.isdigit() and len(name) <= 6 for name in names):
        return None
    values = [int(name) for name in names]
    if len(set(values)) != len(values):
        twin = next(value for value in values if values.count(value) > 1)
        both = [name for name, value in zip(names, values, strict=True) if value == twin]
        raise ValueError(f"the point names {first(both)} are one number")
    return values
