"""The shapes of one photo in CVAT's XML, gathered into faces: of ``<image>`` and of tracks.

A skeleton names its points, in any order; a Points shape with several points is a face in the
scheme's order; Points shapes with one point each, named by their label, are the points of one face
by ``group_id``. The box of a face is a rectangle with the same ``group_id``, or the only one in a
photo with one face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tufa_cli.annotation import OCCLUDED, VISIBLE, Face
from tufa_cli.formats._base import ReadOptions, Tally
from tufa_cli.formats._drafts import (
    IN_DEPTH,
    OF_BOXES,
    OF_POINTS,
    TURNED,
    Draft,
    Point,
    corners_box,
    upright_box,
)
from tufa_cli.formats._json import from_text
from tufa_cli.formats._names import Orders, Told, scheme_named, tells_class
from tufa_cli.formats._numbers import number, numbers
from tufa_cli.formats._xml import At, Node

#: A place in image pixels.
Place = tuple[float, float]


@dataclass
class Context:
    """What all photos of a file share.

    first_pixel: the number of the first pixel in the file. declared: the point names of each
    skeleton's label. failed: called with what is wrong with a shape, and its line.
    """

    options: ReadOptions
    first_pixel: int
    orders: Orders
    tally: Tally
    failed: Callable[[ValueError, int | None], None]
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Shapes:
    """The shapes of one photo, as they come."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._drafts: list[tuple[str | None, Draft]] = []
        self._boxes: list[tuple[str | None, Node]] = []
        self._singles: dict[str | None, Draft] = {}

    def add(self, shape: Node, more: Mapping[str, Any] | None = None) -> None:
        """Take one shape; more: attributes that it has beside its own, under them."""
        group = shape.attributes.get("group_id", "0")
        key = None if group in ("", "0") else group
        tally = self._context.tally
        tally.aside(IN_DEPTH, shape.attributes.get("z_order", "0") not in ("", "0"))
        try:
            if shape.tag == "skeleton":
                self._drafts.append((key, self._skeleton(shape, more or {})))
            elif shape.tag == "points":
                draft = self._points(shape, self._singles.get(key), more or {})
                if draft is not self._singles.get(key):
                    self._drafts.append((key, draft))
                    if not draft.unnamed:
                        self._singles[key] = draft
            elif shape.tag == "box":
                self._boxes.append((key, shape))
            else:
                self._context.tally.aside(f"<{shape.tag}> are no landmarks")
        except ValueError as error:
            self._context.failed(error, shape.line)

    def faces(self) -> tuple[Face, ...]:
        """The faces of the shapes that came."""
        self._give_boxes()
        return tuple(face for _, draft in self._drafts for face in self._face(draft))

    def _face(self, draft: Draft) -> Iterator[Face]:
        try:
            face = draft.face(self._context.orders)
        except ValueError as error:
            self._context.failed(error, draft.line)
            return
        if self._context.tally.took(face) and face is not None:
            yield face

    def _skeleton(self, node: Node, more: Mapping[str, Any]) -> Draft:
        label = node.need("label")
        draft = self._draft(node, label, more)
        names_of = self._context.declared
        several, declared = len(names_of) > 1, names_of.get(label)
        draft.told = Told(label, draft.told.scheme, declared=declared, several=several)
        children, names, texts, states, attributes = [], [], [], [], 0
        for child in node.children:  # a hundred for each face, so the usual is told at a glance
            if child.tag != "points":
                continue
            given = child.attributes
            if child.children:
                attributes += any(child.all("attribute"))
            name = given.get("label") or child.need("label")
            if given.get("outside", "0") != "0" and child.flag("outside"):
                continue
            children.append(child)
            names.append(name)
            texts.append(given.get("points") or child.need("points"))
            states.append(VISIBLE if given.get("occluded", "0") == "0" else _state(child))
        self._context.tally.aside(OF_POINTS, attributes)
        places = self._one_each(children, texts)
        draft.points = [
            Point(name, x, y, state)
            for name, (x, y), state in zip(names, places, states, strict=True)
        ]
        return draft

    def _one_each(self, children: list[Node], texts: list[str]) -> list[Place]:
        """The place of each point of a skeleton, all of them at once where all are good."""
        words = ",".join(texts).split(",")
        if len(words) == 2 * len(texts) and not any("," not in text for text in texts):
            try:
                values = numbers(words)
            except ValueError:
                pass  # which one, and why, is found below
            else:
                first = self._context.first_pixel
                values = [value - first for value in values] if first else values
                return list(zip(values[::2], values[1::2], strict=True))
        found = []
        for child in children:
            places = self._places(child)
            if len(places) != 1:
                raise At(child.line, f"a point of a skeleton with {len(places)} places")
            found.append(places[0])
        return found

    def _draft(self, node: Node, label: str, more: Mapping[str, Any]) -> Draft:
        attributes = {**more, **attributes_of(node)}
        draft = Draft(unnamed=False, where=f"line {node.line}", line=node.line)
        source = node.attributes.get("source")
        draft.take_marks(label, {"scheme": attributes.pop("scheme", None), "source": source})
        draft.attributes = attributes
        return draft

    def _points(self, node: Node, named: Draft | None, more: Mapping[str, Any]) -> Draft:
        """A new draft from a Points shape, or ``named`` with one more point."""
        label, places = node.need("label"), self._places(node)
        one = len(places) == 1 and self._context.options.points != 1
        if one and scheme_named(label, 1) is None:
            if named is None:
                named = Draft(where=f"line {node.line}", line=node.line, attributes=dict(more))
            named.source = "auto" if node.attributes.get("source") == "auto" else "manual"
            named.points.append(Point(label, *places[0], _state(node)))
            return named
        draft = self._draft(node, label, more)
        draft.unnamed = True
        draft.points = [Point(label, *place, _state(node)) for place in places]
        return draft

    def _places(self, node: Node) -> list[Place]:
        """x, y in image pixels of ``points="x,y;x,y"``."""
        found = []
        for pair in node.need("points").split(";"):
            words = pair.split(",")
            if len(words) != 2:
                raise At(node.line, f"points: '{pair[:40]}' is not x,y")
            try:
                x, y = (number(word.strip()) - self._context.first_pixel for word in words)
            except ValueError as error:
                raise At(node.line, f"points: {error}") from None
            found.append((x, y))
        return found

    def _give_boxes(self) -> None:
        """Each face its rectangle: the one of its group, or the only one in a photo of one face."""
        drafts, boxes = self._drafts, self._boxes
        groups = {key: draft for key, draft in drafts if key is not None}
        alone = len(drafts) == 1 == len(boxes) and drafts[0][0] is None is boxes[0][0]
        first_pixel, tally = self._context.first_pixel, self._context.tally
        for key, node in boxes:
            draft = drafts[0][1] if alone else groups.get(key or "")
            if draft is None or draft.box is not None:
                self._context.tally.aside("boxes belong to no face")
                continue
            try:
                values = [node.number(name) for name in ("xtl", "ytl", "xbr", "ybr")]
                box = corners_box(*values) - [first_pixel, first_pixel, 0, 0]
                if node.attributes.get("rotation") is not None:
                    tally.aside(TURNED, node.number("rotation") != 0)
                    middle = box[:2] + box[2:] / 2
                    box = upright_box(box, node.number("rotation"), (middle[0], middle[1]))
                draft.box = box
                label = node.attributes.get("label", "").removesuffix(" box")
                tally.aside(OF_BOXES, label != draft.told.label and tells_class(label))
                tally.aside("boxes are hidden, which is not kept", node.flag("occluded"))
                draft.attributes = attributes_of(node) | draft.attributes
            except ValueError as error:
                self._context.failed(error, node.line)


def attributes_of(node: Node) -> dict[str, Any]:
    """The attributes that a shape or a track carries; raises At."""
    return {child.need("name"): from_text(child.text) for child in node.all("attribute")}


def _state(node: Node) -> int:
    return OCCLUDED if node.flag("occluded") else VISIBLE
