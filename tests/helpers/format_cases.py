"""What the tests of formats share: where each is written, and what it wants of its faces."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import BUILT_IN, get_format

#: The formats that are written; a new one is among them by itself.
WRITABLE = sorted(n for n in BUILT_IN if get_format(n).CAPABILITIES.read_only is None)
#: Where each is written to: a file, or a folder.
FILES = {
    "300vw": "out",
    "300w-lp": "out",
    "celeba": "o.txt",
    "coco": "o.json",
    "coco-results": "o.json",
    "coco-wholebody": "o.json",
    "cofw": "o.mat",
    "cofw68": "out",
    "csv": "o.csv",
    "cvat": "o.xml",
    "datumaro": "out",
    "dlib": "o.xml",
    "halpe": "o.json",
    "helen": "out",
    "hf-jsonl": "metadata.jsonl",
    "hrnet-csv": "o.csv",
    "jd": "out",
    "label-studio": "o.json",
    "labelme": "out",
    "lapa": "out",
    "ljson": "out",
    "merl-rav": "out",
    "mtfl": "o.txt",
    "muct": "o.csv",
    "pts": "out",
    "retinaface": "o.txt",
    "scut": "out",
    "supervisely": "out",
    "via": "o.json",
    "wflw": "o.txt",
    "yolo-pose": "out",
}
#: The points of formats that want a number of them, and the scheme that these are read as.
SIZES = {
    name: get_format(name).CAPABILITIES.counts[0]
    for name in WRITABLE
    if get_format(name).CAPABILITIES.counts is not None
} | {"muct": 76}
SCHEMES = {
    **dict.fromkeys(
        ["300vw", "300w-lp", "cofw68", "coco-wholebody", "halpe", "merl-rav"], "ibug68"
    ),
    **dict.fromkeys(["celeba", "mtfl", "retinaface"], "mtfl5"),
    **dict.fromkeys(["jd", "lapa"], "lapa106"),
    "cofw": "cofw29",
    "helen": "helen194",
    "muct": "muct76",
    "scut": "scut86",
    "wflw": "wflw98",
}
#: Formats whose files hold faces of one size.
ONE_SIZE = {"csv", "dlib", "hrnet-csv", "yolo-pose"}
#: Formats that hold any number of points of any scheme, with boxes and more.
RICH = {"coco", "coco-results", "cvat", "datumaro", "dlib", "hf-jsonl", "label-studio", "labelme",
        "supervisely", "via"}  # fmt: skip
#: Formats that keep a photo's size.
SIZED = RICH - {"coco-results", "via"} | {"coco-wholebody", "halpe", "yolo-pose"}
#: Formats in which every digit survives.
EXACT = {"300w-lp", "coco", "coco-results", "coco-wholebody", "cofw", "cofw68", "csv", "datumaro",
         "dlib", "halpe", "hf-jsonl", "ljson", "scut"}  # fmt: skip


def placed(name: str, path: str, split: str | None, number: int) -> str:
    """The path of a photo as the format has it; number: its place in its split, from 1."""
    if name == "300vw":
        return f"{path.removesuffix('.jpg')}/imgs/{number:06d}.png"
    if name in ("cofw", "cofw68"):
        return f"{number + 1345 * (name == 'cofw68' or split == 'test'):06d}.png"
    if name == "lapa" and split is not None:
        return f"{split}/images/{path}"
    return path


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*.*"))
    return {
        str(file.relative_to(path.parent)): file.read_bytes() for file in files if file.is_file()
    }


def put_photos(images: Sequence[AnnotatedImage], folder: Path) -> None:
    """Photos of 640 x 480 pixels, in folders of the images' splits, as Ultralytics wants them."""
    for image in images:
        put_photo(folder / (image.split or "unsplit") / image.path)


def put_photo(path: Path) -> None:
    """A black photo of 640 x 480 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_photo())


@cache
def _photo() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (640, 480)).save(stream, format="PNG")
    return stream.getvalue()


def face(count: int = 5, **given: Any) -> Face:
    points = np.arange(2 * count, dtype=float).reshape(-1, 2) + 1
    return Face(points, **given)


def image(*found: Face, path: str = "a.jpg", **given: Any) -> AnnotatedImage:
    return AnnotatedImage(path, found or (face(),), **{"width": 640, "height": 480} | given)
