"""Where the shipped network of the face finder lies; no torch is loaded to tell."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def builtin_finder_path() -> Path | None:
    """The file, or None when this package has none."""
    path = Path(str(resources.files("tufa_cli.detect") / "weights" / "finder.pt"))
    return path if path.is_file() else None
