"""Regions of the VGG Image Annotator as faces.

VIA has regions with free attributes and neither faces nor names. The attribute ``face`` (or one
that is called alike) says which regions are one face, and ``name`` which point it is; where only
``name`` is there and comes in runs, it is the face and the points are in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from tufa_cli.annotation import OCCLUDED
from tufa_cli.formats._base import ReadOptions, Tally
from tufa_cli.formats._drafts import MARKS, OF_POINTS, Draft, Point, visibility_in
from tufa_cli.formats._json import entry, from_text, numbers, without
from tufa_cli.formats._names import NAMES_SETTING, scheme_named

SETTINGS = {
    "face": "the region attribute that says which regions are one face",
    "point": "the region attribute that names a point",
    **NAMES_SETTING,
}

#: Attributes that other people's files use, likeliest first; ours use the first of each.
FACE_KEYS = ("face", "face_id", "group", "group_id", "person")
POINT_KEYS = ("name", "point", "landmark", "keypoint", "label", "id")

#: Attributes that say something else here, so no face can have its own of that name.
RESERVED = frozenset(MARKS) | {"face", "label", "name", "visibility"}
_READ_OF_POINTS = {"face", "name", "visibility", "occluded", "score"}


@dataclass(frozen=True)
class Region:
    """A region's two objects, and where it stands: in words, or as a line."""

    shape: Mapping[str, Any]
    said: Mapping[str, Any]
    where: str = ""
    line: int | None = None

    @property
    def kind(self) -> str:
        """The shape's name: point, rect, polygon ..."""
        return str(self.shape.get("name", ""))

    def says(self, key: str | None) -> str:
        """An attribute as text: that of a text field, or the one that is ticked; "" without."""
        value = self.said.get(key) if key is not None else None
        if isinstance(value, dict):
            ticked = [name for name, on in value.items() if on]
            value = ticked[0] if len(ticked) == 1 else None
        if value is None or isinstance(value, (bool, list, dict)):
            return ""
        return str(value).strip()


class RegionError(ValueError):
    """What is wrong with a region, and which."""

    def __init__(self, region: Region, problem: str) -> None:
        super().__init__(f"{region.where}: {problem}" if region.where else problem)
        self.line = region.line


class Regions:
    """Turns the regions of one photo after the other into drafts of faces."""

    def __init__(self, options: ReadOptions, first_pixel: int) -> None:
        self._options, self._first_pixel = options, first_pixel

    def drafts(
        self, regions: Sequence[Region], tally: Tally
    ) -> tuple[list[Draft], list[RegionError]]:
        """The faces of a photo, and what is wrong with regions that are none."""
        drafts: dict[str, Draft] = {}
        lines: list[Draft] = []
        boxes: list[tuple[str, Region]] = []
        problems: list[RegionError] = []
        groups, face_key, point_key = self._groups(regions)
        for region, group in zip(regions, groups, strict=True):
            try:
                if region.kind == "point":
                    draft = drafts.setdefault(group, Draft(where=region.where, line=region.line))
                    self._point(draft, region, point_key, face_key, tally)
                elif region.kind == "rect":
                    boxes.append((group, region))
                elif region.kind in ("polyline", "polygon"):
                    lines += self._line(region, tally)
                else:
                    tally.aside("regions of other kinds belong to no face")
            except ValueError as error:
                problems.append(RegionError(region, str(error)))
        only = next(iter(drafts)) if len(drafts) == 1 == len(boxes) else None
        for group, region in boxes:
            group = group if group in drafts or only is None else only
            try:
                self._box(drafts, group, region, face_key, tally)
            except ValueError as error:
                problems.append(RegionError(region, str(error)))
        named = {group for group in drafts if group and not group.isdigit()}
        tally.aside("faces have names instead of numbers, which are not kept", len(named))
        # Faces stand where their first region does.
        ordered = [drafts[group] for group in dict.fromkeys(groups) if group in drafts]
        return ordered + lines, problems

    def _groups(self, regions: Sequence[Region]) -> tuple[list[str], str | None, str | None]:
        """The face of each region, and the attributes that tell the face and the point."""
        points = [region for region in regions if region.kind == "point"]
        face_key = self._options.settings.get("face") or _first_of(FACE_KEYS, regions)
        point_key = self._options.settings.get("point")
        if point_key is None:
            keys = [key for key in POINT_KEYS if key != face_key]
            point_key = _first_of(keys, points)
        if face_key is None and point_key is not None and "face" not in self._options.settings:
            runs = [name for name, _ in groupby(point.says(point_key) for point in points)]
            if 1 < len(runs) == len(set(runs)) < len(points):
                face_key, point_key = point_key, None
        return [region.says(face_key) for region in regions], face_key, point_key

    def _point(
        self, draft: Draft, region: Region, key: str | None, face_key: str | None, tally: Tally
    ) -> None:
        x, y = _numbers(region.shape, ("cx", "cy"))
        name, state = visibility_in(region.says(key))
        hidden = region.says("visibility").lower() in ("occluded", "hidden")
        ticked = region.says("occluded").lower() in ("1", "true", "yes", "occluded")
        if hidden or ticked or region.said.get("occluded") is True:
            state = OCCLUDED
        score = from_text(region.says("score")) if region.said.get("score") is not None else None
        others = set(region.said) - _READ_OF_POINTS - {key, face_key}
        tally.aside(OF_POINTS, bool(others))
        if score is not None:
            numbers([score], "score", 1)
        draft.points.append(Point(name, x - self._first_pixel, y - self._first_pixel, state, score))

    def _box(
        self,
        drafts: dict[str, Draft],
        group: str,
        region: Region,
        face_key: str | None,
        tally: Tally,
    ) -> None:
        said = {name: _value(value) for name, value in region.said.items()}
        label = region.says("label") or None
        if {"scheme", "point_count", "box_source"} & set(said) or scheme_named(label) is not None:
            # A face of ours: it may well have no points.
            drafts.setdefault(group, Draft(where=region.where, line=region.line))
        draft = drafts.get(group)
        if draft is None or draft.box is not None:
            tally.aside("rectangles belong to no face")
            return
        x, y, w, h = _numbers(region.shape, ("x", "y", "width", "height"))
        if w < 0 or h < 0:
            raise ValueError("a rectangle of a negative size")
        draft.take_marks(label, said)
        draft.box = np.array([x - self._first_pixel, y - self._first_pixel, w, h])
        draft.attributes = without(said, RESERVED | {face_key or "face"})

    def _line(self, region: Region, tally: Tally) -> Iterator[Draft]:
        """A face whose points are one line, where it has as many as the scheme."""
        lists = [entry(region.shape, f"all_points_{axis}", list, "a list") for axis in "xy"]
        if lists[0] is None or lists[1] is None or len(lists[0]) != len(lists[1]):
            raise ValueError("all_points_x and all_points_y are not lists of one length")
        label = region.says("label") or region.says("name")
        count = len(lists[0])
        if count != self._options.points and scheme_named(label, count) is None:
            tally.aside("regions of other kinds belong to no face")
            return
        axes = [numbers(values, "all_points", count) for values in lists]
        draft = Draft(where=region.where, line=region.line, unnamed=True)
        draft.take_marks(label or None, {})
        for x, y in zip(*axes, strict=True):
            draft.points.append(Point("", x - self._first_pixel, y - self._first_pixel))
        yield draft


def _first_of(keys: Iterable[str], regions: Sequence[Region]) -> str | None:
    """The first of these attributes that some region says something with."""
    return next((key for key in keys if any(region.says(key) for region in regions)), None)


def _value(value: Any) -> Any:
    return from_text(value) if isinstance(value, str) else value


def _numbers(shape: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    missing = [name for name in names if shape.get(name) is None]
    if missing:
        raise ValueError(f"a {shape.get('name')} without {missing[0]}")
    found = numbers([shape[name] for name in names], "/".join(names), len(names))
    assert found is not None
    return [float(value) for value in found]
