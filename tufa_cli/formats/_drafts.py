"""Faces of annotation tools: named points and a rectangle that belong together.

These tools know shapes, not faces. A face is written as a rectangle, which carries what is known
of the face as a whole, and a named point for each landmark that has a place. A face without a box
gets the rectangle of its points, marked as one that nobody drew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import BOX_FROM_POINTS, ReadOptions, Tally
from tufa_cli.formats._json import one_number
from tufa_cli.formats._names import FaceClass, Order, Orders, Told

FloatArray = NDArray[np.float64]

#: What is said of a face beside its shapes, each only where it is needed.
MARKS = ("scheme", "point_count", "score", "source", "box_source")

#: What readers say of what they leave aside, after a number.
OF_POINTS = "points have attributes of their own, which are not kept"
OF_PEOPLE = "objects say who made them and when, which is not kept"
IN_DEPTH = "shapes have an order in depth (z_order), which is not kept"
OF_BOXES = "rectangles have a label of their own, which is not kept"
TURNED = "rectangles are turned: the upright ones around them are taken"

_OCCLUDED_SUFFIX = re.compile(r"[-_. ]?\(?occluded\)?$", re.IGNORECASE)


_NAMES_HINT = "the setting names lists what the points are called; a scheme's file may, too"


class UnknownPoint(ValueError):
    """A point of a name that the scheme, or the setting ``names``, does not have."""


@dataclass(slots=True)
class Point:
    """A named point: x, y in image pixels, its visibility, and a model's confidence in it."""

    name: str
    x: float
    y: float
    state: int = VISIBLE
    score: float | None = None


@dataclass
class Draft:
    """A face while its shapes are gathered.

    where, line: for errors, where it begins in the file, in words or as a line.
    box: (4,) x, y, w, h in image pixels, or None. made: that box is only that of the points.
    unnamed: the points are in the scheme's order and their names say nothing; None for "where all
    of several are called the same", which is how many people draw them.
    """

    where: str = ""
    line: int | None = None
    told: Told = field(default_factory=Told)
    points: list[Point] = field(default_factory=list)
    box: FloatArray | None = None
    made: bool = False
    score: float | None = None
    source: Literal["manual", "auto"] = "manual"
    attributes: dict[str, Any] = field(default_factory=dict)
    unnamed: bool | None = None

    def take_marks(self, label: str | None, marks: Mapping[str, Any]) -> None:
        """Take over the face's class, and what a file of ours says beside; raises ValueError."""
        scheme, count = marks.get("scheme"), marks.get("point_count")
        if not isinstance(scheme, (str, type(None))):
            raise ValueError("scheme is not a name")
        if count is not None and (type(count) is not int or not 0 <= count <= 100_000):
            raise ValueError("point_count is not a number of points")
        self.told = Told(label, scheme, count)
        self.made = marks.get("box_source") == BOX_FROM_POINTS
        self.score = one_number(marks.get("score"), "score")
        self.source = "auto" if marks.get("source") == "auto" else "manual"

    def face(self, orders: Orders) -> Face | None:
        """The face; None when it is of another scheme than the one asked for.

        Raises ValueError when the points' names do not tell which is which.
        """
        names = [point.name for point in self.points]
        alike = len(names) > 1 and len(set(names)) == 1
        if self.unnamed or (self.unnamed is None and alike):
            order = orders.of_unnamed(self.told, len(names))
            names = [str(index) for index in range(len(names))]
        else:
            order = orders.of(self.told, list(dict.fromkeys(names)))
        if order is None:
            return None
        attributes = orders.class_of(self.told) | self.attributes
        places = np.full((order.count, 2), np.nan)
        visibility = np.full(order.count, UNLABELLED, dtype=np.uint8)
        confidence = np.zeros(order.count)
        if names:
            index = self._indices(names, order)
            places[index] = [(point.x, point.y) for point in self.points]
            visibility[index] = [point.state for point in self.points]
            confidence[index] = [point.score or 0.0 for point in self.points]
        scored = bool(self.points) and all(point.score is not None for point in self.points)
        return Face(
            places,
            scheme=order.scheme,
            visibility=visibility,
            confidence=confidence if scored else None,
            box=None if self.made else self.box,
            score=self.score,
            attributes=attributes,
            source=self.source,
        )

    def _indices(self, names: Sequence[str], order: Order) -> list[int]:
        """The index of each point in the scheme; raises ValueError."""
        taken: dict[int, int] = {}  # index -> the state of the point that has it
        for name, point in zip(names, self.points, strict=True):
            index = order.index.get(name)
            if index is None:
                of = f" of {order.scheme}" if order.scheme is not None else ""
                raise UnknownPoint(f"no point{of} is called '{name[:40]}'")
            if taken.get(index, UNLABELLED) != UNLABELLED:
                raise ValueError(f"two points of one face are called '{name[:40]}'")
            taken[index] = point.state
        return list(taken) if len(taken) == len(names) else [order.index[name] for name in names]


def names_in(drafts: Iterable[Draft], label: str | frozenset[str] | None) -> Iterator[str]:
    """The point names of the drafts of one class, in their order.

    label: the class, or names: of any class that shares one of them.
    """
    for draft in drafts:
        names = [point.name for point in draft.points]
        if draft.told.label == label if isinstance(label, (str, type(None))) else label & {*names}:
            yield from names


def faces_of(
    drafts: Iterable[Draft],
    orders: Orders,
    path: object,
    options: ReadOptions,
    tally: Tally,
    hint: str | None = None,
) -> tuple[Face, ...]:
    """The faces of one photo's drafts; those that cannot be understood go to ``options.failed``.

    hint: how the format groups points into faces, for who has two of one name in a face.
    """
    faces = []
    for draft in drafts:
        try:
            face = draft.face(orders)
        except ValueError as error:
            problem = f"{draft.where}: {error}" if draft.where else str(error)
            way = _NAMES_HINT if isinstance(error, UnknownPoint) else hint
            options.failed(InputError(path, problem, draft.line, way))
            continue
        if tally.took(face) and face is not None:
            faces.append(face)
    return tuple(faces)


def box_drawn(face: Face) -> tuple[FloatArray, bool]:
    """(4,) x, y, w, h of the face's rectangle, and whether it was only made from the points."""
    if face.box is not None:
        return face.box, False
    tight = face.tight_box()
    return (np.zeros(4) if tight is None else tight), True


def marks_of(face: Face, named: FaceClass) -> dict[str, Any]:
    """What must be said of a face beside its shapes; ``Draft.take_marks`` is the way back."""
    found = {
        "scheme": named.scheme,
        "point_count": named.count,
        "score": face.score,
        "source": "auto" if face.source == "auto" else None,
        "box_source": BOX_FROM_POINTS if face.box is None else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def visibility_in(name: str) -> tuple[str, int]:
    """A point's name without the ending "-occluded" that stands for its visibility, and that."""
    bare = _OCCLUDED_SUFFIX.sub("", name)
    return (bare, OCCLUDED) if bare and bare != name else (name, VISIBLE)


def corners_box(x1: float, y1: float, x2: float, y2: float) -> FloatArray:
    """(4,) x, y, w, h of the box with these corners, in any order."""
    return np.array([min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1)])


def upright_box(box: FloatArray, degrees: float, about: tuple[float, float]) -> FloatArray:
    """(4,) the upright box around one turned clockwise about a point, both in image pixels."""
    x, y, w, h = box.tolist()
    corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]) - about
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = corners @ np.array([[c, s], [-s, c]]) + about
    low, high = turned.min(axis=0), turned.max(axis=0)
    return np.concatenate([low, high - low])
