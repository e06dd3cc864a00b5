"""CVAT for images, XML 1.1, 0-based: faces as skeletons or as Points shapes.

A skeleton names its points, in any order; a Points shape with several points is a face in the
scheme's order; Points shapes with one point each, named by their label, are the points of one face
by ``group_id``. ``outside`` is a missing point, ``occluded`` a hidden one. The box of a face is a
rectangle with the same ``group_id``, or the only one in a photo with one face. CVAT itself prints
two decimals; we write all digits.

Beside OUT.xml goes OUT.cvat-labels.json, the labels to paste into a new task as raw JSON: CVAT
takes annotations only for labels it has. Of "CVAT for video 1.1" the tracks are read, see
``_cvat_tracks``; they are held in memory, images are not. Its exports are zips with
``annotations.xml`` in them, which is read there; photos are looked for where it was unpacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import cast

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, Tally, WriteOptions
from tufa_cli.formats._cvat_shapes import Context, Shapes
from tufa_cli.formats._cvat_tracks import Tracks, frame_stem
from tufa_cli.formats._cvat_write import RESERVED, CvatWriter
from tufa_cli.formats._files import (
    PhotoFinder,
    first_root,
    headed,
    list_files,
    photo_name,
    sniff_any,
)
from tufa_cli.formats._ids import Place
from tufa_cli.formats._json import is_json, to_text
from tufa_cli.formats._names import NAMES_SETTING, Orders
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
#: Elements whose text says something.
_TEXTS = ("attribute", "height", "name", "owner", "parent", "type", "width")


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

        def names(_: object) -> list[str]:
            return list(
                dict.fromkeys(attribute_values(path, "points", "label")) | self.tracks.names
            )

        orders = Orders(options, names)
        first_pixel = options.base(CAPABILITIES.index_base)
        self.context = Context(options, first_pixel, orders, Tally(), self._failed)
        self.tracks = Tracks(self.context, path)
        self.size: tuple[int | None, int | None] = None, None
        self.root = options.root
        self.seen: set[int] = set()
        self.ids: set[str] = set()

    def records(self) -> Iterator[AnnotatedImage]:
        for node in XmlRecords(self.path, "annotations", ("meta", "image", "track"), _TEXTS):
            try:
                if node.tag == "track":
                    self.tracks.add(node)
                elif node.tag == "meta":
                    self._meta(node)
                else:
                    yield self._image(node)
            except ValueError as error:
                self._failed(error, node.line)
        if self.tracks:
            yield from self._frames()
        self.context.tally.close(self.path, self.options)

    def _failed(self, error: ValueError, line: int | None) -> None:
        line = error.line if isinstance(error, At) else line
        self.options.failed(InputError(self.path, str(error), line))

    def _meta(self, meta: Node) -> None:
        """The names of each skeleton's points, as the project or task lists them, and the size of
        a video."""
        for size in meta.below("original_size"):
            sides = {child.tag: child.text.strip() for child in size.children}
            video = Node("original_size", sides, size.line)
            self.size = video.size("width"), video.size("height")
        found: dict[str, list[str]] = {}
        for label in meta.below("label"):
            name, parent = label.text_of("name"), label.text_of("parent")
            if label.text_of("type") == "skeleton" and name is not None:
                found.setdefault(name, [])
            elif parent and name is not None:
                found.setdefault(parent, []).append(name)
        if any(job.text_of(word) for job in meta.children for word in ("name", "owner")):
            self.options.note(f"{self.path}: what <meta> says of the task is not kept")
        self.context.declared = {
            name: tuple(dict.fromkeys(points)) for name, points in found.items()
        }

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
        tally = self.context.tally
        tally.aside("images have a task_id, which is not kept", "task_id" in node.attributes)
        identity = f"{node.attributes.get('task_id')} {node.attributes.get('id')}"
        self.context.tally.aside("images repeat another's id", identity in self.ids)
        self.context.tally.aside("photos are named more than once", hash(path) in self.seen)
        self.seen.add(hash(path))
        if node.attributes.get("id") is not None:
            self.ids.add(identity)
        shapes = Shapes(self.context)
        for shape in node.children:
            shapes.add(shape)
        return self._photo(path, node, shapes)

    def _photo(self, path: str, node: Node, shapes: Shapes) -> AnnotatedImage:
        return AnnotatedImage(
            path,
            shapes.faces(),
            width=node.size("width"),
            height=node.size("height"),
            split=node.attributes.get("subset") or None,
            root=str(self.root),
            id=_number(node.attributes.get("id")),
        )

    def _frames(self) -> Iterator[AnnotatedImage]:
        """The frames that tracks have shapes in, after the images: all tracks had to come first."""
        named: dict[str | None, Node] = {}
        if self.seen:
            for image in XmlRecords(self.path, "annotations", ("image",), ()):
                image.children = []
                named[image.attributes.get("id")] = image
        finder: PhotoFinder | None = None
        for frame, shapes in self.tracks.frames():
            if str(frame) in named:
                yield self._photo(
                    photo_name(named[str(frame)].need("name")), named[str(frame)], shapes
                )
                continue
            if finder is None:
                folder = self.path.parent
                given = [self.options.root] if self.options.root else [folder, folder / "images"]
                finder = self.tracks.photos_in(given)
            path = finder.find(frame_stem(frame)) or f"{frame_stem(frame)}.png"
            width, height = self.size
            root = str(finder.root)
            yield AnnotatedImage(path, shapes.faces(), width=width, height=height, root=root)


def _number(word: str | None) -> int | None:
    """An image's id, which is its place in the task; a word is none."""
    return Place(word) if word is not None and word.isascii() and word.isdigit() else None


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
