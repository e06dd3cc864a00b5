"""What a Datumaro file says of its labels: kinds of faces, with the names of their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tufa_cli.formats._base import ReadOptions
from tufa_cli.formats._names import (
    class_attribute,
    known_scheme,
    note_class,
    note_names,
    scheme_named,
    scheme_with_names,
)


class Label(NamedTuple):
    """A label: its name, the scheme that a file of ours says, the names of its points.

    lines: whether it says which points are joined.
    """

    name: str | None
    scheme: str | None
    points: tuple[str, ...] = ()
    lines: bool = False


class Labels:
    """The labels of a file by their numbers; what of them is not kept is said when it is met."""

    def __init__(self, path: Path, data: Mapping[str, Any], options: ReadOptions) -> None:
        self._path, self._options = path, options
        self._noted: set[int] = set()
        self._rows = [
            Label(_text(row.get("name")), _text(row.get("scheme")))
            for row in _listed(data, "label", "labels")
        ]
        for row in _listed(data, "points", "items"):
            number, names = row.get("label_id"), row.get("labels")
            if isinstance(number, int) and 0 <= number < len(self._rows):
                names = tuple(map(str, names)) if isinstance(names, list) else ()
                lines = isinstance(row.get("joints"), list) and bool(row["joints"])
                self._rows[number] = self._rows[number]._replace(points=names, lines=lines)
        self._several = sum(bool(label.points) for label in self._rows) > 1

    def _of(self, row: Mapping[str, Any]) -> tuple[int, Label] | None:
        number = row.get("label_id")
        known = isinstance(number, int) and 0 <= number < len(self._rows)
        return (number, self._rows[number]) if known and isinstance(number, int) else None

    def class_of(self, row: Mapping[str, Any]) -> dict[str, str]:
        """The class of a face that is one of several, as an attribute."""
        found = self._of(row)
        if found is None or not self._several or found[1].scheme is not None:
            return {}
        return class_attribute(self._options, found[1].name)

    def scheme_of(self, row: Mapping[str, Any], count: int) -> str | None:
        """The scheme of a face with so many points."""
        found = self._of(row)
        if found is None:
            return None
        (number, label), own = found, self._options.schemes
        scheme = label.scheme or scheme_named(label.name, count)
        scheme = scheme or scheme_with_names(label.points, own)
        if known_scheme(scheme, count, own) is None and number not in self._noted:
            self._noted.add(number)
            note_names(self._options, self._path, label.points, label.lines)
            if label.scheme is None and not self._several:
                note_class(self._options, self._path, label.name)
        return scheme


def _listed(data: Mapping[str, Any], kind: str, key: str) -> Iterator[dict[str, Any]]:
    """The objects of a list among the categories."""
    categories = data.get("categories")
    found = categories.get(kind) if isinstance(categories, dict) else None
    rows = found.get(key) if isinstance(found, dict) else None
    for row in rows if isinstance(rows, list) else ():
        yield row if isinstance(row, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
