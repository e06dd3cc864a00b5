"""CelebA lists: a count, ten column names, ``name x y`` five times a line; 0-based.

Eyes, nose and mouth corners as seen in the photo, left first. ``list_bbox_celeba.txt``
(x, y, width, height; of the photos that are not aligned), ``list_eval_partition.txt`` (0 train,
1 val, 2 test) and ``identity_CelebA.txt`` are read where they lie beside the list, in ``Anno`` and
``Eval``. Whether the authors count pixels from 0 is not written down: that is taken for granted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import (
    check_name,
    first_root,
    head_lines,
    headed,
    list_files,
    photo_name,
    sniff_any,
)
from tufa_cli.formats._layout import written
from tufa_cli.formats._lists import SUFFIXES, Companion, PhotoRows, whole, whole_value
from tufa_cli.formats._numbers import is_number, numbers
from tufa_cli.formats._text import text_lines
from tufa_cli.writing import filling

T = TypeVar("T")

NAME = "celeba"
TITLE = "CelebA lists, 5 points, one photo a line, 0-based"
SCHEME = "mtfl5"
SPLITS = ("train", "val", "test")
CAPABILITIES = Capabilities(
    float=False,
    float_box=False,
    box=True,
    one_face=True,
    split=SPLITS,
    attributes=("identity",),
    points=5,
    streams=True,
)
POINTS_FILE = "list_landmarks_celeba.txt"
BOX_FILE = "list_bbox_celeba.txt"
SPLIT_FILE = "list_eval_partition.txt"
IDENTITY_FILE = "identity_CelebA.txt"
_PARTS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
COLUMNS = [f"{part}_{axis}" for part in _PARTS for axis in "xy"]
BOX_COLUMNS = ["image_id", "x_1", "y_1", "width", "height"]


def _sniff_file(path: Path) -> Sniff:
    lines = head_lines(path)
    if not lines[0].strip().isdigit():
        return Sniff(False, "its first line is not a count")
    if len(lines) < 2 or lines[1].split() != COLUMNS:
        return Sniff(False, "its second line is not lefteye_x lefteye_y righteye_x ...")
    return Sniff(True, "a count, and columns from lefteye_x to rightmouth_y")


def sniff(path: Path) -> Sniff:
    """Yes for a text whose second line names CelebA's ten columns."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per line, with what the lists beside say of the photo."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _read_file(file, options)


def _read_file(file: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    declared = _declared(file)
    rows = PhotoRows(file, _name, header=2)
    if declared != len(rows):
        raise InputError(file, f"the count in front says {declared}, found {len(rows)} photos", 1)
    first_pixel = options.base(CAPABILITIES.index_base)
    beside = _Beside(file, first_pixel)
    root = options.root
    for group in rows:
        line, text = group[-1]
        try:
            if len(group) > 1:
                raise ValueError(f"'{_name(text)}' again: it stands in line {group[0][0]} already")
            name, tokens = _split(text, 10)
            name = photo_name(name)
            values = np.array(numbers(tokens), dtype=np.float64).reshape(-1, 2)
            split, box, attributes = beside.find(name)
        except ValueError as error:
            options.failed(InputError(file, str(error), line))
            continue
        except InputError as error:
            options.failed(error)
            continue
        face = Face(
            values - first_pixel, scheme=options.scheme or SCHEME, box=box, attributes=attributes
        )
        root = root or first_root(_roots(file), name)
        yield AnnotatedImage(name, (face,), split=split, root=str(root))


def _declared(file: Path) -> int:
    """The count in front; raises InputError when the list does not begin as CelebA's."""
    (line, _, count), *columns = islice(text_lines(file), 2)
    if not re.fullmatch(r"[0-9]{1,12}", count.strip()):
        raise InputError(file, f"expected the number of photos, found '{count.strip()[:40]}'", line)
    if not columns or columns[0][2].split() != COLUMNS:
        raise InputError(file, "expected the columns lefteye_x lefteye_y ...", line + 1)
    return int(count)


def _roots(file: Path) -> list[Path]:
    """CelebA's own folders of photos: by the list's name the aligned ones, or those as taken."""
    kind = "img_align_celeba" if "align" in file.name else "img_celeba"
    above = file.parent.parent
    return [file.parent / kind, above / "Img" / kind, above / kind, file.parent]


def _split(text: str, count: int) -> tuple[str, list[str]]:
    """A photo's name and so many fields after it; raises ValueError."""
    parts = text.strip().rsplit(None, count)
    if len(parts) <= count or is_number(parts[0].split()[-1]):
        found = len(text.split())
        raise ValueError(f"expected a photo and {count} numbers, found {found} fields")
    return parts[0].strip(), parts[1:]


def _name(text: str) -> str:
    return _split(text, 10)[0]


def _beside(folders: Sequence[Path], name: str, count: int, header: int) -> Companion | None:
    """The list of that name, of so many numbers a line, where it lies in one of the folders."""
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        return None
    return Companion(path, lambda text: _split(text, count)[0], header)


class _Beside:
    """The lists that lie beside: split, box and identity of a photo."""

    def __init__(self, file: Path, first_pixel: int) -> None:
        self.first_pixel = first_pixel
        above = file.parent.parent
        folders = [file.parent, above / "Anno", above / "Eval"]
        self.splits = _beside(folders, SPLIT_FILE, 1, 0)
        self.identities = _beside(folders, IDENTITY_FILE, 1, 0)
        # The boxes are those of the photos as taken, and no use in the aligned ones.
        self.boxes = None if "align" in file.name else _beside(folders, BOX_FILE, 4, 2)

    def find(self, name: str) -> tuple[str | None, NDArray[np.float64] | None, dict[str, int]]:
        """Split, box and attributes of a photo; raises InputError."""
        split = _of(self.splits, name, 1, _split_of)
        box = _of(self.boxes, name, 4, self._box)
        identity = _of(self.identities, name, 1, lambda tokens: whole(tokens[0], "identity"))
        return split, box, {} if identity is None else {"identity": identity}

    def _box(self, tokens: list[str]) -> NDArray[np.float64]:
        x, y, w, h = numbers(tokens)
        if w < 0 or h < 0:
            raise ValueError("the box has a negative size")
        return np.array([x - self.first_pixel, y - self.first_pixel, w, h])


def _of(
    beside: Companion | None, name: str, count: int, parse: Callable[[list[str]], T]
) -> T | None:
    row = None if beside is None else beside.find(name)
    if beside is None or row is None:
        return None
    line, text = row
    try:
        return parse(_split(text, count)[1])
    except ValueError as error:
        raise InputError(beside.file, str(error), line) from None


def _split_of(tokens: list[str]) -> str:
    number = whole(tokens[0], "partition")
    if not 0 <= number < len(SPLITS):
        raise ValueError(f"partition {number} is none of 0, 1 and 2")
    return SPLITS[number]


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """Who it is: a whole number."""
    return name == "identity" and whole_value(value) is not None


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """The list in whole pixels, and beside it those of boxes, splits and identities there are.

    ``target`` is the list's own name, or a folder for CelebA's names. A missing point is -1, -1.
    """
    main = target if target.suffix and not target.is_dir() else target / POINTS_FILE
    if main.name in (BOX_FILE, SPLIT_FILE, IDENTITY_FILE):
        raise OutputError(
            f"{target}: is the name of another of CelebA's lists", "name it otherwise"
        )
    first_pixel = options.base(CAPABILITIES.index_base)
    taken: set[str] = set()
    with filling(main.parent, options.overwrite) as staged, ExitStack() as stack:
        lists = _Lists(staged, main.name, first_pixel, stack)
        for image in images:
            check_name(image.path, target, image.path.split()[-1:])
            if image.path in taken:
                raise OutputError(f"{target}: two photos have the name {image.path}", "rename one")
            taken.add(image.path)
            for face in image.faces:
                lists.add(image, face)
        lists.close()
        stack.close()
        return written(main.parent, staged)


class _Lists:
    """CelebA's lists while they are written; each is made when there is something for it."""

    def __init__(self, folder: Path, name: str, first_pixel: int, stack: ExitStack) -> None:
        self.folder, self.name, self.stack = folder, name, stack
        self.first_pixel = first_pixel
        self.bodies: dict[str, TextIO] = {}
        self.heads: dict[str, list[str]] = {}
        self.counts: Counter[str] = Counter()
        self._body(name)

    def _body(self, name: str) -> TextIO:
        if name not in self.bodies:
            opened = headed(self.folder / name, overwrite=False)
            self.bodies[name], self.heads[name] = self.stack.enter_context(opened)
        return self.bodies[name]

    def _row(self, name: str, image: AnnotatedImage, values: Iterable[object]) -> None:
        self.counts[name] += 1
        self._body(name).write(" ".join([image.path, *map(str, values)]) + "\n")

    def add(self, image: AnnotatedImage, face: Face) -> None:
        """The rows of a photo; raises OutputError."""
        base = self.first_pixel
        places = np.where(face.labelled[:, None], np.round(face.points_px) + base, -1)
        self._row(self.name, image, places.ravel().astype(int).tolist())
        if face.box is not None:
            if "align" in self.name:
                raise OutputError(
                    f"{self.name}: lists of aligned photos have no boxes",
                    "leave 'align' out of the list's name",
                )
            x, y, w, h = np.round(face.box).astype(int).tolist()
            self._row(BOX_FILE, image, (x + base, y + base, w, h))
        if image.split in SPLITS:
            self._row(SPLIT_FILE, image, [SPLITS.index(image.split)])
        person = whole_value(face.attributes.get("identity"))
        if person is not None:
            self._row(IDENTITY_FILE, image, [person])

    def close(self) -> None:
        """Say in front of the lists how long they are."""
        for name, columns in ((self.name, COLUMNS), (BOX_FILE, BOX_COLUMNS)):
            if name in self.heads:
                self.heads[name] += [f"{self.counts[name]}\n", " ".join(columns) + "\n"]
