"""MUCT csv: ``name,tag,x00,y00,...``, 76 points or the 68 of widespread copies, 0-based.

The photo is ``name.jpg``, 480 x 640. (0, 0) is a point that is not available. ``tag`` is a field of
bits in hexadecimal. Names as ``ir900zz-fn`` are mirrored copies of which there is no photo: they
are left out unless the photo is there.

``muct76.csv`` counts from the middle of the photo, y up, ``muct76-opencv.csv`` from the top-left
corner, y down; copies circulate under either name, so the numbers decide: only the first kind has
many negative ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._csv import SUFFIXES, column_names, fields, line_of
from tufa_cli.formats._files import (
    check_name,
    first_root,
    is_photo,
    list_files,
    photo_name,
    sniff_any,
    write_lines,
)
from tufa_cli.formats._lists import PhotoRows, Repeats, whole_value
from tufa_cli.formats._numbers import decimals, numbers
from tufa_cli.formats._text import text_lines

NAME = "muct"
TITLE = "MUCT csv, 76 or 68 points, 0-based"
SCHEMES = {76: "muct76", 68: "muct68"}
CAPABILITIES = Capabilities(
    missing=True, one_face=True, attributes=("tag",), points=(76, 68), streams=True
)

#: Half the size of MUCT's photos, where the origin of ``muct76.csv`` lies.
_CENTRE = (240.0, 320.0)
_MIRRORED = re.compile(r"ir\d{3}[a-z]{2}-")


def _header(count: int) -> list[str]:
    return ["name", "tag", *(f"{axis}{i:02d}" for i in range(count) for axis in "xy")]


def _sniff_file(path: Path) -> Sniff:
    names = column_names(path)
    if names[:4] != ["name", "tag", "x00", "y00"]:
        return Sniff(False, "its first line is not name,tag,x00,y00,...")
    return Sniff(True, f"columns name, tag and {len(names) // 2 - 1} points")


def sniff(path: Path) -> Sniff:
    """Yes for a csv whose columns are name, tag, x00, y00 and so on."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per row; photos are looked for in ``jpg``, ``images`` and beside the table."""
    repeats = Repeats()
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _read_file(file, options, repeats)
    repeats.tell(source, options)  # the authors' folder has one table in two ways of counting


def _read_file(file: Path, options: ReadOptions, repeats: Repeats) -> Iterator[AnnotatedImage]:
    count = _count(file, options)
    centred = _is_centred(file, count)
    if centred:
        options.note(f"{file}: counted from the photos' middle, y up, as muct76.csv is")
    first_pixel = options.base(CAPABILITIES.index_base)
    root = options.root
    mirrored = 0
    photos = PhotoRows(file, _name, header=1)
    repeats.add(photos)
    for rows in photos:
        try:
            (line, text), *again = rows
            if again:
                line = again[0][0]
                raise ValueError(f"'{_name(text)}' again: it stands in line {rows[0][0]} already")
            name, values, tag = _parse(text, count)
            path = photo_name(f"{name}.jpg")
        except ValueError as error:
            options.failed(InputError(file, str(error), line))
            continue
        if root is None:
            root = first_root([file.parent / "jpg", file.parent / "images", file.parent], path)
        if _MIRRORED.match(name) and not is_photo(root / path):
            mirrored += 1
            continue
        missing = (values == 0).all(axis=1)
        points = _CENTRE + values * (1, -1) if centred else values - first_pixel
        face = Face(
            np.where(missing[:, None], np.nan, points),
            scheme=options.scheme or SCHEMES[count],
            attributes={"tag": tag} if tag else {},
        )
        yield AnnotatedImage(path, (face,), root=str(root))
    if mirrored:
        options.note(f"{file}: {mirrored} rows are mirrored copies without a photo and left out")


def _count(file: Path, options: ReadOptions) -> int:
    """The number of points by the header; raises InputError."""
    names = column_names(file)
    count = len(names) // 2 - 1
    if names != _header(count):
        wanted = _header(max(count, 1) + 1)
        odd = next((i for i, n in enumerate(names) if i >= len(wanted) or n != wanted[i]), None)
        where = "ends too early" if odd is None else f"column {odd + 1} is '{names[odd][:40]}'"
        raise InputError(file, f"expected the columns name,tag,x00,y00,...: {where}", 1)
    if count not in SCHEMES or options.points not in (None, count):
        wanted_count = options.points or CAPABILITIES.counts_text
        raise InputError(file, f"expected {wanted_count} points, the columns have {count}", 1)
    return count


def _is_centred(file: Path, count: int) -> bool:
    """Whether a tenth of the first numbers are negative: the origin lies within the faces."""
    seen: list[float] = []
    for _, _, text in islice(text_lines(file), 1, 65):
        try:
            seen += _parse(text, count)[1].ravel().tolist()
        except ValueError:
            continue  # reading it says what is wrong
    return sum(value < 0 for value in seen) > 0.1 * len(seen)


def _name(text: str) -> str:
    return fields(text)[0].strip()


def _parse(text: str, count: int) -> tuple[str, NDArray[np.float64], int]:
    """A row's name, (count, 2) numbers and tag; raises ValueError."""
    cells = [cell.strip() for cell in fields(text)]
    if len(cells) != 2 * count + 2:
        raise ValueError(f"expected {2 * count + 2} cells, found {len(cells)}")
    if not cells[0]:
        raise ValueError("the name of the photo is missing")
    if not re.fullmatch("(0[xX])?[0-9a-fA-F]{1,15}", cells[1]):
        raise ValueError(f"tag '{cells[1][:40]}' is not a hexadecimal number")
    values = np.array(numbers(cells[2:]), dtype=np.float64).reshape(-1, 2)
    return cells[0], values, int(cells[1], 16)


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """A tag is a whole number; 0 is none."""
    tag = whole_value(value)
    return name == "tag" and tag is not None and 0 < tag < 16**15


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos with another ending than .jpg, which is not written."""
    return lambda image: PurePosixPath(image.path).suffix != ".jpg"


def unholdable(face: Face, options: WriteOptions) -> NDArray[np.bool_]:
    """(K,) labelled points at (0, 0), which means that there is none."""
    rows = face.points_px + options.base(CAPABILITIES.index_base)
    return np.asarray(face.labelled & (np.abs(rows) <= 5e-7).all(axis=1))


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One table of ``muct76-opencv.csv``'s kind; up to six decimals; a missing point is 0,0."""
    first_pixel = options.base(CAPABILITIES.index_base)
    write_lines(target, _lines(images, target, first_pixel), options.overwrite)
    return [target]


def _lines(images: Iterable[AnnotatedImage], target: Path, first_pixel: int) -> Iterator[str]:
    count = 0
    taken: set[str] = set()
    for image in images:
        suffix = PurePosixPath(image.path).suffix
        name = check_name(image.path[: len(image.path) - len(suffix)], target)
        if _MIRRORED.match(name):
            raise OutputError(
                f"{target}: '{name}' is the name of a mirrored copy in this format",
                "rename the photo, or write coco",
            )
        if name in taken:
            raise OutputError(f"{target}: two photos have the name '{name}'", "rename one of them")
        taken.add(name)
        for face in image.faces:
            if not count:
                count = len(face.points_px)
                yield ",".join(_header(count))
            if len(face.points_px) != count:
                raise OutputError(
                    f"{target}: faces of 68 and of 76 points", "write two files, or coco"
                )
            places = np.where(face.labelled[:, None], face.points_px + first_pixel, 0.0)
            tag = whole_value(face.attributes.get("tag")) or 0
            cells = [_short(value) for value in places.ravel().tolist()]
            yield line_of([name, f"{tag if tag > 0 else 0:x}", *cells])
    if not count:
        yield ",".join(_header(76))


def _short(value: float) -> str:
    """Without zeros at the end, as the authors' numbers."""
    return decimals(value).rstrip("0").rstrip(".")
