"""Halpe-FullBody, 0-based: 136 keypoints of a person, of which 26 to 93 are iBUG's 68 of the face.

COCO's layout (annotations) and AlphaPose's results (a list of persons with a photo's name, the
third number of a point being its confidence). The person's box and the other points become
attributes and come back out. Source: https://github.com/Fang-Haoshu/Halpe-FullBody
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import _persons
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._coco_read import ROW_KEYS, Category, CocoFile, Labels
from tufa_cli.formats._coco_results import ResultsFile, sniff_results
from tufa_cli.formats._coco_sniff import HALPE_NUMBERS, sniff_file
from tufa_cli.formats._coco_write import Dialect, document, triplets
from tufa_cli.formats._files import list_files, sniff_any, write_lines
from tufa_cli.formats._json import load_json

NAME = "halpe"
TITLE = "Halpe-FullBody JSON, faces of 68 points, 0-based"
CAPABILITIES = replace(EVERYTHING, points=_persons.POINTS, ids=("photos", "faces"))
SUFFIXES = (".json",)
_FACE = slice(3 * 26, 3 * 94)
_BODY_NUMBERS, _HAND_NUMBERS = 3 * 26, 3 * 42
_USED = ROW_KEYS | {"keypoints", "num_keypoints", "face_box", "face_box_source"}
_USED |= {"face_valid", "bbox_source"}
#: Points 0 to 25; the face's and the hands' have numbers for names.
_BODY = [*_persons.BODY, "head", "neck", "hip", "left_big_toe", "right_big_toe",
         "left_small_toe", "right_small_toe", "left_heel", "right_heel"]  # fmt: skip


def _sniff_file(path: Path) -> Sniff:
    verdict = sniff_file(path, NAME)
    return verdict if verdict.yes else sniff_results(path, NAME, verdict.reason)


def sniff(path: Path) -> Sniff:
    """Yes for COCO JSON of persons with 136 keypoints, or a list of such results."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; persons without a labelled point of the face are left out, and said."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        folder = file.parent
        roots = [folder, folder / "images", folder.parent, folder.parent / "images"]
        data = load_json(file, unique=False)
        if isinstance(data, list):
            yield from ResultsFile(file, data, options, _FACE, _persons.SCHEME, _others).records()
        else:
            yield from CocoFile(file, data, options, pick, roots).records()


def pick(row: dict[str, Any], category: Category) -> Labels | None:
    """Keypoints 26 to 93 of a person, or None where none of them is labelled."""
    values = row.get("keypoints")
    if not isinstance(values, list) or len(values) != HALPE_NUMBERS:
        raise ValueError("keypoints is not a list of 136 times x, y, v")
    if not _persons.filled(values[_FACE][2::3]) and row.get("face_valid") is not True:
        return None
    used = _USED | ({"bbox"} if row.get("bbox_source") == _persons.BOX_FROM_FACE else set())
    box, more = _persons.face_box_of(row), _others(values)
    face = values[_FACE]
    return Labels(face, "keypoints", _persons.SCHEME, _persons.POINTS, box, "face_box", used, more)


def _others(values: list[Any]) -> dict[str, Any]:
    """The points of body and hands, as attributes where there are any."""
    parts = {"body_keypoints": values[: _FACE.start], "hand_keypoints": values[_FACE.stop :]}
    return {name: part for name, part in parts.items() if _persons.filled(part)}


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One JSON file of annotations; points of body and hands that are not known are zeros."""
    lines = document(images, target, options, Dialect(lambda face: None, _category, _row))
    write_lines(target, lines, options.overwrite)
    return [target]


def _category(key: None) -> dict[str, Any]:
    numbered = [f"face_{i}" for i in range(68)] + [f"hand_{i}" for i in range(42)]
    return {
        "name": "person",
        "supercategory": "person",
        "keypoints": [*_BODY, *numbered],
        "skeleton": [],
    }


def _row(face: Face, first_pixel: int) -> dict[str, Any]:
    body = _part(face, "body_keypoints", _BODY_NUMBERS)
    hands = _part(face, "hand_keypoints", _HAND_NUMBERS)
    keypoints = [*body, *triplets(face, first_pixel), *hands]
    row = _persons.person_box(face, first_pixel)
    row |= {"num_keypoints": sum(v > 0 for v in keypoints[2::3]), "keypoints": keypoints}
    row |= _persons.face_box(face, first_pixel)
    if not face.labelled.any():
        row["face_valid"] = True  # a face though no point is labelled
    rest = dict(face.attributes)
    for name, part in (("body_keypoints", body), ("hand_keypoints", hands)):
        if rest.get(name) is part:
            del rest[name]
    return _persons.with_ours(row, face, rest)


def _part(face: Face, name: str, count: int) -> list[Any]:
    values = face.attributes.get(name)
    usable = _persons.is_numbers(values, count) and _persons.filled(values)
    return values if usable and values is not None else [0] * count
