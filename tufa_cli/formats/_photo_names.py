"""Names of photos in files that came from another machine."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from tufa_cli.errors import OutputError
from tufa_cli.formats._files import RELATIVE_HINT, photo_name, photo_path

_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")


def common_folder(names: Iterable[str], root: Path | None = None) -> str | None:
    """The deepest folder above all names that are absolute, or None when none is.

    root: the photos' folder if the caller named one; it wins when it lies above all of them.
    Names with and without a drive letter have no folder in common: "" then.
    """
    parents: list[str] = []
    for name in names:
        name = name.replace("\\", "/")
        if _ABSOLUTE.match(name):
            parents = [_above([*parents, posixpath.dirname(name)])]
    if not parents:
        return None
    if root is not None:
        base = root.absolute().as_posix()
        if parents[0] == base or parents[0].startswith(base.rstrip("/") + "/"):
            return base
    return parents[0]


def _above(folders: list[str]) -> str:
    try:
        return posixpath.commonpath(folders)
    except ValueError:
        return ""


def written_name(path: str, target: Path) -> str:
    """A photo's path as a reader will take it; raises OutputError for one that it would not."""
    try:
        return photo_name(path) and path
    except ValueError as error:
        raise OutputError(f"{target}: {error}", RELATIVE_HINT) from None


def stored_name(value: object, key: str, common: str | None = None) -> str:
    """A photo's name from a file, relative, with ``/``; raises ValueError.

    common: ``common_folder`` of the file's names, which an absolute one is made relative to. Names
    that lead out of their folder by ``..`` are refused: a file of someone else's may not reach
    what lies elsewhere.
    """
    name = photo_path(value, key)
    if common and _ABSOLUTE.match(name):
        name = photo_path(name[len(common) :].lstrip("/"), key)
    return name.removeprefix("./")
