"""Pictures of curves over steps, drawn with OpenCV: one panel above the other, one colour each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tufa_cli.images.plots import BLACK, COLOURS, LIGHT, Picture, put_text, tile

#: Width and height of a panel, its margins (left, top, bottom), and the legend's part of the width.
_WIDTH, _HEIGHT = 1100, 420
_LEFT, _TOP, _BOTTOM, _LEGEND = 64, 40, 34, 330
_SCALE = 0.45

#: (n, 2) steps and values to (n, 2) pixels.
Places = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes: (step, value) by name, values above 0 on a log scale."""

    title: str
    curves: Mapping[str, Sequence[tuple[float, float]]]


def curves_picture(panels: Sequence[Panel]) -> Picture:
    """All panels as one RGB picture, their steps on one scale.

    Curves without a finite value above 0 are left out. The legend tells each one's last value and
    its best with the step of it.
    """
    cleaned = [Panel(panel.title, _finite(panel.curves)) for panel in panels]
    steps = [curve[:, 0] for panel in cleaned for curve in panel.curves.values()]
    span = (min(s.min() for s in steps), max(s.max() for s in steps)) if steps else (0.0, 1.0)
    return tile([_panel(panel, span) for panel in cleaned], columns=1)


def _finite(curves: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, NDArray[np.float64]]:
    found = {}
    for name, curve in curves.items():
        values = np.asarray(curve, float).reshape(-1, 2)
        values = values[np.isfinite(values).all(axis=1) & (values[:, 1] > 0)]
        if len(values):
            found[name] = values
    return found


def _panel(panel: Panel, span: tuple[float, float]) -> Picture:
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    put_text(canvas, panel.title, (12, 24), 0.6, BLACK)
    if not panel.curves:
        put_text(canvas, "no values", (_LEFT + 20, _HEIGHT // 2), _SCALE, BLACK)
        return canvas
    every = np.concatenate([curve[:, 1] for curve in panel.curves.values()])
    low, high = every.min() * 0.97, every.max() * 1.03

    def spots(curve: NDArray[np.float64]) -> NDArray[np.float64]:
        across = (curve[:, 0] - span[0]) / max(span[1] - span[0], 1e-9)
        up = np.log(curve[:, 1] / low) / math.log(high / low)
        x = _LEFT + across * (_WIDTH - _LEGEND - _LEFT)
        return np.column_stack([x, _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP)])

    _axes(canvas, span, (low, high), spots)
    for index, (name, curve) in enumerate(panel.curves.items()):
        colour = _colour(index)
        places = spots(curve)
        # OpenCV draws between pixels when coordinates carry fraction bits (here 4).
        fixed = np.round(places * 16).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, colour, 1, cv2.LINE_AA, 4)
        if len(curve) < 40:
            for spot in fixed:
                cv2.circle(canvas, spot.tolist(), 2 * 16, colour, -1, cv2.LINE_AA, 4)
        best = curve[curve[:, 1].argmin()]
        words = f"{name}  {curve[-1, 1]:.3g}  (best {best[1]:.3g} at {best[0]:.0f})"
        put_text(canvas, words, (_WIDTH - _LEGEND + 14, _TOP + 14 + 17 * index), 0.42, colour)
    return canvas


def _colour(index: int) -> tuple[int, int, int]:
    """Lighter each time that all have been used."""
    turn = index // len(COLOURS)
    red, green, blue = (255 - int((255 - v) * 0.55**turn) for v in COLOURS[index % len(COLOURS)])
    return red, green, blue


def _axes(
    canvas: Picture, span: tuple[float, float], values: tuple[float, float], spots: Places
) -> None:
    right = _WIDTH - _LEGEND
    for value in _ticks(*values):
        y = float(spots(np.array([[span[0], value]]))[0, 1])
        cv2.line(canvas, (_LEFT, round(y)), (right, round(y)), LIGHT, 1)
        put_text(canvas, f"{value:g}", (12, y + 4), _SCALE, BLACK)
    for step in _even(*span):
        x = float(spots(np.array([[step, values[0]]]))[0, 0])
        cv2.line(canvas, (round(x), _TOP), (round(x), _HEIGHT - _BOTTOM), LIGHT, 1)
        put_text(canvas, f"{step:g}", (x - 4 * len(f"{step:g}"), _HEIGHT - 12), _SCALE, BLACK)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers for a log scale: 1, 2, 5, 10 ... or, over a narrow range, evenly spaced."""
    if high / low < 8:
        return _even(low, high)
    first = math.floor(math.log10(low))
    decades = [10.0**power for power in range(first, math.ceil(math.log10(high)) + 1)]
    factors = (1, 2, 5) if len(decades) < 5 else (1,)
    return [d * f for d in decades for f in factors if low <= d * f <= high]


def _even(low: float, high: float) -> list[float]:
    """About six round numbers from low to high."""
    rough = max(high - low, 1e-9) / 6
    unit = 10.0 ** math.floor(math.log10(rough))
    gap = next(unit * f for f in (1, 2, 2.5, 5, 10) if unit * f >= rough)
    first, last = math.ceil(low / gap), math.floor(high / gap)
    return [float(f"{gap * n:.6g}") for n in range(first, last + 1)]
