"""Which photos of a source to use: lists of photo names, matched strictly.

One rule for every command that takes ``--list`` and ``--exclude``. A line names a photo when

1. it is the photo's path relative to its root; else
2. it is the end of the photo's whole path (root and path), folder by folder: ``a.jpg`` and
   ``afw/a.jpg`` name ``/data/300w/afw/a.jpg``, ``fw/a.jpg`` does not; else
3. the same without the photo's extension: ``a``, ``afw/a``.

So one list serves whether the source was read from the dataset's folder or one below it. A line
that names several photos is an error, since guessing would mix training and test faces.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError, TufaError
from tufa_cli.selection.held import Held, heads, picked

Segments = tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The photos that the lists chose (iterate it), and what they named in vain.

    chosen: the photos, in the order they came.
    unmatched: the lines of the lists that name no photo, sorted.
    """

    chosen: Sequence[AnnotatedImage]
    unmatched: list[str]

    def __iter__(self) -> Iterator[AnnotatedImage]:
        return iter(self.chosen)

    def __len__(self) -> int:
        return len(self.chosen)

    def warning(self) -> str | None:
        """One line with the count of the names in vain and the first of them, or None."""
        if not self.unmatched:
            return None
        names = ", ".join(self.unmatched[:3]) + (", …" if len(self.unmatched) > 3 else "")
        count = len(self.unmatched)
        return f"{count} listed name{'s' if count > 1 else ''} matched no photo: {names}"


def read_name_list(path: str | Path) -> set[str]:
    """The photo names of a text file, one a line; blank lines are left out.

    Raises InputError when the file cannot be read as UTF-8 text or holds no name.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, "is not a text file in UTF-8") from error
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    names = {line.strip() for line in text.splitlines() if line.strip()}
    if not names:
        raise InputError(path, "holds no names", hint="one photo name per line")
    return names


def select(
    images: Iterable[AnnotatedImage],
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
) -> Selection:
    """The photos that ``include`` names (all when None) and ``exclude`` does not.

    A photo named by both is left out. The same photo (root and path) may come several times and
    stays so. Raises TufaError when a line names several different photos.
    """
    kept = images if isinstance(images, Held) else list(images)
    index = NameIndex(kept)
    wanted, in_vain = index.find_all(include) if include is not None else (None, set())
    unwanted, idle = index.find_all(exclude) if exclude is not None else (set(), set())
    keys = map(photo_key, heads(kept))
    fits = ((wanted is None or key in wanted) and key not in unwanted for key in keys)
    chosen = np.flatnonzero(np.fromiter(fits, dtype=bool, count=len(kept)))
    return Selection(picked(kept, chosen), sorted(in_vain | idle))


class NameIndex:
    """Finds photos by the lines of a list; see the module's text for the rule."""

    def __init__(self, images: Iterable[AnnotatedImage]) -> None:
        self._by_path: dict[Segments, set[Segments]] = defaultdict(set)
        self._by_name: dict[str, set[Segments]] = defaultdict(set)
        self._by_stem: dict[str, set[Segments]] = defaultdict(set)
        for image in heads(images):
            photo = photo_key(image)
            self._by_path[path_parts(image.path)].add(photo)
            self._by_name[photo[-1]].add(photo)
            self._by_stem[PurePosixPath(photo[-1]).stem].add(photo)

    def find(self, line: str) -> set[Segments]:
        """The photos that ``line`` names: none, or one; several raise TufaError."""
        wanted = path_parts(line)
        if not wanted:
            return set()
        found = self._by_path.get(wanted) or {
            photo for photo in self._by_name.get(wanted[-1], ()) if _ends(photo, wanted)
        }
        found = found or {
            photo for photo in self._by_stem.get(wanted[-1], ()) if _ends(photo[:-1], wanted[:-1])
        }
        if len(found) > 1:
            examples = ", ".join("/".join(photo[-3:]) for photo in sorted(found)[:2])
            raise TufaError(
                f"'{line}' names {len(found)} photos: {examples}",
                "write more of the path in the list",
            )
        return found

    def find_all(self, lines: Iterable[str]) -> tuple[set[Segments], set[str]]:
        """The photos that the lines name, and the lines that name none."""
        photos = {line: self.find(line) for line in sorted(set(lines))}
        return set().union(*photos.values()), {line for line, found in photos.items() if not found}


def _ends(photo: Segments, wanted: Segments) -> bool:
    return len(wanted) <= len(photo) and photo[len(photo) - len(wanted) :] == wanted


def photo_key(image: AnnotatedImage) -> Segments:
    """The parts of the photo's whole path: the same for one photo reached in two ways."""
    root = Path(image.root).absolute().as_posix() if image.root is not None else ""
    return path_parts(posixpath.join(root, image.path))


def path_parts(path: str) -> Segments:
    """The parts of a path, told apart by nothing but what they name."""
    # NFC: a name typed on one system and a file name stored by another may compose accents
    # differently.
    clean = posixpath.normpath(unicodedata.normalize("NFC", path.strip()).replace("\\", "/"))
    return tuple(part for part in clean.split("/") if part not in ("", "."))
