"""Files are written beside their place and renamed, and never overwritten unasked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tufa_cli.errors import OutputError


def check_writable(path: Path, overwrite: bool) -> None:
    """Raise OutputError when ``path`` exists and may not be replaced, or is a folder."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder", "give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already", "use --overwrite to replace it")


@contextmanager
def replacing(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it when the block ends without an error.

    Parent folders are made. On any error the temporary file is removed and ``path`` is as it was;
    an OSError (full disk, no permission) becomes an OutputError that names ``path``.
    """
    path = Path(path)
    check_writable(path, overwrite)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def write_text(path: Path, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    write_bytes(path, text.encode("utf-8"), overwrite)


def write_bytes(path: Path, data: bytes, overwrite: bool = False) -> None:
    """Write bytes, whole or not at all."""
    with replacing(path, overwrite) as temporary:
        temporary.write_bytes(data)
