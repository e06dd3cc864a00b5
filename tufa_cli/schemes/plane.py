"""The plane: every scheme's anchors on one canonical face, frozen and versioned.

Reference: the ``wflw98`` mean shape, upright, its box centred in the unit square with the longest
side 1/1.2. A plane file is JSON; the shipped one is ``schemes/plane.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.geometry.crop import DEFAULT_WINDOW, Window
from tufa_cli.schemes.files import builtin_text
from tufa_cli.schemes.load import get_scheme, parse_scheme
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.write import scheme_to_yaml

FloatArray = NDArray[np.float64]

#: Box of the canonical face on the plane: x, y, side (the unit square's middle 1/1.2).
FACE_BOX_SIDE = 1 / 1.2
FACE_BOX = ((1 - FACE_BOX_SIDE) / 2, (1 - FACE_BOX_SIDE) / 2, FACE_BOX_SIDE)


_BY_MEANING = "by_meaning_alone"  # an entry of the report


@dataclass(frozen=True, eq=False)
class Plane:
    """Anchors of any number of schemes.

    anchors: scheme name to (K, 2) points_plane.
    window: the square that networks trained on this plane see unless their weights say otherwise.
    report: what the fit printed (residuals before and after, faces per mean shape).
    schemes: those of the anchors' schemes that do not ship, so that packs and weights that carry
        the plane need no scheme file beside them.
    """

    name: str
    reference: str
    anchors: Mapping[str, FloatArray]
    window: Window = DEFAULT_WINDOW
    report: Mapping[str, Any] = field(default_factory=dict)
    schemes: Mapping[str, Scheme] = field(default_factory=dict)

    def layout(self, name: str) -> Scheme:
        """The scheme of a name: the plane's own, else the one that ships, or a scheme file.

        Raises UnknownNameError.
        """
        return self.schemes.get(name) or get_scheme(name)

    @property
    def by_meaning(self) -> frozenset[str]:
        """The schemes on it without a mean shape, whose anchors follow from the others'."""
        return frozenset(self.report.get(_BY_MEANING, ()))

    def with_anchors(
        self,
        anchors: Mapping[str, FloatArray],
        schemes: Mapping[str, Scheme],
        by_meaning: Iterable[str],
    ) -> Plane:
        """The plane with more schemes; see its fields."""
        bare = sorted(self.by_meaning | set(by_meaning))
        return replace(
            self,
            anchors=dict(sorted({**self.anchors, **anchors}.items())),
            schemes={**self.schemes, **schemes},
            report={**self.report, **({_BY_MEANING: bare} if bare else {})},
        )

    def __getitem__(self, scheme: str) -> FloatArray:
        """(K, 2) points_plane of a scheme; raises UnknownNameError."""
        if scheme not in self.anchors:
            raise UnknownNameError("scheme on this plane", scheme, self.anchors)
        return self.anchors[scheme]

    def to_json(self) -> str:
        """The plane as a JSON text, 6 decimals (1e-6 of the face's crop)."""
        window = self.window
        head = {
            "kind": "tufa-plane",
            "version": 1,
            "name": self.name,
            "reference": self.reference,
            "window": [window.x, window.y, window.side],
        }
        # One scheme a line, so that a changed plane reads as such in a diff.
        lines = [f'"{key}": {json.dumps(value)},' for key, value in head.items()]
        lines.append(
            _block("anchors", {k: np.round(v, 6).tolist() for k, v in self.anchors.items()})
        )
        lines[-1] += ","
        if self.schemes:
            texts = {name: scheme_to_yaml(self.schemes[name]) for name in sorted(self.schemes)}
            lines.append(_block("schemes", texts) + ",")
        lines.append(f'"report": {json.dumps(dict(self.report), indent=1)}')
        return "{\n" + "\n".join(lines) + "\n}\n"


def _block(key: str, entries: Mapping[str, Any]) -> str:
    rows = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items()
    )
    return f'"{key}": {{\n{rows}\n}}'


def plane_from_json(text: str, where: str) -> Plane:
    """A plane from the text of a plane file; raises InputError."""
    try:
        data = json.loads(text)
        if data["kind"] != "tufa-plane" or data["version"] != 1:
            raise InputError(where, "not a plane file of version 1")
        anchors = {k: np.asarray(v, dtype=np.float64) for k, v in data["anchors"].items()}
        if not all(
            a.ndim == 2 and a.shape[1] == 2 and np.isfinite(a).all() for a in anchors.values()
        ):
            raise InputError(where, "anchors must be lists of finite [x, y]")
        texts = data.get("schemes", {})
        own = {name: parse_scheme(text, f"{where}: {name}") for name, text in texts.items()}
        window = Window(*data["window"])
        return Plane(data["name"], data["reference"], anchors, window, data["report"], own)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError(where, "not a plane file", hint="make one with 'tufa-cli align'") from None


def merged(planes: Mapping[str, Plane]) -> Plane:
    """One plane with the schemes of several that are the same but for the schemes they hold.

    planes: by where each comes from, for errors. Raises TufaError when two differ in more.
    """
    (first_from, whole), *others = planes.items()
    for where, plane in others:
        both = [name for name in plane.anchors if name in whole.anchors]
        own = [n for n in both if not _same(plane.schemes.get(n), whole.schemes.get(n))]
        if own:
            raise TufaError(
                f"{where}: its scheme {own[0]} has other points than the {own[0]} of {first_from}",
                "give one of them another 'name' in its file",
            )
        heads = {(p.name, p.reference, p.window) for p in (whole, plane)}
        if len(heads) > 1 or any(
            not np.array_equal(plane.anchors[name], whole.anchors[name]) for name in both
        ):
            raise TufaError(
                f"{where}: packed with another plane than {first_from}",
                "pack everything again with the same plane and options",
            )
        if len(both) < len(plane.anchors):
            whole = whole.with_anchors(plane.anchors, plane.schemes, plane.by_meaning)
    return whole


def _same(first: Scheme | None, second: Scheme | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.means_as(second)


def read_plane(path: Path) -> Plane:
    """A plane file of the user's."""
    try:
        return plane_from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(path, f"cannot read the plane: {reason}") from None


@lru_cache(maxsize=1)
def builtin_plane() -> Plane:
    """The plane that ships with the package."""
    return plane_from_json(builtin_text("plane.json"), "plane.json")
