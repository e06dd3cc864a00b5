"""COFW ``.mat`` (MATLAB 7.3, which is HDF5): 29 points with hidden ones, the photos inside, 1-based.

``COFW_train_color.mat`` holds ``IsTr`` (the photos), ``phisTr`` (29 x, 29 y, 29 flags, 1 where a
point is hidden) and ``bboxesTr`` (x, y, w, h); ``COFW_test_color.mat`` the same as ``IsT``,
``phisT``, ``bboxesT``. MATLAB's rows are HDF5's columns. MMPose subtracts 1 as we do, other readers
do not.

The photos have numbers and no names: 000001.png on for the training part and, as MMPose counts,
001346.png on for the test part. They stay inside unless ``extract`` names a folder for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import FAR_PX, first_root, is_photo, list_files, sniff_any
from tufa_cli.writing import check_writable, replacing

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
)
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
    """One record per row; with ``options.extract`` its photo is written there as PNG.

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
        self.phis = self._dataset(f"phis{part}", 3 * POINTS)
        self.count = self.phis.shape[1]
        # Damaged sizes would give rows without end: each takes some bytes of the file.
        if self.count > path.stat().st_size:
            raise InputError(path, f"'phis{part}' has more rows than the file has room for")
        self.boxes = self._dataset(f"bboxes{part}", 4, self.count)
        held = f"Is{part}" in file
        self.photos = self._dataset(f"Is{part}", 1, self.count) if held else None
        if self.photos is None and options.extract is not None:
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
        root = self.options.extract or self.options.root
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
        if self.options.extract is not None:
            from tufa_cli.images.drawing import write_picture

            if cell.is_virtual or cell.external:
                raise ValueError("the photo lies in another file")
            pixels = np.asarray(cell[()]).T
            if grey:
                pixels = np.repeat(pixels[..., None], 3, axis=2)
            write_picture(self.options.extract / name, pixels)
        return int(height), int(width)


def renamed(images: Sequence[AnnotatedImage]) -> list[str]:
    """Photos whose name is not the one that their place in the file gives them."""
    counts = dict.fromkeys(PARTS, 0)
    changed = []
    for image in images:
        if image.faces:
            part = _part_of(image)
            counts[part] += 1
            if image.path != photo_of(PARTS[part][1] + counts[part]):
                changed.append(image.path)
    return changed


def _part_of(image: AnnotatedImage) -> str:
    return "T" if image.split == "test" else "Tr"


def _photo_path(image: AnnotatedImage) -> Path | None:
    path = Path(image.root or "", image.path)
    return path if is_photo(path) else None


def remarks(images: Sequence[AnnotatedImage]) -> list[str]:
    """A row has a box and a photo, and is in one of two parts."""
    found = []
    boxes = sum(face.box is None for image in images for face in image.faces)
    if boxes:
        found.append(f"{boxes} faces without a box got the box of their points")
    unplaced = sum(image.split is None for image in images)
    if unplaced:
        found.append(f"{unplaced} photos without a split are in the training part")
    absent = sum(_photo_path(image) is None for image in images)
    if absent:
        found.append(f"{absent} photos were not found: their cells are empty")
    return found


def write(images: Sequence[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One file with the photos that are found inside; a missing point is -1, -1."""
    import h5py

    if target.is_dir():
        raise OutputError(f"{target}: is a folder", "give the name of a .mat file")
    check_writable(target, options.overwrite)
    first_pixel = options.base(CAPABILITIES.index_base)
    with replacing(target, options.overwrite) as temporary:
        with h5py.File(temporary, "w", userblock_size=_USER_BLOCK) as file:
            for part in PARTS:
                rows = [image for image in images if image.faces and _part_of(image) == part]
                if rows:
                    _write_part(file, part, rows, first_pixel)
        text = b"MATLAB 7.3 MAT-file, written by tufa-cli HDF5 schema 1.00 ."
        with temporary.open("r+b") as stream:
            stream.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")
    return [target]


def _write_part(file: Any, part: str, images: Sequence[AnnotatedImage], first_pixel: int) -> None:
    import h5py

    count = len(images)
    phis = file.create_dataset(f"phis{part}", (3 * POINTS, count), dtype="f8")
    boxes = file.create_dataset(f"bboxes{part}", (4, count), dtype="f8")
    cells = file.create_dataset(f"Is{part}", (1, count), dtype=h5py.ref_dtype)
    for dataset, kind in ((phis, "double"), (boxes, "double"), (cells, "cell")):
        dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    pictures = file.require_group("#refs#")
    for first in range(0, count, _ROWS):
        block = images[first : first + _ROWS]
        rows = [_row(image.faces[0], first_pixel) for image in block]
        phis[:, first : first + len(block)] = np.array([phi for phi, _ in rows]).T
        boxes[:, first : first + len(block)] = np.array([box for _, box in rows]).T
        for row, image in enumerate(block, start=first):
            cells[0, row] = _cell(pictures, f"{part}{row + 1}", image).ref


def _row(face: Face, first_pixel: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    places = np.where(face.labelled[:, None], face.points_px + first_pixel, -1.0)
    hidden = np.array([state == OCCLUDED for state in states(face)], dtype=np.float64)
    box = face.box if face.box is not None else face.tight_box()
    corner = np.array([first_pixel, first_pixel, 0.0, 0.0])
    return np.concatenate([places.T.ravel(), hidden]), np.zeros(4) if box is None else box + corner


def _cell(pictures: Any, name: str, image: AnnotatedImage) -> Any:
    """The photo as MATLAB keeps it, or an empty cell where it is not found."""
    from tufa_cli.images.reading import read_rgb

    path = _photo_path(image)
    if path is None:
        cell = pictures.create_dataset(name, data=np.zeros(2, dtype=np.uint64))
        cell.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        cell = pictures.create_dataset(name, data=read_rgb(path).T, compression="gzip")
    cell.attrs["MATLAB_class"] = np.bytes_("uint8")
    return cell
