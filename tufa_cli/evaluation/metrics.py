"""How far predicted points lie from people's labels: the measures of the landmark papers.

All errors are fractions of a face's own normaliser here (0.1 is 10 %); only reports turn them into
percent. Definitions (NME, failure rate, AUC of the CED): 300-W challenge, Sagonas et al., IVC 2016,
and WFLW, Wu et al., CVPR 2018; which distance divides is the scheme's own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.errors import TufaError
from tufa_cli.geometry.assignment import pairs_within
from tufa_cli.geometry.crop import fit_scale_shift
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.plane import FACE_BOX_SIDE

FloatArray = NDArray[np.float64]

#: A face counts as failed when its NME is above this, and the AUC ends here.
THRESHOLD = 0.10

#: A prediction farther than this from a label, in sides of the labelled face's box, is of another
#: face: farther than from one side of the face to its middle, on average over the points.
SAME_FACE_WITHIN = 0.5


def face_side(anchors_plane: ArrayLike, labels_px: ArrayLike) -> float:
    """Side in image pixels of the plane's face box when the plane is carried onto the labels.

    anchors_plane: (K, 2); labels_px: (K, 2), NaN where not labelled. NaN when fewer than three
    points are labelled or the face is turned by 90 degrees or more.
    """
    try:
        scale, _ = fit_scale_shift(anchors_plane, labels_px)
    except TufaError:
        return float("nan")
    return scale * FACE_BOX_SIDE


def normaliser_distance(scheme: Scheme, anchors_plane: ArrayLike, labels_px: ArrayLike) -> float:
    """What one face's errors are divided by, in image pixels; NaN when its labels do not tell.

    The distance of the scheme's pair of points, or ``face_side`` for schemes without a pair
    (their eye corners are often not labelled on profiles). NaN too with fewer than three labelled
    points, which fix no crop.
    """
    if np.isfinite(np.asarray(labels_px, np.float64)).all(axis=1).sum() < 3:
        return float("nan")
    if scheme.normaliser is None:
        return face_side(anchors_plane, labels_px)
    first, second = np.asarray(labels_px, dtype=np.float64)[list(scheme.normaliser)]
    distance = float(np.hypot(*(first - second)))
    return distance if distance > 0 else float("nan")


def point_errors(predicted_px: ArrayLike, labels_px: ArrayLike, normaliser: float) -> FloatArray:
    """(K,) distance of each point as a fraction of ``normaliser``; NaN where not labelled."""
    step = np.asarray(predicted_px, np.float64) - np.asarray(labels_px, np.float64)
    return np.hypot(step[:, 0], step[:, 1]) / normaliser


@dataclass(frozen=True, eq=False)
class FaceErrors:
    """The errors of the faces that count.

    points: (M, K) fractions of each face's normaliser; NaN where not labelled, and in the whole
        row of a missed face.
    missed: (M,) True where no prediction belongs to the face.
    rows: (M,) the index that each face had among the faces given.
    skipped: how many faces were left out since their normaliser is not labelled.
    """

    points: FloatArray
    missed: NDArray[np.bool_]
    rows: NDArray[np.intp]
    skipped: int

    @property
    def nme(self) -> FloatArray:
        """(M,) mean over the labelled points; inf for a missed face."""
        return np.where(self.missed, np.inf, row_means(self.points))


def face_errors(
    scheme: Scheme,
    anchors_plane: ArrayLike,
    labels_px: Sequence[ArrayLike],
    predicted_px: Sequence[ArrayLike | None],
) -> FaceErrors:
    """Errors of N faces.

    labels_px: N times (K, 2), NaN where not labelled (occluded points are labelled, and count).
    predicted_px: N times (K, 2), or None where the face was not found. A prediction without a
    place for a labelled point counts as not found.
    """
    rows, errors, missed = [], [], []
    for row, (labels, predicted) in enumerate(zip(labels_px, predicted_px, strict=True)):
        labels = np.asarray(labels, np.float64)
        normaliser = normaliser_distance(scheme, anchors_plane, labels)
        if np.isnan(normaliser):
            continue
        labelled = np.isfinite(labels).all(axis=1)
        found = predicted is not None and bool(np.isfinite(np.asarray(predicted)[labelled]).all())
        rows.append(row)
        missed.append(not found)
        errors.append(
            point_errors(predicted, labels, normaliser)  # type: ignore[arg-type]
            if found
            else np.full(len(labels), np.nan)
        )
    return FaceErrors(
        np.asarray(errors, np.float64).reshape(len(errors), len(scheme)),
        np.asarray(missed, bool),
        np.asarray(rows, np.intp),
        len(labels_px) - len(rows),
    )


def row_means(errors: FloatArray) -> FloatArray:
    """(M, K) to (M,) means that leave NaN out; NaN for a row of NaN only."""
    known = np.isfinite(errors)
    count = known.sum(axis=1)
    means = np.full(len(errors), np.nan)
    np.divide(np.where(known, errors, 0.0).sum(axis=1), count, out=means, where=count > 0)
    return means


def mean_nme(nme: ArrayLike) -> float | None:
    """Mean over the faces that were found; None when there are none.

    nme: (M,), inf for a missed face (it counts in the failure rate and the AUC instead).
    """
    nme = np.asarray(nme, np.float64)
    found = nme[np.isfinite(nme)]
    return float(found.mean()) if len(found) else None


def failure_rate(nme: ArrayLike, threshold: float = THRESHOLD) -> float | None:
    """The fraction of faces above ``threshold``, missed ones (inf) among them."""
    nme = np.asarray(nme, np.float64)
    return float((nme > threshold).mean()) if len(nme) else None


def ced(nme: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The cumulative error distribution as a step function: where it rises, and to what.

    nme: (M,), inf for a missed face. Returns (E,) sorted distinct errors, and (E,) the fraction
    of all M faces whose error is at most that; it ends below 1 when faces were missed.
    """
    nme = np.asarray(nme, np.float64)
    errors, counts = np.unique(nme[np.isfinite(nme)], return_counts=True)
    return errors, counts.cumsum() / max(len(nme), 1)


def auc(nme: ArrayLike, threshold: float = THRESHOLD) -> float | None:
    """The area under the CED from 0 to ``threshold``, divided by ``threshold``; exact.

    A face of error e adds a step of 1/M from e on, so its area is ``threshold - e`` where that
    is positive. nme: (M,), inf for a missed face.
    """
    nme = np.asarray(nme, np.float64)
    return float((1 - np.minimum(nme, threshold) / threshold).mean()) if len(nme) else None


def bootstrap_interval(
    nme: ArrayLike, seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float] | None:
    """The percentile interval of the mean NME when the found faces are drawn anew.

    nme: (M,), inf for a missed face. None with fewer than two found faces.
    """
    nme = np.asarray(nme, np.float64)
    found = nme[np.isfinite(nme)]
    if len(found) < 2:
        return None
    rng = np.random.default_rng(seed)
    # One draw at a time: all at once would need gigabytes for a large test set.
    means = [found[rng.integers(len(found), size=len(found))].mean() for _ in range(draws)]
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def match_faces(
    labels_px: ArrayLike, predicted_px: ArrayLike, sides_px: ArrayLike
) -> list[int | None]:
    """For each labelled face of a photo, the prediction that belongs to it, or None.

    labels_px: (N, K, 2), NaN where not labelled; predicted_px: (P, K, 2); sides_px: (N,) the
    labelled faces' sizes (``face_side``; NaN: the tight box of the labels is used). The pairs have
    the smallest sum of mean distances in units of those sizes; none is farther apart than
    ``SAME_FACE_WITHIN``, and no prediction belongs to two faces.
    """
    labels = np.asarray(labels_px, np.float64)
    predicted = np.asarray(predicted_px, np.float64)
    matched: list[int | None] = [None] * len(labels)
    if not len(labels) or not len(predicted):
        return matched
    step = labels[:, None] - predicted[None]
    distance = np.hypot(step[..., 0], step[..., 1])
    cost = row_means(distance.reshape(-1, distance.shape[-1])).reshape(distance.shape[:2])
    cost /= _sizes(labels, np.asarray(sides_px, np.float64))[:, None]
    for label, prediction in pairs_within(cost, SAME_FACE_WITHIN):
        matched[label] = prediction
    return matched


def _sizes(labels: FloatArray, sides: FloatArray) -> FloatArray:
    """(N,) sizes in pixels: the side, or the longer side of the labels' box; NaN when unknown."""
    sizes = sides.copy()
    for row in np.flatnonzero(~np.isfinite(sizes)):
        known = labels[row][np.isfinite(labels[row]).all(axis=1)]
        sizes[row] = np.ptp(known, axis=0).max() if len(known) > 1 else np.nan
    return sizes
