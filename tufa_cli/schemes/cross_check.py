"""Does the plane know more than it was told? Places and whole schemes left out and predicted.

Points tied to one curve coincide by construction, so a small distance after the fit proves little.
These checks leave something out of the fit and compare the prediction with what was left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import place, symmetric, upright
from tufa_cli.schemes.align import REFERENCE, align
from tufa_cli.schemes.align_report import value_at
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import Meaning, load_parts, mirrored
from tufa_cli.schemes.places import SharedPlace, shared_places
from tufa_cli.schemes.plane import FACE_BOX_SIDE

FloatArray = NDArray[np.float64]

#: Places are left out in so many turns, one part of them at a time.
FOLDS = 3
_FEWEST = 9


@dataclass(frozen=True)
class HeldOutPair:
    """Equal points of two schemes, each left out of the fit once.

    points: how many. before, after: their mean distance in % of the face box, after the
    similarity and as the displacements of the other points predict it.
    """

    first: str
    second: str
    points: int
    before: float
    after: float


@dataclass(frozen=True)
class LeftOutScheme:
    """A mean shape predicted from the other schemes by part and t.

    points: of the scheme; unknown: of these, how many places the others do not have. mean, worst:
    distance in % of the face box, after the best similarity; None when too few places are known.
    """

    scheme: str
    points: int
    unknown: int
    mean: float | None
    worst: float | None


def held_out_places(
    shapes: Mapping[str, FloatArray], schemes: Mapping[str, Scheme]
) -> list[HeldOutPair]:
    """Every third shared place left out of the fit in turn, and predicted.

    A place and its mirror are left out together, or the symmetry of the face would give it away.
    Schemes of fewer than nine points take no part: too little of them would be left.
    """
    shapes = {key: shape for key, shape in shapes.items() if len(shape) >= _FEWEST}
    rank = _ranks({key: schemes[key] for key in shapes})
    distances: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for fold in range(FOLDS):
        others = {meaning for meaning, number in rank.items() if number % FOLDS != fold}
        found = align(shapes, schemes, on_curves=False, keep=others.__contains__)
        keys = sorted(shapes)
        for i, first in enumerate(keys):
            for second in keys[i + 1 :]:
                distances.setdefault((first, second), []).extend(
                    (
                        _apart(found.placed, first, second, shared),
                        _apart(found.plane.anchors, first, second, shared),
                    )
                    for shared in shared_places(schemes[first], schemes[second])
                    if shared.equal and rank[shared.meaning] % FOLDS == fold
                )
    return [
        HeldOutPair(first, second, len(pairs), *_face_percent(np.mean(pairs, axis=0)))
        for (first, second), pairs in distances.items()
        if pairs
    ]


def left_out_schemes(
    shapes: Mapping[str, FloatArray], schemes: Mapping[str, Scheme]
) -> list[LeftOutScheme]:
    """Every scheme's mean shape, made symmetric, predicted by the plane of the others in turn."""
    found = []
    for name in sorted(shapes):
        others = {key: shape for key, shape in shapes.items() if key != name}
        reference = REFERENCE if name != REFERENCE else max(others, key=lambda k: len(others[k]))
        try:
            plane = align(others, schemes, reference=reference).plane
        except TufaError:  # without this one, the others have too little in common
            found.append(LeftOutScheme(name, len(schemes[name]), len(schemes[name]), None, None))
            continue
        curves = Curves(plane.anchors, schemes, reference)
        places = [curves.at(meaning) for meaning in schemes[name].meanings]
        known = [i for i, spot in enumerate(places) if spot is not None]
        unknown = len(places) - len(known)
        if len(known) < 3:
            found.append(LeftOutScheme(name, len(places), unknown, None, None))
            continue
        target = np.array([places[i] for i in known])
        flip = schemes[name].flip
        straight = symmetric(upright(shapes[name], flip), flip)[known]
        moved = place(straight, straight, target)
        error = np.linalg.norm(moved - target, axis=1)
        mean, worst = _face_percent(np.array([error.mean(), error.max()]))
        found.append(LeftOutScheme(name, len(places), unknown, mean, worst))
    return found


def _ranks(schemes: Mapping[str, Scheme]) -> dict[Meaning, int]:
    """A number for every place, along the parts, the same for a place and its mirror."""
    order = {name: i for i, name in enumerate(load_parts())}
    places = {meaning for scheme in schemes.values() for meaning in scheme.meanings}
    places = {m for m in places if m.place is None}
    pairs = {min(m, mirrored(m), key=lambda p: (order[p.part], p.t)) for m in places}
    rank = {m: i for i, m in enumerate(sorted(pairs, key=lambda p: (order[p.part], p.t)))}
    return {m: rank[m if m in rank else mirrored(m)] for m in places}


def _apart(points: Mapping[str, FloatArray], first: str, second: str, shared: SharedPlace) -> float:
    a, b = value_at(points[first], shared.first), value_at(points[second], shared.second)
    return float(np.linalg.norm(a - b))


def _face_percent(distance: FloatArray) -> tuple[float, ...]:
    return tuple(round(100 * float(value) / FACE_BOX_SIDE, 3) for value in distance)
