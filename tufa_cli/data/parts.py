"""The unfinished work of ``pack``: part files in ``OUT.parts`` that a killed run leaves behind."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

from tufa_cli.data.shards import add_to_shards, make_shards
from tufa_cli.data.store import (
    Row,
    Span,
    joint_head,
    keys_of,
    merge,
    open_pack,
    read_rows,
    row_checksum,
    whole,
    write_rows,
)
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.writing import replacing

_LOCK = "lock"


class PartFolder:
    """Rows packed so far for one pack, in files that appear whole or not at all.

    task: what the rows were made with; parts of another task are refused. One process at a time
    holds the folder (where the system has file locks). Raises TufaError for either.
    """

    def __init__(self, out: Path, task: str, attributes: dict[str, Any]) -> None:
        self.out, self.attributes = out, attributes
        self.folder = out.with_name(out.name + ".parts")
        self._task = task
        made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder / _LOCK)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made: {error.strerror}") from error
        if made:
            return
        for litter in self.folder.glob(".*.part"):
            litter.unlink()
        self._drop_damaged()
        for part in self.files():
            with open_pack(part) as file:
                if file.attrs.get("task") != task:
                    raise TufaError(
                        f"{self.folder} holds the unfinished work of another pack command",
                        "give that command again to finish it, or delete the folder",
                    )

    def files(self) -> list[Path]:
        """The part files in order."""
        return sorted(self.folder.glob("*.h5"))

    def keys(self) -> set[bytes]:
        """The keys of all rows."""
        return keys_of(self.files())

    def add(self, rows: Sequence[Row]) -> None:
        """One more part, on the disk when this returns."""
        part = self.folder / f"{len(self.files()):06d}.h5"
        with replacing(part) as temporary:
            write_rows(temporary, rows, self.attributes | {"task": self._task})

    def forget_if_in(self, taken: set[bytes]) -> None:
        """Delete the parts when ``taken`` holds their rows: killed after the merge, before the
        folder was gone."""
        if self.keys() <= taken:
            for part in self.files():
                part.unlink()

    def merge(
        self, previous: Sequence[Path], overwrite: bool, shard_rows: int | None = None
    ) -> None:
        """Put the rows of ``previous`` and of the parts into the pack, and the folder away.

        shard_rows: the pack is a folder of files with so many rows each; ``previous`` are those
        that it has.
        """
        files = [*previous, *self.files()]
        plane, _ = joint_head(files)
        # Of a run that was killed here; the lock says that it is over. The name is one of
        # ``replacing``'s for a file: the folders of ``make_shards`` and other packs are not meant.
        for litter in self.out.parent.glob(f".{escape(self.out.name)}.{'?' * 8}.part"):
            litter.unlink()
        attributes = self.attributes | {"plane": plane.to_json()}
        if shard_rows is None:
            with replacing(self.out, overwrite) as temporary:
                merge([whole(file) for file in files], temporary, attributes)
        elif previous:
            add_to_shards(previous, self._missing_in(previous), attributes, shard_rows)
        else:
            spans = [whole(file) for file in files]
            make_shards(self.out, spans, attributes, shard_rows)
        self.remove()

    def _missing_in(self, previous: Sequence[Path]) -> list[Span]:
        """The parts' rows that no shard has: a killed run may have added the first ones."""
        taken, spans = keys_of(previous), []
        for span in map(whole, self.files()):
            with open_pack(span.path) as file:
                there = sum(key in taken for key in file["key"][:].tolist())
            spans.append(Span(span.path, there, span.last))
        return [span for span in spans if span.first < span.last]

    def remove(self) -> None:
        """Delete the folder and all in it."""
        self.close()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let others have the folder; it goes when there is nothing in it."""
        if self._lock is not None:
            self._lock.close()
        with suppress(OSError):
            if not self.files():
                (self.folder / _LOCK).unlink(missing_ok=True)
                self.folder.rmdir()

    def _drop_damaged(self) -> None:
        """Parts are renamed when they are whole, but a power cut can lose what was written: a part
        that is damaged is made again, and those after it, so that rows keep their order."""
        files = self.files()
        for number, part in enumerate(files):
            if part.name != f"{number:06d}.h5" or not _is_sound(part):
                for damaged in files[number:]:
                    damaged.unlink()
                return


def _is_sound(part: Path) -> bool:
    try:
        for _, rows, checksums in read_rows(part):
            if checksums != [row_checksum(row) for row in rows]:
                return False
    except (InputError, KeyError, OSError, RuntimeError):
        return False
    return True


def _locked(path: Path) -> IO[bytes] | None:
    """An open file that only one process has, or None where there are no such locks.

    The system lets go of it when the process ends, however it ends.
    """
    try:
        import fcntl
    except ImportError:
        return None
    stream = path.open("ab")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise TufaError(
            f"{path.parent}: another pack command is writing there", "wait until it has ended"
        ) from None
    return stream
