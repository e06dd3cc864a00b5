"""Photos that lie inside label files, written as PNG without loss."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.writing import write_bytes

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W) grey or (H, W, 3) RGB values; a file that holds the same already stays.

    Raises OutputError, also when another file is there: photos are not replaced.
    """
    data = png_bytes(pixels)
    if path.is_file() and path.read_bytes() == data:
        return
    write_bytes(path, data)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of (H, W) grey or (H, W, 3) RGB values. Source: the PNG specification, ISO 15948."""
    height, width = pixels.shape[:2]
    kind = _GREY if pixels.ndim == 2 else _RGB
    rows = pixels.reshape(height, -1)
    unfiltered = np.concatenate([np.zeros((height, 1), dtype=np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes())), (b"IEND", b"")
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
