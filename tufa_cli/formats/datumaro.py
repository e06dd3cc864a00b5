"""Datumaro's own JSON, 0-based: ``annotations/SUBSET.json``, photos in ``images/SUBSET/``.

A face is a ``points`` annotation (x, y flat, and ``visibility`` 0 absent, 1 hidden, 2 visible) or,
in CVAT's fork, a ``skeleton`` (x, y, v flat); its box is the ``bbox`` of the same ``group``.
``size`` is [height, width]. The subset is the photo's split, ``default`` being none. Scores are
attributes, as Datumaro has them. Every digit is kept, where Datumaro itself rounds to two decimals.
Source: datumaro, ``plugins/data_formats/datumaro``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import numpy as np

from tufa_cli.annotation import UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, Tally, WriteOptions, states
from tufa_cli.formats._datumaro_labels import Labels
from tufa_cli.formats._drafts import IN_DEPTH
from tufa_cli.formats._files import (
    PhotoFinder,
    first_root,
    headed,
    inside,
    list_files,
    sniff_any,
)
from tufa_cli.formats._json import (
    box_of,
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
from tufa_cli.formats._names import Own, point_names, skeleton_of
from tufa_cli.formats._photo_names import common_folder, stored_name, written_name
from tufa_cli.writing import filling

NAME = "datumaro"
TITLE = "Datumaro JSON, any number of points, 0-based"
CAPABILITIES = replace(EVERYTHING, streams=True)
SUFFIXES = (".json",)
#: Attributes of an annotation that are not the user's: scores and who made the points.
_OURS = ("score", "keypoint_scores", "source")
_DEFAULT = "default"


def _sniff_file(path: Path) -> Sniff:
    lacks = json_lacks(path, b"{", ("categories", "items"))
    if lacks is None and json_lacks(path, b"{", ("images", "annotations")) is None:
        return Sniff(False, "JSON with images and annotations, as COCO has it")
    return Sniff(lacks is None, lacks or "JSON with categories and items")


def sniff(path: Path) -> Sniff:
    """Yes for a JSON object with ``categories`` and ``items``."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per item, also where it has no face.

    With a scheme asked for, faces with another number of points are left out; it is an InputError
    when none is left.
    """
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _File(file, options).records()


@dataclass
class _File:
    """One file while it is read."""

    path: Path
    options: ReadOptions
    data: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        data = load_json(self.path, unique=False)
        if not isinstance(data, dict):
            raise InputError(self.path, "not a Datumaro file: no object")
        if not isinstance(data.get("items"), list):
            raise InputError(self.path, "not a Datumaro file: no list 'items'")
        self.data = data
        if data.get("info"):
            self.options.note(f"{self.path}: what the file says of itself (info) is not kept")
        self.labels = Labels(self.path, data, self.options)
        self.first_pixel = self.options.base(CAPABILITIES.index_base)
        self.tally = Tally("annotations are not faces of this scheme")
        folder = self.path.parent
        subset = self.path.stem if folder.name == "annotations" else _DEFAULT
        self.split = subset if subset != _DEFAULT else None
        photos = [folder.parent / "images", folder / "images"]
        self.roots = [*(base / self.path.stem for base in photos), *photos, folder, folder.parent]

    def records(self) -> Iterator[AnnotatedImage]:
        """A record per item."""
        items = self.data["items"]
        root = self.options.root
        common = common_folder((p for p in map(_stored, items) if p is not None), root)
        finder: PhotoFinder | None = None
        seen: set[str] = set()
        for number, item in enumerate(items):
            try:
                name = self._name(item, common)
                if name in seen:
                    raise ValueError(f"two items are {name[:60]}")
                seen.add(name)
                if finder is None:
                    roots = [*([Path(common)] if common else []), *self.roots]
                    finder = PhotoFinder(root or first_root(roots, name))
                image = self._record(item, name, finder, f"items[{number}]")
            except (ValueError, TypeError) as error:
                self.options.failed(InputError(self.path, f"items[{number}]: {error}"))
            else:
                yield image
        self.tally.close(self.path, self.options)

    def _name(self, item: Any, common: str | None) -> str:
        if not isinstance(item, dict):
            raise ValueError("not an object")
        stored = _stored(item)
        if stored is not None:
            return stored_name(stored, "path", common)
        return stored_name(item.get("id"), "id")

    def _record(
        self, item: dict[str, Any], name: str, finder: PhotoFinder, where: str
    ) -> AnnotatedImage:
        if not PurePosixPath(name).suffix:
            name = finder.find(name) or f"{name}.jpg"
        image = entry(item, "image", dict, "an object") or {}
        sides = entry(image, "size", list, "a list") or [None, None]
        if len(sides) != 2:
            raise ValueError("size is not [height, width]")
        rows = entry(item, "annotations", list, "a list") or []
        boxes = self._boxes(rows)
        faces: list[Face] = []
        for number, row in enumerate(rows):
            try:
                if not _is_face(row):
                    continue
                face = self._face(row, boxes)
            except (ValueError, TypeError, TufaError) as error:
                what = f"{where}: annotations[{number}]: {error}"
                self.options.failed(InputError(self.path, what))
                continue
            if self.tally.took(face) and face is not None:
                faces.append(face)
        self.tally.aside("boxes belong to no face", len(boxes))
        return AnnotatedImage(
            name,
            tuple(faces),
            width=photo_side(sides[1], "width"),
            height=photo_side(sides[0], "height"),
            split=self.split,
            root=str(finder.root),
            attributes=entry(item, "attr", dict, "an object") or {},
        )

    def _boxes(self, rows: list[Any]) -> dict[int, dict[str, Any]]:
        """The box of each group that has one; group 0 is none."""
        boxes: dict[int, dict[str, Any]] = {}
        for row in rows:
            if isinstance(row, dict) and row.get("type") == "bbox":
                taken = _group(row) in (0, *boxes)
                self.tally.aside("boxes belong to no face", taken)
                if not taken:
                    boxes[_group(row)] = row
            elif not _is_face(row):
                self.tally.aside("annotations are neither points nor boxes")
        return boxes

    def _face(self, row: dict[str, Any], boxes: dict[int, dict[str, Any]]) -> Face | None:
        values = numbers(row.get("points"), "points")
        if values is None or not len(values):
            raise ValueError("no points")
        columns = 3 if row["type"] == "skeleton" else 2
        if len(values) % columns:
            raise ValueError(f"points is not a list of {'x, y, v'[: 3 * columns - 2]}")
        places = values.reshape(-1, columns)
        flags = places[:, 2] if columns == 3 else numbers(row.get("visibility"), "visibility")
        if flags is None:
            flags = np.full(len(places), VISIBLE)
        if len(flags) != len(places):
            raise ValueError(f"{len(flags)} flags of visibility for {len(places)} points")
        if not np.isin(flags, (0, 1, 2)).all():
            raise ValueError("visibility holds something that is none of 0, 1 and 2")
        if self.options.points not in (None, len(places)):
            return None
        box = boxes.pop(_group(row), {})
        given = entry(box, "attributes", dict, "an object") or {}
        given |= entry(row, "attributes", dict, "an object") or {}
        self.tally.aside(IN_DEPTH, bool(row.get("z_order")))
        return Face(
            places[:, :2] - self.first_pixel,
            scheme=self.options.scheme or self.labels.scheme_of(row, len(places)),
            visibility=flags.astype(np.uint8),
            confidence=numbers(given.get("keypoint_scores"), "keypoint_scores", len(places)),
            box=box_of(box.get("bbox"), "bbox", self.first_pixel),
            score=one_number(given.get("score"), "score"),
            attributes=self.labels.class_of(row)
            | without(given, _OURS if given.get("source") == "auto" else _OURS[:2]),
            source="auto" if given.get("source") == "auto" else "manual",
        )


def _stored(item: Any) -> str | None:
    """The path of an item's photo as the file has it, or None."""
    for key in ("image", "media"):
        found = item.get(key) if isinstance(item, dict) else None
        path = found.get("path") if isinstance(found, dict) else None
        if isinstance(path, str) and path.strip():
            return path
    return None


def _is_face(row: Any) -> bool:
    return isinstance(row, dict) and row.get("type") in ("points", "skeleton")


def _group(row: dict[str, Any]) -> int:
    group = row.get("group")
    return group if isinstance(group, int) else 0


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """What JSON can hold, but for the names that Datumaro's scores have."""
    return name not in _OURS and is_json(value)


def holds_image_attribute(name: str, value: object) -> bool:
    """What JSON can hold."""
    return is_json(value)


def lost(image: AnnotatedImage) -> list[str]:
    """A split that is named as Datumaro names none."""
    return [f"the split '{_DEFAULT}', which means none"] if image.split == _DEFAULT else []


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """``annotations/SUBSET.json`` under ``target`` for each split; raises OutputError."""
    if target.suffix.lower() == ".json" and not target.is_dir():
        raise OutputError(f"{target}: Datumaro has a file per subset", "give a folder")
    subsets: dict[str, _Subset] = {}
    written = []
    with filling(target, options.overwrite) as staged, ExitStack() as files:
        for image in images:
            name = image.split or _DEFAULT
            if name not in subsets:
                place = inside(target, f"annotations/{name}.json").relative_to(target)
                if len(place.parts) != 2:
                    raise OutputError(f"the split '{name[:40]}' does not fit in a file's name")
                body, head = files.enter_context(headed(staged / place, overwrite=False))
                subsets[name] = _Subset(body, head, target, options)
                written.append(target / place)
            subsets[name].add(image)
        for subset in subsets.values():
            subset.finish()
    return written


class _Subset:
    """One subset's file; the categories stand before the items, and are known after them."""

    def __init__(self, body: TextIO, head: list[str], target: Path, options: WriteOptions) -> None:
        self._body, self._head, self._target = body, head, target
        self._first_pixel, self._schemes = options.base(CAPABILITIES.index_base), options.schemes
        self._labels: dict[tuple[str | None, int], int] = {}
        self._items = 0
        self._seen: set[int] = set()

    def add(self, image: AnnotatedImage) -> None:
        """Write the photo as one item."""
        written_name(image.path, self._target)
        if hash(image.path) in self._seen:
            raise OutputError(
                f"{image.path}: has two entries, and Datumaro has one for each photo",
                "write coco, which holds both",
            )
        self._seen.add(hash(image.path))
        annotations: list[dict[str, Any]] = []
        for group, face in enumerate(image.faces, start=1):
            key = (face.scheme, len(face.points_px))
            label = self._labels.setdefault(key, len(self._labels))
            for row in _rows(face, self._first_pixel):
                identity = {"id": len(annotations), "group": group, "label_id": label, "z_order": 0}
                annotations.append(row | identity)
        item = dump_json(_item(image, annotations), self._target)
        self._body.write((",\n" if self._items else "") + item)
        self._items += 1

    def finish(self) -> None:
        """Write what goes before and behind the items."""
        categories = dump_json(_categories(self._labels, self._schemes), self._target)
        self._head += ['{\n"info": {},\n"categories": ', categories, ',\n"items": [\n']
        self._body.write("\n]\n}\n")


def _item(image: AnnotatedImage, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    size = [image.height, image.width]
    known = {"size": size} if any(side is not None for side in size) else {}
    return {
        "id": str(PurePosixPath(image.path).with_suffix("")),
        "annotations": annotations,
        "attr": {name: v for name, v in image.attributes.items() if is_json(v)},
        "image": {"path": image.path} | known,
    }


def _rows(face: Face, first_pixel: int) -> Iterator[dict[str, Any]]:
    """The points of a face and, where it has one, its box."""
    attributes = {n: v for n, v in face.attributes.items() if holds_attribute(n, v, face)}
    if face.score is not None:
        attributes["score"] = face.score
    if face.confidence is not None:
        attributes["keypoint_scores"] = face.confidence.tolist()
    if face.source == "auto":
        attributes["source"] = "auto"
    shown = states(face)
    points: list[float] = []
    for (x, y), state in zip(face.points_px.tolist(), shown, strict=True):
        points += [x + first_pixel, y + first_pixel] if state != UNLABELLED else [0.0, 0.0]
    yield {"type": "points", "attributes": attributes, "points": points, "visibility": shown}
    if face.box is not None:
        x, y, w, h = face.box.tolist()
        box = [x + first_pixel, y + first_pixel, w, h]
        yield {"type": "bbox", "attributes": {}, "bbox": box}


def _categories(labels: Mapping[tuple[str | None, int], int], own: Own) -> dict[str, Any]:
    rows = []
    points = []
    for (scheme, count), number in labels.items():
        name = scheme if scheme is not None else "face"
        mark = {"scheme": scheme} if scheme is not None else {}
        rows.append({"name": name, "parent": "", "attributes": []} | mark)
        # Lines count from 1 as COCO's, which Datumaro hands through; its own files do both.
        joints = [[a + 1, b + 1] for a, b in skeleton_of(scheme, count, own)]
        names_of = point_names(scheme, count, own)
        points.append({"label_id": number, "labels": names_of, "joints": joints})
    return {"label": {"labels": rows, "attributes": []}, "points": {"items": points}}
