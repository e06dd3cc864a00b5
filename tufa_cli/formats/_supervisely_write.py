"""What the ``supervisely`` format writes: annotations, one after the other, and the meta."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tufa_cli.annotation import OCCLUDED, UNLABELLED, AnnotatedImage, Face
from tufa_cli.formats._base import states
from tufa_cli.formats._files import photo_size
from tufa_cli.formats._json import is_json, to_text
from tufa_cli.formats._names import FaceClass, FaceClasses, Own, skeleton_of, template

#: The dataset of photos that lie in no folder, and the folder of nested ones.
TOP = "ds0"
NESTED = "datasets"
#: The folder of a dataset's photos.
PHOTOS = "img"

#: Tags that say something else here.
FACE_TAGS = ("scheme", "confidence")
PHOTO_TAGS = ("split", "confidence")

_COLOURS = ("#4363d8", "#e6194b", "#3cb44b", "#f58231")
_SPACE = uuid.UUID("7a8d6c1e-2f43-5b90-8e1d-3c5a7b9d1f20")


def place_of(path: str) -> str:
    """Where a photo's annotation goes: its folders are datasets, nested as Supervisely has it.

    A photo that lies in a dataset's ``img`` is that dataset's.
    """
    photo = PurePosixPath(path)
    folders = photo.parent.parts or (TOP,)
    if len(folders) > 1 and folders[-1] == PHOTOS:
        folders = folders[:-1]
        if len(folders) % 2 and all(word == NESTED for word in folders[1::2]):
            folders = folders[::2]
    dataset = f"/{NESTED}/".join(folders)
    return f"{dataset}/ann/{photo.name}.json"


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Any JSON value, unless its name says something else here."""
    return is_json(value) and name not in FACE_TAGS and name != ""


def holds_image_attribute(name: str, value: object) -> bool:
    """Any JSON value, unless its name says something else here."""
    return is_json(value) and name not in PHOTO_TAGS and name != ""


class SuperviselyWriter:
    """Makes the annotation of photo after photo, and remembers what the meta must list."""

    def __init__(self, target: Path, first_pixel: int, schemes: Own) -> None:
        self.target, self.first_pixel, self._schemes = target, first_pixel, schemes
        self._classes = FaceClasses(schemes)
        self._boxed: dict[str, None] = {}
        self._tag_names: dict[str, None] = {}
        self._ids: dict[str, list[str]] = {}

    def annotation(self, image: AnnotatedImage) -> dict[str, Any]:
        size = photo_size(image)
        tags = {k: v for k, v in image.attributes.items() if holds_image_attribute(k, v)}
        if image.split is not None:
            tags["split"] = image.split
        return {
            "description": "",
            "tags": self._tags(tags),
            "size": {
                "height": size[1] if size is not None else image.height,
                "width": size[0] if size is not None else image.width,
            },
            "objects": [
                row
                for number, face in enumerate(image.faces)
                for row in self._objects(face, uuid.uuid5(_SPACE, f"{image.path}/{number}").hex)
            ],
        }

    def _objects(self, face: Face, instance: str) -> Iterator[dict[str, Any]]:
        named = self._classes.of(face)
        tags = {k: v for k, v in face.attributes.items() if holds_attribute(k, v, face)}
        if named.scheme is not None:
            tags["scheme"] = named.scheme
        if face.score is not None:
            tags["confidence"] = face.score
        if named.label not in self._ids:
            self._ids[named.label] = _node_ids(named)
        ids = self._ids[named.label]
        nodes: dict[str, Any] = {}
        places = (face.points_px + self.first_pixel).tolist()
        for index, state in enumerate(states(face)):
            if state != UNLABELLED:
                nodes[ids[index]] = {"loc": places[index]}
                if state == OCCLUDED:
                    nodes[ids[index]]["disabled"] = True
        common = {"instance": instance, "nnCreated": face.source == "auto"}
        yield {
            "classTitle": named.label,
            "geometryType": "graph",
            "tags": self._tags(tags),
            "nodes": nodes,
        } | common
        if face.box is not None:
            self._boxed.setdefault(f"{named.label} box")
            x, y, w, h = face.box.tolist()
            x, y = x + self.first_pixel, y + self.first_pixel
            yield {
                "classTitle": f"{named.label} box",
                "geometryType": "rectangle",
                "tags": [],
                "points": {"exterior": [[x, y], [x + w, y + h]], "interior": []},
            } | common

    def _tags(self, tags: dict[str, Any]) -> list[dict[str, Any]]:
        for name in tags:
            self._tag_names.setdefault(name)
        return [
            {"name": name, "value": value if name == "confidence" else to_text(value)}
            for name, value in tags.items()
        ]

    def meta(self) -> dict[str, Any]:
        classes = [
            {
                "title": named.label,
                "shape": "graph",
                "color": _COLOURS[number % len(_COLOURS)],
                "geometry_config": _geometry(scheme, named, self._schemes),
                "hotkey": "",
            }
            for number, ((scheme, _), named) in enumerate(self._classes.found.items())
        ]
        for title in self._boxed:
            row = {"title": title, "shape": "rectangle", "color": _COLOURS[0]}
            classes.append(row | {"geometry_config": {}, "hotkey": ""})
        tags: list[dict[str, Any]] = [
            {
                "name": name,
                "value_type": "any_number" if name == "confidence" else "any_string",
                "color": _COLOURS[0],
                "hotkey": "",
                "applicable_type": "all",
                "classes": [],
            }
            for name in self._tag_names
        ]
        return {"classes": classes, "tags": tags, "projectType": "images"}


def _node_ids(named: FaceClass) -> list[str]:
    """An id for each node of a class, the same in every file."""
    return [uuid.uuid5(_SPACE, f"{named.label}/{name}").hex for name in named.names]


def _geometry(scheme: str | None, named: FaceClass, own: Own) -> dict[str, Any]:
    """A class's nodes, with where they stand in its template, and its edges."""
    ids = _node_ids(named)
    places = template(scheme, len(ids), own).tolist()
    return {
        "nodes": {
            identity: {"label": name, "color": _COLOURS[0], "loc": place}
            for identity, name, place in zip(ids, named.names, places, strict=True)
        },
        "edges": [
            {"src": ids[a], "dst": ids[b], "color": _COLOURS[0]}
            for a, b in skeleton_of(scheme, len(ids), own)
        ],
    }
