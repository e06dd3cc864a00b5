"""Keeps the faces that an expression of ``where`` is true for.

Names are the fields below; any other name, and one with ``@``, is an attribute of the face or,
where it has none of that name, of its photo. What is not known is none: it equals none only, is
neither smaller nor greater than anything, and fits no pattern.

Values: text that reads as a number or as true or false is compared as that; true is 1; a list
equals a value that is in it. Schemes may go by their other names.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import UnknownNameError
from tufa_cli.schemes import get_scheme
from tufa_cli.schemes.load import is_shipped_name
from tufa_cli.selection.where import Condition, Expression, Name, Not, Value, names_in

#: Width and height of a photo in pixels, or None where nobody knows.
SizeOf = Callable[[AnnotatedImage], "tuple[int, int] | None"]

_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class _Subject:
    """One face in its photo; or the photo alone, when it came without a face."""

    def __init__(self, image: AnnotatedImage, face: Face | None, size_of: SizeOf | None) -> None:
        self.image, self.face, self._size_of = image, face, size_of

    def measure(self, axis: int) -> int | None:
        """The photo's width (0) or height (1), from its record or else from itself."""
        given = (self.image.width, self.image.height)[axis]
        if given is None and self._size_of is not None:
            return (self._size_of(self.image) or (None, None))[axis]
        return given

    def count(self, state: int) -> int | None:
        return None if self.face is None else int(np.sum(self.face.visibility == state))

    def side(self, axis: int | None) -> float | None:
        """Of the box: 2 its width, 3 its height, None the longer of both."""
        box = self.face.box if self.face is not None else None
        return None if box is None else float(max(box[2:]) if axis is None else box[axis])

    def spread(self) -> float | None:
        box = self.face.tight_box() if self.face is not None else None
        return None if box is None else float(max(box[2:]))

    def belief(self) -> float | None:
        given = self.face.confidence if self.face is not None else None
        known = given[np.isfinite(given)] if given is not None else np.empty(0)
        return float(known.mean()) if len(known) else None

    def attribute(self, name: str) -> Any:
        if self.face is not None and name in self.face.attributes:
            return self.face.attributes[name]
        return self.image.attributes.get(name)


def _of_face(name: str) -> Callable[[_Subject], Any]:
    return lambda subject: getattr(subject.face, name, None)


#: Field -> (what it is, how it is got). docs/selection.md has this table; a test compares them.
FIELDS: Mapping[str, tuple[str, Callable[[_Subject], Any]]] = {
    "path": ("the photo's path", lambda s: s.image.path),
    "folder": ("its folder; empty at the top", lambda s: s.image.path.rpartition("/")[0]),
    "name": ("its file name", lambda s: s.image.path.rpartition("/")[2]),
    "split": ("the part it belongs to already", lambda s: s.image.split),
    "width": ("the photo's width in pixels", lambda s: s.measure(0)),
    "height": ("the photo's height in pixels", lambda s: s.measure(1)),
    "faces": ("how many faces the photo has", lambda s: len(s.image.faces)),
    "scheme": ("the face's landmark scheme", _of_face("scheme")),
    "source": ("manual or auto", _of_face("source")),
    "score": ("the score of the face", _of_face("score")),
    "confidence": ("the mean confidence of its points", _Subject.belief),
    "points": ("how many points its scheme has", lambda s: s.face and len(s.face.points_px)),
    "visible": ("how many are labelled as seen", lambda s: s.count(VISIBLE)),
    "hidden": ("how many are labelled as hidden", lambda s: s.count(OCCLUDED)),
    "missing": ("how many are not labelled", lambda s: s.count(0)),
    "box_width": ("width of its box in pixels", lambda s: s.side(2)),
    "box_height": ("height of its box in pixels", lambda s: s.side(3)),
    "box_size": ("the longer side of its box", lambda s: s.side(None)),
    "face_size": ("the longer side around its labelled points", _Subject.spread),
}

_Check = Callable[[_Subject], bool]


class FaceFilter:
    """Drops the faces of photos that go by, and keeps count.

    faces_dropped, photos_dropped: how many were; a photo whose last face is dropped goes with it.
    A photo that came without a face is itself asked, with none for everything of a face.
    size_of: asked for a photo's width and height where its record has none and they matter.
    """

    def __init__(self, expression: Expression, size_of: SizeOf | None = None) -> None:
        self.faces_dropped = self.photos_dropped = 0
        self._size_of = size_of
        self._tests = list(names_in(expression))
        self._attributes: set[str] = set()  # of any face or photo that came by
        self._unknown: Counter[str] = Counter()
        self._check = self._compiled(expression)

    def stream(self, images: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        """The photos that keep a face, with those faces.

        Raises UnknownNameError at the end for a name that is no field and no attribute of any.
        """
        any_came = False
        for image in images:
            any_came = True
            self._remember(image)
            if not image.faces:
                if self._check(_Subject(image, None, self._size_of)):
                    yield image
                else:
                    self.photos_dropped += 1
                continue
            faces = [f for f in image.faces if self._check(_Subject(image, f, self._size_of))]
            self.faces_dropped += len(image.faces) - len(faces)
            if not faces:
                self.photos_dropped += 1
            elif len(faces) == len(image.faces):
                yield image
            else:
                yield replace(image, faces=tuple(faces))
        if any_came:
            self._close()

    def notes(self) -> list[str]:
        """How often something was compared that is not known, in words."""
        return [
            f"--where: {name} is not known of {count} {'face' if count == 1 else 'faces'}"
            for name, count in sorted(self._unknown.items())
        ]

    def _remember(self, image: AnnotatedImage) -> None:
        self._attributes.update(image.attributes)
        for face in image.faces:
            self._attributes.update(face.attributes)

    def _close(self) -> None:
        for test in self._tests:
            name = test.name
            if name.word in self._attributes or (not name.attribute and name.word in FIELDS):
                continue
            known = self._attributes if name.attribute else {*self._attributes, *FIELDS}
            raise UnknownNameError(
                f"name (column {name.column} of --where)",
                name.word,
                known,
                None if known else "no face or photo has an attribute",
            )

    def _compiled(self, expression: Expression) -> _Check:
        if isinstance(expression, Condition):
            return self._test(expression)
        if isinstance(expression, Not):
            inner = self._compiled(expression.term)
            return lambda subject: not inner(subject)
        every = all if expression.word == "and" else any
        checks = [self._compiled(term) for term in expression.terms]
        return lambda subject: every(check(subject) for check in checks)

    def _test(self, test: Condition) -> _Check:
        get, fits = _getter(test.name), _comparison(test)
        counted = test.operator is not None and None not in test.values
        label = str(test.name)

        def check(subject: _Subject) -> bool:
            value = _plain(get(subject))
            if value is None and counted and subject.face is not None:
                self._unknown[label] += 1
            return fits(value)

        return check


def _getter(name: Name) -> Callable[[_Subject], Any]:
    if name.attribute or name.word not in FIELDS:
        return lambda subject: subject.attribute(name.word)
    return FIELDS[name.word][1]


def _comparison(test: Condition) -> Callable[[Any], bool]:
    """What a value must be; the values of the test are looked at once, not for each face."""
    kind = test.operator
    if kind is None:
        return lambda value: bool(value) and _read(value) not in (0.0, None)
    wanted = [_scheme_name(test.name, value) for value in test.values]
    if kind in ("==", "in"):
        return lambda value: any(_equal(value, one) for one in wanted)
    if kind == "!=":
        return lambda value: not _equal(value, wanted[0])
    if kind in ("~", "!~"):
        fits = re.compile(fnmatch.translate(str(wanted[0]))).match
        return lambda value: value is not None and bool(fits(_text(value))) == (kind == "~")
    compare, bound = _ORDER[kind], float(wanted[0] or 0)

    def in_order(value: Any) -> bool:
        number = _read(value)
        return isinstance(number, float) and bool(compare(number, bound))

    return in_order


def _scheme_name(name: Name, value: Value) -> Value:
    """The proper name of a scheme that goes by another one."""
    is_scheme = not name.attribute and name.word == "scheme" and isinstance(value, str)
    return get_scheme(str(value)).name if is_scheme and is_shipped_name(str(value)) else value


def _plain(value: Any) -> Any:
    """A value without numpy around it; NaN is none."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return None if isinstance(value, float) and math.isnan(value) else value


def _equal(value: Any, wanted: Value) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_equal(one, wanted) for one in value)
    if value is None or wanted is None:
        return value is wanted
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted
    return bool(_read(value) == _read(wanted))


def _read(value: Any) -> Any:
    """A number where a value is one, or text that reads as one; true is 1."""
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:  # a whole number of hundreds of digits
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str):
        text = value.strip().lower()
        if text in ("true", "false"):
            return float(text == "true")
        try:
            return float(text)
        except ValueError:
            return value
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
