"""Which photos belong together, so that a split does not part them: a person's, a video's.

``--group-by`` says how:

- ``photo`` (the default): each photo is alone;
- ``folder``: the photos of one folder;
- ``stem``: photos whose names differ in folder and ending only;
- ``attribute:NAME``: photos whose faces, or which themselves, have one value of an attribute;
- ``regex:PATTERN``: photos in whose path the pattern's groups (all of the match, where it has
  none) hold the same;
- ``file:FILE``: a line per photo, its name as in ``--list`` and behind it, after a tab, a comma or
  a space, its group, as in CelebA's ``identity_CelebA.txt``.

A photo of two persons belongs to two groups, which are then one: what is joined by photos is never
parted, however long the chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.selection.held import Alike, heads
from tufa_cli.selection.lists import NameIndex, Segments, photo_key
from tufa_cli.selection.sampling import photo_name

WAYS = ("photo", "folder", "stem", "attribute", "regex", "file")
_TAKES = {"attribute": "NAME", "regex": "PATTERN", "file": "FILE"}

#: A photo's own group beside the others; no path begins with it.
_ALONE = "\0"


@dataclass(frozen=True)
class Grouping:
    """The groups of photos: ``of`` gives a photo's, by ``photo_name``.

    alone: photos that have no group and stand by themselves. in_vain: lines that name no photo.
    """

    of: Mapping[str, str]
    alone: int = 0
    in_vain: int = 0

    @property
    def count(self) -> int:
        return len(set(self.of.values()))


@dataclass(frozen=True)
class GroupBy:
    """One of ``WAYS`` and what it is by."""

    way: str = "photo"
    by: str = ""

    @classmethod
    def parse(cls, text: str) -> GroupBy:
        """ "folder", "attribute:identity", "regex:^(\\d+)_"; raises TufaError or ValueError."""
        way, _, by = text.partition(":")
        if way not in WAYS:
            known = [f"{name}:{_TAKES[name]}" if name in _TAKES else name for name in WAYS]
            raise UnknownNameError("way to group photos", text, known)
        if (way in _TAKES) != bool(by):
            raise ValueError(
                f"write {way}:{_TAKES[way]}" if way in _TAKES else f"'{way}' takes nothing: '{by}'"
            )
        if way == "regex":
            try:
                re.compile(by)
            except re.error as error:
                raise ValueError(f"'{by}' is no regular expression: {error}") from None
        return cls(way, by)

    def __str__(self) -> str:
        return f"{self.way}:{self.by}" if self.by else self.way

    def group(self, images: Sequence[AnnotatedImage]) -> Grouping:
        """The groups of these photos.

        Raises TufaError for an attribute that none has, for photos that the pattern or the file
        leaves out, and InputError for a file that cannot be read.
        """
        if self.way == "file":
            return self._by_file(images)
        if self.way == "photo":
            return Grouping(_EachAlone(images))
        names = self._names()
        joined = _Joined()
        found = False
        for image in images if self.way == "attribute" else heads(images):
            groups = list(names(image))
            found |= bool(groups)
            joined.add(photo_name(image), groups)
        if self.way == "attribute" and images and not found:
            known = {*(a for i in images for a in i.attributes), *_face_attributes(images)}
            raise UnknownNameError("attribute in --group-by", self.by, known)
        if self.way == "regex":
            self._all_in(joined, f"the pattern '{self.by}'")
        return joined.grouping()

    def _names(self) -> Callable[[AnnotatedImage], Iterable[str]]:
        """A photo to the names of its groups."""
        if self.way == "folder":
            return lambda image: [photo_name(image).rpartition("/")[0]]
        if self.way == "stem":
            return lambda image: [PurePosixPath(photo_name(image)).stem]
        if self.way == "attribute":
            return lambda image: _values(image, self.by)
        pattern = re.compile(self.by)

        def captured(image: AnnotatedImage) -> Iterator[str]:
            match = pattern.search(image.path)
            if match is not None:
                yield "\0".join(part or "" for part in match.groups() or (match.group(),))

        return captured

    def _by_file(self, images: Sequence[AnnotatedImage]) -> Grouping:
        index = NameIndex(images)
        groups: dict[Segments, tuple[str, int]] = {}
        in_vain = 0
        for number, (name, group) in _group_lines(Path(self.by)):
            photos = index.find(name)
            in_vain += not photos
            for photo in photos:
                known, line = groups.setdefault(photo, (group, number))
                if known != group:
                    raise InputError(
                        self.by, f"'{name}' is of group {group}, in line {line} of {known}", number
                    )
        joined = _Joined()
        for image in heads(images):
            found = groups.get(photo_key(image))
            joined.add(photo_name(image), [found[0]] if found is not None else [])
        self._all_in(joined, self.by)
        return Grouping(joined.grouping().of, in_vain=in_vain)

    def _all_in(self, joined: _Joined, where: str) -> None:
        if joined.alone:
            count = len(joined.alone)
            raise TufaError(
                f"{where} gives no group to {count} photo{'s' if count > 1 else ''}, "
                f"first {min(joined.alone)}",
                "--exclude leaves photos out",
            )


def _values(image: AnnotatedImage, name: str) -> Iterator[str]:
    """The values of an attribute in a photo, as text; where no face has it, its own."""
    given = [face.attributes.get(name) for face in image.faces]
    known = [value for value in given if value is not None] or [image.attributes.get(name)]
    return (str(value) for value in known if value is not None and str(value).strip())


def _face_attributes(images: Iterable[AnnotatedImage]) -> Iterator[str]:
    return (name for image in images for face in image.faces for name in face.attributes)


def _group_lines(path: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    """Number, photo and group of each line; raises InputError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, "is not a text file in UTF-8") from error
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line:
            continue
        mark = next((mark for mark in "\t," if mark in line), " ")
        name, found, group = line.rpartition(mark)
        if not found or not name.strip() or not group.strip():
            raise InputError(path, "expected a photo and its group", number)
        yield number, (name.strip(), group.strip())


class _EachAlone(Mapping[str, str]):
    """Photos that are their own groups; nothing of them is kept."""

    def __init__(self, images: Sequence[AnnotatedImage]) -> None:
        self._images = images
        self._count: int | None = None

    def __getitem__(self, name: str) -> str:
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(map(photo_name, heads(self._images))))

    def __len__(self) -> int:
        if self._count is None:
            alike = Alike()
            for image in heads(self._images):
                alike.add(photo_name(image))
            self._count = len(np.unique(alike.first()))
        return self._count

    def __contains__(self, name: object) -> bool:
        return any(name == own for own in self)


class _Joined:
    """Photos and groups as one web, of which every connected piece is a group."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._photos: dict[str, str] = {}
        self.alone: set[str] = set()

    def add(self, photo: str, groups: Iterable[str]) -> None:
        """A photo's entry and the groups it belongs to; a photo may have several entries."""
        names = list(groups)
        if not names:
            if photo not in self._photos:
                self.alone.add(photo)
            return
        self.alone.discard(photo)
        for name in [*names, self._photos.get(photo, names[0])]:
            self._join(names[0], name)
        self._photos[photo] = names[0]

    def _top(self, name: str) -> str:
        self._above.setdefault(name, name)
        while self._above[name] != name:
            self._above[name] = self._above[self._above[name]]
            name = self._above[name]
        return name

    def _join(self, one: str, other: str) -> None:
        # The least name stands for all of them, so that the order of photos does not matter.
        low, high = sorted((self._top(one), self._top(other)))
        self._above[high] = low

    def grouping(self) -> Grouping:
        """The groups; nothing may be added after that."""
        of = self._photos
        for photo, group in of.items():
            of[photo] = self._top(group)
        of.update((photo, _ALONE + photo) for photo in self.alone)
        return Grouping(of, alone=len(self.alone))
