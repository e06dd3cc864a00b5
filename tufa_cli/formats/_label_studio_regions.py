"""Label Studio's results of one photo as faces.

A result is a region, a relation between two of them, or one more answer about a region of the same
id. Places are in percent of the photo. Which points are one face is told by their ``parentID`` (the
rectangle's id), by relations, or by their order: a face begins with each point that follows a
result that is no point.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, VISIBLE
from tufa_cli.formats._base import Tally
from tufa_cli.formats._drafts import (
    MARKS,
    OF_POINTS,
    TURNED,
    Draft,
    Point,
    upright_box,
    visibility_in,
)
from tufa_cli.formats._files import PHOTO_SUFFIXES, photo_name
from tufa_cli.formats._json import entry, numbers, one_number, without
from tufa_cli.formats._names import scheme_named

_POINTS = ("keypointlabels", "keypoint")
_BOXES = ("rectanglelabels", "rectangle")
_HIDDEN = {"occluded", "hidden"}
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")


@dataclass
class Region:
    """A point or a rectangle. place: (2,) x, y, or (4,) x, y, w, h in image pixels."""

    where: str
    identity: str
    is_point: bool
    place: NDArray[np.float64]
    labels: list[str]
    parent: str | None = None
    score: float | None = None
    auto: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)


@dataclass
class Results:
    """What the results of a photo say.

    size: width and height; answers: about the whole photo; photo_size: of the photo itself.
    """

    regions: list[Region] = field(default_factory=list)
    relations: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    problems: list[str] = field(default_factory=list)
    photo_size: Callable[[], tuple[int, int] | None] = lambda: None
    turned: int = 0


def parse_results(
    rows: Sequence[Any],
    where: str,
    first_pixel: int,
    tally: Tally,
    photo_size: Callable[[], tuple[int, int] | None] = lambda: None,
) -> Results:
    """The results of one annotation or prediction; those that are wrong are told in words.

    photo_size: looks at the photo itself, for results that do not say how large it is.
    """
    found = Results(photo_size=photo_size)
    by_id: dict[str, Region] = {}
    answers: list[tuple[str, str, Any]] = []
    for number, row in enumerate(rows):
        place = f"{where}.result[{number}]"
        try:
            if not isinstance(row, dict):
                raise ValueError("not an object")
            kind = entry(row, "type", str, "a word") or ""
            if kind == "relation":
                found.relations.append((str(row.get("from_id")), str(row.get("to_id"))))
                continue
            value = entry(row, "value", dict, "an object") or {}
            identity = str(row.get("id") or place)
            if kind in (*_POINTS, *_BOXES):
                region = _region(row, value, kind, place, identity, first_pixel, found)
                if identity in by_id and by_id[identity].labels and region.labels:
                    raise ValueError(f"two regions have the id {identity[:40]}")
                if identity not in by_id:
                    by_id[identity] = region
                    found.regions.append(region)
                by_id[identity].labels = by_id[identity].labels or region.labels
            else:
                answers.append((identity, str(row.get("from_name") or kind), _answer(kind, value)))
                if answers[-1][2] is None:
                    tally.aside("results of other kinds belong to no face")
        except ValueError as error:
            found.problems.append(f"{place}: {error}")
    tally.aside(TURNED, found.turned)
    for identity, name, answer in answers:
        if identity not in by_id:
            if answer is not None:
                found.answers[name] = answer
        elif isinstance(answer, _Labels):
            by_id[identity].labels = by_id[identity].labels or list(answer)
        elif answer is not None:
            by_id[identity].answers[name] = answer
    return found


def full_task(row: Any) -> Any:
    """A task of JSON-MIN, which is flat, as a task of JSON; anything else as it is.

    JSON-MIN keeps neither ids nor parents: ValueError where that leaves faces apart untold.
    """
    regions = simple_regions(row) if isinstance(row, dict) and "data" not in row else []
    if not regions:
        return row
    if sum(kind in _BOXES for kind, _ in regions) > 1:
        raise ValueError("JSON-MIN does not tell which points are in which rectangle: export JSON")
    sizes = ("original_width", "original_height")
    results = [{"type": kind, "value": v, **{k: v.get(k) for k in sizes}} for kind, v in regions]
    data = {key: value for key, value in row.items() if isinstance(value, str)}
    annotation = {"result": results, "completed_by": row.get("annotator")}
    return {"id": row.get("id"), "data": data, "annotations": [annotation]}


def path_of(row: dict[str, Any]) -> tuple[str, str]:
    """The photo's path as the task has it, and without the prefix of uploads."""
    data, upload = row["data"], row.get("file_upload")
    value = data.get("image")
    if not isinstance(value, str):
        words = [word for word in data.values() if isinstance(word, str)]
        photos = [w for w in words if urlsplit(w).path.lower().endswith(PHOTO_SUFFIXES)]
        value = (photos or [word for word in words if "/" in word] or [""])[0]
        if not value:
            raise ValueError("its data names no photo")
    if value.startswith("data:"):
        raise ValueError("the photo lies in the task itself; its name is not known")
    parts = urlsplit(value)
    if "/data/local-files/" in parts.path:
        path = photo_name(parse_qs(parts.query).get("d", [""])[0])
        return path, path
    uploaded = upload if isinstance(upload, str) else ""
    if uploaded or "/data/upload/" in parts.path:
        name = uploaded or unquote(parts.path)
        path = photo_name(PurePosixPath(name).name)
        return path, _UPLOADED.sub("", path, count=1)
    if (parts.scheme and parts.netloc) or value.startswith("/"):
        value = PurePosixPath(unquote(parts.path)).name
    path = photo_name(value)
    return path, path


def simple_regions(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Kind and value of each point and rectangle in a task of JSON-MIN."""
    values = [v for many in row.values() if isinstance(many, list) for v in many]
    kinds = (_POINTS[0], _BOXES[0])
    return [(k, v) for v in values if isinstance(v, dict) and "x" in v for k in kinds if k in v]


class _Labels(list[str]):
    """Labels of a region whose place another result of the same id has."""


def _answer(kind: str, value: dict[str, Any]) -> Any:
    """What a result that is no region says, or None where it says nothing that is kept."""
    if kind == "labels":
        return _Labels(_words(value, "labels"))
    if kind in ("choices", "textarea", "taxonomy"):
        said = value.get("text" if kind == "textarea" else kind)
        said = said if isinstance(said, list) else [said]
        return said[0] if len(said) == 1 else said
    if kind in ("number", "rating"):
        return value.get(kind)
    return None


def _words(value: dict[str, Any], key: str) -> list[str]:
    words = entry(value, key, list, "a list") or []
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{key} is not a list of words")
    return words


def _region(
    row: dict[str, Any],
    value: dict[str, Any],
    kind: str,
    where: str,
    identity: str,
    first_pixel: int,
    found: Results,
) -> Region:
    turned = one_number(row.get("image_rotation"), "image_rotation")
    if turned:
        raise ValueError(f"the photo was turned by {turned:g} degrees, which is not read")
    size = _size(row, found)
    is_point = kind in _POINTS
    keys = ("x", "y") if is_point else ("x", "y", "width", "height")
    place = numbers([value.get(key) for key in keys], "/".join(keys), len(keys))
    assert place is not None
    place = place / 100 * np.resize(size, len(keys))
    if not is_point:
        if (place[2:] < 0).any():
            raise ValueError("a rectangle of a negative size")
        if value.get("rotation"):
            angle = one_number(value["rotation"], "rotation") or 0.0
            found.turned += 1
            place = upright_box(place, angle, (place[0], place[1]))
    place[:2] -= first_pixel
    return Region(
        where,
        identity,
        is_point,
        place,
        _words(value, kind),
        parent=row.get("parentID") if isinstance(row.get("parentID"), str) else None,
        score=one_number(row.get("score"), "score"),
        auto=row.get("origin") == "prediction",
        meta=entry(row, "meta", dict, "an object") or {},
    )


def _size(row: dict[str, Any], found: Results) -> NDArray[np.float64]:
    """(2,) width and height that a region's percents are of; raises ValueError."""
    sides = [row.get("original_width"), row.get("original_height")]
    if sides == [None, None]:
        # What was made for an import need not say it: Label Studio looks at the photo.
        if found.size is None:
            found.size = found.photo_size()
        if found.size is None:
            raise ValueError("no original_width and original_height, and its photo is not there")
        return np.array(found.size, dtype=np.float64)
    size = numbers(sides, "original_width/height", 2)
    assert size is not None
    if not (size > 0).all():
        raise ValueError("original_width or original_height is not a size")
    if found.size is None:
        found.size = (int(size[0]), int(size[1]))
    return size


def drafts_of(results: Results, predicted: bool, tally: Tally) -> list[Draft]:
    """The faces of a photo's regions. predicted: all of them are a model's."""
    drafts: list[Draft] = []
    for group in _groups(results):
        boxes = [region for region in group if not region.is_point]
        points = [region for region in group if region.is_point]
        draft = Draft(where=group[0].where)
        try:
            for box in boxes[:1]:
                _take_box(draft, box, predicted)
            for point in points:
                draft.points.append(_point(point, tally))
        except ValueError as error:
            results.problems.append(f"{group[0].where}: {error}")
            continue
        if points and not boxes:
            draft.source = "auto" if predicted or points[0].auto else "manual"
        ours = draft.told.scheme or draft.told.count is not None or scheme_named(draft.told.label)
        tally.aside("rectangles belong to no face", len(boxes) - bool(boxes and (points or ours)))
        if points or ours:
            drafts.append(draft)
    return drafts


def _take_box(draft: Draft, box: Region, predicted: bool) -> None:
    source = "auto" if predicted or box.auto else "manual"
    marks = {**box.meta, "score": box.score, "source": source}
    draft.take_marks(box.labels[0] if box.labels else None, marks)
    draft.box = box.place
    others = without(box.meta, {*MARKS, "attributes"})
    draft.attributes = others | box.answers
    draft.attributes |= entry(box.meta, "attributes", dict, "an object") or {}


def _point(region: Region, tally: Tally) -> Point:
    name, state = visibility_in(region.labels[0].strip() if region.labels else "")
    text = region.meta.get("text")
    said = {str(word).strip().lower() for word in (text if isinstance(text, list) else [text])}
    for answer in region.answers.values():
        said |= {str(word).lower() for word in (answer if isinstance(answer, list) else [answer])}
    hidden = bool(said & _HIDDEN)
    more = bool(region.answers) or any(word not in {*_HIDDEN, "none"} for word in said)
    tally.aside(OF_POINTS, more and not hidden)
    x, y = region.place.tolist()
    return Point(name, x, y, OCCLUDED if hidden else state or VISIBLE, region.score)


def _groups(results: Results) -> list[list[Region]]:
    """The regions of each face, faces in the order of their first region."""
    regions = results.regions
    known = {region.identity for region in regions if not region.is_point}
    parents = {region.parent for region in regions if region.is_point and region.parent}
    if parents & known or (parents and not known):  # rectangles may have been left out
        keys = [region.parent or "" if region.is_point else region.identity for region in regions]
    elif results.relations:
        keys = _by_relation(results)
    else:
        keys = _by_order(regions)
    groups: dict[str, list[Region]] = {}
    for key, region in zip(keys, regions, strict=True):
        groups.setdefault(key, []).append(region)
    return list(groups.values())


def _by_relation(results: Results) -> list[str]:
    """A key per region: the same for those that relations connect."""
    leader = {region.identity: region.identity for region in results.regions}

    def find(identity: str) -> str:
        while leader[identity] != identity:
            identity = leader[identity]
        return identity

    for a, b in results.relations:
        if a in leader and b in leader:
            leader[find(b)] = find(a)
    return [find(region.identity) for region in results.regions]


def _by_order(regions: Sequence[Region]) -> list[str]:
    """A key per region by their order; the rectangle of a face stands before or after its points.

    Where the first result is a point and the last a rectangle, they stand after.
    """
    if not any(not region.is_point for region in regions):
        return ["0"] * len(regions)
    after = regions[0].is_point and not regions[-1].is_point
    keys: list[str] = []
    numbers_ = count(1)
    face, last_was_point = 0, False
    for region in regions:
        begins = last_was_point and not region.is_point and not after
        if after:
            begins = region.is_point and not last_was_point
        if begins or not keys or not (region.is_point or last_was_point):
            face = next(numbers_)
        keys.append(str(face))
        last_was_point = region.is_point
    return keys
