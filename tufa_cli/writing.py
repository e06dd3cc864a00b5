"""Files are written beside their place and renamed, and never overwritten unasked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tufa_cli.errors import OutputError

#: Bytes that wait for each other: a call of the system costs more than copying some thousand.
BUFFER = 1 << 18


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise OutputError when ``path`` exists and may not be replaced, or is a folder."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder", "give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already", "use --overwrite to replace it")


@contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it when the block ends without an error.

    Parent folders are made. On any error the temporary file is removed and everything is as it
    was; an OSError (full disk, no permission) becomes an OutputError that names ``path``.
    """
    path = Path(path)
    check_writable(path, overwrite)
    temporary: Path | None = None
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
        if not path.exists():
            _remove_empty(made)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _remove_empty(folders: list[Path]) -> None:
    """Take away folders that were made for nothing, the innermost first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


@contextmanager
def replacing_text(path: Path, overwrite: bool = False) -> Iterator[TextIO]:
    """A stream for UTF-8 text with LF line ends; ``path`` has it when the block ends, or nothing.

    Raises OutputError, also for text that is not valid Unicode (half of a surrogate pair).
    """
    with replacing(path, overwrite) as temporary:
        try:
            with temporary.open("w", BUFFER, encoding="utf-8", newline="\n") as stream:
                yield stream
        except UnicodeEncodeError:
            raise OutputError(f"{path}: a photo's name is not valid Unicode", "rename it") from None


@contextmanager
def filling(folder: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder whose files are moved into ``folder`` when the block ends.

    All of them or, when the block fails or one exists already and may not be replaced, none.
    Raises OutputError.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file", "give the name of a folder")
    made = [parent for parent in folder.parents if not parent.exists()]
    staged: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The folder above one that is there already need not be ours to write to.
        beside = folder if folder.exists() else folder.parent
        name = tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=beside)
        staged = Path(name)
        yield staged
        staged.chmod(0o777 & ~_umask())
        if folder.exists():
            _move_into(staged, folder, overwrite)
        else:
            staged.replace(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{folder}: cannot be written: {reason}") from error
    except OutputError as error:  # the user knows the folder, not where it is filled
        message = error.message.replace(str(staged), str(folder))
        raise OutputError(message, error.hint) from error
    finally:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)
        if not folder.exists():
            _remove_empty(made)


def _move_into(staged: Path, folder: Path, overwrite: bool) -> None:
    files = [path for path in sorted(staged.rglob("*")) if path.is_file()]
    places = [folder / path.relative_to(staged) for path in files]
    for place in places:
        check_writable(place, overwrite)
    for path, place in zip(files, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def write_text(path: Path, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    write_bytes(path, text.encode("utf-8"), overwrite)


def write_bytes(path: Path, data: bytes, overwrite: bool = False) -> None:
    """Write bytes, whole or not at all."""
    with replacing(path, overwrite) as temporary:
        temporary.write_bytes(data)
