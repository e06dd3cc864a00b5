"""The plane: every scheme's anchors on one canonical face, frozen and versioned.

Reference: the ``wflw98`` mean shape, upright, its box centred in the unit square with the longest
side 1/1.2. A plane file is JSON; the shipped one is ``schemes/plane.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError, UnknownNameError
from tufa_cli.geometry.crop import DEFAULT_WINDOW, Window
from tufa_cli.schemes.files import builtin_text

FloatArray = NDArray[np.float64]

#: Box of the canonical face on the plane: x, y, side (the unit square's middle 1/1.2).
FACE_BOX_SIDE = 1 / 1.2
FACE_BOX = ((1 - FACE_BOX_SIDE) / 2, (1 - FACE_BOX_SIDE) / 2, FACE_BOX_SIDE)


@dataclass(frozen=True, eq=False)
class Plane:
    """Anchors of any number of schemes.

    anchors: scheme name to (K, 2) points_plane.
    window: the square that networks trained on this plane see unless their weights say otherwise.
    report: what the fit printed (residuals before and after, faces per mean shape).
    """

    name: str
    reference: str
    anchors: Mapping[str, FloatArray]
    window: Window = DEFAULT_WINDOW
    report: Mapping[str, Any] = field(default_factory=dict)

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
        return Plane(
            data["name"], data["reference"], anchors, Window(*data["window"]), data["report"]
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        raise InputError(where, "not a plane file", hint="make one with 'tufa-cli align'") from None


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
