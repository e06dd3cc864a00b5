"""Which detector is used when none is named."""

from __future__ import annotations

from tufa_cli.detect.weights_path import builtin_finder_path

#: Our own network where the package has its weights, else what works without any.
DEFAULT_DETECTOR = "lbp" if builtin_finder_path() is None else "finder"
