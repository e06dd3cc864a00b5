"""Points that a person clicked: a plain JSON file of them, and the similarity their names fix.

The file is ``{"points": [[x, y], ...], "names": ["chin", ...]}``; ``names`` may be left out, and
hold null for points without one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.errors import InputError, ProblemsError, TufaError
from tufa_cli.geometry.procrustes import fit_similarity
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.new import meaning_of

FloatArray = NDArray[np.float64]

#: Named points that miss their places by more than this (plane units, root mean square) are
#: another face than ours, or carry the wrong names.
_MISFIT = 0.08


@dataclass(frozen=True, eq=False)
class ClickedPoints:
    """points: (K, 2) as in the file. names: (K), None for points without one."""

    points: FloatArray
    names: tuple[str | None, ...]


def read_clicked(path: Path) -> ClickedPoints | None:
    """The points of a plain JSON file; None when the file is something else.

    Raises InputError or ProblemsError for a file that has ``points`` but not as it should.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or "points" not in data:
        return None
    problems: list[str] = []
    points = _points(data["points"], problems)
    names = _names(data.get("names"), len(points), problems)
    if problems:
        raise ProblemsError(path, problems, 'expected {"points": [[x, y], ...], "names": [...]}')
    return ClickedPoints(points, names)


def _points(raw: object, problems: list[str]) -> FloatArray:
    if not isinstance(raw, list) or not raw:
        problems.append("'points' is a list of [x, y]")
        return np.zeros((0, 2))
    rows = []
    for number, entry in enumerate(raw):
        pair = entry if isinstance(entry, list) and len(entry) == 2 else []
        if not pair or not all(type(value) in (int, float) for value in pair):
            problems.append(f"points[{number}]: expected [x, y], found {json.dumps(entry)[:40]}")
            pair = [0.0, 0.0]
        elif not (np.isfinite(pair).all() and np.abs(pair).max() < 1e7):
            problems.append(f"points[{number}]: no place in a photo: {json.dumps(entry)[:40]}")
        rows.append([float(value) for value in pair])
    return np.array(rows)


def _names(raw: object, count: int, problems: list[str]) -> tuple[str | None, ...]:
    if raw is None:
        return (None,) * count
    if not isinstance(raw, list) or not all(name is None or isinstance(name, str) for name in raw):
        problems.append("'names' is a list of texts, or null for a point without a name")
        return (None,) * count
    if len(raw) != count:
        problems.append(f"{len(raw)} names for {count} points")
    seen: dict[str, int] = {}
    for index, name in enumerate(raw):
        if name and name in seen:
            problems.append(f"points {seen[name]} and {index} are both named '{name}'")
        elif name:
            seen[name] = index
    return tuple(name or None for name in raw)


def place_by_names(
    points: ArrayLike, names: Sequence[str | None], curves: Curves, where: object
) -> FloatArray | None:
    """(K, 2) points_plane by the similarity that the named points fix; None when they do not.

    points: (K, 2) in any frame with y down, NaN where missing. names: (K), those that are places
    of ours count. Raises InputError when the named points do not lie as they do on a face.
    """
    frame = np.asarray(points, dtype=np.float64)
    known, target = [], []
    for index, name in enumerate(names):
        meaning = meaning_of(name)
        place = curves.at(meaning) if meaning is not None else None
        if place is not None and np.isfinite(frame[index]).all():
            known.append(index)
            target.append(place)
    goal = np.array(target).reshape(-1, 2)
    try:
        matrix, shift = fit_similarity(frame[known], goal)
    except TufaError:
        return None
    placed = frame @ matrix.T + shift
    misfit = _miss(placed[known], goal)
    mirrored = frame * (-1.0, 1.0)
    matrix, shift = fit_similarity(mirrored[known], goal)
    if misfit > _MISFIT and _miss(mirrored[known] @ matrix.T + shift, goal) < misfit / 2:
        raise InputError(
            where,
            "the named points lie as on a mirrored face",
            hint="left and right are as seen in the image, and y grows downwards",
        )
    if misfit > _MISFIT:
        raise InputError(
            where,
            f"the named points miss their places by {100 * misfit:.0f} % of the plane",
            hint="are the names in the order of the points?",
        )
    return np.asarray(placed)


def _miss(found: FloatArray, goal: FloatArray) -> float:
    return float(np.sqrt(((found - goal) ** 2).sum(axis=1).mean()))
