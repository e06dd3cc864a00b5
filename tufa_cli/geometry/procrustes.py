"""Generalized Procrustes analysis: the mean shape of many faces, whatever their place and turn.

Each face is carried onto the mean by the similarity (scale, rotation, shift; no reflection) that
fits its labelled points best, the mean is taken again, and so on until it stands still (Gower,
"Generalized Procrustes analysis", Psychometrika 40, 1975). Points are complex numbers here, so
that a similarity is one multiplication and one addition, and a round is four matrix-vector
products however many faces there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.errors import TufaError
from tufa_cli.geometry.plane_fit import upright

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
BoolArray = NDArray[np.bool_]

MIN_POINTS = 3


@dataclass(frozen=True, eq=False)
class MeanShape:
    """A mean shape and how it was found.

    points: (K, 2) x right, y down, centroid 0, norm 1.
    faces: number of faces it is the mean of; left_out: faces with too few or coinciding points.
    iterations, change: rounds made and how far the mean moved in the last (norm).
    converged: whether ``change`` fell below the tolerance.
    spread: (K,) root mean square distance of the fitted faces from the mean, in units of the
        faces' own size (norm 1).
    """

    points: FloatArray
    faces: int
    left_out: int
    iterations: int
    change: float
    converged: bool
    spread: FloatArray


def mean_shape(
    faces: ArrayLike,
    flip: ArrayLike | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 200,
) -> MeanShape:
    """The Procrustes mean of (N, K, 2) faces, NaN where a point is not labelled.

    Invariant to the rotation, scale and shift of every face. With ``flip`` (K,) the result is
    turned until its own line of left-right symmetry is vertical; without, it keeps the average
    turn of the faces. Faces with fewer than three labelled points, or whose points all coincide,
    are left out and counted. Raises TufaError when none remains, when a point is labelled in no
    face, or when K is under three.
    """
    shapes = np.asarray(faces, dtype=np.float64)
    if shapes.ndim != 3 or shapes.shape[2] != 2:
        raise TufaError(f"faces must be (N, K, 2), found {shapes.shape}")
    if shapes.shape[1] < MIN_POINTS:
        raise TufaError(f"a mean shape needs at least {MIN_POINTS} points")
    known: BoolArray = np.asarray(np.isfinite(shapes).all(axis=2))
    centred, size = _centred(shapes, known)
    used = (known.sum(axis=1) >= MIN_POINTS) & (size > 0)
    _check_used(used, known)
    known, centred, size = known[used], centred[used], size[used]
    mean = _start(centred, size, known)
    change, iteration = np.inf, 0
    while iteration < max_iterations and change > tolerance:
        new = _unit(_round(centred, size, known, mean))
        change, mean, iteration = float(np.linalg.norm(new - mean)), new, iteration + 1
    spread = _spread(centred, size, known, mean)
    return MeanShape(
        points=_turned(mean, centred, size, flip),
        faces=int(used.sum()),
        left_out=int((~used).sum()),
        iterations=iteration,
        change=change,
        converged=change <= tolerance,
        spread=spread,
    )


def fit_similarity(source: ArrayLike, target: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The (2, 2) matrix M and (2,) shift t that minimise ``|source @ M.T + t - target|``.

    source, target: (K, 2); rows with a NaN in either are left out. Scale and rotation, no
    reflection. Raises TufaError with fewer than two usable rows or coinciding source points.
    """
    a, b = np.asarray(source, float), np.asarray(target, float)
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    z, w = _complex(a[known]), _complex(b[known])
    spread = float((np.abs(z - z.mean()) ** 2).sum()) if len(z) > 1 else 0.0
    if spread <= 0:
        raise TufaError("a similarity needs at least two different points")
    factor = complex(np.vdot(z - z.mean(), w - w.mean()) / spread)
    shift = complex(w.mean() - factor * z.mean())
    matrix = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return matrix, np.array([shift.real, shift.imag])


def _centred(shapes: FloatArray, known: BoolArray) -> tuple[ComplexArray, FloatArray]:
    """Faces about their own centroid, 0 where not labelled, and their squared norms.

    Points that differ by less than a rounding error of their place count as coinciding.
    """
    z = np.where(known, _complex(np.nan_to_num(shapes, posinf=0.0, neginf=0.0)), 0)
    centre = z.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    centred = np.where(known, z - centre[:, None], 0)
    size = np.asarray((np.abs(centred) ** 2).sum(axis=1))
    floor = (1e-12 * (np.abs(z).max(axis=1, initial=0) + 1e-150)) ** 2
    return centred, np.where(size > floor, size, 0.0)


def _check_used(used: BoolArray, known: BoolArray) -> None:
    if not used.any():
        raise TufaError(
            f"no face has {MIN_POINTS} different labelled points, of {len(used)} faces",
            "are the points labelled, and is it the right scheme?",
        )
    never = np.flatnonzero(~known[used].any(axis=0))
    if len(never):
        raise TufaError(
            f"no face has a label for point {', '.join(map(str, never[:10]))}",
            "a mean shape needs every point labelled at least once",
        )


def _start(centred: ComplexArray, size: FloatArray, known: BoolArray) -> ComplexArray:
    """The first mean: the most complete face; what it lacks comes from the others in one round."""
    best = int(np.argmax(known.sum(axis=1)))
    mean: ComplexArray = centred[best] / np.sqrt(size[best])
    if known[best].all():
        return mean
    # Faces that share too little with the points known so far wait for the next round.
    have = known[best].copy()
    for _ in range(centred.shape[1]):
        common = known & have
        count = np.maximum(common.sum(axis=1), 1)
        here = np.where(common, centred, 0).sum(axis=1) / count
        there = (common @ mean) / count
        offset = np.where(common, centred - here[:, None], 0)
        spread = (np.abs(offset) ** 2).sum(axis=1)
        usable = (common.sum(axis=1) >= 2) & (spread > 1e-12 * size)
        factor = (offset.conj() @ mean)[usable] / spread[usable]
        shift = there[usable] - factor * here[usable]
        weight = known[usable].sum(axis=0)
        filled = (centred[usable].T @ factor + known[usable].T @ shift) / np.maximum(weight, 1)
        new = (weight > 0) & ~have
        mean = np.where(new, filled, mean)
        if not new.any():
            break
        have |= new
    if not have.all():
        raise TufaError(
            "the faces fall into groups that share no labelled points",
            "some faces must have points of both groups labelled",
        )
    return _unit(mean)


def _fit(
    centred: ComplexArray, size: FloatArray, known: BoolArray, mean: ComplexArray
) -> tuple[ComplexArray, ComplexArray]:
    """Factor and shift (N,) that carry each centred face onto the mean."""
    factor = (centred.conj() @ mean) / size
    shift = (known @ mean) / known.sum(axis=1)
    return factor, shift


def _round(
    centred: ComplexArray, size: FloatArray, known: BoolArray, mean: ComplexArray
) -> ComplexArray:
    factor, shift = _fit(centred, size, known, mean)
    total = centred.T @ factor + known.T @ shift
    return np.asarray(total / known.sum(axis=0))


def _spread(
    centred: ComplexArray, size: FloatArray, known: BoolArray, mean: ComplexArray
) -> FloatArray:
    factor, shift = _fit(centred, size, known, mean)
    fitted = centred * factor[:, None] + shift[:, None]
    squared = np.where(known, np.abs(fitted - mean) ** 2, 0.0)
    return np.asarray(np.sqrt(squared.sum(axis=0) / known.sum(axis=0)))


def _unit(mean: ComplexArray) -> ComplexArray:
    centred = mean - mean.mean()
    return np.asarray(centred / np.linalg.norm(centred))


def _turned(
    mean: ComplexArray, centred: ComplexArray, size: FloatArray, flip: ArrayLike | None
) -> FloatArray:
    """The mean in the average turn of the faces, then upright by its own symmetry."""
    # The angle of conj(face) . mean is the turn from the face to the mean.
    turn = (centred.conj() @ mean) / np.sqrt(size)
    total = complex(turn.sum())
    points = mean * np.exp(-1j * np.angle(total)) if abs(total) > 1e-9 else mean
    pairs = np.stack([points.real, points.imag], axis=1)
    return pairs if flip is None else upright(pairs, flip)


def _complex(points: ArrayLike) -> ComplexArray:
    array = np.asarray(points, dtype=np.float64)
    return np.asarray(array[..., 0] + 1j * array[..., 1])
