"""Labels made by models (an .npz of photos and points) to COCO keypoints with a training weight.

    python examples/pseudo_to_coco.py pseudo/wflw98.npz wflw98 -o pseudo98.json
    tufa-cli pack pseudo98.json --from coco --scheme wflw98 --images . -o faces.h5 --append

The .npz holds `photos` (n relative paths), `points_px` (n, K, 2), and two errors per face:
`error_to_labels` (against the few points that people labelled, in eye distances) and
`teacher_spread` (how far the models disagree, the same unit; absent for a single model). A face
counts 1 / (1 + (error / 6 %)^2 + (spread / 2 %)^2) in training: both errors at these levels, a
third.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import write
from tufa_cli.schemes import get_scheme


def images(path: Path, scheme: str) -> Iterator[AnnotatedImage]:
    """Every face of the file as an image with one face and its weight."""
    with np.load(path, allow_pickle=False) as data:
        photos, points = data["photos"], data["points_px"].astype(np.float64)
        error = data["error_to_labels"].astype(np.float64)
        spread = data["teacher_spread"] if "teacher_spread" in data else np.zeros(len(photos))
    weights = 1 / (1 + (error / 0.06) ** 2 + (spread / 0.02) ** 2)
    for photo, points_px, weight in zip(photos, points, weights, strict=True):
        face = Face(
            points_px,
            scheme=scheme,
            attributes={"weight": round(float(weight), 4)},
            source="auto",
        )
        yield AnnotatedImage(str(photo), (face,))


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("npz", type=Path)
    parser.add_argument("scheme")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args()
    name = get_scheme(args.scheme).name
    write(images(args.npz, name), args.output, "coco", overwrite=args.overwrite)


if __name__ == "__main__":
    main()
