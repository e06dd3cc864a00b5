"""What the ``cvat`` format writes: images one after the other, and the labels they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.formats._base import WriteOptions
from tufa_cli.formats._files import photo_size
from tufa_cli.formats._ids import Numbers
from tufa_cli.formats._json import dump_json, to_text
from tufa_cli.formats._names import FaceClass, FaceClasses, Own, skeleton_of, template
from tufa_cli.formats._numbers import shortest, shortest_pairs
from tufa_cli.formats._xml import escaped, xml_name

#: Names of attributes that say something else here.
RESERVED = ("scheme",)

_EDGE = (
    '<line x1="{0:g}" y1="{1:g}" x2="{2:g}" y2="{3:g}" data-type="edge" data-node-from="{4}" '
    'data-node-to="{5}"></line>'
)
_NODE = (
    '<circle r="0.75" cx="{1:g}" cy="{2:g}" data-type="element node" data-element-id="{0}" '
    'data-node-id="{0}" data-label-name="{3}"></circle>'
)
_STATES = {
    UNLABELLED: ' outside="1" occluded="0"',
    OCCLUDED: ' outside="0" occluded="1"',
    VISIBLE: ' outside="0" occluded="0"',
}


#: Faces differ in which points are hidden; so many ways to be are kept.
_MOST_BEGUN = 1000
#: What follows a point's x,y.
_AFTER = '">\n      </points>\n'


class CvatWriter:
    """Writes ``<image>`` after ``<image>``, and remembers the labels for the head."""

    def __init__(
        self, target: Path, options: WriteOptions, holds: Callable[[str, object, Face], bool]
    ) -> None:
        self.target, self.first_pixel, self._holds = target, options.base(0), holds
        self._schemes = options.schemes
        self._classes = FaceClasses(self._schemes)
        self._attributes: dict[str, dict[str, None]] = {}
        self._boxed: dict[str, None] = {}
        self._begun: dict[tuple[str, str, bytes], list[str]] = {}
        self._count = 0
        self.ids = Numbers(0)

    def image(self, image: AnnotatedImage, body: TextIO) -> None:
        """One ``<image>`` with a skeleton, and a rectangle in its group, per face."""
        size = photo_size(image)
        words = [f'id="{self.ids.of(image.id)}"', f'name="{xml_name(image.path, self.target)}"']
        if image.split:
            words.append(f'subset="{xml_name(image.split, self.target)}"')
        if size is not None:
            words.append(f'width="{size[0]}" height="{size[1]}"')
        self._count += 1
        faces = [self._face(face, group) for group, face in enumerate(image.faces, start=1)]
        body.write(f"  <image {' '.join(words)}>\n{''.join(faces)}  </image>\n")

    def _face(self, face: Face, group: int) -> str:
        named = self._classes.of(face)
        label = xml_name(named.label, self.target)
        source = f'source="{face.source}"'
        lines = [f'    <skeleton label="{label}" {source} z_order="0" group_id="{group}">\n']
        said = self._said(face, named)
        if said:
            self._attributes.setdefault(named.label, {}).update(dict.fromkeys(said))
        for name, value in said.items():
            line = _flag_line if type(value) is int else _attribute_line
            lines.append(line(name, value))
        lines += self._points(face, named), "    </skeleton>\n"
        if face.box is not None:
            self._boxed.setdefault(named.label)
            x, y, w, h = face.box.tolist()
            x, y = x + self.first_pixel, y + self.first_pixel
            lines.append(
                f'    <box label="{label} box" {source} occluded="0" '
                f'xtl="{shortest(x)}" ytl="{shortest(y)}" '
                f'xbr="{shortest(x + w)}" ybr="{shortest(y + h)}" '
                f'z_order="0" group_id="{group}">\n    </box>\n'
            )
        return "".join(lines)

    def _said(self, face: Face, named: FaceClass) -> dict[str, Any]:
        held = {k: v for k, v in face.attributes.items() if self._holds(k, v, face)}
        return held if named.scheme is None else {"scheme": named.scheme, **held}

    def _points(self, face: Face, named: FaceClass) -> str:
        assert face.visibility is not None
        places = face.points_px + self.first_pixel
        if np.count_nonzero(face.visibility) < len(places):
            # A point that is not there must have some place: the middle of the others.
            known = places[face.labelled]
            x0, y0 = known.mean(axis=0).round(2).tolist() if len(known) else (0.0, 0.0)
            places[~face.labelled] = x0, y0
        beginnings = self._beginnings(named, face.source, face.visibility.tobytes())
        pieces = beginnings * 2
        pieces[0::2], pieces[1::2] = beginnings, shortest_pairs(places)
        return "".join(pieces) + (_AFTER if pieces else "")

    def _beginnings(self, named: FaceClass, source: str, visibility: bytes) -> list[str]:
        """What stands before each of a class' points in these states."""
        key = (named.label, source, visibility)
        if key not in self._begun:
            if len(self._begun) == _MOST_BEGUN:
                self._begun.clear()
            self._begun[key] = [
                f'{_AFTER if index else ""}      <points label="{escaped(name)}" '
                f'source="{source}"{_STATES[state]} points="'
                for index, (name, state) in enumerate(zip(named.names, visibility, strict=True))
            ]
        return self._begun[key]

    def head(self) -> list[str]:
        """The lines before the first image: a task with these labels."""
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>"]
        lines += ["  <version>1.1</version>", "  <meta>", "    <task>"]
        lines += [f"      <size>{self._count}</size>", "      <labels>"]
        for label in self._labels():
            lines += _label_lines(label)
            for part in label.get("sublabels", ()):
                lines += _label_lines(part, parent=label["name"])
        return [*lines, "      </labels>", "    </task>", "  </meta>"]

    def labels(self) -> str:
        """The labels as CVAT's raw JSON."""
        return dump_json(self._labels(), self.target, indent=1) + "\n"

    def _labels(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for (scheme, _), named in self._classes.found.items():
            rows.append(
                {
                    "name": named.label,
                    "type": "skeleton",
                    "attributes": [
                        {
                            "name": name,
                            "mutable": False,
                            "input_type": "text",
                            "default_value": "",
                            "values": [],
                        }
                        for name in self._attributes.get(named.label, ())
                    ],
                    "sublabels": [
                        {"name": name, "type": "points", "attributes": []} for name in named.names
                    ],
                    "svg": _svg(scheme, named.names, self._schemes),
                }
            )
        for label in self._boxed:
            rows.append({"name": f"{label} box", "type": "rectangle", "attributes": []})
        return rows


def _attribute_line(name: str, value: Any) -> str:
    return f'      <attribute name="{escaped(name)}">{escaped(to_text(value))}</attribute>\n'


#: Flags and counts say the same of many faces.
_flag_line = lru_cache(maxsize=1024)(_attribute_line)


def _label_lines(label: dict[str, Any], parent: str | None = None) -> list[str]:
    lines = [
        "        <label>",
        f"          <name>{escaped(label['name'])}</name>",
        f"          <type>{label['type']}</type>",
        "          <attributes>",
    ]
    for attribute in label["attributes"]:
        name = f"<name>{escaped(attribute['name'])}</name>"
        lines.append(
            f"            <attribute>{name}<mutable>False</mutable><input_type>text</input_type>"
            "<default_value></default_value><values></values></attribute>"
        )
    lines.append("          </attributes>")
    if "svg" in label:
        lines.append(f"          <svg>{escaped(label['svg'])}</svg>")
    if parent is not None:
        lines.append(f"          <parent>{escaped(parent)}</parent>")
    return [*lines, "        </label>"]


def _svg(scheme: str | None, names: Sequence[str], own: Own) -> str:
    """How the skeleton looks in CVAT's label editor: nodes in 0..100, counted from 1."""
    places = template(scheme, len(names), own)
    parts = [
        _EDGE.format(*places[a].tolist(), *places[b].tolist(), a + 1, b + 1)
        for a, b in skeleton_of(scheme, len(names), own)
    ]
    for number, (name, (x, y)) in enumerate(zip(names, places.tolist(), strict=True), start=1):
        parts.append(_NODE.format(number, x, y, escaped(name)))
    return "".join(parts)
