"""Labelled photos that several tests of packing share."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.schemes import builtin_plane


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """40 photos of noise with a label each, one of two faces, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    found = []
    for number in range(40):
        small = rng.integers(0, 255, (12, 12, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(small, (96, 96)))
        points = builtin_plane()["cofw29"] * rng.uniform(40, 60) + rng.uniform(10, 30, 2)
        faces = [Face(points, scheme="cofw29", attributes={"weight": 0.5, "else": iter(())})]
        faces += [Face(points + 3, scheme="cofw29")] * (number == 3)
        found.append(AnnotatedImage(f"{number}.png", tuple(faces), root=str(folder)))
    (folder / "7.png").write_bytes(b"no photo")
    return found
