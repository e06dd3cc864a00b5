"""Mean shapes without order, turn and names, laid on the plane, against the anchors by meaning.

    python benchmarks/onto.py

Every scheme that has a mean shape of its own (the shipped ones, or those of a mean shape file given
as argument) is shuffled, turned, scaled and shifted, and laid

- on the plane that has it, where it is recognised;
- on the plane without it and its kin (the same points in another order or a part of them), by
  shape alone, and with five points named: outer eye corners, nose tip, mouth corners.

And parts of wflw98 on the plane without it. Errors are in % of the plane's side: "similarity" is
what is left when the right order is known and the best turn, scale and shift are taken. "margin":
how many times as much the next best place costs.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import place
from tufa_cli.schemes import Plane, builtin_plane, get_scheme
from tufa_cli.schemes.meanshapes import builtin_shapes, read_shapes
from tufa_cli.schemes.onto import LooseShape, place_onto

FloatArray = NDArray[np.float64]

KIN = {
    "muct68": {"muct76", "bioid20"},
    "ibug68": {"ibug51"},
    "aflw21": {"aflw19", "aflw_ears"},
}
FIVE = {"left_eye_outer", "right_eye_outer", "nose_tip", "mouth_left", "mouth_right"}
PARTS = {
    "all but the jaw": range(33, 98),
    "jaw": range(33),
    "eyes and brows": [*range(33, 51), *range(60, 76), 96, 97],
    "mouth": range(76, 96),
    "nose": range(51, 60),
    "left eye": [*range(60, 68), 96],
    "left eye and brow": [*range(33, 42), *range(60, 68), 96],
    "left half": [*range(17), *range(33, 42), *range(51, 58), *range(60, 68), *range(85, 91)],
    "eight corners": [60, 64, 68, 72, 54, 76, 82, 16],
}


def main() -> None:
    shapes = read_shapes(Path(sys.argv[1])) if len(sys.argv) > 1 else builtin_shapes()
    plane = builtin_plane()
    print("| shape | points | similarity | known | unknown | worst point | margin | five names |")
    print("|---|---|---|---|---|---|---|---|")
    started = time.perf_counter()
    for name, shape in shapes.items():
        row(f"`{name}`", shape.points, plane[name], plane, without(plane, name), five(name))
    other = without(plane, "wflw98")
    for part, chosen in PARTS.items():
        index = list(chosen)
        points = shapes["wflw98"].points[index]
        row(f"`wflw98`, {part}", points, plane["wflw98"][index], None, other, None)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)


def without(plane: Plane, name: str) -> Plane:
    """The plane as if nobody had heard of a scheme."""
    gone = {name} | KIN.get(name, set())
    anchors = {key: points for key, points in plane.anchors.items() if key not in gone}
    return replace(plane, anchors=anchors, reference="ibug68" if name == "wflw98" else "wflw98")


def five(name: str) -> list[str | None]:
    return [m.part if m.part in FIVE else None for m in get_scheme(name).meanings]


def row(
    title: str,
    points: FloatArray,
    anchors: FloatArray,
    known: Plane | None,
    unknown: Plane,
    names: list[str | None] | None,
) -> None:
    fitted = error(place(points, points, anchors), anchors)[0]
    cells = [f"{fitted:.2f}"]
    cells.append(f"{lay(points, anchors, known)[0]:.2f}" if known else "")
    try:
        mean, worst, margin = lay(points, anchors, unknown)
        cells += [f"{mean:.2f}", f"{worst:.2f}", f"{margin:.2f}"]
    except TufaError:
        cells += ["refused", "", ""]
    cells.append("")
    if names is not None and sum(name is not None for name in names) >= 2:
        cells[-1] = f"{lay(points, anchors, unknown, names)[0]:.2f}"
    print(f"| {title} | {len(points)} | " + " | ".join(cells) + " |", flush=True)


def lay(
    points: FloatArray, anchors: FloatArray, plane: Plane, names: list[str | None] | None = None
) -> tuple[float, float, float]:
    """Mean and worst error in %, and the margin, of the points in another order and frame."""
    rng = np.random.default_rng(1)
    order, angle = rng.permutation(len(points)), rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    own = [None] * len(points) if names is None else [names[i] for i in order]
    shape = LooseShape(points[order] @ turn * 40 + (300, 200), tuple(own), "shape")
    found = place_onto(shape, plane, "laid", "a benchmark")
    mean, worst = error(found.points_plane, anchors[order])
    return mean, worst, found.report.get("margin", np.nan)


def error(points: FloatArray, anchors: FloatArray) -> tuple[float, float]:
    distance = 100 * np.linalg.norm(points - anchors, axis=1)
    return float(distance.mean()), float(distance.max())


if __name__ == "__main__":
    main()
