"""COFW ``.mat`` (MATLAB 7.3, which is HDF5): 29 points with hidden ones, photos inside, 1-based.

``COFW_train_color.mat`` holds ``IsTr`` (the photos), ``phisTr`` (29 x, 29 y, 29 flags, 1 where a
point is hidden) and ``bboxesTr`` (x, y, w, h); ``COFW_test_color.mat`` the same as ``IsT``,
``phisT``, ``bboxesT``. MATLAB's rows are HDF5's columns. MMPose subtracts 1 as we do, other readers
do not.

The photos have numbers and no names: 000001.png on for the training part and, as MMPose counts,
001346.png on for the test part. They stay inside unless the setting
``extract`` names a folder for them; what is there already and the same is left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._extract import extract_folder, extract_photo
from tufa_cli.formats._files import first_root, is_photo, list_files, sniff_any
from tufa_cli.formats._numbers import FAR_PX
from tufa_cli.writing import replacing

NAME = "cofw"
TITLE = "COFW .mat, 29 points with hidden ones, photos inside, 1-based"
SCHEME = "cofw29"
POINTS = 29
CAPABILITIES = Capabilities(
    visibility=True,
    box=True,
    one_face=True,
    split=("train", "test"),
    points=POINTS,
    index_base=1,
    streams=True,
)
SETTINGS = {"extract": "folder to write the photos to that lie inside, as PNG"}
SUFFIXES = (".mat",)

#: Photos of COFW's training part, after which the test part's numbers go on.
TRAINING_PHOTOS = 1345
#: Ending of the variables' names -> part, and the number before its first photo.
PARTS = {"Tr": ("train", 0), "T": ("test", TRAINING_PHOTOS)}

#: Rows read or written at a time.
_ROWS = 256
_MOST_PIXELS = 200_000_000
#: What h5py raises on damaged files.
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512
_EMPTY = "empty"


def photo_of(number: int) -> str:
    """The name of a photo: ``000001.png`` for 1."""
    return f"{number:06d}.png"


def _sniff_file(path: Path) -> Sniff:
    import h5py

    try:
        with path.open("rb") as stream:
            head = stream.read(_USER_BLOCK + len(_HDF5))
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    if not (head.endswith(_HDF5) or head.startswith(_HDF5)):
        return Sniff(False, "no MATLAB 7.3 file (HDF5)")
    try:
        with h5py.File(path, "r") as file:
            held = [f"phis{part}" for part in PARTS if f"phis{part}" in file]
    except _DAMAGE as error:
        return Sniff(False, f"damaged: {_reason(error)}")
    if not held:
        return Sniff(False, "HDF5 without phisTr and phisT")
    return Sniff(True, f"MATLAB 7.3 file with {' and '.join(held)}")


def sniff(path: Path) -> Sniff:
    """Yes for MATLAB 7.3 files with phisTr or phisT."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def _reason(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0][:120] if str(error) else type(error).__name__


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per row; with the setting ``extract`` its photo is written there as PNG.

    Otherwise photos are looked for in the folder named as the file, ``images``, and beside it.
    """
    import h5py

    for path in list_files(source, SUFFIXES, _sniff_file):
        try:
            with h5py.File(path, "r") as file:
                found = [part for part in PARTS if f"phis{part}" in file]
                if not found:
                    raise InputError(path, "no phisTr and no phisT in it: not COFW's file")
                for part in found:
                    yield from _Part(path, file, part, options).records()
        except _DAMAGE as error:
            raise InputError(path, f"the file is damaged: {_reason(error)}") from None


class _Part:
    """The training or the test part of a file while it is read."""

    def __init__(self, path: Path, file: Any, part: str, options: ReadOptions) -> None:
        self.path, self.file, self.options, self.part = path, file, options, part
        self.split, self.start = PARTS[part]
        self.extract = extract_folder(options)
        self.phis = self._dataset(f"phis{part}", 3 * POINTS)
        self.count = self.phis.shape[1]
        # Damaged sizes would give rows without end: each takes some bytes of the file.
        if self.count > path.stat().st_size:
            raise InputError(path, f"'phis{part}' has more rows than the file has room for")
        self.boxes = self._dataset(f"bboxes{part}", 4, self.count)
        held = f"Is{part}" in file
        self.photos = self._dataset(f"Is{part}", 1, self.count) if held else None
        if self.photos is None and self.extract is not None:
            raise InputError(path, f"no photos 'Is{part}' in it to extract")

    def _dataset(self, name: str, rows: int, columns: int | None = None) -> Any:
        """A table of the file itself (HDF5 can point to other files); raises InputError."""
        import h5py

        if name not in self.file:
            raise InputError(self.path, f"no '{name}' in it")
        link = self.file.get(name, getlink=True)
        found = self.file[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
            raise InputError(self.path, f"'{name}' is no table in the file itself")
        fits = found.ndim == 2 and found.shape[0] == rows and columns in (None, found.shape[1])
        if not fits:
            has = " x ".join(map(str, found.shape))
            wanted = f"{rows} x {'N' if columns is None else columns}"
            raise InputError(self.path, f"'{name}' is {has}, expected {wanted}")
        return found

    def records(self) -> Iterator[AnnotatedImage]:
        """Row by row; the photos are never loaded together."""
        root = self.extract or self.options.root
        if root is None:
            folder = self.path.parent
            candidates = [folder / self.path.stem, folder / "images", folder]
            root = first_root(candidates, photo_of(self.start + 1))
        for first in range(0, self.count, _ROWS):
            phis = np.asarray(self.phis[:, first : first + _ROWS], dtype=np.float64).T
            boxes = np.asarray(self.boxes[:, first : first + _ROWS], dtype=np.float64).T
            for row, (phi, box) in enumerate(zip(phis, boxes, strict=True), start=first):
                photo = photo_of(self.start + row + 1)
                try:
                    face = self._face(phi, box)
                    height, width = self._photo(row, photo)
                except ValueError as error:
                    where = f"row {row + 1} of phis{self.part}"
                    self.options.failed(InputError(self.path, f"{where}: {error}"))
                    continue
                yield AnnotatedImage(
                    photo, (face,), width=width, height=height, split=self.split, root=str(root)
                )

    def _face(self, phi: NDArray[np.float64], box: NDArray[np.float64]) -> Face:
        rows, hidden = phi[: 2 * POINTS].reshape(2, POINTS).T, phi[2 * POINTS :]
        bad = ~(np.abs(rows) <= FAR_PX).all(axis=1)
        if bad.any():
            raise ValueError(f"point {int(bad.argmax())} is not a place in a photo")
        if not np.isin(hidden, (0, 1)).all():
            raise ValueError("a flag of a hidden point is neither 0 nor 1")
        if not (np.abs(box) <= FAR_PX).all() or (box[2:] < 0).any():
            raise ValueError("the box is none")
        first_pixel = self.options.base(CAPABILITIES.index_base)
        return Face(
            rows - first_pixel,
            scheme=self.options.scheme or SCHEME,
            visibility=np.where(hidden == 1, OCCLUDED, VISIBLE).astype(np.uint8),
            box=box - (first_pixel, first_pixel, 0, 0),
        )

    def _photo(self, row: int, name: str) -> tuple[int | None, int | None]:
        """Height and width of the photo inside, which is extracted when that was asked for."""
        if self.photos is None:
            return None, None
        cell = self.file[self.photos[0, row]]
        if cell.attrs.get("MATLAB_empty"):
            return None, None
        grey = cell.ndim == 2
        if cell.dtype != np.uint8 or not (grey or (cell.ndim == 3 and cell.shape[0] == 3)):
            raise ValueError("the photo is neither grey nor RGB of 8 bits")
        width, height = cell.shape[-2:]
        if width * height > _MOST_PIXELS or not width * height:
            raise ValueError(f"a photo of {width} x {height} pixels")
        if self.extract is not None:
            if cell.is_virtual or cell.external:
                raise ValueError("the photo lies in another file")
            pixels = np.asarray(cell[()]).T
            extract_photo(pixels, self.extract / name)
        return int(height), int(width)


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos whose name is not the one that their place in the file gives them."""
    counts: Counter[str] = Counter()

    def check(image: AnnotatedImage) -> bool:
        part = _part_of(image)
        counts[part] += bool(image.faces)
        return image.path != photo_of(PARTS[part][1] + counts[part])

    return check


def _part_of(image: AnnotatedImage) -> str:
    return "T" if image.split == "test" else "Tr"


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One file with the photos that are found inside; a missing point is -1, -1."""
    import h5py

    first_pixel = options.base(CAPABILITIES.index_base)
    made: Counter[str] = Counter()
    with replacing(target, options.overwrite) as temporary:
        with h5py.File(temporary, "w", userblock_size=_USER_BLOCK) as file:
            parts: dict[str, _Written] = {}
            for image in images:
                for face in image.faces:
                    part = _part_of(image)
                    if part not in parts:
                        parts[part] = _Written(file, part)
                    parts[part].add(image, face, first_pixel, made)
            for written in parts.values():
                written.flush()
        text = b"MATLAB 7.3 MAT-file, written by tufa-cli HDF5 schema 1.00 ."
        with temporary.open("r+b") as stream:
            stream.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")
    options.tell(made)
    return [target]


class _Written:
    """The training or the test part of a file while it is written: a block of rows at a time."""

    def __init__(self, file: Any, part: str) -> None:
        import h5py

        def table(name: str, sides: int, dtype: Any, kind: str) -> Any:
            made = file.create_dataset(
                name, (sides, 0), dtype=dtype, maxshape=(sides, None), chunks=(sides, _ROWS)
            )
            made.attrs["MATLAB_class"] = np.bytes_(kind)
            return made

        self.part, self.count = part, 0
        self.phis = table(f"phis{part}", 3 * POINTS, "f8", "double")
        self.boxes = table(f"bboxes{part}", 4, "f8", "double")
        self.cells = table(f"Is{part}", 1, h5py.ref_dtype, "cell")
        self.pictures = file.require_group("#refs#")
        self.rows: list[tuple[NDArray[np.float64], NDArray[np.float64], Any]] = []

    def add(self, image: AnnotatedImage, face: Face, first_pixel: int, made: Counter[str]) -> None:
        """One more row."""
        made["faces without a box got the box of their points"] += face.box is None
        made["photos without a split are in the training part"] += image.split is None
        cell = _cell(self.pictures, f"{self.part}{self.count + len(self.rows) + 1}", image)
        made["photos were not found: their cells are empty"] += "MATLAB_empty" in cell.attrs
        self.rows.append((*_row(face, first_pixel), cell.ref))
        if len(self.rows) == _ROWS:
            self.flush()

    def flush(self) -> None:
        """Put the rows into the file."""
        start, self.count = self.count, self.count + len(self.rows)
        if not self.rows:
            return
        for column, table in enumerate((self.phis, self.boxes, self.cells)):
            table.resize(self.count, axis=1)
            values = np.array([row[column] for row in self.rows], dtype=table.dtype)
            table[:, start:] = values.T if column < 2 else values[None]
        self.rows = []


def _row(face: Face, first_pixel: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    places = np.where(face.labelled[:, None], face.points_px + first_pixel, -1.0)
    hidden = np.array([state == OCCLUDED for state in states(face)], dtype=np.float64)
    box = face.box if face.box is not None else face.tight_box()
    corner = np.array([first_pixel, first_pixel, 0.0, 0.0])
    return np.concatenate([places.T.ravel(), hidden]), np.zeros(4) if box is None else box + corner


def _cell(pictures: Any, name: str, image: AnnotatedImage) -> Any:
    """The photo as MATLAB keeps it, or an empty cell where it is not found."""
    from tufa_cli.images.reading import read_rgb

    path = Path(image.root or "", image.path)
    if not is_photo(path):
        if _EMPTY in pictures:  # one does for all
            return pictures[_EMPTY]
        cell = pictures.create_dataset(_EMPTY, data=np.zeros(2, dtype=np.uint64))
        cell.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        cell = pictures.create_dataset(name, data=read_rgb(path).T, compression="gzip")
    cell.attrs["MATLAB_class"] = np.bytes_("uint8")
    return cell
