"""Scheme files: the way back from ``load``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from tufa_cli.errors import ProblemsError
from tufa_cli.schemes.load import parse_scheme
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import FREE, load_parts


def scheme_to_yaml(scheme: Scheme, comment: str = "") -> str:
    """The text of a scheme file that loads as the same scheme.

    Flips, skeletons and names are written only where the meanings do not tell them. ``comment``
    becomes the file's first lines.
    """
    head = [f"# {line}".rstrip() for line in comment.splitlines()]
    head.append(f"name: {json.dumps(scheme.name)}")
    if scheme.title != scheme.name:
        head.append(f"title: {json.dumps(scheme.title, ensure_ascii=False)}")
    if scheme.aliases:
        head.append(f"aliases: {json.dumps(list(scheme.aliases))}")
    head.append(f"source: {json.dumps(scheme.source, ensure_ascii=False)}")
    normaliser = "plane_box" if scheme.normaliser is None else list(scheme.normaliser)
    head.append(f"normaliser: {normaliser}")
    body = _points(scheme, scheme.names)
    try:
        derived = parse_scheme(_text(head, body), scheme.name)
        if derived.names != scheme.names:
            body = _points(scheme, derived.names)
    except ProblemsError:
        # Without their own names two points have one; any other mistake is raised here.
        body = _points(scheme, None)
        derived = parse_scheme(_text(head, body), scheme.name)
    text = _text(head, body)
    if derived.flip != scheme.flip:
        pairs = [[i, j] for i, j in enumerate(scheme.flip) if i <= j and derived.flip[i] != j]
        text += f"flip: {json.dumps(pairs)}\n"
    if set(derived.skeleton) != set(scheme.skeleton):
        text += f"skeleton: {json.dumps([list(edge) for edge in scheme.skeleton])}\n"
    return text


def _text(head: list[str], points: list[str]) -> str:
    return "\n".join([*head, "points:", *points]) + "\n"


def _points(scheme: Scheme, derived: Sequence[str] | None) -> list[str]:
    """One line a point, or a run of points along one curve, with the run's indices behind it.

    derived: the names that points get when the file gives none; those that differ are written,
        all of them for None.
    """
    lines = []
    for _, run in groupby(range(len(scheme)), key=lambda i: _run(scheme, i)):
        indices = list(run)
        meaning = scheme.meanings[indices[0]]
        names = [scheme.names[i] for i in indices]
        one = meaning.place is not None or not load_parts()[meaning.part].is_curve
        if meaning.place is not None:
            entry = f"place: [{meaning.place[0]:g}, {meaning.place[1]:g}]"
        elif one:
            entry = f"part: {meaning.part}"
        else:
            entry = f"part: {meaning.part}, {_along([scheme.meanings[i].t for i in indices])}"
        if derived is None or names != [derived[i] for i in indices]:
            entry += f", name: {json.dumps(names[0])}" if one else f", names: {json.dumps(names)}"
        last = f"-{indices[-1]}" if len(indices) > 1 else ""
        lines.append(f"  - {{{entry}}}  # {indices[0]}{last}")
    return lines


def _along(fractions: list[float]) -> str:
    """Where points lie on a curve, in the shortest words that are as good as six decimals."""
    first, last, count = fractions[0], fractions[-1], len(fractions)
    step = (last - first) / max(count - 1, 1)
    if count >= 4 and all(abs(first + i * step - t) < 2e-6 for i, t in enumerate(fractions)):
        return f"from: {first:g}, to: {last:g}, count: {count}"
    return f"t: [{', '.join(f'{t:g}' for t in fractions)}]"


def _run(scheme: Scheme, index: int) -> tuple[str, int]:
    """What makes neighbours one run: the curve they lie on; every other point is its own."""
    part = scheme.meanings[index].part
    return (part, -1) if part != FREE and load_parts()[part].is_curve else (part, index)
