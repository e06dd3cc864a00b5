"""Reading COCO-like documents: plain keypoints, COCO-WholeBody's faces, Halpe's.

The dialects differ only in where an annotation keeps the face, which a ``Pick`` function says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats._base import ReadOptions, Tally
from tufa_cli.formats._coco_sniff import KEYS
from tufa_cli.formats._coco_write import ABOUT, STRICT
from tufa_cli.formats._fast import uncollected
from tufa_cli.formats._files import first_root
from tufa_cli.formats._ids import id_in, only_count
from tufa_cli.formats._json import (
    are_numbers,
    box_of,
    numbers,
    one_number,
    photo_side,
    places_in,
    with_nested,
    without_unlabelled,
)
from tufa_cli.formats._names import (
    class_attribute,
    known_scheme,
    note_class,
    note_names,
    scheme_named,
    scheme_with_names,
)
from tufa_cli.formats._photo_names import common_folder, stored_name

_IMAGE_KEYS = frozenset(["id", "file_name", "width", "height", "split", "attributes"])
#: What every dialect reads of an annotation itself; the rest becomes attributes.
ROW_KEYS = frozenset(["id", "image_id", "category_id", "score", "keypoint_scores", "attributes"])


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
#: Visibility of points that have a place.
_LABELLED = frozenset([OCCLUDED, VISIBLE])
#: Supercategories that say nothing more than that a person's face is labelled.
_GROUPS = ("face", "person", "none", "", None)
_FACE_WORDS = re.compile(r"face|head", re.IGNORECASE)


class Labels(NamedTuple):
    """The face of an annotation as it stands in the file.

    values: x, y, v of each point; None or an empty list where nobody labelled any. key: where they
    stand, for messages and for the rule about visibility. used: keys of the annotation that are no
    attributes. more: further attributes.
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
        kinds = self.data.get("categories")
        kinds = [row for row in kinds if isinstance(row, dict)] if isinstance(kinds, list) else []
        ids = [row.get("id") for row in kinds]
        if len(ids) > 1 and ids != [*range(1, len(ids) + 1)]:
            what.append("ids of categories")
        if any(row.get("supercategory", "face") not in _GROUPS for row in kinds):
            what.append("supercategories")
        if what:
            said = ", ".join(what)
            self.options.note(f"{self.path}: what the file says of itself ({said}) is not kept")

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per entry of ``images``, in their order."""
        with uncollected():
            faces = self._faces()
        rows = [row for row in self.data["images"] if isinstance(row, dict)]
        names = [name for row in rows if isinstance(name := row.get("file_name"), str)]
        root = self.options.root
        common = common_folder(names, root)
        if again := len(names) - len(set(names)):
            self.options.note(f"{self.path}: {again} photos are named more than once")
        folder = None if root is None else str(root)
        for number, row in enumerate(self.data["images"]):
            try:
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                name = stored_name(row.get("file_name"), "file_name", common)
                if folder is None:
                    roots = [*([Path(common)] if common else []), *self.roots]
                    folder = str(first_root(roots, name))
                image = self._image(row, name, faces, folder)
            except ValueError as error:
                self.options.failed(InputError(self.path, f"images[{number}]: {error}"))
                continue
            yield image

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

    def _category(self, row: dict[str, Any]) -> Category:
        key = _one_of(row.get("category_id"), self.categories)
        return self.categories.get(key, _NO_CATEGORY)

    def _labels(self, row: dict[str, Any]) -> Labels | None:
        return self.pick(row, self._category(row))

    def _keys_with_two(self) -> set[str]:
        """Kinds of keypoints that say 2 (visible) anywhere in the file, where that matters."""
        found: set[str] = set()
        if self.strict:
            return found
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
        rows = self.data["annotations"]
        for number, row in enumerate(rows):
            rows[number] = None  # its numbers are not needed any more, and take most of the memory
            try:
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                identity, image = key_of(row.get("id")), _one_of(row.get("image_id"), known)
                if image not in known:
                    raise ValueError(f"no image has the id {row.get('image_id')!r:.60}")
                labels = self._labels(row)
                face = None if labels is None else self._face(row, labels)
            except (ValueError, TypeError, TufaError) as error:
                of = f" (id {row.get('id')})" if isinstance(row, dict) else ""
                problem = f"annotations[{number}]{of}: {error}"
                self.options.failed(InputError(self.path, problem))
                continue
            repeated += identity in ids
            ids.add(identity)
            if labels is None:
                tally.aside("annotations have no labelled face")
            elif tally.took(face) and face is not None:
                faces.setdefault(image, []).append(face)
        tally.aside("annotations repeat another's id", repeated)
        tally.close(self.path, self.options)
        return faces

    def _image(
        self, row: dict[str, Any], name: str, faces: dict[str, list[Face]], root: str
    ) -> AnnotatedImage:
        sizes = [photo_side(row.get(side), side) for side in ("width", "height")]
        split = row.get("split")
        return AnnotatedImage(
            name,
            tuple(faces.get(key_of(row.get("id")), ())),
            width=sizes[0],
            height=sizes[1],
            split=split if isinstance(split, str) else self.split,
            root=root,
            attributes=with_nested(row, _IMAGE_KEYS),
            id=id_in(row.get("id"), self.counted["images"]),
        )

    def _face(self, row: dict[str, Any], labels: Labels) -> Face | None:
        """The face of an annotation, or None when it is not of the scheme asked for."""
        scheme, values = labels.scheme, labels.values
        if values is None or values == []:
            values = [0] * (3 * (labels.points or self.options.points or 0))
        places, visibility = self._points(values, labels.key)
        if self.options.points is not None:
            if len(places) != self.options.points:
                return None
            scheme = self.options.scheme
        elif labels.points and len(places) != labels.points:
            raise ValueError(f"{len(places)} keypoints, its category has {labels.points}")
        elif self.unknown and labels.key == "keypoints":
            unkept = self.unknown.pop(_one_of(row.get("category_id"), self.categories), None)
            if unkept is not None:
                note_names(self.options, self.path, *unkept)
        ours = row.get("source") in ("manual", "auto")
        attributes = with_nested(row, labels.used | {"source"} if ours else labels.used)
        attributes.update(labels.more)
        category = self._category(row)
        if category.name is not None:
            attributes = class_attribute(self.options, category.name) | attributes
        if attributes.get("iscrowd") in (0, False):
            del attributes["iscrowd"]
        if attributes.get("segmentation") == []:
            del attributes["segmentation"]
        if _area_of(row.get("bbox"), row.get("area")):
            attributes.pop("area", None)
        scores = row.get("keypoint_scores")
        return Face.of_checked(
            places,
            scheme,
            visibility,
            confidence=numbers(scores, "keypoint_scores", len(places)),
            box=box_of(labels.box, labels.box_key, self.first_pixel),
            score=one_number(row.get("score"), "score"),
            attributes=attributes,
            source="auto" if row.get("source") == "auto" else "manual",
            id=id_in(row.get("id"), self.counted["annotations"]),
        )

    def _points(self, values: Any, key: str) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """(K, 2) image pixels and (K,) visibility of x, y, v; raises ValueError."""
        if not isinstance(values, list) or len(values) % 3:
            raise ValueError(f"{key} is not a list of x, y, v")
        if not (are_numbers(values) and _LABELLED.issuperset(values[2::3])):
            values = without_unlabelled(values, key)
        found = places_in(values, key).reshape(-1, 3)
        visibility = found[:, 2].astype(np.uint8)
        if key not in self.has_two and not self.strict:
            visibility[visibility == OCCLUDED] = VISIBLE
        places = found[:, :2] - self.first_pixel
        if np.count_nonzero(visibility) < len(visibility):
            places[visibility == UNLABELLED] = np.nan
        return places, visibility


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


def _one_of(identity: Any, known: Container[str]) -> str:
    """An id as the key that is known: 1 may be "1" elsewhere, where a file has but one of them."""
    key = key_of(identity)
    if key in known:
        return key
    other = key_of(str(identity)) if type(identity) is int else str(identity)
    return other if other in known else key


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _area_of(box: Any, area: Any) -> bool:
    """Whether an area only repeats the box."""
    try:
        return bool(abs(box[2] * box[3] - area) <= 1e-6 * max(1.0, abs(area)))
    except (TypeError, IndexError, KeyError):
        return False
