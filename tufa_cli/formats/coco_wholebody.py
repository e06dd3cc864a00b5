"""COCO-WholeBody's faces, 0-based: 68 points beside a person's body, feet and hands.

``face_box`` x, y, w, h; ``face_kpts`` 68 times x, y, v with v 0 or 1 (labelled, seen or not);
``face_valid`` says whether there is a face. Body, feet, hands and the person's box become
attributes and come back out. Source: https://github.com/jin-s13/COCO-WholeBody, data format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.formats import _persons
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._coco_read import ROW_KEYS, Category, CocoFile, Labels
from tufa_cli.formats._coco_sniff import sniff_file
from tufa_cli.formats._coco_write import (
    Dialect,
    document,
    triplets,
)
from tufa_cli.formats._files import list_files, sniff_any, write_lines
from tufa_cli.formats._json import load_json

NAME = "coco-wholebody"
TITLE = "COCO-WholeBody JSON, faces of 68 points, 0-based"
CAPABILITIES = replace(
    EVERYTHING, visibility=False, points=_persons.POINTS, ids=("photos", "faces")
)
SUFFIXES = (".json",)
_USED = ROW_KEYS | {"face_kpts", "face_box", "face_valid", "face_box_source", "bbox_source"}
#: Points of the other parts; each but the body has ``_valid``, the hands have ``_box``.
_PARTS = {"foot": 6, "lefthand": 21, "righthand": 21}
_HANDS = ("lefthand", "righthand")


def _sniff_file(path: Path) -> Sniff:
    return sniff_file(path, NAME)


def sniff(path: Path) -> Sniff:
    """Yes for COCO JSON with ``face_kpts``."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per entry of ``images``; persons without a valid face are left out, and said."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        folder = file.parent
        roots = [folder, folder / "images", folder.parent, folder.parent / "images"]
        yield from CocoFile(file, load_json(file, unique=False), options, pick, roots).records()


def pick(row: dict[str, Any], category: Category) -> Labels | None:
    """The face of a person, or None where ``face_valid`` says there is none."""
    if not row.get("face_valid", True) or "face_kpts" not in row:
        return None
    unused = set(_unused(row))
    return Labels(
        row["face_kpts"],
        "face_kpts",
        _persons.SCHEME,
        _persons.POINTS,
        _persons.face_box_of(row),
        "face_box",
        _USED | unused,
        {},
    )


def _unused(row: dict[str, Any]) -> Iterator[str]:
    """Keys that only say that a part of the person is not labelled."""
    if row.get("bbox_source") == _persons.BOX_FROM_FACE:
        yield "bbox"
    if not _persons.filled(row.get("keypoints")):
        yield from ("keypoints", "num_keypoints")
    for part in _PARTS:
        if not _persons.filled(row.get(f"{part}_kpts")) and not row.get(f"{part}_valid"):
            yield from (f"{part}_kpts", f"{part}_valid", f"{part}_box")


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One JSON file; parts of the person that are not known are zeros; raises OutputError."""
    dialect = Dialect(lambda face: None, _category, _row, strict=False)
    lines = document(images, target, options, dialect)
    write_lines(target, lines, options.overwrite)
    return [target]


def _category(key: None) -> dict[str, Any]:
    return {
        "name": "person",
        "supercategory": "person",
        "keypoints": _persons.BODY,
        "skeleton": _persons.BODY_LINES,
    }


def _row(face: Face, first_pixel: int) -> dict[str, Any]:
    flags = {UNLABELLED: 0, OCCLUDED: 1, VISIBLE: 1}
    row = _persons.person_box(face, first_pixel) | {
        "face_kpts": triplets(face, first_pixel, flags),
        "face_valid": True,
    }
    row |= _persons.face_box(face, first_pixel)
    return _persons.with_ours(row | _person(face), face)


def _person(face: Face) -> dict[str, Any]:
    """The other parts: from the attributes where those are of the right kind, else not valid."""
    given = face.attributes
    body = given.get("keypoints")
    known = _persons.is_numbers(body, 3 * len(_persons.BODY))
    row: dict[str, Any] = {
        "keypoints": body if known else [0] * (3 * len(_persons.BODY)),
        "num_keypoints": sum(v > 0 for v in body[2::3]) if known and body is not None else 0,
    }
    for part, count in _PARTS.items():
        points, box = given.get(f"{part}_kpts"), given.get(f"{part}_box")
        known = _persons.is_numbers(points, 3 * count) and _persons.filled(points)
        row[f"{part}_kpts"] = points if known else [0] * (3 * count)
        row[f"{part}_valid"] = bool(given.get(f"{part}_valid", True)) if known else False
        if part in _HANDS:
            usable = known and _persons.is_numbers(box, 4)
            row[f"{part}_box"] = box if usable else [0.0, 0.0, 0.0, 0.0]
    return row
