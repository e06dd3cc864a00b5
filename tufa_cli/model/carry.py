"""Points that a network was not trained on, carried by the points it was trained on.

Asked for a place between those it learned, a network answers too near to one of them. Where it
learned places all around, those are the better guides: a smooth map from their anchors to where the
network sees them on this face carries the others along. The map is a thin-plate spline, which is
linear in what it goes through, so it is a fixed matrix for a scheme. What it gains is measured by
``benchmarks/carry.py`` (docs/plane.md).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tufa_cli.geometry.thin_plate import thin_plate_map
from tufa_cli.model.weights import Weights
from tufa_cli.schemes import Scheme
from tufa_cli.schemes.anchors import is_on

FloatArray = NDArray[np.float64]

#: A point is carried as far as this from the nearest guide (plane units), and asked for itself from
#: the second distance on; between them it is a mixture.
NEAR, FAR = 0.05, 0.07
#: The scheme that most guides are from has so many points at least: fewer know no shape of parts.
_FEWEST = 50
#: Schemes of more points are no guides: every guide costs as much as a point that is asked for.
_MOST = 150
#: Places nearer than this are one (plane units).
_SAME = 1e-3
#: Other schemes add the points that lie so far from all guides before them.
_SPACING = 0.05


class PredictsCrops(Protocol):
    """``tufa_cli.model.predict.Predictor``, or anything that predicts as it does."""

    def predict(
        self, crops: NDArray[np.uint8], prompts_plane: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """(B, S, S, 3) crops and (K, 2) prompts to points_crop (B, K, 2), confidence (B, K)."""
        ...


@dataclass(frozen=True, eq=False)
class Carry:
    """Guides, and what they make of the points they carry.

    guides_plane: (n, 2) prompts. weights: (K, n) of the guides' answers in a point; rows sum to
        one.
    share: (K,) of the carried place in the result, the rest is the network's own answer.
    """

    guides_plane: FloatArray
    weights: FloatArray
    share: FloatArray


@dataclass(frozen=True, eq=False)
class Query:
    """What a network is asked for a scheme: (K, 2) prompts_plane, and guides if it needs them."""

    prompts_plane: FloatArray
    carry: Carry | None = None

    def ask(
        self, predictor: PredictsCrops, crops: NDArray[np.uint8]
    ) -> tuple[FloatArray, FloatArray]:
        """(B, S, S, 3) crops to points_crop (B, K, 2) and confidence (B, K).

        The confidence is the network's in its own answer for the point.
        """
        if self.carry is None:
            return predictor.predict(crops, self.prompts_plane)
        together = np.concatenate([self.prompts_plane, self.carry.guides_plane])
        answers, confidence = predictor.predict(crops, together)
        count = len(self.prompts_plane)
        share = self.carry.share[:, None]
        carried = self.carry.weights @ answers[:, count:]
        return (1 - share) * answers[:, :count] + share * carried, confidence[:, :count]


def query_for(scheme: Scheme, weights: Weights, carry: bool = True) -> Query:
    """How to ask a network for a scheme: a learned one as it was trained, others with guides.

    carry: whether to use guides at all. Raises TufaError when a point has no place on the plane.
    """
    prompts = weights.prompts(scheme)
    trained = scheme.name in weights.learned and is_on(scheme, weights.plane)
    names = _guide_schemes(weights, prompts)
    if trained or not carry or not names:
        return Query(prompts)
    anchors, guides = _guides(weights, names)
    away = np.linalg.norm(prompts[:, None] - anchors[None], axis=2).min(axis=1)
    share = np.clip((FAR - away) / (FAR - NEAR), 0, 1)
    if not share.any():
        return Query(prompts)
    through = thin_plate_map(anchors, np.eye(len(anchors)))
    return Query(prompts, Carry(guides, through(prompts), share))


def _guide_schemes(weights: Weights, prompts: FloatArray) -> list[str]:
    """The learned schemes that guides are from, the one that gives most first; or none.

    First one that has most of the asked places itself, so that a part of a learned scheme comes
    out as in the whole; then the plane's reference, else the one that most faces were labelled in.
    """
    sizes = {
        name: len(points)
        for name, points in weights.learned.items()
        if name in weights.plane.anchors and len(points) <= _MOST
    }
    reference = weights.plane.reference
    faces = Counter[str]()
    for label, count in weights.meta.get("training_faces", {}).items():
        faces[label.rpartition("/")[2]] += count

    def has_itself(name: str) -> float:
        away = np.linalg.norm(prompts[:, None] - weights.plane[name][None], axis=2).min(axis=1)
        share = float((away < _SAME).mean())
        return share if share > 0.5 else 0.0

    def rank(name: str) -> tuple[bool, float, bool, int, int, str]:
        few = sizes[name] < _FEWEST
        return few, -has_itself(name), name != reference, -faces[name], -sizes[name], name

    names = sorted(sizes, key=rank)
    return names if names and sizes[names[0]] >= _FEWEST else []


def _guides(weights: Weights, names: list[str]) -> tuple[FloatArray, FloatArray]:
    """(n, 2) anchors of the guides and (n, 2) prompts to ask for them, points_plane."""
    anchors = [weights.plane[names[0]]]
    prompts = [weights.learned[names[0]]]
    for name in names[1:]:
        for anchor, prompt in zip(weights.plane[name], weights.learned[name], strict=True):
            if np.linalg.norm(np.concatenate(anchors) - anchor, axis=1).min() > _SPACING:
                anchors.append(anchor[None])
                prompts.append(prompt[None])
    return np.concatenate(anchors), np.concatenate(prompts)
