"""A pack in several files: a folder of packs with equally many rows each, but for the last.

The files are named by number; each is a pack by itself, and its attributes ``shard`` and
``shard_rows`` say which of them it is and how many rows a full one has. Their bytes depend on the
rows and their order alone, whether packed at once or added to.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path
from typing import Any

from tufa_cli.data.store import Span, merge, open_pack, whole
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.writing import replacing


def pack_files(path: Path) -> list[Path]:
    """The pack files that a name stands for: a file, all of a folder, or all that match a pattern.

    Raises InputError for a folder without packs, shards of which one is missing, and a pattern that
    matches nothing. A file need not exist.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.h5"))
        if not files:
            raise InputError(path, "the folder holds no pack", hint="make one with 'tufa-cli pack'")
        for problem in shard_problems(files):
            raise InputError(path, problem, hint="pack it again")
        return files
    if has_magic(str(path)) and not path.exists():
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not found:
            raise InputError(path, "no pack matches")
        return [file for name in found for file in pack_files(name)]
    return [path]


def shard_problems(files: Sequence[Path]) -> Iterator[str]:
    """What is wrong with the order of a folder's shards; other packs may lie there as they like."""
    marks = []
    for path in files:
        with open_pack(path) as file:
            if "shard" in file.attrs:
                size = int(file.attrs["shard_rows"])
                marks.append((int(file.attrs["shard"]), path.name, len(file["key"]), size))
    marks.sort()
    for place, (number, name, rows, size) in enumerate(marks):
        if number != place:
            yield f"shard {place} is missing" if number > place else f"shard {number} comes twice"
            return
        if rows != size and place + 1 < len(marks):
            yield f"{name} has {rows} rows instead of {size}"


def shard_size(folder: Path, wanted: int | None) -> int:
    """How many rows a full shard of the folder has. Raises TufaError unless it is ``wanted``."""
    sizes = set()
    for path in pack_files(folder):
        with open_pack(path) as file:
            if "shard_rows" not in file.attrs:
                raise InputError(path, "is no shard", hint=f"{folder} is a folder of whole packs")
            sizes.add(int(file.attrs["shard_rows"]))
    found = sizes.pop()
    if sizes or (wanted or found) != found:
        raise TufaError(f"{folder}: its shards have {found} faces", f"--shard-size {found}")
    return found


def check_shards_writable(folder: Path, overwrite: bool) -> None:
    """Raise OutputError when the folder is a file, or exists and may not be replaced.

    A folder that holds anything but shards is never replaced.
    """
    if folder.is_file():
        raise OutputError(f"{folder}: is a file", "--shard-size makes a folder: give another name")
    if not folder.exists():
        return
    if not overwrite:
        raise OutputError(f"{folder}: exists already", "use --overwrite to replace it")
    for path in folder.iterdir():
        if _is_litter(path):
            continue
        if path.suffix != ".h5" or not path.stem.isdigit():
            raise OutputError(f"{folder}: holds more than shards: {path.name}", "choose another")


def _is_litter(path: Path) -> bool:
    """What ``replacing`` leaves when it is killed."""
    return path.name.startswith(".") and path.suffix == ".part"


def make_shards(folder: Path, spans: Sequence[Span], attributes: dict[str, Any], rows: int) -> None:
    """A new folder of shards in the place of ``folder``: all of it or nothing."""
    staged, old = (folder.with_name(f".{folder.name}.{word}.part") for word in ("new", "old"))
    try:
        shutil.rmtree(staged, ignore_errors=True)
        _fill(staged, 0, spans, attributes, rows)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        staged.rename(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{folder}: cannot be written: {reason}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


def add_to_shards(
    files: Sequence[Path], spans: Sequence[Span], attributes: dict[str, Any], rows: int
) -> None:
    """Add rows: the last shard is filled up, then come new ones.

    Each appears whole, in order, so that after a kill the folder holds the first of the rows.
    """
    for litter in filter(_is_litter, files[-1].parent.iterdir()):
        litter.unlink()  # of a run that was killed here; the lock says that it is over
    last = whole(files[-1])
    number = len(files) - (last.last < rows)
    before = [last] if last.last < rows else []
    _fill(files[-1].parent, number, [*before, *spans], attributes, rows)


def _fill(
    folder: Path, number: int, spans: Sequence[Span], attributes: dict[str, Any], rows: int
) -> None:
    for piece in _cut(spans, rows):
        with replacing(folder / f"{number:05d}.h5", overwrite=True) as temporary:
            merge(piece, temporary, attributes | {"shard": number, "shard_rows": rows})
        number += 1


def _cut(spans: Sequence[Span], rows: int) -> Iterator[list[Span]]:
    """The spans in pieces of so many rows, the last of what is left."""
    piece: list[Span] = []
    room = rows
    for span in spans:
        first = span.first
        while first < span.last:
            last = min(span.last, first + room)
            piece.append(Span(span.path, first, last))
            room -= last - first
            first = last
            if not room:
                yield piece
                piece, room = [], rows
    if piece:
        yield piece
