"""Which parts of a test set are reported by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.selection import NameIndex, photo_key

#: More first folders than this are how photos are stored, not subsets that anyone reports.
MOST_FOLDERS = 30


def folder_subsets(images: Sequence[AnnotatedImage]) -> list[frozenset[str]]:
    """For each photo the first folder of its path, when there are several such folders."""
    folders = [_first_folder(image.path) for image in images]
    distinct = {folder for folder in folders if folder}
    if not 2 <= len(distinct) <= MOST_FOLDERS:
        return [frozenset() for _ in images]
    return [frozenset({folder}) if folder else frozenset() for folder in folders]


def _first_folder(path: str) -> str | None:
    parts = [part for part in path.split("/")[:-1] if part not in ("", ".", "..")]
    return parts[0] if parts else None


def listed_subsets(
    images: Sequence[AnnotatedImage], lists: Mapping[str, Iterable[str]]
) -> tuple[list[frozenset[str]], dict[str, int]]:
    """For each photo the named lists that hold it, and per list how many lines match no photo.

    lists: subset name to photo names, matched as ``tufa_cli.selection`` says.
    """
    index = NameIndex(images)
    photos, in_vain = {}, {}
    for name, lines in lists.items():
        photos[name], lost = index.find_all(lines)
        in_vain[name] = len(lost)
    keys = [photo_key(image) for image in images]
    members = [frozenset(name for name, found in photos.items() if key in found) for key in keys]
    return members, in_vain
