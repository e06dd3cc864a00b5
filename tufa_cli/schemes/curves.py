"""The plane as curves: every part is a smooth curve or a named point, so part + t is a place.

A curve is the posterior mean of a Gaussian process along t (Rasmussen and Williams 2006, section
2.2) through the anchors of all schemes on the plane, about the straight line between its ends: it
passes the dense schemes' points, bridges what they leave out, and two points with nearly the same
t cannot make it wiggle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import (
    Meaning,
    canonical,
    free_place,
    load_parts,
    mean_places,
)

FloatArray = NDArray[np.float64]

#: How far a curve may leave its chord (plane units), and along t how far its bends reach: so many
#: of the gaps between its anchors, within these bounds.
_BEND, _GAPS, _SHORTEST, _LONGEST = 0.15, 2.5, 0.1, 0.3
#: How closely a curve passes an anchor of the scheme that decides, and of any other.
_SPREAD_FIRST, _SPREAD_OTHER = 0.0002, 0.002
#: A curve without an anchor in so wide a range of t is not known.
WIDEST_GAP = 0.51


@dataclass(frozen=True, eq=False)
class Curve:
    """One part's curve.

    t: (n,) where anchors lie, rising. weights: (n, 2). ends: (2, 2) points_plane of t = 0 and 1.
    reach: of its bends, along t.
    """

    t: FloatArray
    weights: FloatArray
    ends: FloatArray
    reach: float

    def at(self, t: ArrayLike) -> FloatArray:
        """(m,) fractions to (m, 2) points_plane."""
        at = np.atleast_1d(np.asarray(t, dtype=np.float64))
        chord = self.ends[0] + at[:, None] * (self.ends[1] - self.ends[0])
        return np.asarray(chord + _kernel(at, self.t, self.reach) @ self.weights)


class Curves:
    """Places on a plane by part and t.

    anchors: scheme name to (K, 2) points_plane; layouts: the schemes by the same names; reference:
    the scheme that decides where several have a place.
    """

    def __init__(
        self, anchors: Mapping[str, FloatArray], layouts: Mapping[str, Scheme], reference: str
    ) -> None:
        self._known = [
            (layouts[name], np.asarray(points, dtype=np.float64))
            for name, points in sorted(anchors.items(), key=lambda item: item[0] != reference)
            if name in layouts
        ]
        self._named: dict[Meaning, FloatArray | None] = {}
        self._curves: dict[str, Curve | None] = {}

    def at(self, meaning: Meaning) -> FloatArray | None:
        """(2,) point_plane of a place, or None when the plane does not have it."""
        if meaning.place is not None:
            return np.array(meaning.place)
        part = load_parts()[meaning.part]
        if not part.is_curve:
            return self._named_point(meaning)
        curve = self.curve(meaning.part)
        if curve is None:
            return self._mean(meaning)
        return np.asarray(curve.at(meaning.t)[0])

    def curve(self, part: str) -> Curve | None:
        """The curve of a part, or None when too few anchors lie on it."""
        if part not in self._curves:
            self._curves[part] = self._fit(part)
        return self._curves[part]

    def _named_point(self, meaning: Meaning) -> FloatArray | None:
        if meaning not in self._named:
            found = [
                points[index]
                for scheme, points in self._known
                if (index := scheme.places.find(meaning)) is not None
            ]
            # The first decides: the reference comes first. None meanwhile, for a mean of itself.
            self._named[meaning] = found[0] if found else None
            if not found:
                self._named[meaning] = self._mean(meaning)
        return self._named[meaning]

    def _mean(self, meaning: Meaning) -> FloatArray | None:
        """The mean of the places that a place is the mean of by definition."""
        places = [self.at(place) for place in mean_places(meaning)]
        known = [place for place in places if place is not None]
        return np.mean(known, axis=0) if places and len(known) == len(places) else None

    def _fit(self, name: str) -> Curve | None:
        part = load_parts()[name]
        ends = [self._named_point(canonical(str(end))) for end in (part.start, part.end)]
        if ends[0] is None or ends[1] is None:
            return None
        nodes = [(0.0, ends[0], _SPREAD_FIRST), (1.0, ends[1], _SPREAD_FIRST)]
        spread = _SPREAD_FIRST
        for scheme, points in self._known:
            on_curve = [(i, m.t) for i, m in enumerate(scheme.meanings) if m.part == name]
            nodes += [(t, points[i], spread) for i, t in on_curve]
            # The first that has the part decides: the reference comes first.
            spread = _SPREAD_OTHER if on_curve else spread
        nodes.sort(key=lambda node: node[0])
        t = np.array([node[0] for node in nodes])
        gaps = np.diff(t)
        if gaps.max() > WIDEST_GAP:
            return None
        reach = float(np.clip(_GAPS * gaps.max(), _SHORTEST, _LONGEST))
        chord = ends[0] + t[:, None] * (ends[1] - ends[0])
        offset = np.array([node[1] for node in nodes]) - chord
        noise = np.diag([node[2] ** 2 for node in nodes])
        weights = np.asarray(np.linalg.solve(_kernel(t, t, reach) + noise, offset), np.float64)
        return Curve(t, weights, np.array(ends), reach)

    @cached_property
    def _samples(self) -> tuple[list[Meaning], FloatArray]:
        """Every curve at 201 fractions, and the named points on no curve."""
        meanings: list[Meaning] = []
        points: list[FloatArray] = []
        for name, part in load_parts().items():
            if part.is_curve and self.curve(name) is not None:
                found = [canonical(name, t) for t in np.linspace(0, 1, 201)]
            elif not part.is_curve and part.curve is None:
                found = [canonical(name)]
            else:
                continue
            for meaning in found:
                place = self.at(meaning)
                if place is not None:
                    meanings.append(meaning)
                    points.append(place)
        return meanings, np.array(points).reshape(-1, 2)

    def nearest(self, point_plane: ArrayLike, within: float) -> Meaning:
        """What a (2,) point_plane means: the nearest part's place if it lies within a distance
        (plane units), else a free place."""
        meanings, places = self._samples
        point = np.asarray(point_plane, dtype=np.float64)
        distance = np.linalg.norm(places - point, axis=1)
        best = int(distance.argmin())
        if distance[best] > within:
            return free_place(*point)
        # A named point wins over its neighbours on the curve: a corner was meant.
        for index in map(int, np.flatnonzero(distance <= within / 2)):
            if not load_parts()[meanings[index].part].is_curve:
                return meanings[index]
        return meanings[best]


def _kernel(a: FloatArray, b: FloatArray, reach: float) -> FloatArray:
    return np.asarray(_BEND**2 * np.exp(-((a[:, None] - b[None]) ** 2) / (2 * reach**2)))
