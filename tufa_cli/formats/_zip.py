"""Archives that annotation tools export: looked into, never unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tufa_cli.errors import InputError
from tufa_cli.formats._files import photo_name

#: No annotation file in an archive is larger; what claims to be is a bomb, or has to be unpacked.
MOST_BYTES = 1 << 30

_UNPACK = "unpack it and give the folder"


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(path, f"not a whole zip archive: {error}") from None
    except (NotImplementedError, RuntimeError) as error:  # odd compression, a password
        raise InputError(
            path, f"a zip archive that cannot be read: {error}", hint=_UNPACK
        ) from None
    except UnicodeDecodeError:
        raise InputError(path, "a zip archive with damaged names", hint=_UNPACK) from None
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from None


def members(path: Path) -> list[str]:
    """Names of the files in an archive, sorted.

    Raises InputError when it is none, or when a name leads out of it (a "zip slip").
    """
    with _opened(path) as archive:
        names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    for name in names:
        try:
            photo_name(name)
        except ValueError:
            problem = f"its member '{name[:60]}' leads out of the archive"
            raise InputError(path, problem, hint="get the archive from where it was made") from None
    return names


def read_member(path: Path, name: str, limit: int = MOST_BYTES) -> bytes:
    """The bytes of one file in an archive; raises InputError, also for more than ``limit``."""
    with _opened(path) as archive, archive.open(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise InputError(
            path, f"its member '{name[:60]}' is larger than {limit:,} bytes", hint=_UNPACK
        )
    return data


class Member:
    """A file in an archive, to what reads text piece by piece: it is opened as a path is.

    parent: the folder that the archive was unpacked to, or lies in, where photos may be.
    """

    def __init__(self, archive: Path, name: str) -> None:
        self._archive, self._inside = archive, name
        unpacked = archive.with_suffix("")
        self.parent = unpacked if unpacked.is_dir() else archive.parent
        self.name = name

    def __str__(self) -> str:
        return str(self._archive / self._inside)

    @contextmanager
    def open(self, mode: str = "rb") -> Iterator[IO[bytes]]:
        """Its bytes as a stream; raises InputError, also while it is read from."""
        with _opened(self._archive) as archive:
            if archive.getinfo(self._inside).file_size > MOST_BYTES:
                problem = f"its member '{self._inside[:60]}' is larger than {MOST_BYTES:,} bytes"
                raise InputError(self._archive, problem, hint=_UNPACK)
            with archive.open(self._inside) as stream:
                yield stream


def is_zip(path: Path) -> bool:
    """Whether a path is that of an archive, told by its name."""
    return path.suffix.lower() == ".zip" and path.is_file()
