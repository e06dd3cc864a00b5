"""CVAT for images, XML 1.1, 0-based: faces as skeletons or as Points shapes.

A skeleton names its points, in any order; a Points shape with several points is a face in the
scheme's order; Points shapes with one point each, named by their label, are the points of one face
by ``group_id``. ``outside`` is a missing point, ``occluded`` a hidden one. The box of a face is a
rectangle with the same ``group_id``, or the only one in a photo with one face. CVAT itself prints
two decimals; we write all digits.

Beside OUT.xml goes OUT.cvat-labels.json, the labels to paste into a new task as raw JSON: CVAT
takes annotations only for labels it has. "CVAT for video" (tracks) is refused. Its exports are zips
with ``annotations.xml`` in them, which is read there; photos are looked for where it was unpacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, cast

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, Tally, WriteOptions
from tufa_cli.formats._cvat_write import RESERVED, CvatWriter
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
from tufa_cli.formats._files import first_root, headed, list_files, photo_name, sniff_any
from tufa_cli.formats._ids import Place
from tufa_cli.formats._json import from_text, is_json, to_text
from tufa_cli.formats._names import NAMES_SETTING, Orders, Told, scheme_named, tells_class
from tufa_cli.formats._numbers import number
from tufa_cli.formats._xml import At, Node, XmlRecords, attribute_values, first_tags
from tufa_cli.formats._zip import Member, is_zip, members
from tufa_cli.writing import check_writable, write_text

NAME = "cvat"
TITLE = "CVAT for images 1.1, XML with skeletons or points, 0-based"
CAPABILITIES = replace(
    EVERYTHING, confidence=False, image_attributes=False, ids=("photos",), streams=True
)
SETTINGS = {**NAMES_SETTING}
SUFFIXES = (".xml",)
_NO_MEMBER = "a zip without annotations.xml in it"


def _sniff_file(path: Path) -> Sniff:
    tags = first_tags(path)
    if tags[0] != "annotations":
        return Sniff(False, f"XML whose root is <{tags[0][:40]}>, not <annotations>")
    if not {"version", "meta", "image", "track"} & set(tags):
        return Sniff(False, "<annotations> with neither <version>, <meta> nor <image>")
    return Sniff(True, "XML with <annotations> of images")


def sniff(path: Path) -> Sniff:
    """Yes for XML whose root is ``<annotations>`` with what CVAT puts in it, or a zip with one."""
    if is_zip(path):
        try:
            return _sniff_file(_members(path)[0])
        except InputError as error:
            return Sniff(False, error.problem, near=error.problem != _NO_MEMBER)
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per ``<image>``; photos are looked for beside the XML and in ``images``."""
    files = _members(source) if is_zip(source) else list_files(source, SUFFIXES, _sniff_file)
    for file in files:
        yield from _File(file, options).records()


def _members(archive: Path) -> list[Path]:
    """The ``annotations.xml`` in a zip, which open as paths do; raises InputError for none."""
    names = [name for name in members(archive) if PurePosixPath(name).name == "annotations.xml"]
    if not names:
        raise InputError(archive, _NO_MEMBER)
    return [cast(Path, Member(archive, name)) for name in names]


class _File:
    """One XML file while it is read."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.tally = Tally()
        self.orders = Orders(options, lambda _: attribute_values(path, "points", "label"))
        self.declared: dict[str, tuple[str, ...]] = {}
        self.root = options.root
        self.seen: set[int] = set()
        self.ids: set[str] = set()

    def records(self) -> Iterator[AnnotatedImage]:
        for node in XmlRecords(self.path, "annotations", ("meta", "image", "track")):
            if node.tag == "track":
                raise InputError(
                    self.path,
                    "tracks of a video, which are not read",
                    node.line,
                    "export the task as 'CVAT for images 1.1'",
                )
            if node.tag == "meta":
                self._labels(node)
                continue
            try:
                yield self._image(node)
            except ValueError as error:
                self._failed(error, node)
        self.tally.close(self.path, self.options)

    def _failed(self, error: ValueError, node: Node) -> None:
        line = error.line if isinstance(error, At) else node.line
        self.options.failed(InputError(self.path, str(error), line))

    def _labels(self, meta: Node) -> None:
        """The names of each skeleton's points, as the project or task lists them."""
        found: dict[str, list[str]] = {}
        for label in meta.below("label"):
            name, parent = label.text_of("name"), label.text_of("parent")
            if label.text_of("type") == "skeleton" and name is not None:
                found.setdefault(name, [])
            elif parent and name is not None:
                found.setdefault(parent, []).append(name)
        if any(job.text_of(word) for job in meta.children for word in ("name", "owner")):
            self.options.note(f"{self.path}: what <meta> says of the task is not kept")
        self.declared = {name: tuple(dict.fromkeys(points)) for name, points in found.items()}

    def _image(self, node: Node) -> AnnotatedImage:
        try:
            path = photo_name(node.need("name"))
        except At:
            raise
        except ValueError as error:
            raise At(node.line, str(error)) from None
        if self.root is None:
            folder = self.path.parent
            self.root = first_root([folder, folder / "images"], path)
        self.tally.aside("images have a task_id, which is not kept", "task_id" in node.attributes)
        identity = f"{node.attributes.get('task_id')} {node.attributes.get('id')}"
        self.tally.aside("images repeat another's id", identity in self.ids)
        self.tally.aside("photos are named more than once", hash(path) in self.seen)
        self.seen.add(hash(path))
        if node.attributes.get("id") is not None:
            self.ids.add(identity)
        return AnnotatedImage(
            path,
            self._faces(node),
            width=node.size("width"),
            height=node.size("height"),
            split=node.attributes.get("subset") or None,
            root=str(self.root),
            id=_number(node.attributes.get("id")),
        )

    def _faces(self, node: Node) -> tuple[Face, ...]:
        drafts: list[tuple[str | None, Node, Draft]] = []
        boxes: list[tuple[str | None, Node]] = []
        singles: dict[str | None, Draft] = {}
        for shape in node.children:
            group = shape.attributes.get("group_id", "0")
            key = None if group in ("", "0") else group
            depth = shape.attributes.get("z_order", "0") not in ("", "0")
            self.tally.aside(IN_DEPTH, depth)
            try:
                if shape.tag == "skeleton":
                    drafts.append((key, shape, self._skeleton(shape)))
                elif shape.tag == "points":
                    draft = self._points(shape, singles.get(key))
                    if draft is not singles.get(key):
                        drafts.append((key, shape, draft))
                        if not draft.unnamed:
                            singles[key] = draft
                elif shape.tag == "box":
                    boxes.append((key, shape))
                else:
                    self.tally.aside(f"<{shape.tag}> are no landmarks")
            except ValueError as error:
                self._failed(error, shape)
        self._give_boxes([(key, draft) for key, _, draft in drafts], boxes)
        faces: list[Face] = []
        for _, shape, draft in drafts:
            draft.where = f"line {shape.line}"
            faces += self._face(draft, shape)
        return tuple(faces)

    def _face(self, draft: Draft, shape: Node) -> Iterator[Face]:
        try:
            face = draft.face(self.orders)
        except ValueError as error:
            self._failed(error, shape)
            return
        if self.tally.took(face) and face is not None:
            yield face

    def _skeleton(self, node: Node) -> Draft:
        label = node.need("label")
        draft = self._draft(node, label)
        several = len(self.declared) > 1
        names = self.declared.get(label)
        draft.told = Told(label, draft.told.scheme, declared=names, several=several)
        for child in node.all("points"):
            self.tally.aside(OF_POINTS, any(child.all("attribute")))
            if child.flag("outside"):
                child.need("label")
                continue
            places = self._places(child)
            if len(places) != 1:
                raise At(child.line, f"a point of a skeleton with {len(places)} places")
            draft.points.append(Point(child.need("label"), *places[0], _state(child)))
        return draft

    def _draft(self, node: Node, label: str) -> Draft:
        attributes = self._attributes(node)
        draft = Draft(unnamed=False)
        source = node.attributes.get("source")
        draft.take_marks(label, {"scheme": attributes.pop("scheme", None), "source": source})
        draft.attributes = attributes
        return draft

    def _points(self, node: Node, named: Draft | None) -> Draft:
        """A new draft from a Points shape, or ``named`` with one more point."""
        label, places = node.need("label"), self._places(node)
        one = len(places) == 1 and self.options.points != 1 and scheme_named(label, 1) is None
        if one:
            draft = named if named is not None else Draft()
            draft.source = "auto" if node.attributes.get("source") == "auto" else "manual"
            draft.points.append(Point(label, *places[0], _state(node)))
            return draft
        draft = self._draft(node, label)
        draft.unnamed = True
        draft.points = [Point(label, *place, _state(node)) for place in places]
        return draft

    def _places(self, node: Node) -> list[tuple[float, float]]:
        """x, y in image pixels of ``points="x,y;x,y"``."""
        found = []
        for pair in node.need("points").split(";"):
            words = pair.split(",")
            if len(words) != 2:
                raise At(node.line, f"points: '{pair[:40]}' is not x,y")
            try:
                x, y = (number(word.strip()) - self.first_pixel for word in words)
            except ValueError as error:
                raise At(node.line, f"points: {error}") from None
            found.append((x, y))
        return found

    def _attributes(self, node: Node) -> dict[str, Any]:
        return {child.need("name"): from_text(child.text) for child in node.all("attribute")}

    def _give_boxes(
        self, drafts: list[tuple[str | None, Draft]], boxes: list[tuple[str | None, Node]]
    ) -> None:
        """Each face its rectangle: the one of its group, or the only one in a photo of one face."""
        groups = {key: draft for key, draft in drafts if key is not None}
        alone = len(drafts) == 1 == len(boxes) and drafts[0][0] is None is boxes[0][0]
        for key, node in boxes:
            draft = drafts[0][1] if alone else groups.get(key or "")
            if draft is None or draft.box is not None:
                self.tally.aside("boxes belong to no face")
                continue
            try:
                values = [node.number(name) for name in ("xtl", "ytl", "xbr", "ybr")]
                box = corners_box(*values) - [self.first_pixel, self.first_pixel, 0, 0]
                if node.attributes.get("rotation") is not None:
                    middle = box[:2] + box[2:] / 2
                    self.tally.aside(TURNED, node.number("rotation") != 0)
                    box = upright_box(box, node.number("rotation"), (middle[0], middle[1]))
                draft.box = box
                label = node.attributes.get("label", "").removesuffix(" box")
                self.tally.aside(OF_BOXES, label != draft.told.label and tells_class(label))
                self.tally.aside("boxes are hidden, which is not kept", node.flag("occluded"))
                draft.attributes = self._attributes(node) | draft.attributes
            except ValueError as error:
                self._failed(error, node)


def _number(word: str | None) -> int | None:
    """An image's id, which is its place in the task; a word is none."""
    return Place(word) if word is not None and word.isascii() and word.isdigit() else None


def _state(node: Node) -> int:
    return OCCLUDED if node.flag("occluded") else VISIBLE


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Any JSON value, under a name that XML can hold."""
    return is_json(value) and _is_name(name)


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    return to_text(name) == name != "" and name not in RESERVED


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """The XML, and the labels of the task it belongs to beside it; raises OutputError."""
    labels = target.with_name(f"{target.stem}.cvat-labels.json")
    check_writable(labels, options.overwrite)
    writer = CvatWriter(target, options, holds_attribute)
    with headed(target, options.overwrite) as (body, head):
        for image in images:
            writer.image(image, body)
        body.write("</annotations>\n")
        head += [f"{line}\n" for line in writer.head()]
    write_text(labels, writer.labels(), options.overwrite)
    options.tell({"ids of photos are taken, or no numbers: others stand for them": writer.ids.lost})
    return [target, labels]
