"""WFLW lists: one face a line, 98 points, 0-based.

207 fields: 196 coordinates, the box as x_min y_min x_max y_max, six flags, the photo's name;
or 197: coordinates and name. On writing, a face with a box takes the long form, and flags it does
not have are written as 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, written_points
from tufa_cli.formats._files import check_name, head_lines, sniff_any, write_lines
from tufa_cli.formats._lists import SUFFIXES, read_rows, whole, whole_value
from tufa_cli.formats._numbers import array_of, decimals_of, is_number, numbers, plain_numbers

NAME = "wflw"
TITLE = "WFLW list, 98 points, one face a line, 0-based"
SCHEME = "wflw98"
FLAGS = ("pose", "expression", "illumination", "make_up", "occlusion", "blur")
CAPABILITIES = Capabilities(
    float_box=False, box=True, several_faces=True, attributes=FLAGS, points=98, streams=True
)
_COORDINATES = 196
_LONG = _COORDINATES + 4 + len(FLAGS)


def _sniff_file(path: Path) -> Sniff:
    lines = head_lines(path)
    fields = lines[0].split()
    numbers = next((i for i, field in enumerate(fields) if not is_number(field)), len(fields))
    if numbers in (_COORDINATES, _LONG) and len(fields) > numbers:
        return Sniff(True, f"its first line has {numbers + 1} fields, a name last")
    reason = "its first line is not 206 or 196 numbers and a name"
    meant = _COORDINATES - 20 < numbers < len(fields) < _LONG + 20
    return Sniff(False, f"{reason}, but {numbers} and one" if meant else reason, near=meant)


def sniff(path: Path) -> Sniff:
    """Yes for a text whose first line has 207 or 197 fields, the last one not a number."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def _roots(file: Path) -> list[Path]:
    folder = file.parent
    return [
        folder / "WFLW_images",
        folder.parent / "WFLW_images",
        folder.parent.parent / "WFLW_images",
        folder,
    ]


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; photos are looked for in ``WFLW_images`` near the list."""
    first_pixel = options.base(CAPABILITIES.index_base)

    def parse(text: str) -> tuple[str, Face]:
        name, points, box, flags = _fields(text)
        place = points.reshape(-1, 2)
        if first_pixel:
            place -= first_pixel
        if box is not None:
            box = [box[0] - first_pixel, box[1] - first_pixel, box[2] - box[0], box[3] - box[1]]
            if box[2] < 0 or box[3] < 0:
                raise ValueError("the box's far corner lies before its near one")
        return name, Face.of_checked(
            place,
            options.scheme or SCHEME,
            box=None if box is None else array_of(box),
            attributes=dict(flags),
        )

    yield from read_rows(source, options, _sniff_file, parse, _name, _roots)


def _split(text: str) -> tuple[list[str], str]:
    """The tokens of the numbers, 206 or 196, and the photo's name."""
    tokens = text.split()
    long = len(tokens) > _LONG and is_number(tokens[_COORDINATES])
    count = _LONG if long else _COORDINATES
    # A name that begins with a number would hide a coordinate too many.
    if len(tokens) <= count or is_number(tokens[count]):
        raise ValueError(
            f"expected 207 fields (196 coordinates, box, flags, photo) or 197, found {len(tokens)}"
        )
    # A photo's name may hold spaces: it is all that follows the numbers.
    name = tokens[count] if len(tokens) == count + 1 else text.split(None, count)[count].strip()
    return tokens[:count], name


def _usual(text: str) -> tuple[str, list[str], str] | None:
    """The coordinates, the box and flags, and the name of a row of the long form as all tools
    write it: one space between the fields, none in the name. None for any other."""
    parts = text.rsplit(" ", _LONG - _COORDINATES + 1)
    if len(parts) != _LONG - _COORDINATES + 2 or parts[0].count(" ") != _COORDINATES - 1:
        return None
    points, *rest, name = parts
    is_name = "/" in name or not is_number(name or "0")
    return (points, rest, name) if is_name and name.isprintable() and is_number(rest[0]) else None


def _name(text: str) -> str:
    row = _usual(text)
    return row[2] if row is not None else _split(text)[1]


#: Of six flags there are few combinations.
@lru_cache(maxsize=1024)
def _flags(*tokens: str) -> Mapping[str, int]:
    """The flags by name; raises ValueError."""
    return dict(zip(FLAGS, [whole(token, "flag") for token in tokens], strict=True))


def _fields(text: str) -> tuple[str, NDArray[np.float64], list[float] | None, Mapping[str, int]]:
    """The name, (196,) coordinates, corners of the box, and flags; raises ValueError."""
    row = _usual(text)
    if row is not None:
        points, rest, name = row
        places = plain_numbers(f"{points} {' '.join(rest[:4])}".replace(" ", ","))
        if places is not None:
            box = places[_COORDINATES:].tolist()
            return name, places[:_COORDINATES], box, _flags(*rest[4:])
    tokens, name = _split(text)
    places = array_of(numbers(tokens[:_COORDINATES]))
    if len(tokens) == _COORDINATES:
        return name, places, None, {}
    box = numbers(tokens[_COORDINATES : _COORDINATES + 4])
    return name, places, box, _flags(*tokens[_COORDINATES + 4 :])


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Flags are whole numbers, and only in lines that have a box."""
    return name in FLAGS and whole_value(value) is not None and face.box is not None


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One list; six decimals, the box in whole pixels; a missing point is ``-1 -1``."""
    first_pixel = options.base(CAPABILITIES.index_base)
    made: Counter[str] = Counter()
    write_lines(target, _lines(images, target, first_pixel, made), options.overwrite)
    options.tell(made)
    return [target]


def _lines(
    images: Iterable[AnnotatedImage], target: Path, first_pixel: int, made: Counter[str]
) -> Iterator[str]:
    for image in images:
        name = check_name(image.path, target, image.path.split()[:1])
        for face in image.faces:
            places = written_points(face, first_pixel)
            fields = [decimals_of(places.ravel())]
            if face.box is not None:
                x, y, w, h = face.box.tolist()
                corners = (
                    x + first_pixel,
                    y + first_pixel,
                    x + w + first_pixel,
                    y + h + first_pixel,
                )
                fields += [str(round(corner)) for corner in corners]
                fields += [str(whole_value(face.attributes.get(flag)) or 0) for flag in FLAGS]
                lacking = any(flag not in face.attributes for flag in FLAGS)
                made["faces got 0 for flags they do not have"] += lacking
            yield " ".join([*fields, name])
