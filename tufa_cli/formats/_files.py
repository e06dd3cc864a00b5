"""Finding and reading sources: files in folders, text, and the photos they belong to."""

from __future__ import annotations

import math
import os
import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO, cast

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Sniff
from tufa_cli.formats._numbers import is_number
from tufa_cli.writing import BUFFER, replacing_text, write_bytes

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp")

#: What to do about a photo above its folder, or with a path of another machine.
RELATIVE_HINT = "--prefix-sources, or --images for labelme, gives photos paths in one folder"

_DRIVE = re.compile(r"[A-Za-z]:")
_FACE_SUFFIX = re.compile(r"(.+)_\d+$")


def check_source(path: Path) -> None:
    """Raise InputError unless there is something at ``path`` that may be looked at."""
    try:
        path.stat()
    except FileNotFoundError:
        raise InputError(path, "no such file or folder") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(path, f"cannot be read: {reason}") from None


def is_photo(path: Path) -> bool:
    """Whether there is a file; False too for names no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def source_files(source: Path, suffixes: Sequence[str]) -> list[Path]:
    """``source`` itself, or the files below it with one of these endings, in a stable order.

    Hidden files and folders are left out (``._x.pts`` of macOS). Raises InputError when there is
    nothing there or it cannot be listed.
    """
    check_source(source)
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError(source, "neither a file nor a folder")

    def fail(error: OSError) -> None:
        raise InputError(error.filename, f"cannot be listed: {error.strerror}")

    found = []
    for folder, folders, names in os.walk(source, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(tuple(suffixes)) and not name.startswith("."):
                path = Path(folder, name)
                if path.is_file():
                    found.append(path)
    return sorted(found, key=lambda path: path.relative_to(source).parts)


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """A file's bytes; raises InputError when it cannot be read or is longer than ``limit``."""
    try:
        with path.open("rb") as stream:
            data = stream.read() if limit is None else stream.read(limit + 1)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    if limit is not None and len(data) > limit:
        raise InputError(path, f"longer than {limit} bytes, which is no file of one face")
    return data


def read_lines(path: Path, limit: int | None = None) -> list[str]:
    """A text file's lines, without line ends; UTF-8 with or without a BOM, any line ends.

    Raises InputError with the line when it is not text or has none.
    """
    data = read_bytes(path, limit)
    if not data.strip():
        raise InputError(path, "the file is empty", 1)
    try:
        text = data.decode("utf-8-sig")
        nul = text.find("\0")
        if nul >= 0:
            raise InputError(path, "not text: it holds zero bytes", text.count("\n", 0, nul) + 1)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(path, "not UTF-8 text", line, "save the file as UTF-8") from None
    lines = re.split(r"\r\n|\n|\r", text)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def write_lines(path: Path, lines: Iterable[str], overwrite: bool) -> None:
    """Write UTF-8 text, LF, newline at the end; raises OutputError.

    Lines that are not there yet are made while they are written.
    """
    if not isinstance(lines, Sequence):
        with replacing_text(path, overwrite) as stream:
            stream.writelines(f"{line}\n" for line in lines)
        return
    try:
        data = "".join(f"{line}\n" for line in lines).encode("utf-8")
    except UnicodeEncodeError:
        raise OutputError(f"{path}: a photo's name is not valid Unicode", "rename it") from None
    write_bytes(path, data, overwrite)


def check_name(path: str, where: Path, beside: Sequence[str] = (), marks: str = "") -> str:
    """A photo's name that a line of text can hold; raises OutputError.

    beside: words of the name that stand next to numbers, so they may not look like one.
    marks: letters that mean something else there.
    """
    one_line = len(path.splitlines()) == 1 and path == path.strip()
    if not one_line or any(map(is_number, beside)) or any(mark in path for mark in marks):
        raise OutputError(
            f"{where}: the photo name {path!r} does not fit in a line of this format",
            "rename the photo, or write coco",
        )
    try:
        photo_name(path)  # what a reader would refuse is not written
    except ValueError as error:
        raise OutputError(f"{where}: {error}", RELATIVE_HINT) from None
    return path


def inside(target: Path, relative: str) -> Path:
    """``target / relative``; raises OutputError when that would lie outside ``target``."""
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or ":" in parts[0]:
        raise OutputError(
            f"{relative}: the photo's path leaves its folder, so there is no place for it in "
            f"{target}",
            RELATIVE_HINT,
        )
    return target.joinpath(*parts)


def photo_path(name: object, what: str = "the photo's name") -> str:
    """A photo's path as a file gives it, with ``/``; raises ValueError when it cannot be one.

    Neither empty nor leading out of the photos' folder by ``..``: files come from other people, and
    a name in them may not reach what lies elsewhere.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{what} is missing")
    if "\0" in name:
        raise ValueError(f"{what} holds a zero byte")
    name = name.replace("\\", "/")
    if ".." in name and ".." in name.split("/"):
        raise ValueError(f"{what} {name[:80]!r} leads out of its folder")
    return name


def photo_name(text: str) -> str:
    """``photo_path`` of a name in a list, which may not be absolute either; raises ValueError."""
    name = photo_path(text.strip()).removeprefix("./")
    if name.startswith("/") or _DRIVE.match(name):
        raise ValueError(f"the photo's name {name[:80]!r} leads out of its folder")
    return name


def climb(root: Path, name: str, what: str = "the photo's name") -> tuple[Path, str]:
    """Root and path of a photo that may lie above ``root``: ``../images/a.jpg`` of a label file.

    The path has no ``..`` left; what there was in front has moved into the root. Raises ValueError
    for no name at all.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        photo_path(name, what)
    parts = posixpath.normpath(name.replace("\\", "/")).split("/")
    up = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    return root.joinpath(*parts[:up]), photo_path("/".join(parts[up:]), what)


def photo_size(image: AnnotatedImage) -> tuple[int, int] | None:
    """Width and height as the record has them, else from the photo, else None."""
    if image.width is not None and image.height is not None:
        return image.width, image.height
    if image.root is None:
        return None
    if not os.path.isfile(f"{image.root}/{image.path}"):  # noqa: PTH113 (a Path costs ten times that)
        return None
    # Pillow takes a moment to load, and only some formats ask for sizes.
    from tufa_cli.images.reading import read_size

    try:
        return read_size(Path(image.root, image.path))
    except (InputError, ValueError):
        return None


@contextmanager
def headed(path: Path, overwrite: bool) -> Iterator[tuple[TextIO, list[str]]]:
    """A stream for a text's body, and a list for what goes before it, told at the end.

    For files that begin with a summary of what follows: the body waits in a file beside. Raises
    OutputError.
    """
    head: list[str] = []
    with (
        replacing_text(path, overwrite) as stream,
        tempfile.TemporaryFile(
            "w+", BUFFER, encoding="utf-8", newline="\n", dir=path.parent
        ) as body,
    ):
        yield body, head
        body.seek(0)  # writes what is left of it
        stream.writelines(head)
        stream.flush()
        shutil.copyfileobj(cast(BinaryIO, body.buffer), stream.buffer, BUFFER)


class PhotoFinder:
    """Photos under one folder, looked up by their path without the ending.

    Each folder is listed once: 20,000 faces do not become 200,000 calls of ``stat``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, frozenset[str]] = {}

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(
                    entry.name for entry in os.scandir(self.root / folder)
                )
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def find(self, stem: str) -> str | None:
        """Relative path of the photo with this stem, or None."""
        folder, _, name = stem.rpartition("/")
        names = self._listing(folder)
        for suffix in PHOTO_SUFFIXES:
            for ending in (suffix, suffix.upper()):
                if name + ending in names:
                    return f"{stem}{ending}"
        return None

    def photo_of(self, stem: str) -> str:
        """The photo of an annotation: same stem, or (``NAME_2`` of ``NAME.jpg``) one of several
        faces; ``stem.jpg`` when there is none."""
        found = self.find(stem)
        several = _FACE_SUFFIX.match(stem)
        if found is None and several is not None:
            found = self.find(several[1])
        return found if found is not None else f"{stem}.jpg"


def first_root(candidates: Sequence[Path], photo: str) -> Path:
    """The first folder that holds ``photo``, else the first that exists, else the last."""
    for folder in candidates:
        if is_photo(folder / photo):
            return folder
    return next((folder for folder in candidates if folder.is_dir()), candidates[-1])


def sniff_any(
    path: Path, suffixes: Sequence[str], sniff_file: Callable[[Path], Sniff], most: int = 64
) -> Sniff:
    """``sniff_file`` on a file, or on files of a folder until one says yes."""
    try:
        files = source_files(path, suffixes)
        if not files:
            return Sniff(False, f"no {' or '.join(suffixes)} file in it")
        if not path.is_dir() and not path.name.lower().endswith(tuple(suffixes)):
            return Sniff(False, f"its name does not end in {' or '.join(suffixes)}")
        verdicts = []
        for file in spread(files, most):
            verdict = sniff_file(file)
            if verdict.yes:
                where = f"{file.relative_to(path).as_posix()}: " if path.is_dir() else ""
                return Sniff(True, where + verdict.reason)
            verdicts.append(verdict)
        return next((verdict for verdict in verdicts if verdict.near), verdicts[0])
    except InputError as error:
        return Sniff(False, error.problem)


def spread(files: Sequence[Path], most: int) -> list[Path]:
    """At most ``most`` of the files, evenly spread, the first among them."""
    step = max(1, math.ceil(len(files) / most))
    return list(files[::step])


def head_lines(path: Path, size: int = 65536) -> list[str]:
    """The first lines of a file that are not blank, at least one; raises InputError if not text."""
    try:
        with path.open("rb") as stream:
            data = stream.read(size)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    if len(data) == size and b"\n" in data:
        data = data[: data.rindex(b"\n")]  # the last line is likely cut, in a letter even
    if b"\0" in data:
        raise InputError(path, "not text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(path, "empty")
    return lines


def list_files(
    source: Path, suffixes: Sequence[str], sniff_file: Callable[[Path], Sniff]
) -> Iterator[Path]:
    """The file, or those of a folder that look right; raises InputError when none does.

    In a folder other texts lie about (a README, a list of names), so there the look decides.
    """
    if not source.is_dir():
        yield from source_files(source, suffixes)
        return
    found = False
    for file in source_files(source, suffixes):
        try:
            verdict = sniff_file(file)
        except InputError:
            continue
        if verdict.yes:
            found = True
            yield file
    if not found:
        raise InputError(source, "no file of this format in the folder")
