"""Points that a network was not trained on: asked for by themselves, or carried by learned ones.

    python benchmarks/carry.py [DATA]

Each validation set's labels are of a scheme that the shipped network was trained on, so what it
learned of that scheme is taken away first: its points are asked for at the plane's anchors, and
carried by the points of the other schemes alone. "Between" are the places half way between
neighbouring points of the scheme along its parts; their labels are taken between people's labels in
the same way. NME in % of the scheme's normaliser, on oracle crops (docs/evaluate.md); ± is the
standard error of the paired difference. The table of docs/plane.md is this.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tufa_cli.formats import read
from tufa_cli.geometry.crop import oracle_crop
from tufa_cli.images.reading import read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.model.carry import Query, query_for
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import load_weights
from tufa_cli.schemes import get_scheme
from tufa_cli.schemes.anchors import curves_of
from tufa_cli.schemes.load import parse_scheme
from tufa_cli.schemes.parts import canonical, load_parts
from tufa_cli.schemes.places import LARGEST_GAP, estimate_place
from tufa_cli.selection import read_name_list, select

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
SETS = {  # scheme: labels, format, photos, list of validation photos
    "ibug68": ("300w", "pts", None, "val_300w.txt"),
    "wflw98": ("wflw/list_98pt_rect_attr_train.txt", "wflw", "wflw/WFLW_images", None),
    "scut86": ("scut", "scut", None, "val_scut.txt"),
    "aflw21": ("aflw/aflw21_coco.json", "coco", None, "val_aflw.txt"),
}
BATCH = 32


def faces_of(name, weights):
    """(N, S, S, 3) crops and (N, K, 2) labels in crop units."""
    source, form, photos, names = SETS[name]
    scheme = get_scheme(name)
    found = read(DATA / source, form, scheme, DATA / photos if photos else None)
    if names:
        found = select(list(found), include=read_name_list(DATA / "splits" / names)).chosen
    crops, labels = [], []
    for image in found:
        pixels = read_rgb(Path(image.root) / image.path)
        for face in image.faces:
            if np.isfinite(face.points_px).all(axis=1).sum() < 3:
                continue
            crop = oracle_crop(weights.plane[name], face.points_px, weights.window)
            crops.append(warp_crop(pixels, crop, weights.input_size))
            labels.append(crop.to_crop(face.points_px))
    return np.stack(crops), np.array(labels)


def between(scheme, plane):
    """A scheme of the places half way between neighbours, and (n, K) weights of its labels; or None
    when it has no neighbours on a part."""
    curves, places, rows = curves_of(plane), [], []
    for name, part in load_parts().items():
        if not part.is_curve or not any(m.part == name for m in scheme.meanings):
            continue
        ends = {canonical(part.start): 0.0, canonical(part.end): 1.0}
        t = [m.t for m in scheme.meanings if m.part == name]
        t += [ends[m] for m in scheme.meanings if m in ends]
        for low, high in pairwise(sorted(t)):
            place = canonical(name, (low + high) / 2)
            known = estimate_place(scheme, place)
            if known is None or high - low > LARGEST_GAP or curves.at(place) is None:
                continue
            places.append(f"  - {{part: {place.part}, t: {place.t}}}")
            row = np.zeros(len(scheme))
            row[list(known.weights)] = list(known.weights.values())
            rows.append(row)
    if not places:
        return None
    text = "name: between\nsource: benchmark\nnormaliser: plane_box\npoints:\n"
    return parse_scheme(text + "\n".join(places), "between"), np.array(rows)


def errors(query, predictor, crops, labels, size):
    """(N,) mean distance of each face's points, in % of ``size`` (N,)."""
    parts = range(0, len(crops), BATCH)
    points = np.concatenate([query.ask(predictor, crops[i : i + BATCH])[0] for i in parts])
    return 100 * np.nanmean(np.linalg.norm(points - labels, axis=2), axis=1) / size


def row(name, weights, predictor):
    """One line of the table for each of a scheme's own points and the places between."""
    scheme = get_scheme(name)
    crops, labels = faces_of(name, weights)
    size = np.full(len(crops), 1 / 1.2 / weights.window.side)
    if scheme.normaliser is not None:
        a, b = scheme.normaliser
        size = np.linalg.norm(labels[:, a] - labels[:, b], axis=1)
    others = replace(weights, learned={k: v for k, v in weights.learned.items() if k != name})
    lines = [("own points", scheme, labels)]
    if (found := between(scheme, weights.plane)) is not None:
        half, rows = found
        lines.append(("between", half, np.einsum("ts,nsd->ntd", rows, labels)))
    for what, asked, goal in lines:
        direct = errors(query_for(asked, others, carry=False), predictor, crops, goal, size)
        guided = errors(query_for(asked, others), predictor, crops, goal, size)
        change = guided - direct
        spread = change.std(ddof=1) / np.sqrt(len(change))
        cells = [f"{direct.mean():.2f}", f"{guided.mean():.2f}"]
        cells.append(f"{change.mean():+.2f} ± {spread:.2f}")
        if what == "own points":
            learned = Query(weights.learned[name])
            cells.append(f"{errors(learned, predictor, crops, goal, size).mean():.2f}")
        else:
            cells.append("")
        cells = [f"`{name}`, {what}", str(len(crops)), str(len(asked)), *cells]
        print(f"| {' | '.join(cells)} |", flush=True)


def speed(name, weights, predictor):
    """Milliseconds a face of a scheme takes without guides and with them, in batches."""
    crops = np.zeros((BATCH, weights.input_size, weights.input_size, 3), np.uint8)
    scheme, spent = get_scheme(name), []
    for carry in (False, True):
        query = query_for(scheme, weights, carry)
        runs = []
        for _ in range(6):
            start = time.perf_counter()
            query.ask(predictor, crops)
            runs.append(time.perf_counter() - start)
        spent.append(1000 * min(runs) / BATCH)
    print(f"{name}: {spent[0]:.1f} ms a face by itself, {spent[1]:.1f} ms with guides")


if __name__ == "__main__":
    network = load_weights()
    asker = Predictor(network, "cpu", threads=1)
    print("| labels | faces | points | by themselves | carried | change | learned |")
    print("|---|---|---|---|---|---|---|")
    for name in SETS:
        row(name, network, asker)
    for name in ("bioid20", "muct68", "dense314"):
        speed(name, network, asker)
