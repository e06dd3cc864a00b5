"""Finding and reading sources: files in folders, text, numbers, and the photos they belong to."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Sniff
from tufa_cli.writing import replacing

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp")

#: A coordinate further out than this is garbage: no photo is ten million pixels wide.
FAR_PX = 1e7

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


def number(token: str) -> float:
    """A finite decimal number; raises ValueError with a reason fit for a user."""
    try:
        value = float(token)
    except ValueError:
        raise ValueError(f"'{token[:40]}' is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"'{token[:40]}' is not a finite number")
    if "_" in token or not token.isascii():  # Python's float() takes 1_000 and digits of any script
        raise ValueError(f"'{token[:40]}' is not a number")
    if abs(value) > FAR_PX:
        raise ValueError(f"{token[:40]} is too far out to be a place in a photo")
    return value


def numbers(tokens: Sequence[str]) -> list[float]:
    """``number`` of each token, quickly where all of them are good."""
    joined = "".join(tokens)
    if joined.isascii() and "_" not in joined:
        try:
            values = list(map(float, tokens))
        except ValueError:
            pass  # which one, and why, is found below
        else:
            if all(-FAR_PX <= value <= FAR_PX for value in values):
                return values
    return [number(token) for token in tokens]


def photo_name(text: str) -> str:
    """A photo's name as a file gives it, with ``/`` for ``\\``.

    Raises ValueError for one that is empty or leads out of the photos' folder: files come from
    other people, and a name in them may not reach what lies elsewhere.
    """
    name = text.strip().replace("\\", "/").removeprefix("./")
    if not name or "\0" in name:
        raise ValueError("the name of the photo is missing" if not name else "not a photo's name")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise ValueError(f"the photo's name '{name[:60]}' leads out of the folder of the photos")
    return name


def is_number(token: str) -> bool:
    """Whether a field is meant as a number (NaN and inf are, though they are refused later)."""
    try:
        float(token)
    except ValueError:
        return False
    return True


def decimals(value: float) -> str:
    """Six decimals, and no minus before a zero."""
    text = f"{value:.6f}"
    return "0.000000" if text == "-0.000000" else text


def write_lines(path: Path, lines: Iterable[str], overwrite: bool) -> None:
    """Write UTF-8 text, LF, newline at the end; raises OutputError.

    The lines may be made while they are written: few of them are held at a time.
    """
    pieces = _pieces(path, lines)
    first = next(pieces, b"")  # made before there is a file: most errors come at the beginning
    with replacing(path, overwrite) as temporary:
        temporary.write_bytes(first)
        for piece in pieces:
            with temporary.open("ab") as stream:
                stream.write(piece)


def _pieces(path: Path, lines: Iterable[str]) -> Iterator[bytes]:
    """The lines as bytes, about a million at a time."""
    held, size = [], 0
    try:
        for line in lines:
            held.append(f"{line}\n".encode())
            size += len(held[-1])
            if size > 1_000_000:
                yield b"".join(held)
                held, size = [], 0
    except UnicodeEncodeError:
        raise OutputError(f"{path}: a photo's name is not valid Unicode", "rename it") from None
    yield b"".join(held)


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
        raise OutputError(f"{where}: {error}", "give photo paths relative to one folder") from None
    return path


def inside(target: Path, relative: str) -> Path:
    """``target / relative``; raises OutputError when that would lie outside ``target``."""
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or ":" in parts[0]:
        raise OutputError(
            f"{relative}: the photo's path leaves its folder, so there is no place for it in "
            f"{target}",
            "give photo paths relative to one folder",
        )
    return target.joinpath(*parts)


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
        return verdicts[0]
    except InputError as error:
        return Sniff(False, error.problem)


def spread(files: Sequence[Path], most: int) -> list[Path]:
    """At most ``most`` of the files, evenly spread, the first among them."""
    step = max(1, math.ceil(len(files) / most))
    return list(files[::step])


def head_lines(path: Path, size: int = 65536) -> list[str]:
    """The first lines of a text file that are not blank, at least one.

    Raises InputError when they are not text.
    """
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


def face_files_in(
    source: Path, suffixes: Sequence[str], sniff_file: Callable[[Path], Sniff], folder: str
) -> list[Path]:
    """The files of one face each: all of those in ``folder``, or else those that look right.

    Where the folder's name tells what they are, a damaged one is not passed over. Raises InputError
    when none looks right.
    """
    if not source.is_dir():
        return source_files(source, suffixes)
    found = source_files(source, suffixes)
    if source.absolute().name != folder:
        found = [path for path in found if folder in path.relative_to(source).parts[:-1]]
    for path in found:
        with suppress(InputError):
            if sniff_file(path).yes:
                return found
    return list(list_files(source, suffixes, sniff_file))
