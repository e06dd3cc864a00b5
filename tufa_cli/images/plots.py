"""Pictures of shapes and planes, drawn with OpenCV: numbered points, one colour per scheme."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import OutputError
from tufa_cli.writing import check_writable, write_bytes

FloatArray = NDArray[np.float64]
Picture = NDArray[np.uint8]

_WHITE, _GREY, LIGHT, BLACK = (255, 255, 255), (150, 150, 150), (225, 225, 225), (30, 30, 30)
_FACE = (200, 200, 200)
UNIT = np.array([[0.0, 0.0], [1.0, 1.0]])
#: More numbers than this cannot be read: every second, third ... point gets one.
_MOST_NUMBERS = 500
#: RGB; distinguishable on white also for most colour-blind readers.
COLOURS = (
    (0, 90, 181),
    (213, 94, 0),
    (0, 140, 100),
    (180, 60, 150),
    (120, 95, 0),
    (200, 30, 40),
    (90, 90, 90),
)


def shape_picture(
    points: FloatArray,
    edges: Sequence[tuple[int, int]] = (),
    title: str = "",
    size: int = 900,
    numbers: bool = True,
    colour: tuple[int, int, int] = COLOURS[0],
    frame: tuple[FloatArray, FloatArray] | None = None,
) -> Picture:
    """A shape (K, 2), y down, as a (size, size, 3) RGB picture with its points numbered.

    frame: low and high corner (2,) of what is shown; the shape's own box when left out.
    """
    canvas = np.full((size, size, 3), 255, np.uint8)
    low, high = frame if frame is not None else (points.min(axis=0), points.max(axis=0))
    spots = to_canvas(points, low, high, size)
    _draw_shape(canvas, spots, edges, colour)
    if numbers:
        _draw_numbers(canvas, spots, max(0.3, size / 2400))
    put_text(canvas, title, (12, 26), 0.6, BLACK)
    return canvas


def plane_picture(
    anchors: Mapping[str, FloatArray],
    edges: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    size: int = 700,
    outline: Sequence[FloatArray] = (),
    alone: bool = True,
) -> Picture:
    """All schemes of a plane: one together, then each alone with its points numbered.

    The unit square is drawn light grey. RGB uint8, panels of ``size`` pixels, four in a row.
    outline: the lines of the mean face. Where given, nothing is drawn together: each scheme has a
    panel on the mean face, and before it the one on the plane unless ``alone`` is False.
    """
    edges = edges or {}
    frame = frame_of([*anchors.values(), *outline])
    together = np.full((size, size, 3), 255, np.uint8)
    square = [together]
    faces = []
    for index, (name, points) in enumerate(anchors.items()):
        colour = COLOURS[index % len(COLOURS)]
        title = f"{name}: {len(points)} points"
        square.append(shape_picture(points, edges.get(name, ()), title, size, True, colour, frame))
        if outline:
            title = f"{name} on the mean face"
            faces.append(mean_face_picture(points, outline, title, size, colour, frame))
        spots = to_canvas(points, *frame, size)
        _draw_shape(together, spots, (), colour, radius=2)
        put_text(together, name, (12, 24 + 20 * index), 0.5, colour)
    for panel in square:
        first, second = np.round(to_canvas(UNIT, *frame, size)).astype(int)
        cv2.rectangle(panel, first.tolist(), second.tolist(), LIGHT, 1)
    if not outline:
        return tile(square, columns=4)
    panels = [panel for pair in zip(square[1:], faces, strict=True) for panel in pair]
    return tile(panels if alone else faces, columns=4)


def mean_face_picture(
    points: FloatArray,
    outline: Sequence[FloatArray],
    title: str = "",
    size: int = 700,
    colour: tuple[int, int, int] = COLOURS[0],
    frame: tuple[FloatArray, FloatArray] | None = None,
) -> Picture:
    """Numbered points (K, 2) on an outline drawing of the mean face, both on the plane.

    outline: the lines of the face, each (n, 2). frame: as for ``shape_picture``; what holds the
    points, the face and the unit square when left out.
    """
    canvas = np.full((size, size, 3), 255, np.uint8)
    low, high = frame if frame is not None else frame_of([points, *outline])
    for line in outline:
        fixed = np.round(to_canvas(line, low, high, size) * 16).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, _FACE, max(2, size // 300), cv2.LINE_AA, 4)
    spots = to_canvas(points, low, high, size)
    _draw_shape(canvas, spots, (), colour)
    _draw_numbers(canvas, spots, max(0.3, size / 2400))
    put_text(canvas, title, (12, 26), 0.6, BLACK)
    return canvas


def frame_of(shapes: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Low and high corner (2,) of what holds all shapes (K, 2) and the unit square."""
    everything = np.concatenate([*shapes, UNIT])
    return everything.min(axis=0), everything.max(axis=0)


def tile(panels: Sequence[Picture], columns: int) -> Picture:
    """Equally large RGB pictures in rows, the last row filled up with white."""
    columns = min(columns, len(panels))
    blank = np.full_like(panels[0], 255)
    filled = [*panels, *[blank] * (-len(panels) % columns)]
    rows = [np.hstack(filled[i : i + columns]) for i in range(0, len(filled), columns)]
    return np.vstack(rows)


def check_picture(path: Path, overwrite: bool, svg: bool = False) -> None:
    """Raise OutputError, before any work, where a picture cannot be written; svg: it may be one."""
    check_writable(path, overwrite)
    suffix = path.suffix.lower() or ".png"
    if not (cv2.haveImageWriter(f"x{suffix}") or (svg and suffix == ".svg")):
        hint = "use .png, .jpg or .svg" if svg else "use .png or .jpg"
        raise OutputError(f"{path}: pictures cannot be written as '{suffix}'", hint)


def write_picture(path: Path, picture: Picture, overwrite: bool = False) -> None:
    """Write an RGB picture in the format of the file's extension; raises OutputError."""
    suffix = path.suffix.lower() or ".png"
    try:
        done, data = cv2.imencode(suffix, picture[:, :, ::-1])
    except cv2.error:
        done = False
    if not done:
        raise OutputError(f"{path}: pictures cannot be written as '{suffix}'", "use .png or .jpg")
    write_bytes(path, data.tobytes(), overwrite)


def to_canvas(points: FloatArray, low: FloatArray, high: FloatArray, size: int) -> FloatArray:
    """(K, 2) points to pixels of a square of ``size``, in which what lies in the frame has room."""
    margin = 0.07 * size
    extent = float(max((high - low).max(), 1e-9))
    centre = (low + high) / 2
    return np.asarray((points - centre) * ((size - 2 * margin) / extent) + size / 2)


def _draw_shape(
    canvas: Picture,
    spots: FloatArray,
    edges: Sequence[tuple[int, int]],
    colour: tuple[int, int, int],
    radius: int = 3,
) -> None:
    # OpenCV draws between pixels when coordinates carry fraction bits (here 4).
    fixed = np.round(spots * 16).astype(int)
    for a, b in edges:
        cv2.line(canvas, fixed[a].tolist(), fixed[b].tolist(), _GREY, 1, cv2.LINE_AA, 4)
    for spot in fixed:
        cv2.circle(canvas, spot.tolist(), radius * 16, colour, -1, cv2.LINE_AA, 4)


def _draw_numbers(canvas: Picture, spots: FloatArray, scale: float) -> None:
    def size(text: str) -> tuple[float, float]:
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        return width, height

    for index, centre in number_places(spots, size):
        width, height = size(str(index))
        at = (centre[0] - width / 2, centre[1] + height / 2)
        put_text(canvas, str(index), at, scale, BLACK)


def number_places(
    spots: FloatArray, size: Callable[[str], tuple[float, float]]
) -> Iterator[tuple[int, FloatArray]]:
    """Where numbers are centred, (2,) pixels, beside (K, 2) points: away from the nearest other.

    size: width and height of a text in pixels.
    """
    for index in range(0, len(spots), 1 + (len(spots) - 1) // _MOST_NUMBERS):
        spot = spots[index]
        away = spot - np.delete(spots, index, axis=0)
        distance = np.linalg.norm(away, axis=1) if len(away) else np.array([1.0])
        direction = away[distance.argmin()] / max(distance.min(), 1e-9) if len(away) else (1, 0)
        yield index, spot + np.asarray(direction) * (5 + max(size(str(index))) / 2)


def put_text(
    canvas: Picture,
    text: str,
    at: tuple[float, float],
    scale: float,
    colour: tuple[int, int, int],
) -> None:
    """Write a line into an RGB picture; ``at``: the left end of its base line (x, y)."""
    position = (round(at[0]), round(at[1]))
    cv2.putText(canvas, text, position, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
