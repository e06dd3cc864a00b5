"""MTFL: ``path x1..x5 y1..y5 gender smile glasses pose`` a line, 1-based, ``\\`` in paths.

Eye centres, nose tip and mouth corners, image-left first. Attributes count from 1; 0 is written for
one that is not known. Whether the authors count pixels from 1 is not written down: see docs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, written_points
from tufa_cli.formats._files import check_name, head_lines, sniff_any, write_lines
from tufa_cli.formats._lists import SUFFIXES, read_rows, whole, whole_value
from tufa_cli.formats._numbers import decimals, is_number, numbers

NAME = "mtfl"
TITLE = "MTFL training.txt, 5 points, one face a line, 1-based"
SCHEME = "mtfl5"
FIELDS = ("gender", "smile", "glasses", "pose")
CAPABILITIES = Capabilities(
    several_faces=True, attributes=FIELDS, points=5, index_base=1, streams=True
)
_NUMBERS = 10 + len(FIELDS)


def _sniff_file(path: Path) -> Sniff:
    lines = head_lines(path)
    fields = lines[0].split()
    if len(fields) > _NUMBERS and not lines[0].lstrip().startswith("#"):
        last = fields[-_NUMBERS:]
        named = not is_number(fields[-_NUMBERS - 1])
        if named and all(map(is_number, last)) and all(f.isdigit() for f in last[10:]):
            return Sniff(True, "its first line is a path, 10 numbers and 4 whole numbers")
    return Sniff(False, "its first line is not a path, 10 numbers and 4 whole numbers")


def sniff(path: Path) -> Sniff:
    """Yes for a text whose first line is a path, ten numbers and four whole numbers."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; photos are looked for beside the list."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def parse(text: str) -> tuple[str, Face]:
        name, tokens = _split(text)
        values = numbers(tokens[:10])
        points = np.array(values, dtype=np.float64).reshape(2, 5).T - first_pixel
        known = zip(
            FIELDS, (whole(t, f) for f, t in zip(FIELDS, tokens[10:], strict=True)), strict=True
        )
        attributes = {field: value for field, value in known if value != 0}
        return name, Face(points, scheme=options.scheme or SCHEME, attributes=attributes)

    yield from read_rows(source, options, _sniff_file, parse, _name, lambda file: [file.parent])


def _split(text: str) -> tuple[str, list[str]]:
    parts = text.rsplit(None, _NUMBERS)
    if len(parts) <= _NUMBERS or not parts[0].strip():
        raise ValueError(
            f"expected a path, 10 numbers and 4 attributes (15 fields), found {len(parts)}"
        )
    name = parts[0].strip()
    if is_number(name.split()[-1]):
        raise ValueError("expected a path, 10 numbers and 4 attributes (15 fields), found more")
    return name, parts[1:]


def _name(text: str) -> str:
    return _split(text)[0]


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Whole numbers but 0, which stands for one that is not known."""
    return name in FIELDS and bool(whole_value(value))


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One list as the authors' (a space in front, ``\\`` in paths); a missing point is -1, -1."""
    first_pixel = options.base(CAPABILITIES.index_base)
    write_lines(target, _lines(images, target, first_pixel), options.overwrite)
    return [target]


def _lines(images: Iterable[AnnotatedImage], target: Path, first_pixel: int) -> Iterator[str]:
    for image in images:
        name = check_name(image.path, target, image.path.split()[-1:]).replace("/", "\\")
        for face in image.faces:
            places = written_points(face, first_pixel)
            fields = [decimals(value) for value in places.T.ravel().tolist()]
            fields += [str(whole_value(face.attributes.get(field)) or 0) for field in FIELDS]
            yield " ".join(["", name, *fields])
