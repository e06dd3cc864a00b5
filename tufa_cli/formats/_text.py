"""Text files line by line, whatever their length: lists of a million faces need no memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tufa_cli.errors import InputError

#: No line of a list is longer: 5,000 points with six decimals take 100,000 bytes.
MOST_LINE_BYTES = 1_000_000

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 16
_BLOCK = 1 << 13


def raw_lines(path: Path, most: int = MOST_LINE_BYTES) -> Iterator[tuple[int, bytes]]:
    """(offset in the file, bytes without the line end) of each line; LF, CRLF and CR end one.

    most: the bytes a line may have.

    Raises InputError when the file cannot be read, or for a line that is far too long.
    """
    try:
        with path.open("rb") as stream:
            yield from _lines_from(stream, path, most=most)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None


def _lines_from(
    stream: BinaryIO,
    path: Path,
    line: int = 1,
    offset: int = 0,
    most: int = MOST_LINE_BYTES,
    size: int = _CHUNK,
) -> Iterator[tuple[int, bytes]]:
    """``raw_lines`` of an open file from a place on; size: the bytes read at once."""
    stream.seek(offset)
    rest = b""
    while True:
        chunk = stream.read(size)
        data = rest + chunk
        # The last line may go on in the next chunk, and a CR there may be half a CRLF.
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1 if chunk else len(data)
        for text in data[:end].splitlines(keepends=True):
            yield offset, text.rstrip(b"\r\n")
            offset += len(text)
            line += 1
        rest = data[end:]
        if len(rest) > most:
            problem = f"a line of more than {most:,} bytes"
            raise InputError(path, problem, line, "it is no list of faces")
        if not chunk:
            return


def decode(path: Path, line: int, raw: bytes) -> str:
    """The text of a line, UTF-8 with or without a BOM; raises InputError when it is no text."""
    if line == 1:
        raw = raw.removeprefix(_BOM)
    if 0 in raw:
        raise InputError(path, "not text: it holds zero bytes", line)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(path, "not UTF-8 text", line, "save the file as UTF-8") from None


def text_lines(path: Path, most: int = MOST_LINE_BYTES) -> Iterator[tuple[int, int, str]]:
    """(line from 1, offset, text) of each line that is not blank.

    Raises InputError where there is none or one is no text.
    """
    found = False
    for line, (offset, raw) in enumerate(raw_lines(path, most), start=1):
        text = decode(path, line, raw)
        if text and not text.isspace():
            found = True
            yield line, offset, text
    if not found:
        raise InputError(path, "the file is empty", 1)


def lines_at(path: Path, places: Sequence[tuple[int, int, int]]) -> list[tuple[int, str]]:
    """(line, text) of lines that are not blank, at places that are known from ``text_lines``.

    places: a line's number, its offset, and how many lines from there on.
    """
    found: list[tuple[int, str]] = []
    try:
        with path.open("rb") as stream:
            for start, offset, count in places:
                rows = enumerate(_lines_from(stream, path, start, offset, size=_BLOCK), start)
                texts = ((line, decode(path, line, raw)) for line, (_, raw) in rows)
                found += islice((row for row in texts if row[1].strip()), count)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    return found
