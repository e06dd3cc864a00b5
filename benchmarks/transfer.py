"""98-point labels turned into 68 points, against people's 68-point labels of the same photos.

    python benchmarks/transfer.py ../shared/data

The 98 points are `pseudo/wflw98.npz` (made by models, on 300-W photos), the 68 are the photos' own
.pts files. Every second photo is used to fit what is fitted, the others to measure. Errors are in %
of the distance of the outer eye corners. Compared:

- index table, PIPNet's table: tufa_cli.schemes.tables;
- part and t: tufa_cli.schemes.transfer, nothing fitted here. (The t of ibug68 in the package were
  measured on the mean shapes of the first half's photos.)
- and habits: ``transfer(habits=True)``, moved by what benchmarks/habits.py measured on labels in
  one scheme each, of the first half's photos and of WFLW's;
- and the shapes' gap: moved by what remains between the mean shapes in the package, which are of
  other photos each;
- and the fitted gap: moved by what remains on the first half's photos, point by point;
- linear map: 98 x 2 coordinates to 68 x 2 by ridge regression in a common frame, the most that a
  fixed map learns from these photos.

The second table is on AFLW's training photos, whose 21 points are by other people than the 68 of
MERL-RAV (98: networks). Errors are in % of the plane's face box; the constant gap is what every
second photo tells, measured on the others.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.formats import read
from tufa_cli.geometry.plane_fit import place
from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.meanshapes import builtin_shapes
from tufa_cli.schemes.plane import FACE_BOX_SIDE
from tufa_cli.schemes.tables import get_table
from tufa_cli.schemes.transfer import transfer


def labels(data: Path) -> tuple[NDArray, NDArray]:
    """(n, 98, 2) and (n, 68, 2) points_px of the photos that have both."""
    people = {
        str(image.path): image.faces[0].points_px
        for image in read(data / "300w", "pts", scheme="ibug68")
    }
    with np.load(data / "pseudo" / "wflw98.npz", allow_pickle=False) as file:
        found = {str(p): q for p, q in zip(file["photos"], file["points_px"], strict=True)}
    both = sorted(p for p in people if f"300w/{p}" in found)
    return (
        np.array([found[f"300w/{p}"] for p in both], dtype=np.float64),
        np.array([people[p] for p in both]),
    )


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    points_98, points_68 = labels(data)
    eyes = np.linalg.norm(points_68[:, 36] - points_68[:, 45], axis=1)
    anchors = builtin_plane()["wflw98"]
    # Everything in the frame of the plane: each photo laid on it by its 98 points.
    flat_98 = np.array([place(p, p, anchors) for p in points_98])
    flat_68 = np.array([place(q, p, anchors) for p, q in zip(points_98, points_68, strict=True)])
    scale = np.linalg.norm(flat_68[:, 36] - flat_68[:, 45], axis=1) / eyes
    fit, test = np.arange(len(eyes)) % 2 == 0, np.arange(len(eyes)) % 2 == 1

    schemes = get_scheme("wflw98"), get_scheme("ibug68")
    through = transfer(*schemes)
    by_place = through.apply(flat_98)
    gap = (flat_68 - by_place)[fit].mean(axis=0)
    shape_98, shape_68 = (builtin_shapes()[scheme.name].points for scheme in schemes)
    shape_made = place(through.apply(shape_98), shape_98, anchors)
    shapes_gap = place(shape_68, shape_68, shape_made) - shape_made
    inputs = np.c_[flat_98.reshape(len(eyes), -1), np.ones(len(eyes))]
    ridge = 1e-3 * np.eye(inputs.shape[1])
    solution = np.linalg.solve(
        inputs[fit].T @ inputs[fit] + ridge, inputs[fit].T @ flat_68[fit].reshape(fit.sum(), -1)
    )
    rows = {
        "index table": get_table("index-98-68").transfer(*schemes).apply(flat_98),
        "PIPNet's table": get_table("pipnet-98-68").transfer(*schemes).apply(flat_98),
        "part and t": by_place,
        "and habits": transfer(*schemes, habits=True).apply(flat_98),
        "and the shapes' gap": by_place + shapes_gap,
        "and the fitted gap": by_place + gap,
        "linear map": (inputs @ solution).reshape(flat_68.shape),
    }
    groups = schemes[1].groups
    print(f"{len(eyes)} photos, measured on {test.sum()}; % of the outer eye distance")
    print("| | all | " + " | ".join(groups) + " |")
    print("|---" * (len(groups) + 2) + "|")
    for name, made in rows.items():
        error = 100 * np.linalg.norm(made - flat_68, axis=2)[test] / (scale * eyes)[test, None]
        cells = [error.mean(), *(error[:, members].mean() for members in groups.values())]
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    aflw(data)


def aflw(data: Path) -> None:
    """The second table."""
    without = set((data / "splits" / "val_aflw.txt").read_text().split())
    target = get_scheme("aflw21")
    people = {
        str(image.path).removeprefix("photos/"): image.faces[0].points_px
        for image in read(data / "aflw" / "aflw21_coco.json", "coco", scheme="aflw21")
    }
    merl = read(data / "aflw" / "merl_rav", "merl-rav")
    with np.load(data / "pseudo" / "wflw98.npz", allow_pickle=False) as file:
        found = dict(zip(map(str, file["photos"]), file["points_px"], strict=True))
    sources = {
        "ibug68": {str(image.path): image.faces[0].points_px for image in merl},
        "wflw98": {p.removeprefix("aflw/photos/"): q for p, q in found.items() if "aflw" in p},
    }
    print("\n| to aflw21 | photos | part and t | and habits | and the constant gap |")
    print("|---" * 5 + "|")
    for name, given in sources.items():
        both = sorted(set(people) & set(given) - without)
        gaps = []
        for habits in (False, True):
            way = transfer(get_scheme(name), target, habits)
            gaps.append([_apart(way.apply(given[p]), people[p]) for p in both])
        plain, moved = np.array(gaps)
        warnings.simplefilter("ignore", RuntimeWarning)  # places that no photo has: all NaN
        constant = plain[1::2] - np.nanmean(plain[::2], axis=0)
        cells = [
            100 * np.nanmean(np.linalg.norm(gap, axis=2)) / FACE_BOX_SIDE
            for gap in (plain[1::2], moved[1::2], constant)
        ]
        print(f"| {name} | {len(constant)} | " + " | ".join(f"{c:.2f}" for c in cells) + " |")


def _apart(made: NDArray, people: NDArray) -> NDArray:
    """(21, 2) plane units: people's points less the made ones; NaN where one is missing."""
    both = ~np.isnan(made + people).any(axis=1)
    gap = np.full(people.shape, np.nan)
    if both.sum() > 7:  # fewer do not say how the face lies
        anchors, source = builtin_plane()["aflw21"][both], made[both]
        gap[both] = place(people[both], source, anchors) - place(source, source, anchors)
    return gap


if __name__ == "__main__":
    main()
