"""Tracks of "CVAT for video 1.1": one object through many frames, here a face in each of them.

``<track id label [group_id]>`` holds a ``<points>``, ``<skeleton>`` or ``<box>`` for every frame
that is stored, with ``frame`` (from 0), ``keyframe`` (0 where CVAT made it from those before and
after), ``outside`` and ``occluded``; points of a skeleton have the last two themselves. A file has
no names of frames: they are ``frame_000012``, as CVAT's own export of the frames has them, unless
the file has an ``<image>`` of that id too.

Faces keep the track's id as the attribute ``track``, and ``keyframe`` (false) where it is not one.
Sources: CVAT's documentation of the format; datumaro, ``plugins/data_formats/cvat``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tufa_cli.errors import InputError
from tufa_cli.formats._cvat_shapes import Context, Shapes, attributes_of
from tufa_cli.formats._files import PhotoFinder
from tufa_cli.formats._xml import At, Node

_OUTSIDE = "shapes of tracks have no point in the picture"


class Tracks:
    """The tracks of a file, by frame: they stand one after the other, so all of them are held.

    names: labels of tracks that are one point each, as they first occur.
    """

    def __init__(self, context: Context, path: Path) -> None:
        self._context, self._path = context, path
        self.names: dict[str, None] = {}
        self._frames: dict[int, Shapes] = {}

    def add(self, track: Node) -> None:
        """Take one track; raises InputError for one of a kind that is not read."""
        if any(True for _ in track.all("track")):
            raise InputError(
                self._path,
                "a skeleton with a track for each of its points, which is not read",
                track.line,
                "export the task as 'CVAT for images 1.1', or as 'CVAT for video 1.1' of a newer "
                "CVAT",
            )
        try:
            name = track.need("id")
            given = {key: track.attributes.get(key) for key in ("source", "group_id")}
            given["label"] = track.need("label")
            more = attributes_of(track) | {"track": int(name) if name.isdecimal() else name}
        except ValueError as error:
            self._context.failed(error, track.line)
            return
        seen: set[int] = set()
        for shape in track.children:
            if shape.tag == "attribute":
                continue
            for key, value in given.items():
                if value is not None:
                    shape.attributes.setdefault(key, value)
            try:
                self._shape(shape, more, seen)
            except ValueError as error:
                self._context.failed(error, shape.line)

    def _shape(self, shape: Node, more: dict[str, Any], seen: set[int]) -> None:
        frame = shape.number("frame")
        if frame < 0 or not frame.is_integer():
            raise At(shape.line, f"frame: '{shape.attributes['frame'][:40]}' is no number of one")
        if frame in seen:
            raise At(shape.line, f"frame {int(frame)} again in one track")
        seen.add(int(frame))
        points = list(shape.all("points")) if shape.tag == "skeleton" else [shape]
        if all(point.flag("outside") for point in points):
            self._context.tally.aside(_OUTSIDE)
            return
        if shape.tag == "points" and ";" not in shape.need("points"):
            self.names.setdefault(shape.attributes["label"])
        if "keyframe" in shape.attributes and not shape.flag("keyframe"):
            more = more | {"keyframe": False}
        self._frames.setdefault(int(frame), Shapes(self._context)).add(shape, more)

    def __bool__(self) -> bool:
        return bool(self._frames)

    def frames(self) -> Iterator[tuple[int, Shapes]]:
        """Number and shapes of each frame, the earliest first."""
        return iter(sorted(self._frames.items()))

    def photos_in(self, candidates: list[Path]) -> PhotoFinder:
        """The photos of the first folder that holds one of the frames, else of the first one."""
        finders = [PhotoFinder(folder) for folder in candidates]
        stems = [frame_stem(frame) for frame in self._frames]
        held = (f for f in finders if any(f.find(stem) is not None for stem in stems))
        return next(held, finders[0])


def frame_stem(frame: int) -> str:
    """What CVAT calls a frame of a video, without the ending."""
    return f"frame_{frame:06d}"
