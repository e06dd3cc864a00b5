"""Ids of photos and faces: kept where a file can have them, for who joins other tables by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Id = int | str


class Place(int):
    """An id that says no more than the order in its file: no loss where it cannot be held."""


def id_in(value: Any, mere: bool = False) -> Id | None:
    """An id as a file has it, or None where it is none; 1.0 is 1.

    mere: whether the file's ids only count.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int:
        return Place(value) if mere else value
    return value if isinstance(value, str) and value else None


def only_count(values: Sequence[Any]) -> bool:
    """Whether ids count from 0 or 1 in their order."""
    return any(list(values) == list(range(start, start + len(values))) for start in (0, 1))


def ids_for(given: Iterable[Id | None], words: bool = True) -> tuple[list[Id], int]:
    """An id for each, and how many of those given are not kept.

    They are kept where no two are the same, else all are numbered from 1. Who has none gets a
    number after the greatest. words: whether an id may be a word.
    """
    found = list(given)
    known = [value for value in found if value is not None]
    fit = words or all(isinstance(value, int) for value in known)
    if not fit or len({(isinstance(value, int), value) for value in known}) < len(known):
        return list(range(1, len(found) + 1)), len(known)
    last = max((value for value in known if isinstance(value, int)), default=0)
    last = max(last, 0)
    ids: list[Id] = []
    for value in found:
        last += value is None
        ids.append(last if value is None else value)
    return ids, 0


class Numbers:
    """Whole numbers for photos that go by: their ids where free, else the next ones.

    first: what counting begins with. lost: how many ids were not kept.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._taken: set[int] = set()
        self.lost = 0

    def of(self, given: Id | None) -> int:
        """The number of one more photo."""
        if isinstance(given, int) and given >= 0 and given not in self._taken:
            number = given
        else:
            self.lost += given is not None
            number = self._next
        self._taken.add(number)
        self._next = max(self._next, number + 1)
        return number
