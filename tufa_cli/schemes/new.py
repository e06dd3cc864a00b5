"""New schemes: from parts, from another scheme, from points.

Every way ends in the text of a scheme file that was read back and found sound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tufa_cli.errors import ProblemsError, TufaError, UnknownNameError
from tufa_cli.schemes.check import check_scheme
from tufa_cli.schemes.curves import Curves
from tufa_cli.schemes.derive import default_names, derived_flip, derived_skeleton
from tufa_cli.schemes.load import is_shipped_name, parse_scheme
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.outlines import BOTH_SIDES, group_names, place_named, places_of
from tufa_cli.schemes.parts import Meaning, PlaceIndex, canonical, free_place, load_parts
from tufa_cli.schemes.plane import Plane
from tufa_cli.schemes.write import scheme_to_yaml

FloatArray = NDArray[np.float64]

#: A point this near to a part's curve lies on it (plane units): on a photo, where clicks and the
#: network are about 2 % of the plane off, and by the plane's own coordinates.
SNAP_PHOTO, SNAP_PLANE = 0.02, 0.005

#: The source of a scheme that comes from nowhere else.
MADE = "made with tufa-cli schemes new"

#: What errors are divided by when nobody says: the first of these pairs that a scheme has.
_NORMALISERS = (
    ("left_eye_outer", "right_eye_outer"),
    ("left_pupil", "right_pupil"),
    ("left_eye_inner", "right_eye_inner"),
)


@dataclass(frozen=True)
class Draft:
    """The points of a scheme that has no name yet.

    meanings: (K) places. names: (K) of the points, None where the meaning tells.
    skeleton, flip, normaliser: as in ``Scheme`` where another scheme says so, else None.
    """

    meanings: tuple[Meaning, ...]
    names: tuple[str | None, ...]
    skeleton: tuple[tuple[int, int], ...] | None = None
    flip: tuple[int, ...] | None = None
    normaliser: tuple[int, int] | Literal["plane_box"] | None = None


def from_parts(text: str) -> Draft:
    """A draft from a list such as ``jaw:33, left_eye:8, chin``; see ``outlines.places_of``."""
    meanings = places_of(text)
    return Draft(tuple(meanings), (None,) * len(meanings))


def from_scheme(scheme: Scheme, only: str | None = None) -> Draft:
    """The points of a scheme, or those of them in some parts.

    only: parts and groups with commas between; ``eyes`` and ``brows`` mean both sides. The points
    keep their names and order. Raises ProblemsError for names that are no parts, TufaError when
    the scheme has none of the points.
    """
    wanted = _chosen(only) if only is not None else None
    kept = [
        index
        for index, meaning in enumerate(scheme.meanings)
        if wanted is None or any(_belongs(meaning, name) for name in wanted)
    ]
    if not kept:
        groups = ", ".join(scheme.groups)
        raise TufaError(f"{scheme.name} has no point in {only}", f"it has points in {groups}")
    number = {old: new for new, old in enumerate(kept)}
    edges = [(number[a], number[b]) for a, b in scheme.skeleton if a in number and b in number]
    return Draft(
        tuple(scheme.meanings[index] for index in kept),
        tuple(scheme.names[index] for index in kept),
        tuple(edges),
        tuple(number.get(scheme.flip[index], -1) for index in kept),
        _kept_pair(scheme.normaliser, number),
    )


def _kept_pair(
    pair: tuple[int, int] | None, number: Mapping[int, int]
) -> tuple[int, int] | Literal["plane_box"] | None:
    if pair is None:
        return "plane_box"
    return (number[pair[0]], number[pair[1]]) if set(pair) <= set(number) else None


def _chosen(only: str) -> set[str]:
    chosen: set[str] = set()
    problems = []
    known = {*load_parts(), *group_names(), *BOTH_SIDES}
    for name in (item.strip() for item in only.split(",")):
        if name in known:
            chosen |= {name, *BOTH_SIDES.get(name, ())}
        elif name:
            problems.append(UnknownNameError("part or group", name, known).message)
    if problems:
        raise ProblemsError("--only", problems, "docs/schemes.md lists the parts")
    return chosen


def _belongs(meaning: Meaning, name: str) -> bool:
    """Whether a place is the point, on the curve (or its end) or in the group of that name."""
    part = load_parts().get(name)
    if meaning.group == name:
        return True
    if part is None:
        return False
    if part.is_curve:
        return meaning.part == name or meaning in (canonical(name, 0.0), canonical(name, 1.0))
    return meaning == canonical(name)


def from_places(
    points_plane: ArrayLike,
    names: Sequence[str | None],
    curves: Curves,
    within: float = SNAP_PLANE,
) -> Draft:
    """A draft from points on the plane.

    points_plane: (K, 2). names: (K); one that is a part's place (``chin``, ``jaw@0.25``) is what
    the point means, wherever it lies; any other is kept as the point's name.
    within: a point so near to a part's curve (plane units) means that part, others are free
    places; of two that would mean the same place the nearer one does.
    """
    points = np.asarray(points_plane, dtype=np.float64).reshape(-1, 2)
    meanings: list[Meaning | None] = [meaning_of(name) for name in names]
    taken = PlaceIndex(meaning for meaning in meanings if meaning is not None)
    snapped = []
    for index, point in enumerate(points):
        if meanings[index] is None:
            meaning = curves.nearest(point, within)
            place = curves.at(meaning)
            far = float(np.linalg.norm(point - place)) if place is not None else np.inf
            snapped.append((far, index, meaning))
    for _, index, meaning in sorted(snapped, key=lambda entry: entry[:2]):
        free = taken.find(meaning) is not None or meaning.place is not None
        meanings[index] = free_place(*points[index]) if free else meaning
        if not free:
            taken.add(meaning)
    kept = [None if name is None or meaning_of(name) is not None else name for name in names]
    return Draft(tuple(m for m in meanings if m is not None), tuple(kept))


def meaning_of(name: str | None) -> Meaning | None:
    """The place that a point's name says, or None when it is no part's."""
    try:
        return place_named(name) if name is not None else None
    except ValueError:
        return None


def make_scheme(
    draft: Draft,
    name: str,
    plane: Plane,
    title: str | None = None,
    source: str = MADE,
    normaliser: str | None = None,
) -> tuple[Scheme, str]:
    """The scheme of a draft and the text of its file, which was read back.

    normaliser: ``A,B`` (indices or names of points) or ``plane_box``; left out, that of the scheme
    the draft is like, else the outer eye corners, the pupils, the inner corners, else plane_box.
    Raises TufaError when the name is a shipped scheme's, ProblemsError with all that ``schemes
    check`` would find.
    """
    _check_name(name)
    derived = default_names(draft.meanings)
    names = tuple(own or given for own, given in zip(draft.names, derived, strict=True))
    scheme = Scheme(
        name=name,
        title=title or name,
        source=source,
        meanings=draft.meanings,
        names=names,
        flip=tuple(derived_flip(draft.meanings)) if draft.flip is None else draft.flip,
        skeleton=tuple(
            derived_skeleton(draft.meanings) if draft.skeleton is None else draft.skeleton
        ),
        normaliser=_normaliser(normaliser, draft, names),
    )
    text = scheme_to_yaml(scheme)
    again = parse_scheme(text, name)
    problems = check_scheme(again, plane).problems
    if problems:
        raise ProblemsError(name, problems)
    return again, text


def _check_name(name: str) -> None:
    if is_shipped_name(name):
        raise TufaError(
            f"a scheme that ships has the name {name}", "give yours another one with --name"
        )


def _normaliser(text: str | None, draft: Draft, names: Sequence[str]) -> tuple[int, int] | None:
    if text is not None and text != "plane_box":
        return _pair(text, names)
    chosen = text or draft.normaliser
    if chosen is not None:
        return None if isinstance(chosen, str) else chosen
    index = PlaceIndex(draft.meanings)
    for pair in _NORMALISERS:
        first, second = (index.find(canonical(part)) for part in pair)
        if first is not None and second is not None:
            return first, second
    return None


def _pair(text: str, names: Sequence[str]) -> tuple[int, int]:
    """Two points of ``A,B``, by index or name; raises TufaError."""
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2:
        raise TufaError(f"--normaliser {text}: two points, such as 0,5, or plane_box")
    found = []
    for word in words:
        if word in names:
            found.append(list(names).index(word))
        elif word.isascii() and word.isdigit() and len(word) < 9 and int(word) < len(names):
            found.append(int(word))
        elif word.isdigit():
            raise TufaError(
                f"--normaliser {text}: no point {word}, the points are 0 to {len(names) - 1}"
            )
        else:
            raise UnknownNameError("point", word, names)
    if found[0] == found[1]:
        raise TufaError(f"--normaliser {text}: the two points are the same")
    return found[0], found[1]
