"""RetinaFace's ``label.txt`` for WIDER FACE: ``# photo``, then one face a line, 0-based.

``x y w h``, five times ``x y flag`` (image-left eye first), and a blur figure. Flags: 0 visible,
1 occluded, -1 (with -1 -1 for the place) not labelled. A blur of -1 is one that is not known. The
list of WIDER FACE's validation part has rows of ``x y w h`` alone: boxes without points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tufa_cli.annotation import OCCLUDED, UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import (
    PHOTO_SUFFIXES,
    check_name,
    first_root,
    head_lines,
    list_files,
    photo_name,
    read_lines,
    sniff_any,
    write_lines,
)
from tufa_cli.formats._numbers import decimals, is_number, number

NAME = "retinaface"
TITLE = "RetinaFace label.txt, boxes and 5 points, 0-based"
SCHEME = "mtfl5"
CAPABILITIES = Capabilities(
    visibility=True,
    missing=True,
    box=True,
    several_faces=True,
    empty_images=True,
    attributes=("blur",),
    points=5,
    streams=True,
)
SUFFIXES = (".txt",)
_STATES = {0.0: VISIBLE, 1.0: OCCLUDED, -1.0: UNLABELLED}
_FLAGS = {VISIBLE: "0.0", OCCLUDED: "1.0"}


def _sniff_file(path: Path) -> Sniff:
    lines = head_lines(path)
    if not lines[0].startswith("#"):
        return Sniff(False, "its first line is not '# photo'")
    rows = [line.split() for line in lines if not line.startswith("#")]
    if rows and len(rows[0]) in (4, 19) and len(lines[0].split()) == 4:
        reason = "SCRFD's list (boxes as corners, sizes behind the names), which is another format"
        return Sniff(False, reason, near=True)
    if not rows and len(lines) > 1:
        return Sniff(False, "comments only")
    boxes = bool(rows) and len(rows[0]) == 4 and lines[0].lower().endswith(PHOTO_SUFFIXES)
    if rows and (not (boxes or len(rows[0]) == 20) or not all(map(is_number, rows[0]))):
        return Sniff(False, "its first row is not 20 numbers")
    return Sniff(True, f"'# photo' and rows of {4 if boxes else 20} numbers")


def sniff(path: Path) -> Sniff:
    """Yes for a text that begins ``# photo`` and has rows of 20 numbers, or of a box's 4."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per ``# photo``, also where it has no face.

    Photos are looked for in ``images``, in the folder named as the list without ``_label``, and
    beside the list.
    """
    for file in list_files(source, SUFFIXES, _sniff_file):
        yield from _read_file(file, options)


def _read_file(file: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    name: str | None = None
    faces: list[Face] = []
    root = options.root
    for line, text in enumerate(read_lines(file), start=1):
        text = text.strip()
        if not text:
            continue
        try:
            if text.startswith("#"):
                if name is not None:
                    yield AnnotatedImage(name, tuple(faces), root=str(root))
                name, faces = None, []
                if not text[1:].strip():
                    raise ValueError("'#' without the name of a photo")
                name = photo_name(text[1:])
                if root is None:
                    root = first_root(_roots(file), name)
            elif name is None:
                raise ValueError("a face before the first '# photo'")
            else:
                faces.append(_face(text, options))
        except ValueError as error:
            options.failed(InputError(file, str(error), line))
    if name is not None:
        yield AnnotatedImage(name, tuple(faces), root=str(root))


def _roots(file: Path) -> list[Path]:
    folder = file.parent
    own = folder / file.stem.removesuffix("label").rstrip("_-.")
    return [folder / "images", *([own] if own != folder else []), folder]


def _face(text: str, options: ReadOptions) -> Face:
    tokens = text.split()
    if len(tokens) not in (4, 20):
        raise ValueError(
            f"expected 20 numbers (box, 5 points with flag, blur), found {len(tokens)}"
        )
    values = [number(token) for token in tokens]
    values += [-1.0] * (20 - len(values))
    first_pixel = options.base(CAPABILITIES.index_base)
    rows = np.array(values[4:19], dtype=np.float64).reshape(5, 3)
    visibility = []
    for x, y, flag in rows.tolist():
        if flag not in _STATES:
            raise ValueError(f"flag {flag:g} is none of 0, 1 and -1")
        # Only -1 in all three is without a place; a lone -1 is a place whose state is not known.
        lost = flag == -1 and x == -1 and y == -1
        visibility.append(UNLABELLED if lost else _STATES[flag] or VISIBLE)
    x, y, w, h = values[:4]
    if w < 0 or h < 0:
        raise ValueError("the box has a negative size")
    return Face(
        rows[:, :2] - first_pixel,
        scheme=options.scheme or SCHEME,
        visibility=np.array(visibility, dtype=np.uint8),
        box=np.array([x - first_pixel, y - first_pixel, w, h]),
        attributes={} if values[19] == -1 else {"blur": values[19]},
    )


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """A blur figure; -1 stands for one that is not known."""
    return (
        name == "blur"
        and isinstance(value, (int, float))
        and float(f"{value:.12g}") != -1
        and np.isfinite(value)
    )


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One list; a face without a box gets the box of its points, since a row must have one."""
    first_pixel = options.base(CAPABILITIES.index_base)
    made: Counter[str] = Counter()
    write_lines(target, _lines(images, target, first_pixel, made), options.overwrite)
    options.tell(made)
    return [target]


def _lines(
    images: Iterable[AnnotatedImage], target: Path, first_pixel: int, made: Counter[str]
) -> Iterator[str]:
    for image in images:
        yield f"# {check_name(image.path, target)}"
        for face in image.faces:
            made["faces without a box got the box of their points"] += face.box is None
            box = face.box if face.box is not None else face.tight_box()
            x, y, w, h = (0.0, 0.0, 0.0, 0.0) if box is None else box.tolist()
            fields = [_short(value) for value in (x + first_pixel, y + first_pixel, w, h)]
            for (px, py), state in zip(face.points_px.tolist(), states(face), strict=True):
                if state == UNLABELLED:
                    fields += ["-1.0", "-1.0", "-1.0"]
                else:
                    fields += [decimals(px + first_pixel), decimals(py + first_pixel)]
                    fields.append(_FLAGS[state])
            blur = face.attributes.get("blur")
            fields.append(f"{blur:.12g}" if holds_attribute("blur", blur, face) else "-1")
            yield " ".join(fields)


def _short(value: float) -> str:
    """A whole number without a fraction, as the authors' boxes; six decimals otherwise."""
    return str(int(value)) if value.is_integer() else decimals(value)
