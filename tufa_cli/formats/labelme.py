"""labelme's JSON (wkentaro's), 0-based, one file per photo: points, rectangles and groups.

A face is the shapes of one ``group_id``; where no shape has one, the photo holds one face. Points
are named by their label; an occluded one has the flag ``occluded``, or its label ends in
``-occluded``; a missing one is not there. A linestrip or polygon with as many points as the scheme
is a face too. labelme keeps what it does not know, so scores, attributes and the rest stand beside,
named as in X-AnyLabeling, which reads the same files.

labelme's own reader is strict: finite numbers, ``group_id`` whole, ``imageData`` there, and the
size that of the upright photo. ``imagePath`` is relative to the JSON, so write into the photos'
folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tufa_cli.annotation import OCCLUDED, UNLABELLED, AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import (
    EVERYTHING,
    ReadOptions,
    Sniff,
    Tally,
    WriteOptions,
    records_of,
    states,
)
from tufa_cli.formats._drafts import (
    OF_POINTS,
    Draft,
    Point,
    box_drawn,
    corners_box,
    faces_of,
    marks_of,
    names_in,
    visibility_in,
)
from tufa_cli.formats._files import climb, is_photo, photo_size, sniff_any, source_files
from tufa_cli.formats._json import (
    dump_json,
    entry,
    is_json,
    json_lacks,
    load_json,
    numbers,
    one_number,
    photo_side,
    without,
)
from tufa_cli.formats._names import NAMES_SETTING, FaceClasses, Orders, scheme_named
from tufa_cli.formats._photo_files import write_photo_files

NAME = "labelme"
TITLE = "labelme JSON, one file per photo, any number of points, 0-based"
CAPABILITIES = replace(EVERYTHING, confidence="labelled", score=True, streams=True)
SETTINGS = {**NAMES_SETTING}
SUFFIXES = (".json",)

#: The version of labelme's files that ours are like.
VERSION = "5.5.0"

_OWN = {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"}
_READ_HERE = _OWN | {"split", "attributes"}
_LINES = ("linestrip", "polygon")
_GROUP_HINT = "in labelme, the points of one face share a group_id"


def _sniff_file(path: Path) -> Sniff:
    lacks = json_lacks(path, b"{", ("shapes", "imagePath"))
    return Sniff(lacks is None, lacks or "JSON with shapes and imagePath")


def sniff(path: Path) -> Sniff:
    """Yes for a JSON object with shapes and imagePath."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per JSON file, also where it has no face."""
    yield from _Folder(source, options).records()


class _Folder:
    """A file, or all of a folder, while it is read."""

    def __init__(self, source: Path, options: ReadOptions) -> None:
        self.options = options
        self.base = source if source.is_dir() else source.parent
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.tally = Tally()
        self.orders = Orders(options, self._survey)
        self.files, self.others = self._sorted_out(source)
        if not self.files:
            raise InputError(source, "no file of this format in the folder")

    def _sorted_out(self, source: Path) -> tuple[list[Path], list[Path]]:
        """The folder's files to read, and those that are whole and something else."""
        if not source.is_dir():
            return source_files(source, SUFFIXES), []
        files: list[Path] = []
        others: list[Path] = []
        for path in source_files(source, SUFFIXES):
            (others if _other_json(path) else files).append(path)
        return files, others

    def records(self) -> Iterator[AnnotatedImage]:
        seen: set[int] = set()
        for image in records_of(self.files, self._image, self.options):
            self.tally.aside("photos are named more than once", hash(image.path) in seen)
            seen.add(hash(image.path))
            yield image
        self.tally.aside("other .json files are not labelme's", len(self.others))
        self.tally.close(self.base, self.options)

    def _survey(self, label: str | frozenset[str] | None) -> Iterator[str]:
        """The point names of a class in all files; what is wrong with them is said elsewhere."""
        quiet = Tally()
        for path in self.files:
            try:
                drafts, _ = self._drafts(load_json(path), quiet)
            except (InputError, ValueError):
                continue
            yield from names_in(drafts, label)

    def _image(self, path: Path) -> AnnotatedImage:
        data = load_json(path)
        drafts, problems = self._drafts(data, self.tally)
        for problem in problems:
            self.options.failed(InputError(path, problem))
        self.tally.aside(
            "files hold the photo itself, which is not kept", bool(data.get("imageData"))
        )
        root, photo = self._photo(path, data)
        faces = faces_of(drafts, self.orders, path, self.options, self.tally, _GROUP_HINT)
        flags = entry(data, "flags", dict, "an object") or {}
        attributes = {key: value for key, value in without(data, _READ_HERE).items() if value}
        attributes |= flags | (entry(data, "attributes", dict, "an object") or {})
        return AnnotatedImage(
            photo,
            faces,
            width=photo_side(data.get("imageWidth"), "imageWidth"),
            height=photo_side(data.get("imageHeight"), "imageHeight"),
            split=entry(data, "split", str, "a word"),
            root=str(root),
            attributes=attributes,
        )

    def _photo(self, path: Path, data: Any) -> tuple[Path, str]:
        """Root and path of the photo: as imagePath has it, or in the folder that the user named."""
        folder = path.relative_to(self.base).parent.as_posix()
        name = entry(data, "imagePath", str, "a path") or ""
        root, photo = climb(self.base, posixpath.join(folder, name) if name else "", "imagePath")
        if self.options.root is None:
            return root, photo
        bare = posixpath.normpath(posixpath.join(folder, PurePosixPath(photo).name))
        found = [name for name in (photo, bare) if is_photo(self.options.root / name)]
        return self.options.root, (*found, bare)[0]

    def _drafts(self, data: Any, tally: Tally) -> tuple[list[Draft], list[str]]:
        """The faces of one file's shapes, and what is wrong with others; raises ValueError."""
        if not isinstance(data, dict):
            raise ValueError("not a labelme file: no object")
        shapes = data.get("shapes")
        if not isinstance(shapes, list):
            raise ValueError("not a labelme file: no list 'shapes'")
        groups: dict[int | None, Draft] = {}
        lines: list[Draft] = []
        problems = []
        for number, shape in enumerate(shapes):
            where = f"shapes[{number}]"
            try:
                if not isinstance(shape, dict):
                    raise ValueError("not an object")
                group = entry(shape, "group_id", int, "a whole number")
                if shape.get("shape_type", "polygon") in _LINES:
                    lines += self._line(shape, where, tally)
                    continue
                draft = groups.setdefault(group, Draft(where=where))
                self._add(draft, shape, tally)
            except ValueError as error:
                problems.append(f"{where}: {error}")
        drafts = [draft for draft in groups.values() if self._is_face(draft, tally)]
        return drafts + lines, problems

    def _is_face(self, draft: Draft, tally: Tally) -> bool:
        told = draft.told
        said = told.scheme is not None or told.count is not None or scheme_named(told.label)
        if not draft.points and not said:
            tally.aside("rectangles belong to no face", draft.box is not None)
        return bool(draft.points or said)

    def _add(self, draft: Draft, shape: dict[str, Any], tally: Tally) -> None:
        label = shape.get("label")
        if type(label) is int:  # what scripts write that number the points
            label = str(label)
        if not isinstance(label, str) or not label.strip():
            raise ValueError("label is missing")
        kind = shape.get("shape_type")
        if kind == "point":
            (x, y), *rest = self._places(shape)
            if rest:
                raise ValueError(f"a point with {1 + len(rest)} places")
            name, state = visibility_in(label.strip())
            flags = entry(shape, "flags", dict, "an object") or {}
            state = OCCLUDED if flags.get("occluded") is True else state
            score = one_number(shape.get("score"), "score")
            draft.points.append(Point(name, x, y, state, score))
            others = bool(without(flags, ("occluded",)) or shape.get("description"))
            tally.aside(OF_POINTS, others or bool(shape.get("attributes")))
        elif kind == "rectangle" and draft.box is None:
            places = np.array(self._places(shape))
            if len(places) not in (2, 4):
                raise ValueError(f"a rectangle with {len(places)} corners")
            draft.take_marks(label.strip(), shape)
            draft.box = corners_box(*places.min(axis=0), *places.max(axis=0))
            draft.attributes = dict(entry(shape, "flags", dict, "an object") or {})
            draft.attributes |= entry(shape, "attributes", dict, "an object") or {}
            if shape.get("description"):
                draft.attributes.setdefault("description", shape["description"])
        else:
            what = "rectangles belong" if kind == "rectangle" else "shapes of other kinds belong"
            tally.aside(f"{what} to no face")

    def _line(self, shape: dict[str, Any], where: str, tally: Tally) -> Iterator[Draft]:
        """A face whose points are one line, where it has as many as the scheme."""
        label, places = shape.get("label"), self._places(shape)
        if len(places) != self.options.points and scheme_named(label, len(places)) is None:
            tally.aside("shapes of other kinds belong to no face")
            return
        draft = Draft(where=where, unnamed=True)
        draft.take_marks(label if isinstance(label, str) else None, shape)
        draft.points = [Point("", x, y) for x, y in places]
        yield draft

    def _places(self, shape: dict[str, Any]) -> list[list[float]]:
        """x, y in image pixels of each of a shape's points, at least one."""
        points = shape.get("points")
        if not isinstance(points, list) or not points:
            raise ValueError("points is not a list of places")
        found = []
        for point in points:
            place = numbers(point, "a point", 2)
            if place is None:
                raise ValueError("a point is null")
            found.append((place - self.first_pixel).tolist())
        return found


def _other_json(path: Path) -> bool:
    """Whether a file is whole and something else than labelme's; a damaged one may be labelme's."""
    try:
        if json_lacks(path, b"{", ("shapes",)) is None:
            return False
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 64))
            return stream.read().rstrip().endswith((b"}", b"]"))
    except (InputError, OSError):
        return False


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Any JSON value."""
    return is_json(value)


def holds_image_attribute(name: str, value: object) -> bool:
    """Any JSON value."""
    return is_json(value)


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A file per photo under ``target`` in the photos' sub-folders, all of them or none.

    ``target`` ending in .json is the file of the one photo there is. Raises OutputError.
    """
    writer = _Writer(target, options)
    return write_photo_files(
        images, target, SUFFIXES[0], options.overwrite, writer.lines, empty=True
    )


class _Writer:
    """The text of one photo's file."""

    def __init__(self, target: Path, options: WriteOptions) -> None:
        self.target, self.schemes = target, options.schemes
        self.first_pixel = options.base(CAPABILITIES.index_base)

    def lines(self, image: AnnotatedImage) -> list[str]:
        size = photo_size(image)
        held = {k: v for k, v in image.attributes.items() if holds_image_attribute(k, v)}
        flags = {key: value for key, value in held.items() if isinstance(value, bool)}
        classes = FaceClasses(self.schemes)
        data: dict[str, Any] = {
            "version": VERSION,
            "flags": flags,
            "shapes": [
                shape
                for group, face in enumerate(image.faces)
                for shape in self._shapes(face, group, classes)
            ],
            "imagePath": PurePosixPath(image.path).name,
            "imageData": None,
            "imageHeight": size[1] if size is not None else image.height,
            "imageWidth": size[0] if size is not None else image.width,
        }
        if image.split is not None:
            data["split"] = image.split
        if len(flags) < len(held):
            data["attributes"] = without(held, flags)
        return [dump_json(data, self.target, indent=2)]

    def _shapes(self, face: Face, group: int, classes: FaceClasses) -> Iterator[dict[str, Any]]:
        named = classes.of(face)
        box, _ = box_drawn(face)
        x, y, w, h = box.tolist()
        x, y = x + self.first_pixel, y + self.first_pixel
        attributes = {k: v for k, v in face.attributes.items() if holds_attribute(k, v, face)}
        yield _shape(named.label, [[x, y], [x + w, y + h]], group, "rectangle") | {
            **marks_of(face, named),
            **({"attributes": attributes} if attributes else {}),
        }
        scores = face.confidence.tolist() if face.confidence is not None else None
        places = (face.points_px + self.first_pixel).tolist()
        for index, state in enumerate(states(face)):
            if state == UNLABELLED:
                continue
            shape = _shape(named.names[index], [places[index]], group, "point")
            if state == OCCLUDED:
                shape["flags"] = {"occluded": True}
            if scores is not None:
                shape["score"] = scores[index]
            yield shape


def _shape(label: str, points: list[list[float]], group: int, kind: str) -> dict[str, Any]:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "shape_type": kind,
        "flags": {},
        "description": "",
        "mask": None,
    }
