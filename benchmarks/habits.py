"""How the people who labelled a scheme put its places, beside those who labelled the reference.

    python benchmarks/habits.py ../shared/data -o schemes/habits.json

No photo here has labels in two schemes. The faces of two data sets differ, and so do their mean
shapes; what the annotators do differently shows only between faces that are alike. So the labels of
both are laid on the plane, by the places they share; the ways in which faces differ (the first
``MODES`` principal components, mirrored faces added) say how far a face is from the common middle;
and the mean of each set is taken with weights that fall with that distance, exp(-d^2 / 2) in
standard deviations. What is between those means is the habit. It is taken off and all is done again
until it stays, so that the habit does not count as a difference of faces.

Of 300-W every second photo is used, the others are left for benchmarks/transfer.py; none is of the
validation lists. Photos with labels in both schemes are never looked at as such.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transfer import labels

from tufa_cli.formats import read
from tufa_cli.geometry.plane_fit import place
from tufa_cli.schemes import Scheme, builtin_plane, get_scheme
from tufa_cli.schemes.habits import KIND, habits_to_json
from tufa_cli.schemes.transfer import transfer

REFERENCE = "wflw98"
MODES = 10
_ROUNDS, _STILL = 60, 1e-6


def mirrored(points: NDArray, flip: NDArray) -> NDArray:
    """(n, K, 2) points_plane, mirrored about the plane's axis."""
    return points[:, flip] * (-1.0, 1.0) + (1.0, 0.0)


def laid(points: NDArray, target: NDArray) -> NDArray:
    """(n, K, 2) faces in any frame, each laid on (K, 2) points_plane."""
    return np.array([place(face, face, target) for face in points])


def habit(own: NDArray, reference: NDArray, anchors: NDArray, flip: NDArray) -> NDArray:
    """(K, 2) plane units: where ``own`` (n, K, 2) has places that ``reference`` (m, K, 2) has.

    anchors: (K, 2) points_plane of those places; flip: (K,) partners.
    """
    middle = anchors
    for _ in range(3):
        a, b = laid(reference, middle), laid(own, middle)
        middle = (a.mean(axis=0) + b.mean(axis=0)) / 2
        middle = (middle + mirrored(middle[None], flip)[0]) / 2
    a, b = (np.concatenate([x, mirrored(x, flip)]) for x in (a, b))
    spread = sum(np.cov((x - x.mean(axis=0)).reshape(len(x), -1).T) for x in (a, b)) / 2
    values, vectors = np.linalg.eigh(spread)
    modes = vectors[:, -MODES:] / np.sqrt(values[-MODES:])
    gap = np.zeros_like(middle)
    for _ in range(_ROUNDS):
        means = []
        for faces, sign in ((a, 0.5), (b, -0.5)):
            far = ((faces + sign * gap - middle).reshape(len(faces), -1) @ modes) ** 2
            means.append(np.average(faces, axis=0, weights=np.exp(-far.sum(axis=1) / 2)))
        found = means[1] - means[0]
        found = (found + found[flip] * (-1.0, 1.0)) / 2
        moved, gap = float(np.abs(found - gap).max()), found
        if moved < _STILL:
            break
    return gap


def against(scheme: Scheme, own: NDArray, reference: NDArray) -> NDArray:
    """(K, 2) plane units, NaN for places that the reference does not tell."""
    way = transfer(get_scheme(REFERENCE), scheme)
    told = np.array([how is not None for how in way.how])
    number = np.cumsum(told) - 1
    flip = number[np.asarray(scheme.flip)[told]]
    whole = own[~np.isnan(own[:, told]).any(axis=(1, 2))]
    found = np.full((len(scheme), 2), np.nan)
    found[told] = habit(
        whole[:, told], way.apply(reference)[:, told], builtin_plane()[scheme.name][told], flip
    )
    print(f"{scheme.name}: {len(whole)} faces, {told.sum()} places")
    return found


def faces_of(source: Path, form: str, scheme: str, without: Path | None = None) -> NDArray:
    """(n, K, 2) labels of a data set but for the photos in a list."""
    names = set(without.read_text().split()) if without else set()
    return np.array(
        [
            face.points_px
            for image in read(source, form, scheme=scheme)
            if not names & {str(image.path), Path(str(image.path)).name}
            for face in image.faces
        ]
    )


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", dest="output", type=Path, required=True)
    given = parser.parse_args()
    data, splits = given.data, given.data / "splits"
    reference = faces_of(data / "annotations" / "wflw98_annotations_only.txt", "wflw", "wflw98")
    sets = {
        "ibug68": (labels(data)[1][::2], "300-W, every second training photo"),
        "aflw21": (
            faces_of(data / "aflw/aflw21_coco.json", "coco", "aflw21", splits / "val_aflw.txt"),
            "AFLW, training faces of which all points are labelled",
        ),
    }
    found = {
        name: (against(get_scheme(name), faces, reference), origin)
        for name, (faces, origin) in sets.items()
    }
    given.output.write_text(habits_to_json(REFERENCE, found), encoding="utf-8")
    print(f"{KIND} of {', '.join(found)} in {given.output}")


if __name__ == "__main__":
    main()
