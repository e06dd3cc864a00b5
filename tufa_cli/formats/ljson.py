"""Menpo's LJSON, versions 1 to 3, 0-based: a file a photo, points as [y, x], ``null`` for missing.

A file may hold several groups, which are several shapes of one photo (68 points, and the pupils)
and not several faces: the setting ``group`` says which. Groups ``face_1``, ``face_2`` are faces:
that is how a photo with several is written here. Version 3 is written, as menpo does: sorted,
indented by 4. Source: menpo, ``io/input/landmark.py`` and ``io/output/landmark.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, Tally, WriteOptions, first
from tufa_cli.formats._files import PhotoFinder, sniff_any, source_files
from tufa_cli.formats._json import load_json
from tufa_cli.formats._names import known_scheme, skeleton_of
from tufa_cli.formats._numbers import FAR_PX
from tufa_cli.formats._photo_files import write_photo_files
from tufa_cli.formats._pts import folder_of

NAME = "ljson"
TITLE = "Menpo LJSON, a file a photo, 0-based"
CAPABILITIES = Capabilities(missing=True, several_faces=True, names=True, streams=True)
SETTINGS = {"group": "the group of points that is read, where a file has several"}
SUFFIXES = (".ljson",)

#: Group of the only face, as menpo names it.
_GROUP = "LJSON"
_UNKEPT = "that are not a known scheme's and are not kept; --from-scheme names one"
_FACE = re.compile(r"face_([1-9]\d*)")


def _sniff_file(path: Path) -> Sniff:
    try:
        groups = _groups(path)
    except InputError as error:
        return Sniff(False, f"{path.name}: {error.problem}", near=True)
    return Sniff(True, f"{path.name}: points of {len(groups)} group{'s' * (len(groups) != 1)}")


def sniff(path: Path) -> Sniff:
    """Yes for .ljson files with groups of points."""
    return sniff_any(path, SUFFIXES, _sniff_file, most=8)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per file; the photo is the one of the same stem beside it.

    Labels (groups of points by name) and lines are the scheme's: others are not kept, and said.
    """
    base = folder_of(source)
    root = options.root or base
    finder = PhotoFinder(root)
    files = source_files(source, SUFFIXES)
    if not files:
        raise InputError(source, "no .ljson file in the folder")
    first_pixel = options.base(CAPABILITIES.index_base)
    tally = Tally()
    for file in files:
        stem = file.relative_to(base).as_posix()[: -len(file.suffix)]
        try:
            shapes = _chosen(file, _groups(file), options)
        except InputError as error:
            options.failed(error)
            continue
        for shape in shapes:
            tally.aside(f"shapes have labels or lines {_UNKEPT}", _unkept(shape, options))
        faces = tuple(Face(shape.points - first_pixel, scheme=options.scheme) for shape in shapes)
        yield AnnotatedImage(finder.find(stem) or f"{stem}.jpg", faces, root=str(root))
    tally.close(source, options)


class _Shape(NamedTuple):
    """A group of points: (K, 2) x, y as on disk, indices by their label, and pairs of indices."""

    points: NDArray[np.float64]
    labels: Mapping[str, list[int]]
    lines: tuple[tuple[int, int], ...]


def _unkept(shape: _Shape, options: ReadOptions) -> bool:
    """Whether a shape has labels, or lines, that are not those of the scheme asked for."""
    count, scheme = len(shape.points), options.layout
    if scheme is not None:
        lines = {frozenset(line) for line in shape.lines} - set(map(frozenset, scheme.skeleton))
        return bool(lines) or any(scheme.groups.get(n) != m for n, m in shape.labels.items())
    named = any(mask != list(range(count)) for mask in shape.labels.values())
    return named or bool(shape.lines)


def _chosen(path: Path, groups: Mapping[str, _Shape], options: ReadOptions) -> list[_Shape]:
    """The shapes that are faces of the scheme asked for; raises InputError when that is unclear."""
    asked = options.settings.get("group")
    if asked is not None:
        if asked not in groups:
            raise InputError(path, f"no group '{asked[:40]}', it has {first(groups)}")
        found = {asked: groups[asked]}
    elif all(_FACE.fullmatch(name) for name in groups):
        found = dict(sorted(groups.items(), key=lambda item: int(item[0].removeprefix("face_"))))
    else:
        found = dict(groups)
        if options.points is not None and len(found) > 1:
            found = {n: s for n, s in found.items() if len(s.points) == options.points} or found
        if len(found) > 1:
            raise InputError(
                path,
                f"{len(found)} groups of points ({first(found)}): shapes of one photo, not faces",
                hint="the setting group says which (--from-setting group=NAME)",
            )
    for name, shape in found.items():
        count = len(shape.points)
        if options.points not in (None, count):
            raise InputError(
                path, f"group '{name[:40]}': expected {options.points} points, found {count}"
            )
    return list(found.values())


def _groups(path: Path) -> dict[str, _Shape]:
    """The groups as they stand on disk; raises InputError."""
    data = load_json(path)
    try:
        if not isinstance(data, dict):
            raise ValueError("no object")
        version, groups = data.get("version"), data.get("groups")
        if version == 1:
            return {_GROUP: _version_1(groups)}
        if version == 2:
            return {_GROUP: _shape(data, "landmarks")}
        if version != 3:
            raise ValueError(f"version {version!r:.20} is none of 1, 2 and 3")
        if not isinstance(groups, dict) or not groups:
            raise ValueError("no groups of points")
        return {name: _shape(group, f"group '{name[:40]}'") for name, group in groups.items()}
    except ValueError as error:
        raise InputError(path, f"not LJSON: {error}") from None


def _shape(group: Any, where: str) -> _Shape:
    group = group if isinstance(group, dict) else {}
    landmarks = group.get("landmarks")
    points = landmarks.get("points") if isinstance(landmarks, dict) else None
    if not isinstance(points, list):
        raise ValueError(f"{where} has no list of points")
    labels = {}
    for row in group.get("labels") or ():
        if isinstance(row, dict) and isinstance(row.get("mask"), list):
            labels[str(row.get("label"))] = row["mask"]
    return _Shape(_points(points, where), labels, _lines(landmarks.get("connectivity")))


def _lines(pairs: Any) -> tuple[tuple[int, int], ...]:
    """Pairs of indices; what is none is passed over."""
    pairs = pairs if isinstance(pairs, list) else []
    pairs = [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2]
    return tuple((a, b) for a, b in pairs if type(a) is type(b) is int)


def _version_1(groups: Any) -> _Shape:
    """All groups, which are parts of one shape there, one after the other."""
    if not isinstance(groups, list):
        raise ValueError("no list of groups")
    points: list[Any] = []
    labels: dict[str, list[int]] = {}
    lines: list[tuple[int, int]] = []
    for number, group in enumerate(groups):
        group = group if isinstance(group, dict) else {}
        landmarks = group.get("landmarks")
        if not isinstance(landmarks, list):
            raise ValueError(f"group {number} has no list of landmarks")
        start = len(points)
        lines += [(a + start, b + start) for a, b in _lines(group.get("connectivity"))]
        labels[str(group.get("label"))] = list(range(start, start + len(landmarks)))
        points += [row.get("point") if isinstance(row, dict) else None for row in landmarks]
    return _Shape(_points(points, "the groups"), labels, tuple(lines))


def _points(points: list[Any], where: str) -> NDArray[np.float64]:
    """(K, 2) x, y from [y, x]; NaN where either is null."""
    found = []
    for index, pair in enumerate(points):
        if not isinstance(pair, list) or len(pair) != 2:
            what = "a point in space" if isinstance(pair, list) and len(pair) == 3 else "no [y, x]"
            raise ValueError(f"{where}: point {index} is {what}")
        if None in pair:
            found.append((np.nan, np.nan))
            continue
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in pair):
            raise ValueError(f"{where}: point {index} is not a pair of numbers")
        if not all(abs(v) <= FAR_PX for v in pair):  # also refuses NaN and infinities
            raise ValueError(f"{where}: point {index} is not a place in a photo")
        found.append((float(pair[1]), float(pair[0])))
    if not found:
        raise ValueError(f"{where}: no points")
    return np.array(found, dtype=np.float64)


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A file per photo with a face under ``target``, or ``target`` itself if it ends in .ljson."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def lines_of(image: AnnotatedImage) -> list[str]:
        faces = image.faces
        names = [_GROUP] if len(faces) == 1 else [f"face_{i + 1}" for i in range(len(faces))]
        shapes = [_group(face, first_pixel, options) for face in faces]
        groups = dict(zip(names, shapes, strict=True))
        return [json.dumps({"version": 3, "groups": groups}, indent=4, sort_keys=True)]

    return write_photo_files(images, target, SUFFIXES[0], options.overwrite, lines_of)


def _group(face: Face, first_pixel: int, options: WriteOptions) -> dict[str, Any]:
    points = [
        [y + first_pixel, x + first_pixel] if known else [None, None]
        for (x, y), known in zip(face.points_px.tolist(), face.labelled, strict=True)
    ]
    lines = [list(pair) for pair in skeleton_of(face.scheme, len(points), options.schemes)]
    return {
        "landmarks": {"connectivity": lines, "points": points},
        "labels": [{"label": name, "mask": mask} for name, mask in _labels(face, options).items()],
    }


def _labels(face: Face, options: WriteOptions) -> dict[str, list[int]]:
    """Parts of the face and their points; every point has to be in one."""
    count = len(face.points_px)
    scheme = known_scheme(face.scheme, count, options.schemes)
    return scheme.groups if scheme is not None else {"all": list(range(count))}
