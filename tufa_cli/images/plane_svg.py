"""The picture of a plane as SVG, for print: the panels of ``plots.plane_picture``, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.images.plots import (
    COLOURS,
    UNIT,
    frame_of,
    number_places,
    plane_picture,
    to_canvas,
    write_picture,
)
from tufa_cli.writing import write_text

FloatArray = NDArray[np.float64]
Colour = tuple[int, int, int]

_SIZE, _COLUMNS = 700, 4
#: Pixels: a number's height, and its width per digit.
_HEIGHT, _DIGIT = 8.0, 5.0


@dataclass(frozen=True, eq=False)
class _Panel:
    """A square of the picture: elements, in pixels of its own."""

    title: str
    elements: list[str]


def write_plane(
    path: Path,
    anchors: Mapping[str, FloatArray],
    edges: Mapping[str, Sequence[tuple[int, int]]],
    overwrite: bool = False,
    outline: Sequence[FloatArray] = (),
    alone: bool = True,
) -> None:
    """Write ``plots.plane_picture``, or the same as lines (.svg); raises OutputError."""
    if path.suffix.lower() == ".svg":
        write_text(path, plane_svg(anchors, edges, outline, alone), overwrite)
        return
    picture = plane_picture(anchors, edges, outline=outline, alone=alone)
    write_picture(path, picture, overwrite)


def plane_svg(
    anchors: Mapping[str, FloatArray],
    edges: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    outline: Sequence[FloatArray] = (),
    alone: bool = True,
) -> str:
    """The text of an SVG file; the arguments are those of ``plots.plane_picture``."""
    edges = edges or {}
    frame = frame_of([*anchors.values(), *outline])
    square = list(_lines([_SQUARE], frame, "#e1e1e1", 1))
    together, panels = [*square], []
    for index, (name, points) in enumerate(anchors.items()):
        colour = COLOURS[index % len(COLOURS)]
        spots = to_canvas(points, *frame, _SIZE)
        together += [*_dots(spots, colour, 2), _text(name, (12, 24 + 20 * index), 14, colour)]
        if alone or not outline:
            bones = [points[[a, b]] for a, b in edges.get(name, ())]
            drawn = [*square, *_lines(bones, frame, "#969696", 1), *_numbered(spots, colour)]
            panels.append(_Panel(f"{name}: {len(points)} points", drawn))
        if outline:
            drawn = [*_lines(outline, frame, "#c8c8c8", 2.3), *_numbered(spots, colour)]
            panels.append(_Panel(f"{name} on the mean face", drawn))
    return _sheet(panels if outline else [_Panel("", together), *panels])


_SQUARE = np.array([UNIT[0], [1.0, 0.0], UNIT[1], [0.0, 1.0], UNIT[0]])


def _sheet(panels: Sequence[_Panel]) -> str:
    columns = min(_COLUMNS, len(panels))
    width, height = columns * _SIZE, -(-len(panels) // columns) * _SIZE
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for index, panel in enumerate(panels):
        down, right = divmod(index, columns)
        rows.append(f'<g transform="translate({right * _SIZE} {down * _SIZE})">')
        title = _text(panel.title, (12, 26), 17, (30, 30, 30)) if panel.title else ""
        rows += [element for element in (*panel.elements, title) if element]
        rows.append("</g>")
    return "\n".join([*rows, "</svg>"]) + "\n"


def _numbered(spots: FloatArray, colour: Colour) -> Iterator[str]:
    yield from _dots(spots, colour, 3)
    for index, (x, y) in number_places(spots, lambda text: (_DIGIT * len(text), _HEIGHT)):
        at = (x - _DIGIT * len(str(index)) / 2, y + _HEIGHT / 2 - 1)
        yield _text(str(index), at, _HEIGHT, (30, 30, 30))


def _dots(spots: FloatArray, colour: Colour, radius: float) -> Iterator[str]:
    for x, y in spots:
        yield f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius}" fill="{_hex(colour)}"/>'


def _lines(
    lines: Sequence[FloatArray], frame: tuple[FloatArray, FloatArray], colour: str, width: float
) -> Iterator[str]:
    for line in lines:
        places = " ".join(f"{x:.2f},{y:.2f}" for x, y in to_canvas(line, *frame, _SIZE))
        stroke = f'fill="none" stroke="{colour}" stroke-width="{width}"'
        yield f'<polyline points="{places}" {stroke}/>'


def _text(text: str, at: tuple[float, float], size: float, colour: Colour) -> str:
    where = f'x="{at[0]:.2f}" y="{at[1]:.2f}" font-size="{size}"'
    return f'<text {where} fill="{_hex(colour)}">{escape(text)}</text>'


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
