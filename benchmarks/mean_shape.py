"""How long the mean shape of 10,000 faces of 68 points takes, whole and with points missing."""

from __future__ import annotations

import time

import numpy as np

from tufa_cli.geometry.procrustes import mean_shape

FACES, POINTS = 10_000, 68


def main() -> None:
    rng = np.random.default_rng(0)
    faces = rng.normal(size=(POINTS, 2)) + 0.1 * rng.normal(size=(FACES, POINTS, 2))
    holes = faces.copy()
    holes[rng.random(holes.shape[:2]) < 0.3] = np.nan
    print(f"{'labels':<20}{'seconds':>10}{'rounds':>8}")
    for name, labels in (("all points", faces), ("30 % missing", holes)):
        start = time.perf_counter()
        found = mean_shape(labels)
        print(f"{name:<20}{time.perf_counter() - start:>10.3f}{found.iterations:>8}")


if __name__ == "__main__":
    main()
