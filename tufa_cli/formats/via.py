"""VGG Image Annotator (VIA) 1 and 2, CSV and JSON, 0-based.

A photo has regions with free attributes; ``_via_regions`` says how they become faces. A face is
written as a rectangle that carries what is known of it and a point region per landmark, all with
the attribute ``face``; points have ``name``, and ``visibility`` where they are occluded. Read are
the CSV (1.x begins ``#filename``), the JSON of annotations (regions as an object in 1.x, as a list
in 2.x) and 2.x's projects; written is 2.x, as CSV or JSON by OUT's ending. VIA 3 is another format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tufa_cli.annotation import OCCLUDED, UNLABELLED, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, Tally, WriteOptions, states
from tufa_cli.formats._csv import column_names, fields, line_of
from tufa_cli.formats._drafts import box_drawn, faces_of, marks_of, names_in
from tufa_cli.formats._files import (
    check_name,
    first_root,
    is_photo,
    list_files,
    photo_name,
    sniff_any,
)
from tufa_cli.formats._json import (
    dump_json,
    entry,
    from_text,
    is_json,
    json_lacks,
    load_json,
    parse_json_text,
    to_text,
)
from tufa_cli.formats._lists import PhotoRows
from tufa_cli.formats._names import FaceClasses, Orders
from tufa_cli.formats._via_regions import RESERVED, SETTINGS, Region, Regions
from tufa_cli.writing import replacing_text

__all__ = ["CAPABILITIES", "NAME", "SETTINGS", "TITLE", "read", "sniff", "write"]

NAME = "via"
TITLE = "VGG Image Annotator 1 and 2, CSV or JSON, any number of points, 0-based"
CAPABILITIES = replace(EVERYTHING, confidence="labelled", score=True, streams=True)
SUFFIXES = (".json", ".csv")
COLUMNS = (
    "filename",
    "file_size",
    "file_attributes",
    "region_count",
    "region_id",
    "region_shape_attributes",
    "region_attributes",
)
_VIA3 = "a file of VIA 3, which is another format"
_HINT = "the setting face names the region attribute that tells one face from another"


def _sniff_file(path: Path) -> Sniff:
    if path.suffix.lower() == ".csv":
        names = column_names(path)
        if names and names[0].startswith("# ") and "VGG Image Annotator" in names[0]:
            return Sniff(False, _VIA3, near=True)
        if names and names[0] in ("filename", "#filename") and COLUMNS[5] in names:
            return Sniff(True, "CSV with filename and region_shape_attributes")
        return Sniff(False, "its first line does not name filename and region_shape_attributes")
    lacks = json_lacks(path, b"{", ("filename", "regions"))
    if lacks and json_lacks(path, b"{", ("metadata", "xy", "vid|av")) is None:
        return Sniff(False, _VIA3, near=True)
    if lacks and json_lacks(path, b"{", ("_via_img_metadata",)) is None:
        return Sniff(False, "a project without photos", near=True)
    return Sniff(lacks is None, lacks or "JSON with filename and regions")


def sniff(path: Path) -> Sniff:
    """Yes for VIA's CSV or JSON of versions 1 and 2."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; photos are looked for beside the file and in ``images``."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _File(file, options).records()


@dataclass
class _Entry:
    """What a file says of one photo."""

    name: str
    said: dict[str, Any]
    regions: list[Region]


class _File:
    """One file while it is read."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.regions = Regions(options, options.base(CAPABILITIES.index_base))
        self.orders = Orders(options, self._survey)
        self.tally = Tally()
        self.data: dict[str, Any] | None = None
        if path.suffix.lower() != ".csv":
            self.data = _load(path, options)

    def records(self) -> Iterator[AnnotatedImage]:
        root = self.options.root
        seen: set[int] = set()
        for found in self._entries(self.options):
            if root is None:
                folder = self.path.parent
                root = first_root([folder, folder / "images"], found.name)
            drafts, problems = self.regions.drafts(found.regions, self.tally)
            for problem in problems:
                self.options.failed(InputError(self.path, str(problem), problem.line))
            faces = faces_of(drafts, self.orders, self.path, self.options, self.tally, _HINT)
            said = {k: from_text(v) if isinstance(v, str) else v for k, v in found.said.items()}
            split = said.pop("split", None)
            self.tally.aside("photos are named more than once", hash(found.name) in seen)
            seen.add(hash(found.name))
            yield AnnotatedImage(
                found.name,
                faces,
                split=str(split) if split is not None else None,
                root=str(root),
                attributes=said,
            )
        self.tally.close(self.path, self.options)

    def _survey(self, label: str | frozenset[str] | None) -> Iterator[str]:
        quiet, skip = Tally(), ReadOptions(on_error=lambda error: None)
        for found in self._entries(skip):
            yield from names_in(self.regions.drafts(found.regions, quiet)[0], label)

    def _entries(self, options: ReadOptions) -> Iterator[_Entry]:
        if self.data is None:
            yield from _csv_entries(self.path, options)
            return
        for key, value in self.data.items():
            try:
                yield _json_entry(key, value)
            except ValueError as error:
                options.failed(InputError(self.path, f"'{key[:60]}': {error}"))


def _load(path: Path, options: ReadOptions) -> dict[str, Any]:
    data = load_json(path)
    if isinstance(data, dict) and isinstance(data.get("_via_img_metadata"), dict):
        if data.get("_via_settings") or data.get("_via_attributes"):
            options.note(f"{path}: the project's settings and its list of attributes are not kept")
        data = data["_via_img_metadata"]
    if not isinstance(data, dict):
        raise InputError(path, "not a VIA file: no object")
    if {"metadata", "file"} <= set(data) or {"metadata", "project"} <= set(data):
        raise InputError(path, _VIA3, hint="export VIA 3's points as COCO, or use VIA 2")
    return data


def _json_entry(key: str, value: Any) -> _Entry:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    regions = value.get("regions") or []
    if isinstance(regions, dict):  # VIA 1
        regions = [regions[number] for number in sorted(regions, key=_by_number)]
    if not isinstance(regions, list):
        raise ValueError("regions is neither a list nor an object")
    found = []
    for number, row in enumerate(regions):
        if not isinstance(row, dict):
            raise ValueError(f"regions[{number}] is not an object")
        shape = entry(row, "shape_attributes", dict, "an object")
        said = entry(row, "region_attributes", dict, "an object")
        found.append(Region(shape or {}, said or {}, where=f"'{key[:60]}': regions[{number}]"))
    said = entry(value, "file_attributes", dict, "an object") or {}
    return _Entry(photo_name(str(value.get("filename") or "")), said, found)


def _by_number(key: str) -> tuple[int, str]:
    return (int(key), key) if key.isascii() and key.isdigit() else (10**9, key)


def _csv_entries(path: Path, options: ReadOptions) -> Iterator[_Entry]:
    """The photos of a CSV: its rows are one region each, those of a photo in any place."""
    names = [name.removeprefix("#") for name in column_names(path)]
    if names and names[0].startswith(" ") and "VGG Image Annotator" in names[0]:
        raise InputError(path, _VIA3, 1, "export VIA 3's points as COCO, or use VIA 2")
    lacking = [name for name in (COLUMNS[0], *COLUMNS[4:]) if name not in names]
    if lacking:
        raise InputError(path, f"not a VIA file: no column {lacking[0]}", 1)
    place = {name: names.index(name) for name in names}

    def name_of(text: str) -> str:
        return fields(text)[place["filename"]]

    for rows in PhotoRows(path, name_of, header=1):
        entries: dict[str, _Entry] = {}
        ids: set[tuple[str, str]] = set()
        for line, text in rows:
            try:
                cells = fields(text)
                if len(cells) != len(names):
                    raise ValueError(f"{len(cells)} cells, the first line has {len(names)}")
                row = dict(zip(names, cells, strict=True))
                # Two photos of one name are told apart by their size.
                size = row.get("file_size", "").strip()
                found = entries.setdefault(size, _Entry(photo_name(row["filename"]), {}, []))
                shape = _object(row, "region_shape_attributes")
                found.said |= _object(row, "file_attributes")
                if not shape:
                    continue
                identity = (size, row["region_id"].strip())
                if identity in ids:
                    raise ValueError(f"the photo has two regions with the id {identity[1][:20]}")
                ids.add(identity)
                found.regions.append(Region(shape, _object(row, "region_attributes"), line=line))
            except ValueError as error:
                options.failed(InputError(path, str(error), line))
        yield from entries.values()


def _object(row: dict[str, str], column: str) -> dict[str, Any]:
    text = row.get(column, "").strip()
    if not text:
        return {}
    value = parse_json_text(text, column)
    if not isinstance(value, dict):
        raise ValueError(f"{column} is not an object")
    return value


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Any JSON value, unless its name says something else here."""
    return is_json(value) and name not in RESERVED


def holds_image_attribute(name: str, value: object) -> bool:
    """Any JSON value, unless its name says something else here."""
    return is_json(value) and name != "split"


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """VIA 2's CSV where ``target`` ends in .csv, else its JSON; raises OutputError."""
    writer = _Writer(target, options)
    as_csv = target.suffix.lower() == ".csv"
    with replacing_text(target, options.overwrite) as stream:
        stream.write(",".join(COLUMNS) + "\n" if as_csv else "{")
        for number, image in enumerate(images):
            if as_csv:
                stream.writelines(f"{line}\n" for line in writer.rows(image))
            else:
                stream.write((",\n" if number else "\n") + writer.entry(image))
        stream.write("" if as_csv else "\n}\n")
    if writer.made:
        options.note(f"{writer.made} faces without a box got that of their points, marked so")
    return [target]


class _Writer:
    """Writes photo after photo."""

    def __init__(self, target: Path, options: WriteOptions) -> None:
        self.target, self.first_pixel = target, options.base(CAPABILITIES.index_base)
        self.made = 0
        self._classes = FaceClasses(options.schemes)
        self._keys: set[int] = set()

    def entry(self, image: AnnotatedImage) -> str:
        """The photo as a member of the JSON object."""
        name, size, said = self._photo(image)
        data = {"filename": name, "size": size, "regions": [], "file_attributes": said}
        data["regions"] = [
            {"shape_attributes": shape, "region_attributes": attributes}
            for shape, attributes in self._regions(image)
        ]
        key = dump_json(f"{name}{size}", self.target)
        return f"{key}: {dump_json(data, self.target)}"

    def rows(self, image: AnnotatedImage) -> Iterator[str]:
        """The photo as rows of the CSV, one per region, at least one."""
        name, size, said = self._photo(image)
        regions = list(self._regions(image)) or [({}, {})]
        count = len(regions) if image.faces else 0
        for number, (shape, attributes) in enumerate(regions):
            row = [name, str(size), dump_json(said, self.target), str(count), str(number)]
            row += [dump_json(shape, self.target), dump_json(attributes, self.target)]
            yield line_of(row)

    def _photo(self, image: AnnotatedImage) -> tuple[str, int, dict[str, str]]:
        name = check_name(image.path, self.target)
        place = Path(image.root, name) if image.root is not None else None
        size = place.stat().st_size if place is not None and is_photo(place) else -1
        if hash(name) in self._keys:
            raise OutputError(
                f"{self.target}: {name} is there twice, and VIA has one entry for a photo",
                "write coco, which keeps them apart",
            )
        self._keys.add(hash(name))
        said = {k: v for k, v in image.attributes.items() if holds_image_attribute(k, v)}
        if image.split is not None:
            said = {"split": image.split, **said}
        return name, size, {key: to_text(value) for key, value in said.items()}

    def _regions(self, image: AnnotatedImage) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        for number, face in enumerate(image.faces):
            named = self._classes.of(face)
            box, made = box_drawn(face)
            self.made += made
            x, y, w, h = box.tolist()
            said = marks_of(face, named)
            said |= {k: v for k, v in face.attributes.items() if holds_attribute(k, v, face)}
            yield (
                {"name": "rect"}
                | {"x": x + self.first_pixel, "y": y + self.first_pixel, "width": w, "height": h},
                {"face": str(number), "label": named.label}
                | {key: to_text(value) for key, value in said.items()},
            )
            scores = face.confidence.tolist() if face.confidence is not None else None
            places = (face.points_px + self.first_pixel).tolist()
            for index, state in enumerate(states(face)):
                if state == UNLABELLED:
                    continue
                words = {"face": str(number), "name": named.names[index]}
                if state == OCCLUDED:
                    words["visibility"] = "occluded"
                if scores is not None:
                    words["score"] = to_text(scores[index])
                cx, cy = places[index]
                yield {"name": "point", "cx": cx, "cy": cy}, words
