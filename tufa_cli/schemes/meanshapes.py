"""Mean shape files: JSON with the Procrustes mean of one or more schemes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, TufaError
from tufa_cli.schemes.files import builtin_text

FloatArray = NDArray[np.float64]

KIND = "tufa-meanshape"


@dataclass(frozen=True, eq=False)
class SchemeShape:
    """The mean shape of a scheme.

    points: (K, 2) x right, y down, centroid 0, norm 1.
    faces, left_out: how many faces it is the mean of, and how many could not be used.
    iterations, change: rounds of the analysis and the last one's movement.
    origin: what it was computed from, in words.
    """

    scheme: str
    points: FloatArray
    faces: int
    left_out: int = 0
    iterations: int = 0
    change: float = 0.0
    origin: str = ""


def shapes_to_json(shapes: Mapping[str, SchemeShape]) -> str:
    """The text of a mean shape file: points with 6 decimals, one scheme a block."""
    blocks = []
    for name, shape in shapes.items():
        head = {
            "faces": shape.faces,
            "left_out": shape.left_out,
            "iterations": shape.iterations,
            "change": float(f"{shape.change:.3g}"),
            "origin": shape.origin,
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
        lines.append(f'  "points": {json.dumps(np.round(shape.points, 6).tolist())}')
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    body = ",\n".join(blocks)
    return f'{{\n"kind": "{KIND}",\n"version": 1,\n"shapes": {{\n{body}\n}}\n}}\n'


def shapes_from_json(text: str, where: str) -> dict[str, SchemeShape]:
    """Mean shapes by scheme name; raises InputError."""
    try:
        data = json.loads(text)
        if data["kind"] != KIND or data["version"] != 1:
            raise InputError(where, "not a mean shape file of version 1")
        shapes = {}
        for name, entry in data["shapes"].items():
            points = np.asarray(entry["points"], dtype=np.float64)
            if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
                raise InputError(where, f"{name}: points must be a list of finite [x, y]")
            shapes[name] = SchemeShape(
                name,
                points,
                int(entry.get("faces", 0)),
                int(entry.get("left_out", 0)),
                int(entry.get("iterations", 0)),
                float(entry.get("change", 0.0)),
                str(entry.get("origin", "")),
            )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError(
            where, "not a mean shape file", hint="make one with 'tufa-cli meanshape'"
        ) from None
    if not shapes:
        raise InputError(where, "holds no mean shape")
    return shapes


def read_shapes(path: Path) -> dict[str, SchemeShape]:
    """Mean shapes of a user's file; raises InputError."""
    try:
        return shapes_from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(path, f"cannot read the mean shape: {reason}") from None


def merge_shapes(collections: Mapping[str, Mapping[str, SchemeShape]]) -> dict[str, SchemeShape]:
    """The shapes of several files (by file name); a scheme in two of them raises TufaError."""
    merged: dict[str, SchemeShape] = {}
    origin: dict[str, str] = {}
    for where, shapes in collections.items():
        for name, shape in shapes.items():
            if name in merged:
                raise TufaError(f"{origin[name]} and {where} both hold a mean shape of {name}")
            merged[name], origin[name] = shape, where
    return merged


@lru_cache(maxsize=1)
def builtin_shapes() -> Mapping[str, SchemeShape]:
    """The mean shapes that the shipped plane was made from."""
    return shapes_from_json(builtin_text("meanshapes.json"), "meanshapes.json")
