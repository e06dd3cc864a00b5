"""Scheme files: the way back from ``load``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

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
    text = "\n".join([*head, "points:", *_points(scheme, False)]) + "\n"
    derived = parse_scheme(text, scheme.name)
    if derived.names != scheme.names:
        text = "\n".join([*head, "points:", *_points(scheme, True)]) + "\n"
    if derived.flip != scheme.flip:
        pairs = [[i, j] for i, j in enumerate(scheme.flip) if i <= j and derived.flip[i] != j]
        text += f"flip: {json.dumps(pairs)}\n"
    if set(derived.skeleton) != set(scheme.skeleton):
        text += f"skeleton: {json.dumps([list(edge) for edge in scheme.skeleton])}\n"
    return text


def _points(scheme: Scheme, named: bool) -> Iterator[str]:
    """One line a point, or a run of points along one curve, with the run's indices behind it."""
    for _, run in groupby(range(len(scheme)), key=lambda i: _run(scheme, i)):
        indices = list(run)
        part = scheme.meanings[indices[0]].part
        fractions = [scheme.meanings[i].t for i in indices]
        names = [scheme.names[i] for i in indices]
        place = scheme.meanings[indices[0]].place
        if place is not None:
            entry = f"place: [{place[0]:g}, {place[1]:g}]"
            names = names if named or not names[0].startswith("place_") else []
        elif not load_parts()[part].is_curve:
            entry, names = f"part: {part}", names if named else []
        else:
            entry = f"part: {part}, t: [{', '.join(f'{t:g}' for t in fractions)}]"
            names = names if named else []
        if names:
            one = place is not None or not load_parts()[part].is_curve
            entry += f", name: {json.dumps(names[0])}" if one else f", names: {json.dumps(names)}"
        last = f"-{indices[-1]}" if len(indices) > 1 else ""
        yield f"  - {{{entry}}}  # {indices[0]}{last}"


def _run(scheme: Scheme, index: int) -> tuple[str, int]:
    """What makes neighbours one run: the curve they lie on; every other point is its own."""
    part = scheme.meanings[index].part
    return (part, -1) if part != FREE and load_parts()[part].is_curve else (part, index)
