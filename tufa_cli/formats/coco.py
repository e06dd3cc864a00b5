"""COCO keypoints JSON, 0-based: any number of points, several schemes, several faces.

Visibility: 0 unlabelled, 1 occluded, 2 visible. Many face data sets (MMPose's 300W, WFLW, AFLW;
COCO-WholeBody's ``face_kpts``) write 1 for "labelled" and never 2; a file without any 2 is read
so unless ``coco_visibility="strict"`` or the file says itself that it means it (ours do).

What else an annotation carries becomes the face's attributes, and comes back out. CVAT's "COCO
Keypoints 1.0" is read too, as a zip or unpacked: ``annotations/person_keypoints_SUBSET.json``
beside ``images/SUBSET/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError
from tufa_cli.formats import _zip
from tufa_cli.formats._base import BOX_FROM_POINTS, EVERYTHING, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._coco_read import ROW_KEYS, Category, CocoFile, Labels
from tufa_cli.formats._coco_sniff import sniff_bytes, sniff_file
from tufa_cli.formats._coco_write import document, keypoints
from tufa_cli.formats._files import list_files, sniff_any, write_lines
from tufa_cli.formats._json import json_lacks, load_json, parse_json
from tufa_cli.formats.coco_wholebody import pick as pick_wholebody

NAME = "coco"
TITLE = "COCO keypoints JSON, any number of points, 0-based"
CAPABILITIES = replace(EVERYTHING, ids=("photos", "faces"))
SUFFIXES = (".json",)
_USED = ROW_KEYS | {"bbox", "keypoints", "num_keypoints", "bbox_source"}
_SUBSET = re.compile(r"person_keypoints_(.+)")


def _sniff_file(path: Path) -> Sniff:
    return sniff_file(path, NAME)


def sniff(path: Path) -> Sniff:
    """Yes for a JSON object with images, annotations and categories, or CVAT's zip with one."""
    if _zip.is_zip(path):
        return _sniff_zip(path)
    return sniff_any(path, SUFFIXES, _sniff_file)


def _sniff_zip(path: Path) -> Sniff:
    try:
        names = _documents(path)
        if not names:
            return Sniff(False, "a zip without annotations/*.json in it")
        verdict = sniff_bytes(_zip.read_member(path, names[0]), NAME)
        return Sniff(verdict.yes, f"{names[0]}: {verdict.reason}")
    except InputError as error:
        return Sniff(False, error.problem)


def _documents(path: Path) -> list[str]:
    """The annotation files in a zip; of the same photos, those of keypoints only."""
    names = map(PurePosixPath, _zip.members(path))
    found = [n for n in names if n.parent.name == "annotations" and n.suffix == ".json"]
    return [str(n) for n in [n for n in found if _subset(n.stem)] or found]


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per entry of ``images``, also where it has no face.

    With a scheme asked for, faces with another number of points are left out (a file may hold
    several); it is an InputError when none is left. Of a zip only the JSON is read: the photos are
    looked for where it was unpacked, beside it or in a folder of its name.
    """
    if _zip.is_zip(source):
        yield from _read_zip(source, options)
        return
    for file in _with_points(source, options):
        folder = file.parent
        roots = [folder, folder / "images", folder.parent]
        subset, split = _subset(file.stem), None
        if subset and folder.name == "annotations":
            photos = folder.parent / "images"
            roots += [photos / subset, photos, folder.parent / subset]
            split = _split(subset) if photos.is_dir() else None
        data = load_json(file, unique=False)
        yield from CocoFile(file, data, options, pick, roots, split).records()


def _with_points(source: Path, options: ReadOptions) -> list[Path]:
    """The documents to read. COCO itself has a file a task (captions, instances, keypoints) of the
    same photos in one folder: where some have keypoints, the others would only repeat photos."""
    files = list(list_files(source, SUFFIXES, _sniff_file))
    if len(files) < 2:
        return files
    found = [file for file in files if json_lacks(file, b"{", ("keypoints|face_kpts",)) is None]
    if found and len(found) < len(files):
        options.note(f"{source}: {len(files) - len(found)} COCO files without keypoints not read")
    return found or files


def _read_zip(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    names = _documents(source)
    if not names:
        raise InputError(source, "no annotations/*.json in the archive")
    for name in names:
        member = source / name
        subset = _subset(member.stem) or ""
        bases = [source.with_suffix(""), source.parent]
        roots = [base / "images" / part for base in bases for part in (subset, "")]
        data = parse_json(member, _zip.read_member(source, name), unique=False)
        yield from CocoFile(member, data, options, pick, roots, _split(subset)).records()


def _subset(stem: str) -> str | None:
    found = _SUBSET.fullmatch(stem)
    return found[1] if found else None


def _split(subset: str) -> str | None:
    """CVAT's name for photos that are in no subset is ``default``."""
    return subset if subset not in ("", "default") else None


def pick(row: dict[str, Any], category: Category) -> Labels | None:
    """The keypoints of an annotation, or COCO-WholeBody's face; None where neither is meant."""
    if "face_kpts" in row:
        return pick_wholebody(row, category)
    box = None if row.get("bbox_source") == BOX_FROM_POINTS else row.get("bbox") or None
    values = row.get("keypoints")
    if values is None and not (category.points or category.faces or "keypoints" in row):
        return None  # a box or a mask of something
    return Labels(values, "keypoints", category.scheme, category.points, box, "bbox", _USED, {})


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One JSON file; ids are kept where they are unique; raises OutputError."""
    lines = document(images, target, options, keypoints(options.schemes))
    write_lines(target, lines, options.overwrite)
    return [target]
