"""The photos that a face finder's config names, into the store that it is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.data.finder_store import Labelling, StoreReport, write_store
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import read
from tufa_cli.schemes import get_scheme
from tufa_cli.selection import read_name_list, select
from tufa_cli.training.finder_config import FinderTrainConfig

FloatArray = NDArray[np.float64]
_NONE = np.zeros((0, 5))


def build_store(config: FinderTrainConfig, overwrite: bool = False) -> StoreReport:
    """Read every source, and write the store that ``config`` names.

    Raises TufaError when the config names no source, or one cannot be read.
    """
    if not config.sources:
        raise TufaError(f"{config.store}: no such file, and the config names no sources")
    boxes = read_boxes(Path(config.teacher)) if config.teacher else {}
    root = Path(config.teacher_root or Path(config.teacher or ".").parent).resolve()

    def teacher(image: AnnotatedImage) -> FloatArray:
        photo = (Path(image.root or "") / image.path).resolve()
        if not photo.is_relative_to(root):
            return _NONE
        return boxes.get(photo.relative_to(root).as_posix(), _NONE)

    sources = ((str(s.get("name", Path(s["labels"]).stem)), _images(s)) for s in config.sources)
    named = [get_scheme(s["scheme"]) for s in config.sources if s.get("scheme")]
    labelling = Labelling(layouts={scheme.name: scheme for scheme in named})
    return write_store(sources, Path(config.store), teacher, labelling, overwrite)


def read_boxes(path: Path) -> dict[str, FloatArray]:
    """Photo to its (M, 5) x, y, w, h, score from JSON lines of ``photo`` and ``boxes``.

    Raises InputError with the line that is none.
    """
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            boxes = np.array(row["boxes"], dtype=np.float64).reshape(-1, 5)
            found[str(row["photo"])] = boxes
        except (ValueError, KeyError, TypeError):
            raise InputError(path, "not a photo and its boxes x y w h score", number) from None
    return found


def _images(source: Mapping[str, Any]) -> Iterator[AnnotatedImage]:
    images = sorted(
        read(
            Path(source["labels"]),
            format=source.get("format", "auto"),
            scheme=source.get("scheme"),
            root=Path(source["images"]) if source.get("images") else None,
        ),
        key=lambda image: image.path,
    )
    held_out = int(source.get("hold_out_last", 0))
    if held_out:
        images = images[:-held_out]
    names = {
        key: read_name_list(source[word]) if source.get(word) else None
        for key, word in (("include", "list"), ("exclude", "exclude"))
    }
    yield from select(images, **names).chosen
