"""Some photos by chance: the same ones whatever the order they come in.

Chance is a hash of the seed, of what it is for and of a name; nothing is drawn. So what becomes of
one photo does not depend on the others, on the machine or on the version of Python.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.selection.held import heads, picked
from tufa_cli.selection.lists import path_parts

#: ``chance`` is below this.
CHANCES = 1 << 64

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)(%?)")


def chance(seed: int, purpose: str, name: str) -> int:
    """A number in 0 .. CHANCES - 1 that looks random and is always the same.

    purpose: so that the photos of a sample are not just those that a split puts into one part.
    """
    text = f"{seed}\0{purpose}\0{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def photo_name(image: AnnotatedImage) -> str:
    """What chance knows a photo by: its relative path, wherever the data set lies."""
    return "/".join(path_parts(image.path))


def amount(text: str) -> tuple[Fraction, bool]:
    """A number, and whether it has a percent sign; raises ValueError."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a number or a percentage")
    return Fraction(match[1]), bool(match[2])


@dataclass(frozen=True)
class Sample:
    """``number`` photos, or that many of a hundred."""

    number: Fraction
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Sample:
        """ "500" or "10%"; raises ValueError."""
        number, percent = amount(text)
        if number <= 0 or (percent and number > 100) or not (percent or number.denominator == 1):
            raise ValueError(f"'{text}': give a number of photos, or a percentage up to 100%")
        return cls(number, percent)

    def __str__(self) -> str:
        return f"{float(self.number):g}%" if self.percent else str(self.number)

    def take(self, images: Sequence[AnnotatedImage], seed: int = 0) -> Sequence[AnnotatedImage]:
        """The photos of the sample in the order they came; entries of one photo stay together.

        A larger sample holds a smaller one of the same seed. Raises TufaError when there are not
        as many photos, or a percentage of them comes to none.
        """
        # A number a photo instead of its name: that two of a million names have the same is less
        # likely than one in ten million.
        drawn = (chance(seed, "sample", photo_name(image)) for image in heads(images))
        chances = np.fromiter(drawn, dtype=np.uint64, count=len(images))
        photos = np.unique(chances)
        wanted = self._count(len(photos))
        if wanted > len(photos):
            problem = f"--sample {self}: only {len(photos)} of them are there"
            raise TufaError(problem, "a percentage takes a part")
        if not wanted:
            raise TufaError(f"--sample {self} of {len(photos)} photos is none", "take more")
        return picked(images, np.flatnonzero(chances <= photos[wanted - 1]))

    def _count(self, photos: int) -> int:
        if not self.percent:
            return int(self.number)
        return int(photos * self.number / 100 + Fraction(1, 2))
