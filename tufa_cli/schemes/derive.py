"""What follows from the meanings of points: their names, partners in the mirror, lines to draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tufa_cli.schemes.parts import Meaning, PlaceIndex, canonical, load_parts, mirrored


def default_name(part: str, t: float) -> str:
    """The name of a point that is given none."""
    return f"{part}_{round(t * 1000):04d}" if load_parts()[part].is_curve else part


def default_names(meanings: Sequence[Meaning]) -> list[str]:
    """The names of points that are given none, in index order."""
    names = [
        f"place_{index:03d}" if m.place is not None else default_name(m.part, m.t)
        for index, m in enumerate(meanings)
    ]
    return told_apart(names, meanings, range(len(names)))


def told_apart(names: list[str], meanings: Sequence[Meaning], derived: Iterable[int]) -> list[str]:
    """Names, of which the ``derived`` (indices) get more decimals where three are too few."""
    often = Counter(names)
    again = list(names)
    for index in derived:
        meaning = meanings[index]
        if often[names[index]] > 1 and meaning.t:
            again[index] = f"{meaning.part}_{round(meaning.t * 1e6):07d}"
    return again


def derived_skeleton(meanings: Sequence[Meaning]) -> list[tuple[int, int]]:
    """The lines along the parts on which points lie, as pairs of indices."""
    edges: list[tuple[int, int]] = []
    for part in load_parts().values():
        if not part.is_curve or not any(m.part == part.name for m in meanings):
            continue
        ends = {canonical(str(part.start)): 0.0, canonical(str(part.end)): 1.0}
        along = [(m.t, i) for i, m in enumerate(meanings) if m.part == part.name]
        along += [(ends[m], i) for i, m in enumerate(meanings) if m in ends]
        edges += pairwise(i for _, i in sorted(along))
    return edges


def derived_flip(meanings: Sequence[Meaning]) -> list[int]:
    """For each point the index of its mirror image's, -1 where there is none."""
    index = PlaceIndex(meanings)
    found = (index.find(mirrored(meaning)) for meaning in meanings)
    return [-1 if partner is None else partner for partner in found]
