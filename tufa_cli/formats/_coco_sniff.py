"""Which COCO-like dialect a JSON document is, told without parsing it."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from tufa_cli.errors import InputError
from tufa_cli.formats._base import Sniff

KEYS = ("images", "annotations", "categories")
_FIRST_KEYPOINTS = re.compile(rb'"keypoints"\s*:\s*\[\s*[-0-9]')
#: Numbers of a Halpe annotation: 136 points of a whole person.
HALPE_NUMBERS = 136 * 3


def sniff_bytes(data: bytes | mmap.mmap, wanted: str) -> Sniff:
    """Whether a JSON document is of the dialect ``wanted``: coco, coco-wholebody or halpe.

    The keys may be gigabytes apart, so they are looked for without parsing.
    """
    if not data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return Sniff(False, "not a JSON object")
    lacking = [key for key in KEYS if data.find(f'"{key}"'.encode()) < 0]
    faces = [data.find(key) >= 0 for key in (b'"image_id"', b'"keypoints"')]
    if lacking and not (lacking == ["categories"] and all(faces)):
        return Sniff(False, f"JSON without {' and '.join(lacking)}")
    if data.find(b'"face_kpts"') >= 0:
        found, reason = "coco-wholebody", "face_kpts in its annotations"
    elif data.find(b'"person"') >= 0 and _first_length(data) == HALPE_NUMBERS:
        found, reason = "halpe", "annotations with 136 keypoints of a person"
    else:
        last = "keypoints" if lacking else KEYS[2]
        found, reason = "coco", f"JSON with images, annotations and {last}"
    if found == wanted:
        return Sniff(True, reason)
    return Sniff(False, reason if wanted == "coco" else f"not one with {_SIGNS[wanted]}")


_SIGNS = {"coco-wholebody": "face_kpts", "halpe": "136 keypoints of a person"}


def _first_length(data: bytes | mmap.mmap) -> int:
    """Numbers in the first list ``keypoints`` that has any, 0 when there is none."""
    start = _FIRST_KEYPOINTS.search(data)
    if start is None:
        return 0
    end = data.find(b"]", start.end())
    return data[start.end() : end].count(b",") + 1 if end >= 0 else 0


def sniff_file(path: Path, wanted: str) -> Sniff:
    """``sniff_bytes`` of a file that need not fit in memory."""
    try:
        with path.open("rb") as stream:
            if not stream.read(1):
                return Sniff(False, "empty")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return sniff_bytes(data, wanted)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
