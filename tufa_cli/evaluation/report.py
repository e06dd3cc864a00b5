"""The figures of one evaluation, for people (a table) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tufa_cli.evaluation import metrics
from tufa_cli.evaluation.metrics import FaceErrors
from tufa_cli.schemes.model import Scheme


@dataclass(frozen=True)
class Score:
    """The figures of one set of faces; None where no face gives one.

    faces: those counted in the failure rate, missed ones among them, skipped ones not.
    skipped: faces whose normaliser is not labelled.
    interval_percent: 95 % bootstrap interval of ``nme_percent``.
    parts: NME by group of the scheme's parts, over the faces with a labelled point in it.
    """

    faces: int
    missed: int
    skipped: int
    nme_percent: float | None
    interval_percent: tuple[float, float] | None
    failure_rate_percent: float | None
    auc: float | None
    parts: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        interval = self.interval_percent
        return {
            "faces": self.faces,
            "missed": self.missed,
            "skipped": self.skipped,
            "nme_percent": _rounded(self.nme_percent),
            "nme_interval_percent": None if interval is None else [round(v, 4) for v in interval],
            "failure_rate_percent": _rounded(self.failure_rate_percent),
            "auc": _rounded(self.auc),
            "parts": {name: {"nme_percent": _rounded(v)} for name, v in self.parts.items()},
        }


@dataclass(frozen=True)
class Report:
    """One evaluation. No photo is named in it: photo names are personal data.

    box: where the crops came from ("oracle", "jitter" or "detector"); box_detail: its parameters.
    anchors: "learned" when the network was queried at the places its training moved the scheme's
        points to; for schemes it was not trained on "carried" when those helped (model.carry), and
        "plane" when it was queried at the plane's anchors alone.
    baseline: the mean shape laid on the same boxes without a network, or None.
    """

    scheme: str
    box: str
    total: Score
    subsets: Mapping[str, Score] = field(default_factory=dict)
    baseline: Score | None = None
    box_detail: str = ""
    weights: str = ""
    anchors: str = ""
    unreadable: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys that docs/evaluate.md lists."""
        data = {
            "scheme": self.scheme,
            "box": self.box,
            "box_detail": self.box_detail,
            "weights": self.weights,
            "anchors": self.anchors,
            **self.total.to_dict(),
            "subsets": {name: score.to_dict() for name, score in self.subsets.items()},
            "unreadable_photos": self.unreadable,
        }
        if self.baseline is not None:
            data["baseline"] = self.baseline.to_dict()
        return data


def score(errors: FaceErrors, scheme: Scheme, seed: int = 0) -> Score:
    """The figures of a set of faces; ``seed`` decides the bootstrap's draws."""
    nme = errors.nme
    interval = metrics.bootstrap_interval(nme, seed)
    parts = {
        name: _percent(metrics.mean_nme(metrics.row_means(errors.points[:, points])))
        for name, points in scheme.groups.items()
    }
    return Score(
        faces=len(nme),
        missed=int(errors.missed.sum()),
        skipped=errors.skipped,
        nme_percent=_percent(metrics.mean_nme(nme)),
        interval_percent=None if interval is None else (interval[0] * 100, interval[1] * 100),
        failure_rate_percent=_percent(metrics.failure_rate(nme)),
        auc=metrics.auc(nme),
        parts=parts,
    )


def subset_scores(
    errors: FaceErrors, scheme: Scheme, members: Sequence[frozenset[str]], seed: int = 0
) -> dict[str, Score]:
    """The figures of each subset by its name, sorted.

    members: for each of the faces given to ``face_errors``, the subsets it belongs to.
    """
    scores = {}
    for name in sorted(set().union(*members)):
        chosen = np.array([name in of_face for of_face in members], bool)
        kept = chosen[errors.rows]
        part = FaceErrors(
            errors.points[kept],
            errors.missed[kept],
            errors.rows[kept],
            int(chosen.sum()) - int(kept.sum()),
        )
        scores[name] = score(part, scheme, seed)
    return scores


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
