"""Parts of a data set: train, val, test.

With percentages a group's part follows from its own name and the seed: the hash of both is a place
between 0 and 100, and the parts lie there one after the other. So a group stays where it is when
photos are added, and the parts have the sizes asked for only about, as many groups decide.

With numbers of photos the groups stand in a row by the same hash, and each part takes from it until
it has as many photos; as no group is parted, the last one may bring a few more. When photos are
added, groups near the ends of parts may move.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.selection.groups import Grouping
from tufa_cli.selection.held import Alike, heads, picked
from tufa_cli.selection.sampling import CHANCES, amount, chance, photo_name

#: Stands for the part's name in the name of an output.
PLACEHOLDER = "{part}"

_NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True)
class Part:
    """A part of a data set: its photos, in the order they came, and of how many groups."""

    name: str
    images: Sequence[AnnotatedImage]
    groups: int


@dataclass(frozen=True)
class Split:
    """Names of the parts and how much each gets: None for the rest.

    percent: whether these are percentages, or else numbers of photos.
    """

    parts: Mapping[str, Fraction | None]
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Split:
        """ "train=80,val=10,test=10", "train=rest,val=500"; raises ValueError.

        Numbers without a sign are percentages when they add up to 100, else numbers of photos.
        """
        given: dict[str, str] = {}
        for word in text.split(","):
            name, equals, size = (piece.strip() for piece in word.partition("="))
            if not equals or not size or not _NAME.fullmatch(name):
                raise ValueError(f"expected NAME=SIZE, found '{word}'")
            if name.lower() in map(str.lower, given):
                raise ValueError(f"the part '{name}' comes twice")
            given[name] = size
        if len(given) < 2:
            raise ValueError("give two parts or more")
        sizes = {n: None if size == "rest" else amount(size) for n, size in given.items()}
        numbers = [size for size in sizes.values() if size is not None]
        if len(numbers) < len(sizes) - 1:
            raise ValueError("only one part can be the rest")
        if any(number <= 0 for number, _ in numbers):
            raise ValueError("a part of size 0 is none")
        total = sum(number for number, _ in numbers)
        signs = {sign for _, sign in numbers}
        if len(signs) > 1:
            raise ValueError("give percentages or numbers of photos, not both")
        has_rest = len(numbers) < len(sizes)
        percent = True in signs or (total == 100 and not has_rest)
        _check_sizes([number for number, _ in numbers], percent, has_rest)
        return cls({n: None if s is None else s[0] for n, s in sizes.items()}, percent)

    def divide(
        self, images: Sequence[AnnotatedImage], groups: Grouping, seed: int = 0
    ) -> list[Part]:
        """The parts, in the order they were named; each photo is in one of them.

        Raises TufaError when a part gets no photo, when there are not as many photos as asked for,
        or when some would belong to no part.
        """
        part_of = (self._by_percent if self.percent else self._by_count)(groups, seed)
        names, alike = list(self.parts), Alike()
        place = {name: number for number, name in enumerate(names)}
        chosen = np.empty(len(images), dtype=np.uint8 if len(names) < 256 else np.int64)
        for number, image in enumerate(heads(images)):
            group = groups.of[photo_name(image)]
            chosen[number] = place[part_of(group)]
            alike.add(group)
        members = [np.flatnonzero(chosen == number) for number in range(len(names))]
        empty = [name for name, photos in zip(names, members, strict=True) if not len(photos)]
        if empty:
            raise TufaError(
                f"no photo for the part{'s' if len(empty) > 1 else ''} {' and '.join(empty)}: "
                f"{len(groups.of)} photos in {groups.count} group{'s' * (groups.count != 1)}",
                "another --seed, numbers of photos instead of percentages, or smaller groups "
                "(--group-by)",
            )
        first = alike.first()
        return [
            Part(name, picked(images, photos), len(np.unique(first[photos])))
            for name, photos in zip(names, members, strict=True)
        ]

    def _by_percent(self, groups: Grouping, seed: int) -> Callable[[str], str]:
        ends = list(self._ends())

        def part_of(group: str) -> str:
            place = chance(seed, "split", group)
            return next(name for name, end in ends if place < end)

        return part_of

    def _ends(self) -> Iterator[tuple[str, Fraction]]:
        """Each part's name and where it ends on the line of chances."""
        rest = 100 - sum(size for size in self.parts.values() if size is not None)
        end = Fraction(0)
        for name, size in self.parts.items():
            end += rest if size is None else size
            yield name, end * CHANCES / 100

    def _by_count(self, groups: Grouping, seed: int) -> Callable[[str], str]:
        photos: dict[str, int] = defaultdict(int)
        for group in groups.of.values():
            photos[group] += 1
        row = sorted(photos, key=lambda group: (chance(seed, "split", group), group))
        asked = sum(int(size) for size in self.parts.values() if size is not None)
        if asked > len(groups.of):
            raise TufaError(
                f"--split asks for {asked} photos of {len(groups.of)}",
                "percentages take what is there",
            )
        part_of, at = {}, 0
        for name, size in self.parts.items():
            have = 0
            while size is not None and have < size and at < len(row):
                part_of[row[at]] = name
                have += photos[row[at]]
                at += 1
        left = [name for name, size in self.parts.items() if size is None]
        if not left and at < len(row):
            count = sum(photos[group] for group in row[at:])
            raise TufaError(
                f"--split leaves {count} photo{'s' * (count != 1)} in no part",
                "give one part the size 'rest', or percentages that add up to 100; "
                "--sample takes fewer photos",
            )
        return (part_of | dict.fromkeys(row[at:], left[0] if left else "")).__getitem__


def _check_sizes(numbers: Sequence[Fraction], percent: bool, has_rest: bool) -> None:
    """Raise ValueError for sizes that no data set can have."""
    total = sum(numbers)
    if percent and (total > 100 or (total == 100) == has_rest):
        known = f"the percentages add up to {float(total):g}"
        raise ValueError(known + (", which leaves no rest" if has_rest else ", not 100"))
    if not percent and any(number.denominator != 1 for number in numbers):
        raise ValueError("a number of photos is whole; percentages add up to 100")


def part_path(output: Path, part: str) -> Path:
    """Where a part is written.

    ``{part}`` in the output's name is replaced; else ``faces.json`` becomes ``faces.train.json``
    and a folder, or a name without an ending, gets a folder (or file) ``train`` in it.
    """
    if PLACEHOLDER in str(output):
        return Path(str(output).replace(PLACEHOLDER, part))
    if output.suffix and not output.is_dir():
        return output.with_name(f"{output.stem}.{part}{output.suffix}")
    return output / part
