"""Photos that have to be gone through several times, on the disk instead of in memory.

A split or a sample is decided when the last photo is known, and only then can the first be
written. Reading the sources again would cost as much as the first time (a network's work too), and
they may have changed; so records wait in a file without a name, and memory holds a few numbers of
each.
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import OutputError

#: Bytes of records that are kept in memory; more of them go to the folder of temporary files.
_IN_MEMORY = 1 << 23

#: As fast as 5, whose arrays keep a third more memory where a writer holds them all.
_PROTOCOL = 4

#: A record's number and the record to what it is handed out as.
Change = Callable[[int, AnnotatedImage], AnnotatedImage]


class _File:
    """Things in a file, by their numbers."""

    def __init__(self) -> None:
        # Closed with this object; nothing to take away then, for it has no name.
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._ends = array("Q", [0])
        self._apart: dict[int, Any] = {}  # what cannot be pickled stays as it is

    def add(self, thing: object) -> None:
        """Append one; raises OutputError."""
        begin, number = self._ends[-1], len(self._ends) - 1
        try:
            data = pickle.dumps(thing, _PROTOCOL)
        except Exception:  # attributes may be anything, and so may what they raise
            self._apart[number], data = thing, b""
        try:
            self._file.seek(begin)
            self._file.write(data)
        except OSError as error:
            raise OutputError(
                f"the faces to choose from cannot be put aside: {error.strerror}",
                "TMPDIR names a folder of a disk with room for them",
            ) from None
        self._ends.append(begin + len(data))

    def load(self, number: int) -> Any:
        """The one of that number."""
        if number in self._apart:
            return self._apart[number]
        begin, end = self._ends[number : number + 2]
        self._file.seek(begin)
        return pickle.loads(self._file.read(end - begin))  # our own, no one else's


class _Spool:
    """Records by their numbers, and what tells them apart in a file that is soon gone through."""

    def __init__(self) -> None:
        self._heads, self._records = _File(), _File()
        self.faces = array("L")

    def add(self, image: AnnotatedImage) -> int:
        """The number of one more record; raises OutputError."""
        self._heads.add((image.path, (), image.width, image.height, image.split, image.root))
        self._records.add(image)
        self.faces.append(len(image.faces))
        return len(self.faces) - 1

    def load(self, number: int) -> AnnotatedImage:
        """The record of that number."""
        image: AnnotatedImage = self._records.load(number)
        return image

    def head(self, number: int) -> AnnotatedImage:
        """That record without faces and attributes."""
        return AnnotatedImage(*self._heads.load(number))


class Held(Sequence[AnnotatedImage]):
    """Records that ``hold`` put aside, or some of them; each is read when it is asked for.

    numbers: which ones of all that were put aside, from 0. change: what they are handed out as.
    """

    def __init__(self, spool: _Spool, numbers: Sequence[int], change: Change | None = None) -> None:
        self._spool, self._change = spool, change
        self.numbers = array("Q", numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[AnnotatedImage]:
        return map(self._load, self.numbers)

    @overload
    def __getitem__(self, index: int) -> AnnotatedImage: ...
    @overload
    def __getitem__(self, index: slice) -> Held: ...
    def __getitem__(self, index: int | slice) -> AnnotatedImage | Held:
        if isinstance(index, slice):
            return self.pick(range(*index.indices(len(self))))
        return self._load(self.numbers[index])

    def heads(self) -> Iterator[AnnotatedImage]:
        """The records without faces and attributes: much sooner read where those do not matter."""
        return (self._handed_out(number, self._spool.head(number)) for number in self.numbers)

    def _load(self, number: int) -> AnnotatedImage:
        return self._handed_out(number, self._spool.load(number))

    def _handed_out(self, number: int, image: AnnotatedImage) -> AnnotatedImage:
        return image if self._change is None else self._change(number, image)

    @property
    def faces(self) -> int:
        """How many faces they have, as they were put aside."""
        return sum(self._spool.faces[number] for number in self.numbers)

    def pick(self, places: Iterable[int]) -> Held:
        """Those at these places, in this order."""
        return Held(self._spool, [self.numbers[place] for place in places], self._change)

    def changed(self, change: Change) -> Held:
        """The same, handed out as something else (with as many faces)."""
        before = self._change
        if before is None:
            return Held(self._spool, self.numbers, change)
        return Held(self._spool, self.numbers, lambda n, image: change(n, before(n, image)))

    def add(self, image: AnnotatedImage) -> int:
        """Put one more record aside, which is not one of these; its number."""
        return self._spool.add(image)

    def at(self, numbers: Sequence[int]) -> Held:
        """Those of all that were put aside that have these numbers."""
        return Held(self._spool, numbers, self._change)


def hold(images: Iterable[AnnotatedImage]) -> Held:
    """Records that can be gone through any number of times; raises OutputError."""
    if isinstance(images, Held):
        return images
    spool = _Spool()
    for image in images:
        spool.add(image)
    return Held(spool, range(len(spool.faces)))


def heads(images: Iterable[AnnotatedImage]) -> Iterable[AnnotatedImage]:
    """The records, without faces and attributes where that is less work."""
    return images.heads() if isinstance(images, Held) else images


def picked(images: Sequence[AnnotatedImage], places: NDArray[np.int64]) -> Sequence[AnnotatedImage]:
    """The records at these places, in this order: a list of them unless they are ``Held``."""
    if isinstance(images, Held):
        return images.pick(places.tolist())
    return [images[place] for place in places.tolist()]


class Alike:
    """Which of many things are the same, in 16 bytes a thing: of a name, a path, a group."""

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, *words: Any) -> None:
        """One more thing, by the words that make it what it is."""
        text = "\0".join(map(str, words)).encode("utf-8", "surrogatepass")
        self._marks += hashlib.blake2b(text, digest_size=16).digest()

    def first(self) -> NDArray[np.int64]:
        """(N,) of each thing, the number of the first that is the same."""
        marks = np.frombuffer(self._marks, dtype="S16")  # all as long: none is another cut short
        _, first, inverse = np.unique(marks, return_index=True, return_inverse=True)
        found: NDArray[np.int64] = first[inverse]
        return found
