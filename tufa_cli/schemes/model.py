"""``Scheme``: what the points of a landmark scheme are, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tufa_cli.schemes.parts import Meaning, PlaceIndex, same


@dataclass(frozen=True)
class Scheme:
    """A landmark scheme, addressed by name and never by its number of points.

    meanings: (K) the place of each point on the face.
    names: (K) a unique name for each point.
    flip: (K) index of the point that takes each point's place in a mirrored photo, -1 where the
        scheme has none (profiles, one-sided schemes).
    skeleton: pairs of indices to draw lines between.
    normaliser: the pair of indices whose distance divides errors, or None for the side of the
        plane's face box (aflw21, aflw19).
    """

    name: str
    title: str
    source: str
    meanings: tuple[Meaning, ...]
    names: tuple[str, ...]
    flip: tuple[int, ...]
    skeleton: tuple[tuple[int, int], ...]
    normaliser: tuple[int, int] | None
    aliases: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.meanings)

    @cached_property
    def has_flip(self) -> bool:
        """Whether every point has a partner, so that photos may be mirrored."""
        return all(index >= 0 for index in self.flip)

    @cached_property
    def flip_index(self) -> NDArray[np.intp]:
        """(K,) ``flip`` as an index array: mirrored points are ``points[flip_index]``.

        Only for schemes that have one (``has_flip``).
        """
        return np.asarray(self.flip, dtype=np.intp)

    @cached_property
    def groups(self) -> dict[str, list[int]]:
        """Indices of the points by the group of their part (jaw, left_eye, mouth ...)."""
        groups: dict[str, list[int]] = {}
        for index, meaning in enumerate(self.meanings):
            groups.setdefault(meaning.group, []).append(index)
        return groups

    @cached_property
    def places(self) -> PlaceIndex:
        """Finds the point that means a place."""
        return PlaceIndex(self.meanings)

    def means_as(self, other: Scheme) -> bool:
        """Whether both have the same points in the same order, whatever they are called."""
        if self.meanings == other.meanings:
            return True
        return len(self) == len(other) and all(map(same, self.meanings, other.meanings))

    def shared_with(self, other: Scheme) -> Iterator[tuple[int, int]]:
        """Pairs (index here, index there) of points that mean the same."""
        for i, meaning in enumerate(self.meanings):
            j = other.places.find(meaning)
            if j is not None:
                yield i, j
