"""YOLO-pose of Ultralytics: ``data.yaml``, ``images/SPLIT/``, ``labels/SPLIT/``, a row a face.

``class xc yc w h`` and N times ``x y v`` (or ``x y``), all as fractions of the upright photo's
width and height: without the photo nothing can be read, and without its size nothing written. v as
COCO has it. Ultralytics drops a photo's labels when a number leaves [-0.01, 1.01], so points
outside the photo are not written. In rows of two columns a point at 0, 0 or below it is missing;
such rows are never written. Source: https://docs.ultralytics.com/datasets/pose/ and
``verify_image_label`` there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import photo_size, write_lines
from tufa_cli.formats._names import Own, known_scheme, note_class
from tufa_cli.formats._numbers import is_number, numbers
from tufa_cli.formats._photo_files import Places, place_of
from tufa_cli.formats._text import text_lines
from tufa_cli.formats._yolo import (
    MARK,
    YAML_SUFFIXES,
    DataSet,
    Item,
    absent,
    find_yaml,
    items,
    read_yaml,
)
from tufa_cli.writing import filling

NAME = "yolo-pose"
TITLE = "YOLO-pose (Ultralytics) with data.yaml, fractions of the photo"
CAPABILITIES = Capabilities(
    visibility=True,
    missing=True,
    box=True,
    several_faces=True,
    names=True,
    empty_images=True,
    split=True,
    attributes=("class",),
    streams=True,
)
#: What Ultralytics' loader allows beyond 0 and 1.
_BEYOND = 0.01
#: Ten decimals of 10,000 pixels are a millionth of a pixel.
_DECIMALS = 10
#: Keys of a data.yaml that cannot be splits.
_RESERVED = frozenset(
    ["path", "names", "nc", "kpt_shape", "flip_idx", "kpt_names", "download", "channels", MARK]
)
#: Photos of one name in two splits stay two.
SPLITS_ARE_FOLDERS = True
#: Numbers are parts of the photo's sides.
HOLDS_FRACTIONS = True
_UNSPLIT = "unsplit"
_SPLIT = re.compile(r"(?!unsplit$)\w[\w.-]*")


def sniff(path: Path) -> Sniff:
    """Yes for a data.yaml with ``kpt_shape``, or a folder with one."""
    if path.is_file() and path.suffix.lower() not in YAML_SUFFIXES:
        return Sniff(False, "its name does not end in .yaml")
    try:
        data = read_yaml(find_yaml(path))
    except InputError as error:
        return Sniff(False, error.problem, near=path.is_file() or (path / "data.yaml").is_file())
    return Sniff(True, f"{data.path.name} with kpt_shape of {data.points} points")


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo, also where it has no face; raises InputError for faces without photo.

    Rows that repeat another of the photo are left out, as Ultralytics does, and said.
    """
    data = read_yaml(find_yaml(source), options.schemes)
    if options.points not in (None, data.points):
        problem = f"kpt_shape has {data.points} points, {options.scheme} has {options.points}"
        raise InputError(data.path, problem)
    unkept = [key for key in ("kpt_names", "flip_idx") if data.raw.get(key)]
    known = (known_scheme(name, data.points, options.schemes) for name in data.schemes.values())
    if unkept and options.scheme is None and None in known:
        options.note(
            f"{data.path}: {' and '.join(unkept)} are not kept, as the points are of no known "
            "scheme; --from-scheme names one"
        )
    for key in absent(data, options.root):
        options.note(f"{data.path}: {key} is left out, as there is no {data.raw.get(key)}")
    if len(data.classes) == 1 and not data.raw.get(MARK) and options.scheme is None:
        note_class(options, data.path, *data.classes.values())
    reading = _Reading(data, options)
    lost = 0
    for item in items(data, options.root):
        lost += item.labels is None and not item.found
        try:
            yield reading.record(item)
        except InputError as error:
            options.failed(error)
    if lost:
        options.note(f"{data.path}: {lost} photos are not there, and no labels of theirs either")
    if reading.repeated:
        options.note(f"{data.path}: {reading.repeated} rows repeat another, and are left out")


class _Reading:
    """A data set while it is read."""

    def __init__(self, data: DataSet, options: ReadOptions) -> None:
        self.data, self.options = data, options
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.repeated = 0
        strict = data.strict or options.coco_visibility == "strict"
        #: Files that say 1 of all points mean "labelled"; see ``coco``.
        self.ones_are_visible = data.columns == 3 and not strict and not self._has_two()

    def _has_two(self) -> bool:
        for item in items(self.data, self.options.root):
            try:
                for _, _, text in text_lines(item.labels) if item.labels else ():
                    flags = (t for t in text.split()[7::3] if t.startswith("2"))
                    if any(is_number(flag) and float(flag) == 2 for flag in flags):
                        return True
            except InputError:
                continue  # said when it is read
        return False

    def record(self, item: Item) -> AnnotatedImage:
        """The record of a photo; raises InputError."""
        image = AnnotatedImage(item.name, split=item.split, root=str(item.root))
        size = photo_size(image) if item.found else None
        faces = tuple(self._faces(item, size)) if item.labels is not None else ()
        width, height = size or (None, None)
        return replace(image, faces=faces, width=width, height=height)

    def _faces(self, item: Item, size: tuple[int, int] | None) -> Iterator[Face]:
        assert item.labels is not None
        seen = set()
        for line, _, text in _lines(item.labels):
            try:
                if size is None:
                    what = "is no picture" if item.found else "is not there"
                    raise ValueError(
                        f"its photo {item.name} {what}: rows are fractions of its size"
                    )
                row = self._row(text)
                if row in seen:
                    self.repeated += 1
                    continue
                seen.add(row)
                yield self._face(row, size)
            except ValueError as error:
                self.options.failed(InputError(item.labels, str(error), line))

    def _row(self, text: str) -> tuple[float, ...]:
        tokens = text.split()
        expected = 5 + self.data.points * self.data.columns
        if len(tokens) != expected:
            raise ValueError(
                f"expected {expected} numbers (class, box, {self.data.points} points of "
                f"{self.data.columns}), found {len(tokens)}"
            )
        return tuple(numbers(tokens))

    def _face(self, row: tuple[float, ...], size: tuple[int, int]) -> Face:
        label = int(row[0])
        if label != row[0] or label not in self.data.classes:
            raise ValueError(f"class {row[0]:g} is none of the {len(self.data.classes)} classes")
        points = np.array(row[5:]).reshape(self.data.points, self.data.columns)
        fractions = np.concatenate([np.array(row[1:5]), points[:, :2].ravel()])
        beyond = (fractions < -_BEYOND) | (fractions > 1 + _BEYOND)
        if beyond.any():
            raise ValueError(f"{fractions[beyond][0]:g} is no fraction of the photo's size")
        x, y, w, h = np.array(row[1:5]) * (*size, *size)
        if w < 0 or h < 0:
            raise ValueError("the box has a negative size")
        told = self.data.told.get(label)
        return Face(
            points[:, :2] * size - self.first_pixel,
            scheme=self.options.scheme or self.data.schemes.get(label),
            visibility=self._visibility(points),
            box=np.array([x - w / 2 - self.first_pixel, y - h / 2 - self.first_pixel, w, h]),
            attributes={} if told is None else {"class": told},
        )

    def _visibility(self, points: NDArray[np.float64]) -> NDArray[np.uint8]:
        if self.data.columns == 2:
            missing = (points < 0).any(axis=1) | (points == 0).all(axis=1)
            return np.where(missing, UNLABELLED, VISIBLE).astype(np.uint8)
        flags = points[:, 2]
        odd = ~np.isin(flags, (0, 1, 2))
        if odd.any():
            raise ValueError(f"visibility {flags[odd][0]:g} is none of 0, 1 and 2")
        visibility = flags.astype(np.uint8)
        if self.ones_are_visible:
            visibility[visibility == OCCLUDED] = VISIBLE
        return visibility


def _lines(path: Path) -> Iterator[tuple[int, int, str]]:
    """The rows of a label file; none where it is blank."""
    try:
        yield from text_lines(path)
    except InputError as error:
        if error.problem != "the file is empty":
            raise


def outside(face: Face, image: AnnotatedImage) -> NDArray[np.bool_]:
    """(K,) labelled points that do not lie in the photo, whose size has to be known."""
    size = photo_size(image)
    if size is None:
        return np.zeros(len(face.points_px), dtype=bool)  # refused when it is written
    inner = (face.points_px >= 0) & (face.points_px <= np.array(size))
    return np.asarray(face.labelled & ~inner.all(axis=1))


def lost(image: AnnotatedImage) -> list[str]:
    """Parts of boxes outside the photo, faces that are there twice, splits of no name."""
    what = []
    size = photo_size(image)
    if size is not None and any(not _is_inside(face, size) for face in image.faces):
        what.append("where a box leaves the photo")
    if size is not None and len(image.faces) > 1:
        rows = {(face.scheme, _row_text(face, 0, size)) for face in image.faces}
        if len(rows) < len(image.faces):
            what.append("that a face is there twice")
    if image.split is not None and _key(image) == _UNSPLIT:
        what.append(f"the split '{image.split}', which cannot be a key of data.yaml")
    return what


def _key(image: AnnotatedImage) -> str:
    """The key of the data.yaml, and the folder, that a photo belongs to."""
    split = image.split
    return split if split and _SPLIT.fullmatch(split) and split not in _RESERVED else _UNSPLIT


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """The name of a class."""
    return name == "class" and isinstance(value, str) and value == value.strip() != ""


def _is_inside(face: Face, size: tuple[int, int]) -> bool:
    if face.box is None:
        return True
    low, high = face.box[:2], face.box[:2] + face.box[2:]
    return bool((low >= 0).all() and (high <= np.array(size)).all())


@dataclass
class _Written:
    """What was written so far, for the data.yaml at the end."""

    classes: dict[tuple[str | None, str | None], int] = field(default_factory=dict)
    points: int | None = None
    splits: dict[str, str | None] = field(default_factory=dict)
    boxless: int = 0

    def number_of(self, face: Face, path: str) -> int:
        """The number of a face's class; raises OutputError for another number of points."""
        count = len(face.points_px)
        if self.points not in (None, count):
            raise OutputError(
                f"{path}: a face of {count} points after faces of {self.points}; kpt_shape has one "
                "number",
                "write coco, or each scheme to its own folder",
            )
        self.points = count
        name = face.attributes.get("class")
        held = name if holds_attribute("class", name, face) else None
        return self.classes.setdefault((face.scheme, held), len(self.classes))


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """``data.yaml`` and ``labels/`` under ``target``; the photos belong in ``images/`` beside them.

    Photos without split lie in ``labels/unsplit``. Raises OutputError where a photo's size is not
    known.
    """
    if target.suffix.lower() in YAML_SUFFIXES and not target.is_dir():
        raise OutputError(f"{target}: YOLO has many files", "give a folder")
    first_pixel = options.base(CAPABILITIES.index_base)
    done = _Written()
    files = []
    places = Places(target)
    with filling(target, options.overwrite) as staged:
        for image in images:
            key = _key(image)
            done.splits.setdefault(key, key if key != _UNSPLIT else None)
            place = place_of(image, target, ".txt", f"labels/{key}")
            places.take(place, image)
            rows = list(_rows(image, first_pixel, done))
            write_lines(staged / place, rows, overwrite=False)
            files.append(target / place)
        text = _yaml(done, options.schemes).rstrip("\n")
        write_lines(staged / "data.yaml", [text], overwrite=False)
    if done.boxless:
        options.note(f"{done.boxless} faces without a box got the box of their points")
    options.note(f"the photos belong in {target / 'images'}, as the labels lie in labels")
    return [target / "data.yaml", *files]


def _rows(image: AnnotatedImage, first_pixel: int, done: _Written) -> Iterator[str]:
    if not image.faces:
        return
    size = photo_size(image)
    if size is None:
        raise OutputError(
            f"{image.path}: the photo's size is not known, and fractions of it are to be written",
            "--images names the photos' folder",
        )
    for face in image.faces:
        done.boxless += face.box is None
        yield _row_text(face, done.number_of(face, image.path), size, first_pixel)


def _row_text(face: Face, label: int, size: tuple[int, int], first_pixel: int = 0) -> str:
    """A row: the box cut off at the photo's edges, missing points as 0 0 0."""
    box = face.box if face.box is not None else face.tight_box()
    low, high = (np.zeros(2), np.zeros(2)) if box is None else (box[:2], box[:2] + box[2:])
    low, high = (np.clip(corner + first_pixel, 0, size) for corner in (low, high))
    values = [*((low + high) / 2 / size), *((high - low) / size)]
    fields = [str(label), *(_fraction(value) for value in values)]
    places = (face.points_px + first_pixel) / size
    for (x, y), state in zip(places.tolist(), states(face), strict=True):
        known = state != UNLABELLED
        fields += [_fraction(x), _fraction(y), str(state)] if known else ["0", "0", "0"]
    return " ".join(fields)


def _fraction(value: float) -> str:
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")


def _yaml(done: _Written, given: Own) -> str:
    points = done.points or 1
    names: dict[int, str] = {}
    for (scheme, own), number in done.classes.items():
        name = own or scheme or "face"
        names[number] = name if name not in names.values() else f"{name}-{number}"
    schemes = {number: scheme for (scheme, _), number in done.classes.items() if scheme}
    first = next(iter(schemes.values()), None)
    keys = list(done.splits) or [_UNSPLIT]
    places = {key: f"images/{key}" for key in keys}
    # Ultralytics wants both, whatever there is.
    head = {key: places.get(key, places[keys[0]]) for key in ("train", "val")}
    # No "path": a relative one would count from wherever the training is started.
    text: dict[str, Any] = head | places
    text |= {"names": names or {0: "face"}, "kpt_shape": [points, 3]}
    known = known_scheme(first, points, given)
    if known is not None and {scheme for scheme, _ in done.classes} == {first}:
        if known.has_flip:  # Ultralytics takes a whole permutation only
            text["flip_idx"] = list(known.flip)
        text["kpt_names"] = {number: list(known.names) for number in names}
    told = {number: own for (_, own), number in done.classes.items() if own}
    mark = {"visibility": "strict", "splits": done.splits, "schemes": schemes, "classes": told}
    text[MARK] = mark
    return yaml.safe_dump(text, sort_keys=False, allow_unicode=True, default_flow_style=None)
