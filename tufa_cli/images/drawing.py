"""Overlays: landmarks, their skeleton and the face's box drawn on a photo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import Face
from tufa_cli.errors import OutputError
from tufa_cli.images.reading import RgbImage
from tufa_cli.schemes.model import Scheme
from tufa_cli.writing import write_bytes

_Colour = tuple[int, int, int]

#: Photos are enlarged until their shorter side has this many pixels, so that points stay apart.
_SMALLEST_SIDE = 480
#: Coordinates are drawn with four fractional bits: positions to a sixteenth of a pixel.
_FRACTION_BITS = 4
#: Far outside the photo OpenCV's fixed-point coordinates would overflow.
_FARTHEST_PX = 30_000

#: RGB per group of parts; the rest takes the spare colours in turn.
GROUP_COLOURS = {
    "jaw": (64, 156, 255),
    "forehead": (120, 200, 255),
    "left_brow": (255, 176, 32),
    "right_brow": (255, 112, 32),
    "left_eye": (60, 220, 120),
    "right_eye": (150, 230, 60),
    "nose": (240, 220, 60),
    "mouth": (255, 80, 120),
    "ears": (190, 130, 255),
    "plane": (200, 200, 200),
}
_SPARE = ((0, 210, 210), (220, 120, 220), (200, 200, 200), (160, 110, 60), (110, 140, 255))
_BOX_COLOUR = (255, 255, 255)
_EDGE_COLOUR = (0, 0, 0)


@dataclass(frozen=True)
class _Pen:
    """Sizes in pixels of the drawn picture: a point's radius and a line's thickness."""

    radius: float
    line: int


def draw_faces(
    image: RgbImage,
    faces: Iterable[Face],
    schemes: Mapping[str, Scheme],
    boxes: bool = True,
) -> RgbImage:
    """A copy of the photo with the faces on it; small photos come back enlarged.

    image: (H, W, 3) uint8 RGB. schemes: by name, for lines and colours; a face of a scheme that is
    not among them gets points only. Sizes follow the face, so that 98 points stay apart on a small
    face and can be seen on a large photo. ``image`` itself is not changed.
    """
    zoom = max(1, int(np.ceil(_SMALLEST_SIDE / max(1, min(image.shape[:2])))))
    # A sliver of a photo would become huge for the sake of its short side.
    zoom = max(1, min(zoom, 4, 4000 // max(1, *image.shape[:2])))
    canvas = np.ascontiguousarray(image).copy()
    if zoom > 1:
        canvas = cv2.resize(canvas, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    for face in faces:
        _draw_face(canvas, face, schemes.get(face.scheme or ""), zoom, boxes)
    return canvas


def _draw_face(canvas: RgbImage, face: Face, scheme: Scheme | None, zoom: int, boxes: bool) -> None:
    points = _drawn(face.points_px, zoom)
    pen = _pen(points)
    if boxes and face.box is not None and np.isfinite(face.box).all():
        corners = _drawn(np.array([face.box[:2], face.box[:2] + face.box[2:]]), zoom)
        cv2.rectangle(
            canvas, *_fixed(corners), _BOX_COLOUR, pen.line, cv2.LINE_AA, shift=_FRACTION_BITS
        )
    if scheme is not None and len(scheme) != len(points):
        scheme = None
    colours = point_colours(scheme, len(points))
    shown = face.labelled & (np.abs(points) < _FARTHEST_PX).all(axis=1)
    for a, b in scheme.skeleton if scheme is not None else ():
        if shown[a] and shown[b]:
            ends = _fixed(points[[a, b]])
            cv2.line(canvas, *ends, colours[a], pen.line, cv2.LINE_AA, shift=_FRACTION_BITS)
    # A dark rim shows dots on light skin and on dark hair; all rims first, so that none covers a
    # neighbour's dot.
    rim = pen.radius + max(0.7, pen.radius / 3)
    for index in np.flatnonzero(shown):
        _dot(canvas, points[index], rim, _EDGE_COLOUR)
    for index in np.flatnonzero(shown):
        _dot(canvas, points[index], pen.radius, colours[index])


def _drawn(points_px: NDArray[np.float64], zoom: int) -> NDArray[np.float64]:
    """(N, 2) photo pixels to those of the enlarged picture; cv2.resize keeps the outer edges."""
    return (points_px + 0.5) * zoom - 0.5


def _pen(points: NDArray[np.float64]) -> _Pen:
    """Sizes for a face whose points spread over so many pixels."""
    known = points[np.isfinite(points).all(axis=1)]
    side = float(np.sqrt(np.prod(np.ptp(known, axis=0) + 1))) if len(known) else 100.0
    return _Pen(radius=float(np.clip(side / 110, 1.0, 12.0)), line=int(np.clip(side / 300, 1, 8)))


def _dot(canvas: RgbImage, point: NDArray[np.float64], radius: float, colour: _Colour) -> None:
    centre, size = _fixed(point[None])[0], round(radius * (1 << _FRACTION_BITS))
    cv2.circle(canvas, centre, size, colour, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)


def _fixed(points: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Points as OpenCV's fixed-point integers, held within what they can express."""
    near = np.clip(points, -_FARTHEST_PX, _FARTHEST_PX) * (1 << _FRACTION_BITS)
    return [(int(x), int(y)) for x, y in np.round(near)]


def point_colours(scheme: Scheme | None, count: int) -> list[_Colour]:
    """An RGB colour per point by the group of its part; one colour without a scheme."""
    colours: list[_Colour] = [GROUP_COLOURS["jaw"]] * count
    if scheme is None:
        return colours
    spare = 0
    for group, members in scheme.groups.items():
        colour = GROUP_COLOURS.get(group)
        if colour is None:
            colour = _SPARE[spare % len(_SPARE)]
            spare += 1
        for index in members:
            colours[index] = colour
    return colours


def overlay_name(photo: str) -> str:
    """The name of a photo's overlay: its own, with .jpg added where it is no JPEG or PNG."""
    return photo if photo.lower().endswith((".jpg", ".jpeg", ".png")) else f"{photo}.jpg"


def write_picture(path: Path, image: RgbImage, overwrite: bool = False) -> None:
    """Write (H, W, 3) uint8 RGB as JPEG or PNG by the path's ending, whole or not at all.

    Raises OutputError when it exists and may not be replaced, or cannot be written.
    """
    suffix = path.suffix.lower()
    settings = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    try:
        done, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), settings)
    except cv2.error:  # a side of more than 65,535 pixels
        done = False
    if not done:
        raise OutputError(f"{path}: the picture cannot be encoded as {suffix}")
    write_bytes(path, data.tobytes(), overwrite)
