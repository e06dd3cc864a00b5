"""Landmark schemes as data: what each point means, and where it lies on the plane."""

from tufa_cli.schemes.anchors import anchors_for
from tufa_cli.schemes.load import get_scheme, read_scheme, scheme_names
from tufa_cli.schemes.model import Scheme
from tufa_cli.schemes.parts import Meaning
from tufa_cli.schemes.plane import Plane, builtin_plane, read_plane

__all__ = [
    "Meaning",
    "Plane",
    "Scheme",
    "anchors_for",
    "builtin_plane",
    "get_scheme",
    "read_plane",
    "read_scheme",
    "scheme_names",
]
