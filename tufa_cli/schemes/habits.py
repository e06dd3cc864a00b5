"""Habits: where the annotators of a scheme put its places, beside those of the reference.

People who label in two schemes do not put the same place at the same place: the corner of an eye is
farther out in one, the bridge of a nose begins higher. ``schemes/habits.json`` holds what was
measured of that (``benchmarks/habits.py``); a conversion may carry it along (``transfer``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError
from tufa_cli.schemes.anchors import is_shipped
from tufa_cli.schemes.files import builtin_text
from tufa_cli.schemes.load import get_scheme
from tufa_cli.schemes.model import Scheme

FloatArray = NDArray[np.float64]

KIND = "tufa-habits"

#: Schemes that are others without some of their points, labelled by the same people.
_PART_OF = {"ibug51": "ibug68", "aflw19": "aflw21"}


def habits_to_json(reference: str, found: Mapping[str, tuple[FloatArray, str]]) -> str:
    """The text of the file. found: by scheme name (K, 2) plane units, NaN unknown; the origin."""
    blocks = []
    for name, (offsets, origin) in found.items():
        points = [
            None if np.isnan(point).any() else np.round(point, 5).tolist() for point in offsets
        ]
        blocks.append(
            f' {json.dumps(name)}: {{\n  "origin": {json.dumps(origin)},\n'
            f'  "offsets": {json.dumps(points)}\n }}'
        )
    body = ",\n".join(blocks)
    head = f'"kind": "{KIND}",\n"version": 1,\n"reference": {json.dumps(reference)}'
    return f'{{\n{head},\n"schemes": {{\n{body}\n}}\n}}\n'


@lru_cache(maxsize=1)
def _shipped() -> dict[str, FloatArray]:
    """(K, 2) offsets by scheme name, the reference's with them."""
    data = json.loads(builtin_text("habits.json"))
    nowhere = [float("nan")] * 2
    found = {
        name: np.array([nowhere if point is None else point for point in entry["offsets"]])
        for name, entry in data["schemes"].items()
    }
    reference = get_scheme(data["reference"])
    return {reference.name: np.zeros((len(reference), 2)), **found}


def habit_names() -> list[str]:
    """The schemes whose habits are known."""
    return sorted({*_shipped(), *_PART_OF})


def habits_of(scheme: Scheme) -> FloatArray:
    """(K, 2) how far off the reference's places the scheme's annotators put theirs, plane units.

    NaN for places of which that is not known. Raises TufaError for schemes of which nothing is.
    """
    if is_shipped(scheme):
        own = _shipped().get(scheme.name)
        if own is not None:
            return own
        whole = _PART_OF.get(scheme.name)
        if whole is not None:
            there = get_scheme(whole)
            return _shipped()[whole][[there.meanings.index(place) for place in scheme.meanings]]
    raise TufaError(
        f"how people label {scheme.name} was not measured; known: {', '.join(habit_names())}",
        "--scheme-by labels converts by what the points mean alone",
    )
