"""dlib's imglab XML, whole pixels counted from 0: faces as boxes with named parts.

Coordinates are whole numbers: dlib refuses a fraction. A box's last pixel is left + width - 1, as
in COCO, so left, top, width and height are carried over as they are. dlib keeps parts in a map by
name and so orders them as text; ours are numbers padded to one length (its issue 1563 is about
others). A missing point is a part that is not there. ``ignore='1'`` marks a box to keep out of the
training: it is an attribute of the photo, or a face with the setting ``ignored=faces``.

After ``dlib/data_io/image_dataset_metadata.cpp`` and ``load_image_dataset.h``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, Tally, WriteOptions, one_of
from tufa_cli.formats._drafts import Draft, Point, box_drawn
from tufa_cli.formats._files import climb, headed, list_files, sniff_any
from tufa_cli.formats._json import from_text
from tufa_cli.formats._names import NAMES_SETTING, Orders, Told
from tufa_cli.formats._numbers import shortest
from tufa_cli.formats._xml import (
    At,
    Node,
    XmlRecords,
    attribute_values,
    escaped,
    first_tags,
    xml_name,
)

NAME = "dlib"
TITLE = "dlib's imglab XML, any number of points, whole pixels, 0-based"
FLAGS = ("difficult", "truncated", "occluded", "ignore")
NUMBERS = ("angle", "age", "pose")
CAPABILITIES = Capabilities(
    float=False,
    float_box=False,
    missing=True,
    box=True,
    several_faces=True,
    names=True,
    score=True,
    empty_images=True,
    attributes=(*FLAGS, *NUMBERS, "gender", "label"),
    image_attributes=("ignored_boxes",),
    streams=True,
)
SETTINGS = {
    "ignored": "what boxes with ignore='1' are read as: attribute (of the photo) or faces",
    **NAMES_SETTING,
}
#: What <name> says in files of ours.
ABOUT = "face landmarks"
SUFFIXES = (".xml",)

#: Where a file of ours says how many points a face has, even if nobody has the last one.
_COMMENT = re.compile(r"(\d{1,6}) points a face(?:, scheme (.+))?")
_GENDERS = ("male", "female")


def _sniff_file(path: Path) -> Sniff:
    tags = first_tags(path)
    if tags[0] != "dataset":
        return Sniff(False, f"XML whose root is <{tags[0][:40]}>, not <dataset>")
    if "images" not in tags:
        return Sniff(False, "a <dataset> without <images>")
    return Sniff(True, "XML with <dataset> and <images>")


def sniff(path: Path) -> Sniff:
    """Yes for XML whose root is ``<dataset>`` with ``<images>`` in it."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per ``<image>``, also where it has no box; photos relative to the XML."""
    seen: set[int] = set()
    for file in _with_parts(source, options):
        yield from _File(file, options, seen).records()


def _with_parts(source: Path, options: ReadOptions) -> list[Path]:
    """The files to read. dlib's own examples have boxes and boxes with parts of the same photos in
    one folder: where some files have parts, the others would only repeat photos."""
    files = list(list_files(source, SUFFIXES, _sniff_file))
    found = [file for file in files if len(files) < 2 or attribute_values(file, "part", "name", 1)]
    if len(found) in (0, len(files)):
        return files
    options.note(f"{source}: {len(files) - len(found)} files without parts not read")
    return found


class _File:
    """One XML file while it is read."""

    def __init__(self, path: Path, options: ReadOptions, seen: set[int]) -> None:
        self.path, self.options, self.seen = path, options, seen
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.take_ignored = one_of(options, "ignored", ("attribute", "faces")) == "faces"
        self.tally = Tally()
        self.told = Told()
        self.orders = Orders(options, self._survey, by_text=True)
        self.latin = False

    def _survey(self, label: str | frozenset[str] | None) -> list[str]:
        names = attribute_values(self.path, "part", "name")
        padded = {len(name) for name in names if name.isdigit()}
        if len(padded) > 1:
            self.options.note(
                f"{self.path}: part names are not padded; dlib orders them as text: 0, 1, 10, 2"
            )
        return names

    def records(self) -> Iterator[AnnotatedImage]:
        reader = XmlRecords(self.path, "dataset", ("name", "comment", "image"))
        for node in reader:
            self.latin = reader.encoding in ("iso-8859-1", "latin-1", "latin1")
            if node.tag in ("name", "comment"):
                said = _COMMENT.fullmatch(node.text.strip()) if node.tag == "comment" else None
                if said is not None:
                    self.told = Told(None, said[2], int(said[1]))
                elif node.text.strip() not in ("", ABOUT):
                    self.options.note(
                        f"{self.path}: what the file says of itself ({node.tag}) is not kept"
                    )
                continue
            try:
                image = self._image(node)
            except ValueError as error:
                self._failed(error, node)
                continue
            photo = hash((image.root, image.path))
            self.tally.aside("photos are named more than once", photo in self.seen)
            self.seen.add(photo)
            yield image
        self.tally.close(self.path, self.options)

    def _failed(self, error: ValueError, node: Node) -> None:
        line = error.line if isinstance(error, At) else node.line
        self.options.failed(InputError(self.path, str(error), line))

    def _image(self, node: Node) -> AnnotatedImage:
        root, path = self._photo(node.need("file"))
        faces: list[Face] = []
        ignored: list[list[float]] = []
        for box in node.all("box"):
            try:
                if box.flag("ignore") and not self.take_ignored:
                    ignored.append(self._box(box).tolist())
                    more = set(box.attributes) - {"top", "left", "width", "height", "ignore"}
                    self.tally.aside(
                        "ignored boxes have more than a place, which is not kept",
                        bool(more or box.children),
                    )
                    continue
                face = self._face(box)
            except ValueError as error:
                self._failed(error, box)
                continue
            if self.tally.took(face) and face is not None:
                faces.append(face)
        return AnnotatedImage(
            path,
            tuple(faces),
            width=node.size("width"),
            height=node.size("height"),
            root=str(root),
            attributes={"ignored_boxes": ignored} if ignored else {},
        )

    def _photo(self, name: str) -> tuple[Path, str]:
        """Root and path; in files that claim ISO-8859-1 dlib writes whatever bytes there were."""
        root = self.options.root or self.path.parent
        if self.latin and not name.isascii():
            try:
                utf8 = name.encode("latin-1").decode("utf-8")
            except UnicodeError:
                utf8 = name
            if not (root / name).is_file():
                name = utf8
        return climb(root, name, "file")

    def _box(self, node: Node) -> NDArray[np.float64]:
        x, y, w, h = (node.number(name) for name in ("left", "top", "width", "height"))
        if w < 0 or h < 0:
            raise At(node.line, "the box has a negative size")
        return np.array([x - self.first_pixel, y - self.first_pixel, w, h])

    def _face(self, node: Node) -> Face | None:
        box, attributes = self._box(node), _attributes(node)
        draft = Draft(told=self.told, box=box, attributes=attributes, unnamed=False)
        if node.attributes.get("detection_score") is not None:
            draft.score = node.number("detection_score")
        for part in node.all("part"):
            x, y = part.number("x") - self.first_pixel, part.number("y") - self.first_pixel
            if x != int(x) or y != int(y):
                self.tally.aside("parts have fractions, which dlib itself refuses")
            draft.points.append(Point(part.need("name"), x, y))
        names = [point.name for point in draft.points]
        if len(set(names)) != len(names):
            twin = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"a box has two parts '{twin[:40]}'")
        return draft.face(self.orders)


def _attributes(node: Node) -> dict[str, Any]:
    """A box's flags, numbers and words; others as they stand."""
    read_elsewhere = {"left", "top", "width", "height", "detection_score"}
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if name in FLAGS:
            found[name] = node.flag(name)
        elif name in NUMBERS:
            found[name] = node.number(name)
        elif name not in read_elsewhere:
            found[name] = from_text(value)
    label = node.text_of("label")
    return found | ({"label": label} if label else {})


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Flags, finite numbers, male or female, and a label of one line."""
    if name in FLAGS:
        return isinstance(value, (bool, np.bool_))
    if name in NUMBERS:
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        return bool(number and math.isfinite(float(value)) and abs(float(value)) <= 1e7)  # type: ignore[arg-type]
    if name == "gender":
        return value in _GENDERS
    return isinstance(value, str) and bool(value) and value.isprintable() and value == value.strip()


def holds_image_attribute(name: str, value: object) -> bool:
    """Boxes to keep out of a training, in whole pixels."""
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(box, (list, tuple, np.ndarray)) and len(box) == 4 for box in value)
        and all(float(number).is_integer() for box in value for number in box)
    )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One XML file; coordinates are rounded.

    Raises OutputError when the faces have different numbers of points: dlib makes one list of
    parts of the whole file.
    """
    writer = _Writer(target, options)
    with headed(target, options.overwrite) as (body, head):
        for image in images:
            writer.image(image, body)
        body.write("</images>\n</dataset>\n")
        head += [f"{line}\n" for line in writer.head()]
    if writer.made:
        options.note(f"{writer.made} faces without a box got the box of their points")
    return [target]


class _Writer:
    """Writes ``<image>`` after ``<image>`` and remembers what the head must say."""

    def __init__(self, target: Path, options: WriteOptions) -> None:
        self.target = target
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.made = 0
        self.count: int | None = None
        self.schemes: set[str | None] = set()

    def head(self) -> list[str]:
        comment = ""
        if self.count is not None:
            (scheme,) = self.schemes if len(self.schemes) == 1 else (None,)
            comment = f"{self.count} points a face"
            if scheme is not None and scheme.isprintable() and scheme.strip() == scheme != "":
                comment += f", scheme {scheme}"
        return [
            "<?xml version='1.0' encoding='UTF-8'?>",
            "<dataset>",
            f"<name>{ABOUT}</name>",
            f"<comment>{escaped(comment)}</comment>",
            "<images>",
        ]

    def image(self, image: AnnotatedImage, body: TextIO) -> None:
        size = "".join(
            f" {side}='{value}'"
            for side, value in (("width", image.width), ("height", image.height))
            if value is not None
        )
        body.write(f"  <image file='{xml_name(image.path, self.target)}'{size}>\n")
        for face in image.faces:
            self._face(face, image.path, body)
        for box in image.attributes.get("ignored_boxes", ()):
            if holds_image_attribute("ignored_boxes", [box]):
                body.write(f"    <box {self._corner(np.asarray(box, dtype=float))} ignore='1'/>\n")
        body.write("  </image>\n")

    def _face(self, face: Face, path: str, body: TextIO) -> None:
        count = len(face.points_px)
        if self.count not in (None, count):
            raise OutputError(
                f"{path}: a face of {count} points after faces of {self.count}; dlib has one list "
                "of parts for a whole file",
                "convert each scheme into a file of its own, or write coco",
            )
        self.count = count
        self.schemes.add(face.scheme)
        held = {k: v for k, v in face.attributes.items() if k in (CAPABILITIES.attributes or ())}
        held = {k: v for k, v in held.items() if holds_attribute(k, v, face)}
        label = held.pop("label", None)
        words = [self._corner(self._box(face))]
        words += [f"{name}='{_word(value)}'" for name, value in sorted(held.items())]
        if face.score is not None:
            words.append(f"detection_score='{face.score!r}'")
        body.write(f"    <box {' '.join(words)}>\n")
        if label is not None:
            body.write(f"      <label>{escaped(str(label))}</label>\n")
        width = len(str(max(count - 1, 0)))
        places = face.points_px + self.first_pixel
        for index in np.flatnonzero(face.labelled).tolist():
            x, y = map(_rounded, places[index].tolist())
            body.write(f"      <part name='{index:0{width}d}' x='{x}' y='{y}'/>\n")
        body.write("    </box>\n")

    def _box(self, face: Face) -> NDArray[np.float64]:
        box, made = box_drawn(face)
        if not made:
            return box
        self.made += 1
        low, high = np.floor(box[:2]), np.ceil(box[:2] + box[2:])
        return np.concatenate([low, high - low + 1])  # the last pixel belongs to the box

    def _corner(self, box: NDArray[np.float64]) -> str:
        x, y, w, h = box.tolist()
        left, top = _rounded(x + self.first_pixel), _rounded(y + self.first_pixel)
        return f"top='{top}' left='{left}' width='{_rounded(w)}' height='{_rounded(h)}'"


def _rounded(value: float) -> int:
    """The nearest whole pixel, upwards from the middle."""
    return math.floor(value + 0.5)


def _word(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    return shortest(float(value)) if not isinstance(value, str) else escaped(value)
