"""Several sources as one: photos of different folders may not share a path."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.selection.lists import Segments, path_parts, photo_key

#: Collisions that a message names.
_MOST_NAMED = 3


def merge(
    sources: Sequence[tuple[str, Iterable[AnnotatedImage]]], prefix: bool = False
) -> list[AnnotatedImage]:
    """The photos of all sources, (name, photos) each, one source after the other.

    prefix: make every path begin at the folder above the photos' folders of all sources, so that
    ``helen/a.jpg`` and ``lfpw/a.jpg`` stay two photos; a source that does not say where its photos
    lie has its own name put in front instead. A photo that several sources name (same folder, same
    path) comes once for each. Raises TufaError when two photos would have one path.
    """
    records = [(name, image) for name, images in sources for image in images]
    if prefix:
        above = _above({image.root for _, image in records if image.root is not None})
        records = [(name, _prefixed(image, name, above)) for name, image in records]
    hint = "--prefix-sources puts the photos' folders in front of their paths"
    _check(records, "convert one of the sources to a file of another name" if prefix else hint)
    return [image for _, image in records]


def _above(roots: set[str]) -> str | None:
    """The folder above all these; None where there is none."""
    if not roots:
        return None
    try:
        return os.path.commonpath([_folder(root) for root in roots])
    except ValueError as error:  # two drives
        raise TufaError(
            "the photos lie on several drives, so there is no folder above all of them",
            "convert the sources to one file each",
        ) from error


def _folder(root: str) -> str:
    return posixpath.normpath(Path(root).absolute().as_posix())


def _prefixed(image: AnnotatedImage, name: str, above: str | None) -> AnnotatedImage:
    if image.root is None or above is None:
        return replace(image, path=f"{Path(name).stem or 'source'}/{image.path}")
    inside = Path(_folder(image.root)).relative_to(above).as_posix()
    return replace(image, path=posixpath.normpath(f"{inside}/{image.path}"), root=above)


def _check(records: Sequence[tuple[str, AnnotatedImage]], hint: str) -> None:
    """Raise TufaError for photos of different folders with one path."""
    places: dict[Segments, tuple[str, Segments | str]] = {}
    clashes: dict[Segments, tuple[str, str]] = {}
    for name, image in records:
        path = path_parts(image.path)
        # Without a folder only one source's own photos are surely the same.
        place = photo_key(image) if image.root is not None else name
        first_name, first_place = places.setdefault(path, (name, place))
        if first_name != name and first_place != place:
            clashes.setdefault(path, (first_name, name))
    if not clashes:
        return
    named = [
        f"{'/'.join(path)} ({one} and {other})"
        for path, (one, other) in list(clashes.items())[:_MOST_NAMED]
    ]
    more = f" and {len(clashes) - len(named)} more" if len(clashes) > len(named) else ""
    count = f"{len(clashes)} photo" + ("s have" if len(clashes) > 1 else " has")
    raise TufaError(f"{count} the path of another: {', '.join(named)}{more}", hint)
