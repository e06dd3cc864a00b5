"""Photos that lie inside label files, taken out on request (the setting ``extract``)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tufa_cli.errors import InputError
from tufa_cli.formats._base import ReadOptions


def extract_folder(options: ReadOptions) -> Path | None:
    """The folder that photos are to be written to; None where that was not asked for."""
    folder = options.settings.get("extract")
    return None if folder is None or options.dry_run else Path(folder)


def extract_photo(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write (H, W) grey or (H, W, 3) RGB values as PNG, unless the same photo is there already.

    Raises OutputError where another one is: photos are not replaced.
    """
    from tufa_cli.images.drawing import write_picture
    from tufa_cli.images.reading import read_rgb

    rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    with suppress(InputError):
        if path.exists() and np.array_equal(read_rgb(path), rgb):
            return
    write_picture(path, rgb)
