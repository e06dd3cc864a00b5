"""HRNet's and MMPose's tables: ``image_name,scale,center_w,center_h,original_0_x,original_0_y,...``

One face a line, any number of points. AFLW's have ``box_size`` after ``scale``. Centre and scale
stand for the box of the points: the middle of its whole-pixel corners, and its longer side / 200.

First pixel: 300W's tables (68 points) were not shifted from their .pts, so they count from 1;
WFLW's (98) count from 0, and so, for want of better knowledge, do AFLW's (19) and all others.
Tables named ``*_68pts.csv`` hold 68 points that were made from WFLW's, and keep its base.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._csv import SUFFIXES, column_names, fields, line_of
from tufa_cli.formats._files import check_name, list_files, sniff_any, write_lines
from tufa_cli.formats._lists import Repeats, list_records
from tufa_cli.formats._numbers import decimals, numbers

NAME = "hrnet-csv"
TITLE = "HRNet/MMPose csv, one face a line, centre and scale"
LEADING = ("image_name", "scale", "center_w", "center_h")
LEADING_AFLW = ("image_name", "scale", "box_size", "center_w", "center_h")
ATTRIBUTES = ("scale", "box_size", "center")
CAPABILITIES = Capabilities(several_faces=True, attributes=ATTRIBUTES, streams=True)

#: The data sets that these tables were made of, by their number of points.
SCHEMES = {68: "ibug68", 98: "wflw98", 19: "aflw19"}
_AFLW = 19
_DERIVED = "_68pts"


def _columns(count: int, leading: tuple[str, ...]) -> list[str]:
    return [*leading, *(f"original_{i}_{axis}" for i in range(count) for axis in "xy")]


def _leading(names: list[str]) -> tuple[str, ...]:
    return LEADING_AFLW if "box_size" in names[:5] else LEADING


def _sniff_file(path: Path) -> Sniff:
    names = column_names(path)
    leading = _leading(names)
    if names[: len(leading) + 1] != [*leading, "original_0_x"]:
        return Sniff(False, "its first line is not image_name,scale,center_w,center_h,original_0_x")
    return Sniff(
        True, f"columns {', '.join(leading)} and {(len(names) - len(leading)) // 2} points"
    )


def sniff(path: Path) -> Sniff:
    """Yes for a csv with HRNet's column names."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def first_pixel_of(path: Path, count: int) -> int:
    """Number of the first pixel, by the data set that the number of points and the name tell."""
    return int(count == 68 and not path.stem.endswith(_DERIVED))


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per photo; photos are looked for in ``images`` and beside the table."""
    repeats = Repeats()
    for file in list_files(source, SUFFIXES, _sniff_file):
        names = column_names(file)
        leading = _leading(names)
        count = (len(names) - len(leading)) // 2
        if names != _columns(count, leading) or not count:
            raise InputError(file, f"expected the columns {','.join(LEADING)},original_0_x,...", 1)
        if options.points not in (None, count):
            raise InputError(
                file, f"{count} points, the scheme {options.scheme} has {options.points}", 1
            )
        default = first_pixel_of(file, count)
        first_pixel = options.base(default)
        if options.index_base is None:
            options.note(f"{file}: {count} points, first pixel {default} (--index-base says other)")
        if file.stem.endswith(_DERIVED):
            options.note(f"{file}: points derived from another scheme's, by its name")
        scheme = options.scheme or SCHEMES.get(count)
        parse = _Row(leading, count, first_pixel, scheme)
        roots = [file.parent / "images", file.parent]
        yield from list_records(file, options, parse, _name, roots, header=1, repeats=repeats)
    repeats.tell(source, options)


def _name(text: str) -> str:
    return fields(text)[0]


class _Row:
    """A line to the photo's name and the face; raises ValueError."""

    def __init__(
        self, leading: tuple[str, ...], count: int, first_pixel: int, scheme: str | None
    ) -> None:
        self.leading, self.count = leading, count
        self.first_pixel, self.scheme = first_pixel, scheme

    def __call__(self, text: str) -> tuple[str, Face]:
        cells = [cell.strip() for cell in fields(text)]
        expected = len(self.leading) + 2 * self.count
        if len(cells) != expected:
            raise ValueError(f"expected {expected} cells, found {len(cells)}")
        values = numbers(cells[1:])
        head = dict(zip(self.leading[1:], values, strict=False))
        if head["scale"] < 0:
            raise ValueError(f"scale {cells[1]} is negative")
        points = np.array(values[len(head) :], dtype=np.float64).reshape(-1, 2)
        centre = [head["center_w"] - self.first_pixel, head["center_h"] - self.first_pixel]
        attributes = {"scale": head["scale"], "center": centre}
        if "box_size" in head:
            attributes["box_size"] = head["box_size"]
        face = Face(points - self.first_pixel, scheme=self.scheme, attributes=attributes)
        return cells[0], face


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Numbers: one for scale, two for the centre; box_size only with AFLW's 19 points."""
    if name == "center":
        return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_real, value))
    if name == "scale":
        return _is_real(value) and value >= 0  # type: ignore[operator]
    return name == "box_size" and len(face.points_px) == _AFLW and _is_real(value)


def _is_real(value: object) -> bool:
    return (
        isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One table; six decimals; a missing point is -1, -1; ``box_size`` with 19 points, as AFLW's.

    Centre and scale are the face's own or those of its points.
    """
    made: Counter[str] = Counter()
    write_lines(target, _lines(images, target, options, made), options.overwrite)
    options.tell(made)
    return [target]


def _lines(
    images: Iterable[AnnotatedImage], target: Path, options: WriteOptions, made: Counter[str]
) -> Iterator[str]:
    count = first_pixel = 0
    leading: tuple[str, ...] = LEADING
    for image in images:
        name = check_name(image.path, target)
        for face in image.faces:
            if not count:
                count = len(face.points_px)
                leading = LEADING_AFLW if count == _AFLW else LEADING
                first_pixel = options.base(first_pixel_of(target, count))
                yield ",".join(_columns(count, leading))
            if len(face.points_px) != count:
                raise OutputError(
                    f"{target}: faces of {count} and of {len(face.points_px)} points in one table",
                    "write one file for each scheme, or coco",
                )
            needed = {"center", *leading[1:]} - {"center_w", "center_h"}
            lacking = not needed <= face.attributes.keys()
            made[f"faces got {' and '.join(sorted(needed))} from their points"] += lacking
            head = _head(face, first_pixel)
            places = np.where(face.labelled[:, None], face.points_px + first_pixel, -1.0)
            cells = [decimals(head[column]) for column in leading[1:]]
            yield line_of([name, *cells, *map(decimals, places.ravel().tolist())])
    if not count:
        yield ",".join(_columns(0, LEADING))


def _head(face: Face, first_pixel: int) -> dict[str, float]:
    """Scale, box_size and centre as on disk: the face's own, else those of its points."""
    known = face.points_px[face.labelled] + first_pixel
    low, high = (0.0, 0.0), (0.0, 0.0)
    if len(known):
        low, high = np.floor(known.min(axis=0)), np.ceil(known.max(axis=0))
    (left, top), (right, bottom) = low, high
    side = float(max(right - left, bottom - top))
    own = {n: v for n, v in face.attributes.items() if holds_attribute(n, v, face)}
    x, y = own.get("center", [(left + right) / 2 - first_pixel, (top + bottom) / 2 - first_pixel])
    return {
        "scale": float(own.get("scale", side / 200)),
        "box_size": float(own.get("box_size", side)),
        "center_w": float(x) + first_pixel,
        "center_h": float(y) + first_pixel,
    }
