"""Several sources as one: photos of different folders may not share a path."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.selection.lists import Segments, path_parts, photo_key

#: Collisions that a message names.
_MOST_NAMED = 3


class _Record(NamedTuple):
    """A photo, the source it comes from, and what tells it from others."""

    source: str
    image: AnnotatedImage
    key: Segments


def merge(
    sources: Sequence[tuple[str, Iterable[AnnotatedImage]]],
    prefix: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> list[AnnotatedImage]:
    """The photos of all sources, (name, photos) each, one source after the other.

    prefix: make every path begin at the folder above the photos' folders of all sources, so that
    ``helen/a.jpg`` and ``lfpw/a.jpg`` stay two photos; a source that does not say where its photos
    lie has its own name put in front instead.

    A photo (same folder, same path) that has an entry in several sources gets one, with the faces
    of all, unless they contradict each other in its size, split or attributes; ``on_note`` is
    told. Raises TufaError when two photos would have one path.
    """
    images = [(name, image) for name, images in sources for image in images]
    if prefix:
        folders = {image.root: _folder(image.root) for _, image in images if image.root is not None}
        above = _above(folders.values()) if folders else ""
        images = [(name, _prefixed(image, name, folders, above)) for name, image in images]
    # Photos of an unknown folder are told apart by their source: they are surely the same in none.
    records = [
        _Record(name, image, photo_key(image) if image.root is not None else (name, image.path))
        for name, image in images
    ]
    hint = "--prefix-sources puts the photos' folders in front of their paths"
    _check(records, "convert one of the sources to a file of another name" if prefix else hint)
    return _joined(records, on_note or (lambda text: None))


def _joined(records: Sequence[_Record], note: Callable[[str], None]) -> list[AnnotatedImage]:
    """One entry for photos that several sources have one of; each at its first place."""
    entries: dict[Segments, list[_Record]] = defaultdict(list)
    for record in records:
        entries[record.key].append(record)
    joined, apart, found = 0, 0, []
    for several in entries.values():
        images = [record.image for record in several]
        sources = len({record.source for record in several})
        whole = _one_entry(images) if 1 < sources == len(images) else None
        joined += whole is not None
        apart += sources > 1 and whole is None
        found += images if whole is None else [whole]
    if joined:
        note(f"photos in several sources, their faces put together: {joined}")
    if apart:
        note(f"photos in several sources whose entries differ, left as they are: {apart}")
    return found


def _one_entry(images: Sequence[AnnotatedImage]) -> AnnotatedImage | None:
    """One record with the faces of all, or None where they contradict each other."""
    whole = images[0]
    for image in images[1:]:
        known: dict[str, Any] = {}
        for field in ("width", "height", "split"):
            values = [v for v in (getattr(whole, field), getattr(image, field)) if v is not None]
            if len(values) == 2 and values[0] != values[1]:
                return None
            known[field] = values[0] if values else None
        for key in whole.attributes.keys() & image.attributes.keys():
            if repr(whole.attributes[key]) != repr(image.attributes[key]):
                return None
        attributes = {**whole.attributes, **image.attributes}
        whole = replace(whole, faces=(*whole.faces, *image.faces), attributes=attributes, **known)
    return whole


def _folder(root: str) -> str:
    return posixpath.normpath(Path(root).absolute().as_posix())


def _prefixed(
    image: AnnotatedImage, source: str, folders: Mapping[str, str], above: str
) -> AnnotatedImage:
    """The record with its path from the folder ``above``, or behind its source's name.

    folders: each root, and the same in full.
    """
    if image.root is None:
        return replace(image, path=f"{Path(source).stem or 'source'}/{image.path}")
    inside = posixpath.relpath(folders[image.root], above)
    return replace(image, path=posixpath.normpath(f"{inside}/{image.path}"), root=above)


def _above(folders: Iterable[str]) -> str:
    try:
        return posixpath.commonpath(list(folders))
    except ValueError as error:  # two drives
        raise TufaError(
            "the photos lie on several drives, so there is no folder above all of them",
            "convert the sources to one file each",
        ) from error


def _check(records: Sequence[_Record], hint: str) -> None:
    """Raise TufaError for photos of different folders with one path."""
    first: dict[Segments, _Record] = {}
    clashes: dict[Segments, tuple[str, str]] = {}
    for record in records:
        path = path_parts(record.image.path)
        other = first.setdefault(path, record)
        if other.source != record.source and other.key != record.key:
            clashes.setdefault(path, (other.source, record.source))
    if not clashes:
        return
    named = [
        f"{'/'.join(path)} ({one} and {other})"
        for path, (one, other) in list(clashes.items())[:_MOST_NAMED]
    ]
    more = f" and {len(clashes) - len(named)} more" if len(clashes) > len(named) else ""
    count = f"{len(clashes)} photo" + ("s have" if len(clashes) > 1 else " has")
    raise TufaError(f"{count} the path of another: {', '.join(named)}{more}", hint)
