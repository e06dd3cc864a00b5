"""Reading COCO-like documents: plain keypoints, COCO-WholeBody's faces, Halpe's.

The dialects differ only in where an annotation keeps the face, which a ``Pick`` function says.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats._base import ReadOptions, Sniff, Tally
from tufa_cli.formats._coco_write import ABOUT, STRICT
from tufa_cli.formats._files import first_root
from tufa_cli.formats._ids import id_in, only_count
from tufa_cli.formats._json import box_of, numbers, one_number, photo_side, with_nested
from tufa_cli.formats._names import (
    class_attribute,
    known_scheme,
    note_class,
    note_names,
    scheme_named,
    scheme_with_names,
)
from tufa_cli.formats._photo_names import common_folder, stored_name

KEYS = ("images", "annotations", "categories")
_IMAGE_KEYS = frozenset(["id", "file_name", "width", "height", "split", "attributes"])
#: What every dialect reads of an annotation itself; the rest becomes attributes.
ROW_KEYS = frozenset(["id", "image_id", "category_id", "score", "keypoint_scores", "attributes"])

_FIRST_KEYPOINTS = re.compile(rb'"keypoints"\s*:\s*\[\s*[-0-9]')
#: Numbers of a Halpe annotation: 136 points of a whole person.
HALPE_NUMBERS = 136 * 3


class Category(NamedTuple):
    """What a category says: its scheme, if it names one, and its number of points (0: unsaid).

    faces: whether a box alone is a face's, as in a face detector's file: told by the name.
    name: where it tells one class of faces from others.
    """

    scheme: str | None
    points: int
    faces: bool
    name: str | None = None


#: Of an annotation that names none, or one that the file does not explain.
_NO_CATEGORY = Category(None, 0, False)
_FACE_WORDS = re.compile(r"face|head", re.IGNORECASE)


class Labels(NamedTuple):
    """The face of an annotation as it stands in the file.

    values: x, y, v of each point, or None. key: where they stand, for messages and for the rule
    about visibility. used: keys of the annotation that are no attributes. more: further attributes.
    """

    values: Any
    key: str
    scheme: str | None
    points: int
    box: Any
    box_key: str
    used: frozenset[str]
    more: dict[str, Any]


#: An annotation and its category to the face it holds, or None when it holds none.
Pick = Callable[[dict[str, Any], Category], "Labels | None"]


def sniff_bytes(data: bytes | mmap.mmap, wanted: str) -> Sniff:
    """Whether a JSON document is of the dialect ``wanted``: coco, coco-wholebody or halpe.

    The keys may be gigabytes apart, so they are looked for without parsing.
    """
    if not data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return Sniff(False, "not a JSON object")
    lacking = [key for key in KEYS if data.find(f'"{key}"'.encode()) < 0]
    if lacking:
        return Sniff(False, f"JSON without {' and '.join(lacking)}")
    if data.find(b'"face_kpts"') >= 0:
        found, reason = "coco-wholebody", "face_kpts in its annotations"
    elif data.find(b'"person"') >= 0 and _first_length(data) == HALPE_NUMBERS:
        found, reason = "halpe", "annotations with 136 keypoints of a person"
    else:
        found, reason = "coco", "JSON with images, annotations and categories"
    if found == wanted:
        return Sniff(True, reason)
    return Sniff(False, reason if wanted == "coco" else f"not one with {_SIGNS[wanted]}")


_SIGNS = {"coco-wholebody": "face_kpts", "halpe": "136 keypoints of a person"}


def _first_length(data: bytes | mmap.mmap) -> int:
    """Numbers in the first list ``keypoints`` that has any, 0 when there is none."""
    start = _FIRST_KEYPOINTS.search(data)
    if start is None:
        return 0
    end = data.find(b"]", start.end())
    return data[start.end() : end].count(b",") + 1 if end >= 0 else 0


def sniff_file(path: Path, wanted: str) -> Sniff:
    """``sniff_bytes`` of a file that need not fit in memory."""
    try:
        with path.open("rb") as stream:
            if not stream.read(1):
                return Sniff(False, "empty")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return sniff_bytes(data, wanted)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None


class CocoFile:
    """One document while it is read.

    path: what errors name. roots: folders that the photos may lie in, likeliest first. split: of
    photos that name none.
    """

    def __init__(
        self,
        path: Path,
        data: Any,
        options: ReadOptions,
        pick: Pick,
        roots: Sequence[Path],
        split: str | None = None,
    ) -> None:
        self.path, self.options, self.pick = path, options, pick
        self.roots, self.split = roots, split
        self.data = _checked(path, data)
        self.unknown: dict[str, tuple[list[str], bool]] = {}
        self.categories = self._categories()
        self.first_pixel = options.base(0)
        said = self.data.get("info")
        strict = isinstance(said, dict) and said.get("keypoint_visibility") == STRICT
        self.strict = strict or options.coco_visibility == "strict"
        self.has_two = self._keys_with_two()
        self._note_head(said)
        self.counted = {
            key: only_count([row.get("id") for row in self.data[key] if isinstance(row, dict)])
            for key in KEYS[:2]
        }

    def _note_head(self, info: Any) -> None:
        """Say that what the file says of itself is not kept."""
        ours = isinstance(info, dict) and info.get("description") == ABOUT
        what = ["info"] if isinstance(info, dict) and any(info.values()) and not ours else []
        what += ["licenses"] if self.data.get("licenses") else []
        if what:
            said = ", ".join(what)
            self.options.note(f"{self.path}: what the file says of itself ({said}) is not kept")

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per entry of ``images``, in their order."""
        faces = self._faces()
        names = [row.get("file_name") for row in self.data["images"] if isinstance(row, dict)]
        root = self.options.root
        common = common_folder((name for name in names if isinstance(name, str)), root)
        for number, row in enumerate(self.data["images"]):
            try:
                image = self._image(row, faces, common)
            except ValueError as error:
                self.options.failed(InputError(self.path, f"images[{number}]: {error}"))
                continue
            if root is None:
                root = first_root([*([Path(common)] if common else []), *self.roots], image.path)
            yield replace(image, root=str(root))

    def _categories(self) -> dict[str, Category]:
        table: dict[str, Category] = {}
        classes: dict[str, str | None] = {}
        rows = self.data.get("categories")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                names = row.get("keypoints")
                names = names if isinstance(names, list) else []
                mark = row.get("scheme")
                known = mark if isinstance(mark, str) and mark else None
                names = [str(name) for name in names]
                scheme = known or scheme_named(row.get("name"), len(names))
                scheme = scheme or scheme_with_names(names, self.options.schemes)
                faces = _FACE_WORDS.search(str(row.get("name"))) is not None
                key = key_of(row.get("id"))
                table[key] = Category(scheme, len(names), faces)
                if known_scheme(scheme, len(names), self.options.schemes) is None:
                    self.unknown[key] = names, bool(row.get("skeleton"))
                if known is None and (names or faces):
                    classes[key] = _text(row.get("name"))
        for key, name in classes.items():
            if len(classes) > 1:
                table[key] = table[key]._replace(name=name)
            else:
                note_class(self.options, self.path, name)
        return table

    def _labels(self, row: dict[str, Any]) -> Labels | None:
        category = self.categories.get(key_of(row.get("category_id")), _NO_CATEGORY)
        return self.pick(row, category)

    def _keys_with_two(self) -> set[str]:
        """Kinds of keypoints that say 2 (visible) anywhere in the file."""
        found: set[str] = set()
        for row in self.data["annotations"]:
            try:
                labels = self._labels(row) if isinstance(row, dict) else None
            except ValueError:
                continue  # said when the faces are read
            if labels is not None and isinstance(labels.values, list) and 2 in labels.values[2::3]:
                found.add(labels.key)
        return found

    def _faces(self) -> dict[str, list[Face]]:
        faces: dict[str, list[Face]] = {}
        known = {key_of(row.get("id")) for row in self.data["images"] if isinstance(row, dict)}
        ids: set[str] = set()
        tally = Tally("annotations are not faces of this scheme")
        repeated = 0
        for number, row in enumerate(self.data["annotations"]):
            where = f"annotations[{number}]"
            try:
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                where += f" (id {row.get('id')})"
                if key_of(row.get("image_id")) not in known:
                    raise ValueError(f"no image has the id {row.get('image_id')}")
                labels = self._labels(row)
                face = None if labels is None else self._face(row, labels)
            except (ValueError, TypeError, TufaError) as error:
                self.options.failed(InputError(self.path, f"{where}: {error}"))
                continue
            repeated += key_of(row.get("id")) in ids
            ids.add(key_of(row.get("id")))
            if labels is None:
                tally.aside("annotations have no labelled face")
            elif tally.took(face) and face is not None:
                faces.setdefault(key_of(row["image_id"]), []).append(face)
        tally.aside("annotations repeat another's id", repeated)
        tally.close(self.path, self.options)
        return faces

    def _image(self, row: Any, faces: dict[str, list[Face]], common: str | None) -> AnnotatedImage:
        if not isinstance(row, dict):
            raise ValueError("not an object")
        name = stored_name(row.get("file_name"), "file_name", common)
        sizes = [photo_side(row.get(side), side) for side in ("width", "height")]
        split = row.get("split")
        return AnnotatedImage(
            name,
            tuple(faces.get(key_of(row.get("id")), ())),
            width=sizes[0],
            height=sizes[1],
            split=split if isinstance(split, str) else self.split,
            attributes=with_nested(row, _IMAGE_KEYS),
            id=id_in(row.get("id"), self.counted["images"]),
        )

    def _face(self, row: dict[str, Any], labels: Labels) -> Face | None:
        """The face of an annotation, or None when it is not of the scheme asked for."""
        scheme, values = labels.scheme, labels.values
        if values is None:
            values = [0] * (3 * (labels.points or self.options.points or 0))
        places, visibility = self._points(values, labels.key)
        if self.options.points is not None:
            if len(places) != self.options.points:
                return None
            scheme = self.options.scheme
        elif labels.points and len(places) != labels.points:
            raise ValueError(f"{len(places)} keypoints, its category has {labels.points}")
        elif self.unknown and labels.key == "keypoints":
            unkept = self.unknown.pop(key_of(row.get("category_id")), None)
            if unkept is not None:
                note_names(self.options, self.path, *unkept)
        ours = ["source"] if row.get("source") in ("manual", "auto") else []
        attributes = with_nested(row, labels.used.union(ours)) | labels.more
        category = self.categories.get(key_of(row.get("category_id")), _NO_CATEGORY)
        if category.name is not None:
            attributes = class_attribute(self.options, category.name) | attributes
        if attributes.get("iscrowd") in (0, False):
            del attributes["iscrowd"]
        if attributes.get("segmentation") == []:
            del attributes["segmentation"]
        if _area_of(row.get("bbox"), row.get("area")):
            attributes.pop("area", None)
        scores = row.get("keypoint_scores")
        return Face(
            places,
            scheme=scheme,
            visibility=visibility,
            confidence=numbers(scores, "keypoint_scores", len(places)),
            box=box_of(labels.box, labels.box_key, self.first_pixel),
            score=one_number(row.get("score"), "score"),
            attributes=attributes,
            source="auto" if row.get("source") == "auto" else "manual",
            id=id_in(row.get("id"), self.counted["annotations"]),
        )

    def _points(self, values: Any, key: str) -> tuple[Any, Any]:
        if not isinstance(values, list) or len(values) % 3:
            raise ValueError(f"{key} is not a list of x, y, v")
        flags = values[2::3]
        if not {int, float}.issuperset(map(type, flags)) or not {0, 1, 2}.issuperset(flags):
            bad = [flag for flag in flags if isinstance(flag, bool) or flag not in (0, 1, 2)]
            raise ValueError(f"{key}: visibility {bad[0]!r:.40} is none of 0, 1 and 2")
        visibility = np.array(flags, dtype=np.float64).astype(np.uint8)
        if key not in self.has_two and not self.strict:
            visibility[visibility == OCCLUDED] = VISIBLE
        kept = values[::3] + values[1::3]
        if 0 in flags:  # what stands there is no place, and may be anything
            kept = [value if flag else 0 for value, flag in zip(kept, flags * 2, strict=True)]
        places = numbers(kept, key, len(kept))
        assert places is not None
        return places.reshape(2, -1).T - self.first_pixel, visibility


def _checked(path: Path, data: Any) -> dict[str, Any]:
    """The document, once it has the lists it needs and no image's id twice."""
    if isinstance(data, list):
        raise InputError(
            path,
            "a list: COCO results without the photos' names",
            hint="read it as coco-results, beside the file with images, annotations and categories",
        )
    if not isinstance(data, dict):
        raise InputError(path, "not a COCO file: no object")
    for key in ("images", "annotations"):
        if not isinstance(data.get(key), list):
            raise InputError(path, f"not a COCO file: no list '{key}'")
    seen: set[str] = set()
    for row in data["images"]:
        known = key_of(row.get("id") if isinstance(row, dict) else None)
        if known in seen and known != "null":
            raise InputError(path, f"two images have the id {known}")
        seen.add(known)
    return data


def key_of(identity: Any) -> str:
    """An id as a dictionary key; 1 and 1.0 are one id, 1 and "1" are not."""
    if type(identity) is int:
        return str(identity)
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    return json.dumps(identity, sort_keys=True)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _area_of(box: Any, area: Any) -> bool:
    """Whether an area only repeats the box."""
    try:
        return bool(abs(box[2] * box[3] - area) <= 1e-6 * max(1.0, abs(area)))
    except (TypeError, IndexError, KeyError):
        return False
