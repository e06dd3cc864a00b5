"""COCO keypoints JSON, 0-based: any number of points, several schemes, several faces.

Visibility: 0 unlabelled, 1 occluded, 2 visible. Many face data sets (MMPose's 300W, WFLW, AFLW;
COCO-WholeBody's ``face_kpts``) write 1 for "labelled" and never 2; a file without any 2 is read
so unless ``coco_visibility="strict"`` or the file says itself that it means it (ours do).

What else an annotation carries becomes the face's attributes, and comes back out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats._base import (
    BOX_FROM_POINTS,
    Capabilities,
    ReadOptions,
    Sniff,
    Tally,
    WriteOptions,
)
from tufa_cli.formats._coco_write import STRICT, document
from tufa_cli.formats._files import first_root, list_files, sniff_any, write_lines
from tufa_cli.formats._json import (
    json_lacks,
    load_json,
    numbers,
    one_number,
    photo_side,
    without,
)
from tufa_cli.formats._names import scheme_named

NAME = "coco"
TITLE = "COCO keypoints JSON, any number of points, 0-based"
CAPABILITIES = Capabilities(
    visibility=True,
    missing=True,
    box=True,
    several_faces=True,
    names=True,
    confidence=True,
    empty_images=True,
    source=True,
    split=True,
    attributes=None,
    image_attributes=True,
)
SUFFIXES = (".json",)
_READ_HERE = frozenset(
    {"id", "image_id", "category_id", "bbox", "keypoints", "num_keypoints", "score"}
    | {"keypoint_scores", "attributes", "bbox_source", "face_kpts", "face_box", "face_valid"}
)
_IMAGE_KEYS = frozenset(["id", "file_name", "width", "height", "split", "attributes"])


def _sniff_file(path: Path) -> Sniff:
    lacks = json_lacks(path, b"{", ("images", "annotations", "categories"))
    return Sniff(lacks is None, lacks or "JSON with images, annotations and categories")


def sniff(path: Path) -> Sniff:
    """Yes for a JSON object with images, annotations and categories."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per entry of ``images``, also where it has no face.

    With a scheme asked for, faces with another number of points are left out (a file may hold
    several); it is an InputError when none is left.
    """
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _File(file, options).records()


@dataclass
class _File:
    """One COCO file while it is read."""

    path: Path
    options: ReadOptions
    data: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.data = _load(self.path)
        self.categories = self._categories()
        self.first_pixel = self.options.base(CAPABILITIES.index_base)
        said = self.data.get("info")
        strict = isinstance(said, dict) and said.get("keypoint_visibility") == STRICT
        self.strict = strict or self.options.coco_visibility == "strict"
        self.has_two = {
            key: any(2 in row[key][2::3] for row in self.data["annotations"] if _is_list(row, key))
            for key in ("keypoints", "face_kpts")
        }

    def records(self) -> Iterator[AnnotatedImage]:
        faces = self._faces()
        root = self.options.root
        for number, row in enumerate(self.data["images"]):
            try:
                image = self._image(row, faces)
            except ValueError as error:
                self.options.failed(InputError(self.path, f"images[{number}]: {error}"))
                continue
            if root is None:
                folder = self.path.parent
                root = first_root([folder, folder / "images", folder.parent], image.path)
            yield replace(image, root=str(root))

    def _categories(self) -> dict[str, tuple[str | None, int]]:
        """Category id to the scheme it names, if any, and its number of points (0: unsaid)."""
        table = {}
        for row in self.data.get("categories", ()):
            if isinstance(row, dict):
                names = row.get("keypoints")
                count = len(names) if isinstance(names, list) else 0
                table[_key(row.get("id"))] = (_scheme_of(row, count), count)
        return table

    def _faces(self) -> dict[str, list[Face]]:
        faces: dict[str, list[Face]] = {}
        known = {_key(row.get("id")) for row in self.data["images"] if isinstance(row, dict)}
        ids: set[str] = set()
        tally = Tally("annotations are not faces of this scheme")
        repeated = 0
        for number, row in enumerate(self.data["annotations"]):
            where = f"annotations[{number}]"
            try:
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                where += f" (id {row.get('id')})"
                if _key(row.get("image_id")) not in known:
                    raise ValueError(f"no image has the id {row.get('image_id')}")
                face = self._face(row)
            except (ValueError, TypeError, TufaError) as error:
                self.options.failed(InputError(self.path, f"{where}: {error}"))
                continue
            repeated += _key(row.get("id")) in ids
            ids.add(_key(row.get("id")))
            if tally.took(face) and face is not None:
                faces.setdefault(_key(row["image_id"]), []).append(face)
        tally.aside("annotations repeat another's id", repeated)
        tally.close(self.path, self.options)
        return faces

    def _image(self, row: Any, faces: dict[str, list[Face]]) -> AnnotatedImage:
        if not isinstance(row, dict):
            raise ValueError("not an object")
        name = row.get("file_name")
        if not isinstance(name, str) or not name.strip():
            raise ValueError("file_name is missing")
        sizes = [photo_side(row.get(side), side) for side in ("width", "height")]
        split = row.get("split")
        return AnnotatedImage(
            name,
            tuple(faces.get(_key(row.get("id")), ())),
            width=sizes[0],
            height=sizes[1],
            split=split if isinstance(split, str) else None,
            attributes=_extras(row, _IMAGE_KEYS),
        )

    def _face(self, row: dict[str, Any]) -> Face | None:
        """The face of an annotation, or None when it is none (of the scheme asked for)."""
        key, box_key = "keypoints", "bbox"
        scheme, count = self.categories.get(_key(row.get("category_id")), (None, 0))
        if "face_kpts" in row:
            if not row.get("face_valid", True):
                return None
            key, box_key, scheme, count = "face_kpts", "face_box", "ibug68", 68
        values = row.get(key)
        if values is None:
            values = [0] * (3 * (count or self.options.points or 0))
        places, visibility = self._points(values, key)
        if self.options.points is not None:
            if len(places) != self.options.points:
                return None
            scheme = self.options.scheme
        elif count and len(places) != count:
            raise ValueError(f"{len(places)} keypoints, its category has {count}")
        box = None if row.get("bbox_source") == BOX_FROM_POINTS else row.get(box_key)
        ours = ["source"] if row.get("source") in ("manual", "auto") else []
        attributes = _extras(row, _READ_HERE.union(ours))
        if attributes.get("iscrowd") in (0, False):
            del attributes["iscrowd"]
        if attributes.get("segmentation") == []:
            del attributes["segmentation"]
        if _area_of(row.get("bbox"), row.get("area")):
            attributes.pop("area", None)
        return Face(
            places,
            scheme=scheme,
            visibility=visibility,
            confidence=numbers(row.get("keypoint_scores"), "keypoint_scores", len(places)),
            box=self._box(box, box_key),
            score=one_number(row.get("score"), "score"),
            attributes=attributes,
            source="auto" if row.get("source") == "auto" else "manual",
        )

    def _points(self, values: Any, key: str) -> tuple[Any, Any]:
        if not isinstance(values, list) or len(values) % 3:
            raise ValueError(f"{key} is not a list of x, y, v")
        flags = values[2::3]
        bad = [flag for flag in flags if isinstance(flag, bool) or flag not in (0, 1, 2)]
        if bad:
            raise ValueError(f"{key}: visibility {bad[0]!r} is none of 0, 1 and 2")
        visibility = np.array(flags, dtype=np.float64).astype(np.uint8)
        if not self.has_two[key] and not self.strict:
            visibility[visibility == OCCLUDED] = VISIBLE
        kept = [
            value if flag else 0
            for flag, *pair in zip(flags, values[::3], values[1::3], strict=True)
            for value in pair
        ]
        places = numbers(kept, key, len(kept))
        assert places is not None
        return places.reshape(-1, 2) - self.first_pixel, visibility

    def _box(self, values: Any, key: str) -> Any:
        box = numbers(values, key, 4)
        if box is None:
            return None
        if box[2] < 0 or box[3] < 0:
            raise ValueError(f"{key} has a negative size")
        return box - np.array([self.first_pixel, self.first_pixel, 0, 0])


def _load(path: Path) -> dict[str, Any]:
    data = load_json(path, unique=False)  # a check of every object would take longer than the rest
    if isinstance(data, list):
        raise InputError(
            path,
            "a list: COCO results without the photos' names",
            hint="give the file with images, annotations and categories",
        )
    if not isinstance(data, dict):
        raise InputError(path, "not a COCO file: no object")
    for key in ("images", "annotations"):
        if not isinstance(data.get(key), list):
            raise InputError(path, f"not a COCO file: no list '{key}'")
    seen: set[str] = set()
    for row in data["images"]:
        identity = _key(row.get("id") if isinstance(row, dict) else None)
        if identity in seen and identity != "null":
            raise InputError(path, f"two images have the id {identity}")
        seen.add(identity)
    return data


def _key(identity: Any) -> str:
    """An id as a dictionary key; 1 and 1.0 are one id, 1 and "1" are not."""
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    return json.dumps(identity, sort_keys=True)


def _is_list(row: Any, key: str) -> bool:
    return isinstance(row, dict) and isinstance(row.get(key), list)


def _scheme_of(category: dict[str, Any], count: int) -> str | None:
    """The scheme a category names: our own mark, or a known scheme's name with that many points."""
    mark = category.get("scheme")
    if isinstance(mark, str) and mark:
        return mark
    return scheme_named(category.get("name"), count)


def _area_of(box: Any, area: Any) -> bool:
    """Whether an area only repeats the box."""
    try:
        return bool(abs(box[2] * box[3] - area) <= 1e-6 * max(1.0, abs(area)))
    except (TypeError, IndexError, KeyError):
        return False


def _extras(row: dict[str, Any], read_elsewhere: frozenset[str]) -> dict[str, Any]:
    """What else a row carries: its unknown keys and its ``attributes``, which win."""
    nested = row.get("attributes")
    extras = without(row, read_elsewhere)
    if isinstance(nested, dict):
        extras.update(nested)
    elif nested is not None:
        extras["attributes"] = nested
    return extras


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One JSON file with ids from 1; floats keep every digit; raises OutputError."""
    text = document(images, target, options.base(CAPABILITIES.index_base))
    write_lines(target, [text], options.overwrite)
    return [target]
