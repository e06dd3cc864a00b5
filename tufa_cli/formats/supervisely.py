"""Supervisely projects, 0-based: ``meta.json``, and ``<dataset>/ann/<photo>.json`` per photo.

A face is a ``graph`` object: its nodes are known by ids, and the class in ``meta.json`` has their
names. A node that is not there is a missing point, one that is ``disabled`` an occluded one: it has
a place. Objects with the same ``instance`` belong together, so a face's ``rectangle`` is found, and
the faces of ``point`` objects that are named by their classes. Tags of an object are the face's
attributes; the tag ``confidence`` is its score. A photo lies in ``<dataset>/img``; nested datasets
stand in folders named ``datasets``. ``ds0`` holds the photos of no folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage
from tufa_cli.errors import InputError
from tufa_cli.formats._base import (
    EVERYTHING,
    ReadOptions,
    Sniff,
    Tally,
    WriteOptions,
    records_of,
)
from tufa_cli.formats._drafts import (
    OF_BOXES,
    OF_PEOPLE,
    OF_POINTS,
    Draft,
    Point,
    corners_box,
    faces_of,
    names_in,
    visibility_in,
)
from tufa_cli.formats._files import (
    check_name,
    inside,
    is_photo,
    photo_path,
    source_files,
)
from tufa_cli.formats._json import (
    dump_json,
    entry,
    from_text,
    json_lacks,
    load_json,
    numbers,
    one_number,
    photo_side,
)
from tufa_cli.formats._names import (
    NAMES_SETTING,
    Orders,
    Told,
    tells_class,
)
from tufa_cli.formats._photo_files import Places
from tufa_cli.formats._supervisely_write import (
    NESTED,
    PHOTOS,
    TOP,
    SuperviselyWriter,
    holds_attribute,
    holds_image_attribute,
    place_of,
)
from tufa_cli.writing import filling, replacing_text

__all__ = [
    "CAPABILITIES",
    "NAME",
    "SETTINGS",
    "TITLE",
    "holds_attribute",
    "holds_image_attribute",
    "read",
    "sniff",
    "write",
]

NAME = "supervisely"
TITLE = "Supervisely project, graphs or points, any number of points, 0-based"
CAPABILITIES = replace(EVERYTHING, confidence=False, score=True, streams=True)
SETTINGS = {**NAMES_SETTING}
META = "meta.json"

#: No dataset is nested deeper than this.
_DEEPEST = 20

_HINT = "in Supervisely, the objects of one face have the same instance"


def _project(source: Path) -> Path | None:
    """The project's folder for a project, a dataset or annotation of it, or its meta.json."""
    folder = source
    if source.is_file():
        folder = source.parent if source.name == META else source.parent.parent
        if source.name != META and source.parent.name != "ann":
            return None
    for _ in range(_DEEPEST):
        for candidate in (folder, folder.parent):
            if is_photo(candidate / META):
                return candidate
        if folder.parent.name != NESTED:
            break
        folder = folder.parent.parent
    return None


def sniff(path: Path) -> Sniff:
    """Yes for a project's folder (meta.json and ann folders), a dataset of it, or its meta.json."""
    project = _project(path)
    if project is None:
        alone = path.suffix.lower() == ".json" and path.is_file()
        near = alone and json_lacks(path, b"{", ("objects", "classTitle", "size")) is None
        return Sniff(False, f"no {META} in the folder or above it", near=near)
    try:
        data = load_json(project / META)
    except InputError as error:
        return Sniff(False, f"{META}: {error.problem}")
    if not isinstance(data, dict) or not isinstance(data.get("classes"), list):
        return Sniff(False, f"{META} without classes")
    folder = project if path.name == META else path.parent.parent if path.is_file() else path
    found = any(below.is_dir() for below in folder.rglob("ann"))
    return Sniff(found, f"{META} with classes and ann folders" if found else "no ann folder in it")


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per file in the ``ann`` folders, also where it has no face."""
    project = _project(source)
    if project is None:
        raise InputError(source, f"no Supervisely project in the folder: no {META}")
    yield from _Project(project, project if source.name == META else source, options).records()


class _Class:
    """A class of meta.json: its node ids with their names, and what they are drawn as."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.title = str(row.get("title"))
        self.shape = row.get("shape")
        config = row.get("geometry_config")
        nodes = config.get("nodes") if isinstance(config, dict) else None
        self.names: dict[str, str] = {}
        for identity, node in (nodes if isinstance(nodes, dict) else {}).items():
            label = node.get("label") if isinstance(node, dict) else None
            self.names[identity] = str(label) if label is not None else identity
        self.ordered = tuple(self.names.values())


class _Project:
    """A project, or one of its datasets, while it is read."""

    def __init__(self, folder: Path, source: Path, options: ReadOptions) -> None:
        self.folder, self.options = folder, options
        self.first_pixel = options.base(CAPABILITIES.index_base)
        self.classes = _load_classes(folder / META)
        self.files = [
            path for path in source_files(source, (".json",)) if path.parent.name == "ann"
        ]
        if not self.files:
            raise InputError(source, "no annotation in the folder: no ann/*.json")
        self.tally = Tally()
        self.orders = Orders(options, self._survey)

    def records(self) -> Iterator[AnnotatedImage]:
        yield from records_of(self.files, self._image, self.options)
        self.tally.close(self.folder, self.options)

    def _survey(self, label: str | frozenset[str] | None) -> Iterator[str]:
        quiet = Tally()
        for path in self.files:
            try:
                yield from names_in(self._drafts(load_json(path), quiet)[0], label)
            except (InputError, ValueError):
                continue

    def _image(self, path: Path) -> AnnotatedImage:
        data = load_json(path)
        drafts, problems = self._drafts(data, self.tally)
        for problem in problems:
            self.options.failed(InputError(path, problem))
        size = entry(data, "size", dict, "an object") or {}
        tags = _tags(data)
        if isinstance(data.get("description"), str) and data["description"]:
            tags.setdefault("description", data["description"])
        split = tags.pop("split", None)
        root, photo = self._photo(path)
        return AnnotatedImage(
            photo,
            faces_of(drafts, self.orders, path, self.options, self.tally, _HINT),
            width=photo_side(size.get("width"), "width"),
            height=photo_side(size.get("height"), "height"),
            split=str(split) if split is not None else None,
            root=str(root),
            attributes=tags,
        )

    def _photo(self, path: Path) -> tuple[Path, str]:
        """Root and path: in the dataset's ``img``, or else as the datasets were folders."""
        name = path.name.removesuffix(".json")
        dataset = path.parent.parent.relative_to(self.folder).parts
        folders = list(dataset)
        if len(folders) % 2 and all(word == NESTED for word in folders[1::2]):
            folders = folders[::2]
        in_folders = photo_path("/".join([*folders, name]))
        bare = photo_path("/".join([*folders[1:], name])) if folders[:1] == [TOP] else in_folders
        root = self.options.root or self.folder
        for candidate in ("/".join([*dataset, PHOTOS, name]), in_folders, bare):
            if is_photo(root / candidate):
                return root, candidate
        return root, bare

    def _drafts(self, data: Any, tally: Tally) -> tuple[list[Draft], list[str]]:
        """The faces of one file's objects, and what is wrong with others; raises ValueError."""
        if not isinstance(data, dict) or not isinstance(data.get("objects"), list):
            raise ValueError("not a Supervisely annotation: no list 'objects'")
        graphs: list[tuple[str | None, Draft]] = []
        points: dict[str | None, Draft] = {}
        boxes: list[tuple[str | None, dict[str, Any]]] = []
        problems = []
        for number, row in enumerate(data["objects"]):
            where = f"objects[{number}]"
            try:
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                kind, key = row.get("geometryType"), row.get("instance")
                if kind is None:  # annotations of the first versions leave it to the class
                    known = self.classes.get(str(row.get("classTitle")))
                    kind = None if known is None else known.shape
                tally.aside(OF_PEOPLE, bool(row.get("labelerLogin")))
                tally.aside(
                    "objects have a description, which is not kept", bool(row.get("description"))
                )
                key = str(key) if key is not None else None
                if kind == "graph":
                    graphs.append((key, self._graph(row, where)))
                elif kind == "point":
                    self._point(points.setdefault(key, Draft(where=where)), row)
                elif kind == "rectangle":
                    boxes.append((key, row | {"where": where}))
                else:
                    tally.aside("objects of other kinds belong to no face")
            except ValueError as error:
                problems.append(f"{where}: {error}")
        drafts = [*graphs, *points.items()]
        for key, row in boxes:
            try:
                self._box(key, row, drafts, len(boxes), tally)
            except ValueError as error:
                problems.append(f"{row['where']}: {error}")
        return [draft for _, draft in drafts], problems

    def _graph(self, row: dict[str, Any], where: str) -> Draft:
        title = entry(row, "classTitle", str, "a word")
        known = self.classes.get(title or "")
        if known is None:
            raise ValueError(f"{META} has no class '{str(title)[:40]}'")
        nodes = entry(row, "nodes", dict, "an object")
        if nodes is None:
            raise ValueError("a graph without nodes")
        tags = _tags(row)
        auto = row.get("nnCreated") is True
        draft = Draft(where=where, source="auto" if auto else "manual", unnamed=False)
        scheme = tags.pop("scheme", None)
        if not isinstance(scheme, (str, type(None))):
            raise ValueError("the tag scheme is not a name")
        several = sum(bool(found.names) for found in self.classes.values()) > 1
        draft.told = Told(title, scheme, declared=known.ordered, several=several)
        draft.score = one_number(tags.pop("confidence", None), "the tag confidence")
        draft.attributes = tags
        for identity, node in nodes.items():
            name = known.names.get(identity)
            if name is None:
                raise ValueError(f"its class has no node '{identity[:40]}'")
            if not isinstance(node, dict):
                raise ValueError(f"the node '{name[:40]}' is not an object")
            place = numbers(entry(node, "loc", list, "a place"), "loc", 2)
            if place is None:
                raise ValueError(f"the node '{name[:40]}' has no loc")
            x, y = (place - self.first_pixel).tolist()
            state = OCCLUDED if node.get("disabled") else VISIBLE
            draft.points.append(Point(name, x, y, state))
        return draft

    def _point(self, draft: Draft, row: dict[str, Any]) -> None:
        (x, y), *rest = self._exterior(row)
        if rest:
            raise ValueError(f"a point with {1 + len(rest)} places")
        name, state = visibility_in(entry(row, "classTitle", str, "a word") or "")
        draft.points.append(Point(name, x, y, state))
        self.tally.aside(OF_POINTS, bool(row.get("tags")))
        draft.source = "auto" if row.get("nnCreated") is True else "manual"

    def _box(
        self,
        key: str | None,
        row: dict[str, Any],
        drafts: list[tuple[str | None, Draft]],
        count: int,
        tally: Tally,
    ) -> None:
        mine = [draft for other, draft in drafts if key is not None and other == key]
        if not mine and len(drafts) == 1 == count and None in (key, drafts[0][0]):
            mine = [drafts[0][1]]
        corners = self._exterior(row)
        if len(corners) != 2:
            raise ValueError(f"a rectangle with {len(corners)} corners")
        if not mine or mine[0].box is not None:
            tally.aside("rectangles belong to no face")
            return
        label = str(row.get("classTitle")).removesuffix(" box")
        tally.aside(OF_BOXES, label != mine[0].told.label and tells_class(label))
        mine[0].box = corners_box(*corners[0], *corners[1])
        mine[0].attributes = _tags(row) | mine[0].attributes

    def _exterior(self, row: dict[str, Any]) -> list[list[float]]:
        """x, y in image pixels of an object's places, at least one."""
        points = entry(row, "points", dict, "an object") or {}
        exterior = entry(points, "exterior", list, "a list")
        if not exterior:
            raise ValueError("points.exterior is not a list of places")
        found = []
        for point in exterior:
            place = numbers(point, "a place", 2)
            if place is None:
                raise ValueError("a place is null")
            found.append((place - self.first_pixel).tolist())
        return found


def _load_classes(path: Path) -> dict[str, _Class]:
    data = load_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("classes"), list):
        raise InputError(path, "not a Supervisely project: no list 'classes'")
    found: dict[str, _Class] = {}
    for number, row in enumerate(data["classes"]):
        if not isinstance(row, dict) or not isinstance(row.get("title"), str):
            raise InputError(path, f"classes[{number}]: no title")
        if row["title"] in found:
            raise InputError(path, f"two classes are called '{row['title'][:40]}'")
        found[row["title"]] = _Class(row)
    return found


def _tags(row: dict[str, Any]) -> dict[str, Any]:
    """Tags by name; one without a value says True."""
    found: dict[str, Any] = {}
    for tag in entry(row, "tags", list, "a list") or []:
        if not isinstance(tag, dict) or not isinstance(tag.get("name"), str):
            raise ValueError("a tag without a name")
        value = tag.get("value")
        found[tag["name"]] = from_text(value) if isinstance(value, str) else value
        if value is None:
            found[tag["name"]] = True
    return found


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """A project's folder, all of it or nothing; the photos are not copied into it.

    Raises OutputError.
    """
    writer = SuperviselyWriter(target, options.base(CAPABILITIES.index_base), options.schemes)
    files = []
    places = Places(target)
    with filling(target, options.overwrite) as staged:
        for image in images:
            place = inside(target, place_of(check_name(image.path, target))).relative_to(target)
            places.take(place, image)
            with replacing_text(staged / place) as stream:
                stream.write(dump_json(writer.annotation(image), target) + "\n")
            files.append(target / place)
        with replacing_text(staged / META) as stream:
            stream.write(dump_json(writer.meta(), target, indent=1) + "\n")
    return [target / META, *files]
