"""Photos from disk: which files are photos, and their pixels as 8-bit RGB, EXIF-upright.

Pillow decodes, and not OpenCV: it knows CMYK, palettes, animations and transparency, and it says
why a file cannot be read, where OpenCV returns None.
"""

from __future__ import annotations

import os
import stat
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tufa_cli.errors import InputError

RgbImage = NDArray[np.uint8]

#: Endings that make a file in a folder a photo. HEIC is among them though Pillow alone cannot
#: read it: a failure with a reason is better than a phone's photos passed over in silence.
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".heic", ".heif"}
)

_EXIF_ORIENTATION = 0x0112

#: What Pillow's decoders raise on broken data; anything else is a bug, not a bad photo.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError)


@dataclass(frozen=True)
class PhotoListing:
    """The photos found under some paths.

    photos: sorted within each given path, none twice.
    skipped: how many other files lay in the folders.
    failures: (path, reason) of folders that could not be listed.
    root: the folder that every photo lies under, from which relative names are made.
    """

    photos: tuple[Path, ...]
    skipped: int
    failures: tuple[tuple[Path, str], ...]
    root: Path

    def relative(self, photo: Path) -> str:
        """The POSIX path of a listed photo relative to ``root``."""
        return Path(os.path.relpath(photo, self.root)).as_posix()

    def __len__(self) -> int:
        return len(self.photos)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.photos)


def list_photos(
    paths: Iterable[str | Path], recursive: bool = True, keep_going: bool = False
) -> PhotoListing:
    """The photos in folders and among single files.

    A folder gives the files in it with a photo's ending (hidden ones left out), whatever its own
    name: a folder named ``x.jpg`` is a folder. A single file is taken whatever its ending; whether
    it is a photo shows when it is read. Raises InputError for a path that is not there, or, with
    ``keep_going``, lists it among the failures.
    """
    photos: list[Path] = []
    roots: list[Path] = []
    failures: list[tuple[Path, str]] = []
    skipped = 0
    for path in map(Path, paths):
        problem = _missing(path)
        if problem and not keep_going:
            raise InputError(path, problem)
        if problem:
            failures.append((path, problem))
        elif path.is_dir():
            roots.append(path)
            found, others = _walk(path, recursive, failures)
            photos += found
            skipped += others
        else:
            roots.append(path.parent)
            photos.append(path)
    once = {os.path.abspath(photo): photo for photo in reversed(photos)}  # noqa: PTH100
    kept = [photo for photo in photos if once.pop(os.path.abspath(photo), None)]  # noqa: PTH100
    return PhotoListing(tuple(kept), skipped, tuple(failures), common_root(roots))


def _missing(path: Path) -> str | None:
    """Why a path cannot be looked at, or None."""
    try:
        path.stat()
    except FileNotFoundError:
        return "a link to nowhere" if path.is_symlink() else "no such file or folder"
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    except ValueError:  # a NUL byte in a list of names
        return "not the name of a file"
    return None


def common_root(folders: Iterable[Path]) -> Path:
    """The deepest folder above all of ``folders``; the current folder when there are none."""
    absolute = [os.path.abspath(folder) for folder in folders]  # noqa: PTH100
    if not absolute:
        return Path()
    try:
        return Path(os.path.commonpath(absolute))
    except ValueError:  # different drives on Windows
        return Path(Path(absolute[0]).anchor)


def _walk(
    folder: Path, recursive: bool, failures: list[tuple[Path, str]]
) -> tuple[list[Path], int]:
    """Photos below ``folder`` in sorted order, and the number of other files."""
    photos: list[Path] = []
    skipped = 0

    def note(error: OSError) -> None:
        failures.append((Path(error.filename), f"cannot list the folder: {error.strerror}"))

    for where, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        for name in sorted(names):
            photo = Path(where, name)
            if is_photo_name(name) and not _is_special(photo):
                photos.append(photo)
            else:
                skipped += 1
    return sorted(photos), skipped


def is_photo_name(name: str) -> bool:
    """Whether a file of this name counts as a photo when it lies in a folder."""
    return not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES


def _is_special(path: Path) -> bool:
    """Whether it is a folder, pipe, socket or device.

    A broken link and a file that may not be looked at are not: they fail later, by name.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_rgb(path: str | Path) -> RgbImage:
    """The photo as (H, W, 3) uint8 RGB, turned upright by its EXIF tag.

    16-bit values keep their upper 8 bits; CMYK, grey and palette pictures become RGB; transparent
    parts are laid over white; of an animation the first frame is read. Colour profiles are not
    applied. Raises InputError with the reason when there is no picture to be had.
    """
    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            # Pillow warns on big panoramas and on odd metadata; neither harms the pixels.
            warnings.simplefilter("ignore")
            with Image.open(stream) as image:
                rgb = _to_rgb(image)
                return np.ascontiguousarray(_upright(rgb, _orientation(image)))
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(path, f"larger than {limit} megapixels", hint="shrink it first") from None
    except MemoryError:
        raise InputError(path, "too large for this machine's memory") from None
    except UnidentifiedImageError:
        raise InputError(path, "not a picture that can be read", hint=_hint(path)) from None
    except (*_DECODE_ERRORS, struct.error) as error:
        raise InputError(path, _reason(error)) from None


def read_size(path: str | Path) -> tuple[int, int]:
    """Width and height of the photo as it is shown upright, from its header alone.

    Raises InputError with the reason when there is no picture to be had.
    """
    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(stream) as image:
                width, height = image.size
                return (height, width) if _orientation(image) >= 5 else (width, height)
    except UnidentifiedImageError:
        raise InputError(path, "not a picture that can be read", hint=_hint(path)) from None
    except (*_DECODE_ERRORS, struct.error, Image.DecompressionBombError) as error:
        raise InputError(path, _reason(error)) from None


def _check_file(path: Path) -> None:
    """Raise InputError when ``path`` cannot be a picture, before a decoder guesses why."""
    problem = _missing(path)
    if problem:
        raise InputError(path, problem)
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise InputError(path, "is a folder, not a photo")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(path, "is not an ordinary file")
    if status.st_size == 0:
        raise InputError(path, "the file is empty")


def _hint(path: Path) -> str | None:
    if path.suffix.lower() in (".heic", ".heif"):
        return "save HEIC photos as JPEG first"
    return None


def _reason(error: Exception) -> str:
    """What went wrong while a picture was opened or decoded, in a user's words."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened: {error.strerror}"
    text = str(error).lower()
    if any(word in text for word in ("truncated", "premature", "unexpected end", "eof")):
        return "the picture is truncated: the file ends too early"
    if isinstance(error, EOFError | IndexError | struct.error):
        return "the picture is truncated: the file ends too early"
    return f"the picture is damaged ({error})" if text else "the picture is damaged"


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 when there is none or the EXIF block is damaged."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except (*_DECODE_ERRORS, struct.error):
        return 1


def _upright(pixels: RgbImage, orientation: int) -> RgbImage:
    """The picture as its EXIF orientation wants it shown."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _to_rgb(image: Image.Image) -> RgbImage:
    """The (first frame's) pixels as (H, W, 3) uint8."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _deep_grey(np.asarray(image), image.mode)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _deep_grey(values: NDArray[np.generic], mode: str) -> RgbImage:
    """Grey of 16 or 32 bits, or floats, as 8-bit RGB."""
    numbers = np.nan_to_num(values.astype(np.float32))
    if mode == "F":
        scale = 255.0 if numbers.max(initial=0.0) <= 1.0 else 1.0
    else:
        # Old Pillow opens 16-bit PNG in mode "I" too; only wide values can be 16-bit ones.
        scale = 1 / 256 if mode != "I" or numbers.max(initial=0.0) > 255 else 1.0
    grey = np.clip(np.floor(numbers * scale), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
