"""Several sources as one: photos of different folders may not share a path."""

from __future__ import annotations

import posixpath
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.selection.held import Alike, Held, hold
from tufa_cli.selection.lists import path_parts, photo_key

#: Collisions that a message names.
_MOST_NAMED = 3


def merge(
    sources: Sequence[tuple[str, Iterable[AnnotatedImage]]],
    prefix: bool = False,
    on_note: Callable[[str], None] | None = None,
) -> Held:
    """The photos of all sources, (name, photos) each, one source after the other.

    prefix: make every path begin at the folder above the photos' folders of all sources, so that
    ``helen/a.jpg`` and ``lfpw/a.jpg`` stay two photos; a source that does not say where its photos
    lie has its own name put in front instead.

    A photo (same folder, same path) that has an entry in several sources gets one, with the faces
    of all, unless they contradict each other in its size, split or attributes; ``on_note`` is
    told. Raises TufaError when two photos would have one path.
    """
    names = [name for name, _ in sources]
    source_of, roots = array("L"), set()

    def counted() -> Iterator[AnnotatedImage]:
        for number, (_, images) in enumerate(sources):
            for image in images:
                source_of.append(number)
                roots.add(image.root)
                yield image

    held = hold(counted())
    if prefix:
        folders = {root: _folder(root) for root in roots if root is not None}
        above = _above(folders.values()) if folders else ""

        def change(number: int, image: AnnotatedImage) -> AnnotatedImage:
            if number >= len(source_of):  # put together from others, whose paths are long enough
                return image
            return _prefixed(image, names[source_of[number]], folders, above)

        held = held.changed(change)
    keys, paths = Alike(), Alike()
    for source, image in zip(source_of, held.heads(), strict=True):
        # Photos of an unknown folder are told apart by their source: surely the same in none.
        keys.add(*(photo_key(image) if image.root is not None else (names[source], "", image.path)))
        paths.add(*path_parts(image.path))
    key = keys.first()
    hint = "--prefix-sources puts the photos' folders in front of their paths"
    hint = "convert one of the sources to a file of another name" if prefix else hint
    _check(held, key, paths.first(), [names[source] for source in source_of], hint)
    return _joined(held, key, source_of, on_note or (lambda text: None))


def _joined(
    held: Held, key: NDArray[np.int64], source_of: Sequence[int], note: Callable[[str], None]
) -> Held:
    """One entry for photos that several sources have one of; each at its first place.

    key: (N,) of each entry, the first that is of the same photo.
    """
    joined = apart = 0
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(key[order]) > 0]) if len(key) else key
    numbers: list[int | None] = order.tolist()
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(key)], strict=False):
        if end - begin == 1:
            continue
        several = order[begin:end].tolist()
        sources = len({source_of[number] for number in several})
        whole = None
        if 1 < sources == len(several):
            whole = _one_entry([held[number] for number in several])
        joined += whole is not None
        apart += sources > 1 and whole is None
        if whole is not None:
            numbers[begin:end] = [held.add(whole), *[None] * (len(several) - 1)]
    if joined:
        note(f"photos in several sources, their faces put together: {joined}")
    if apart:
        note(f"photos in several sources whose entries differ, left as they are: {apart}")
    return held.at([number for number in numbers if number is not None])


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


def _check(
    held: Held, key: NDArray[np.int64], path: NDArray[np.int64], names: Sequence[str], hint: str
) -> None:
    """Raise TufaError for photos of different folders with one path.

    key, path: (N,) of each entry, the first that is of the same photo, and of the same path.
    names: of each entry, its source's.
    """
    clashes: dict[int, tuple[str, str]] = {}
    for number in np.flatnonzero(key[path] != key).tolist():
        first = int(path[number])
        if names[first] != names[number]:
            clashes.setdefault(first, (names[first], names[number]))
    if not clashes:
        return
    named = [
        f"{'/'.join(path_parts(held[number].path))} ({one} and {other})"
        for number, (one, other) in list(clashes.items())[:_MOST_NAMED]
    ]
    more = f" and {len(clashes) - len(named)} more" if len(clashes) > len(named) else ""
    count = f"{len(clashes)} photo" + ("s have" if len(clashes) > 1 else " has")
    raise TufaError(f"{count} the path of another: {', '.join(named)}{more}", hint)
