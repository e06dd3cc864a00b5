"""Hugging Face's ImageFolder, 0-based: ``metadata.jsonl`` beside the photos, a line a photo.

``{"file_name", "faces": [{"bbox", "keypoints", "visibility", "scheme", ...}]}``. Every face has all
keys, with null where there is nothing, and free attributes are JSON in a string: the columns of a
table need one type each. A point that is missing is [null, null].
Source: https://huggingface.co/docs/datasets/image_dataset, and tufa-cli for ``faces``: no schema
for landmarks is in common use.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tufa_cli.annotation import UNLABELLED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats._base import EVERYTHING, ReadOptions, Sniff, WriteOptions, states
from tufa_cli.formats._files import (
    list_files,
    photo_name,
    photo_path,
    sniff_any,
    write_lines,
)
from tufa_cli.formats._json import (
    box_of,
    dump_json,
    entry,
    is_json,
    numbers,
    one_number,
    parse_json,
    photo_side,
    without,
)
from tufa_cli.formats._photo_names import written_name
from tufa_cli.formats._text import text_lines

NAME = "hf-jsonl"
TITLE = "Hugging Face metadata.jsonl, any number of points, 0-based"
CAPABILITIES = replace(EVERYTHING, names=False, streams=True)
SUFFIXES = (".jsonl",)

#: No line is longer: a photo with 1,000 faces of 500 points takes 40 million bytes.
MOST_LINE_BYTES = 64_000_000
_PHOTO_KEYS = ("file_name", "width", "height", "split", "attributes", "faces")
_FACE_KEYS = ("bbox", "keypoints", "visibility", "scheme", "confidence", "score", "source")


def _sniff_file(path: Path) -> Sniff:
    _, _, text = next(text_lines(path, MOST_LINE_BYTES))
    if not text.lstrip().startswith("{"):
        return Sniff(False, "its first line is no JSON object")
    row = parse_json(path, text.encode())
    if not isinstance(row, dict) or "file_name" not in row or "faces" not in row:
        return Sniff(False, "its first line is no JSON object with file_name and faces")
    return Sniff(True, "JSON lines with file_name and faces")


def sniff(path: Path) -> Sniff:
    """Yes for a .jsonl whose first line is an object with ``file_name`` and ``faces``."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per line; photos lie beside the file, as ImageFolder has it."""
    for file in list_files(source, SUFFIXES, _sniff_file):
        root = str(options.root or file.parent)
        seen: set[int] = set()
        for line, _, text in text_lines(file, MOST_LINE_BYTES):
            try:
                image = _image(_row(file, line, text), options, root)
                if hash(image.path) in seen:
                    raise ValueError(f"file_name '{image.path[:60]}' is there twice")
                seen.add(hash(image.path))
            except (ValueError, TypeError) as error:
                options.failed(InputError(file, str(error), line))
            except InputError as error:
                options.failed(error)
            except TufaError as error:
                options.failed(InputError(file, error.message, line))
            else:
                yield image


def _row(file: Path, line: int, text: str) -> dict[str, Any]:
    try:
        row = parse_json(file, text.encode())
    except InputError as error:
        raise InputError(file, error.problem, line, error.hint) from None
    if not isinstance(row, dict):
        raise ValueError("not an object")
    return row


def _image(row: dict[str, Any], options: ReadOptions, root: str) -> AnnotatedImage:
    faces = entry(row, "faces", list, "a list") or []
    found = []
    for number, face in enumerate(faces):
        try:
            found.append(_face(face, options))
        except (ValueError, TufaError) as error:
            raise ValueError(f"face {number}: {error}") from None
    width, height = (photo_side(row.get(side), side) for side in ("width", "height"))
    return AnnotatedImage(
        photo_name(photo_path(row.get("file_name"), "file_name")),
        tuple(found),
        width=width,
        height=height,
        split=entry(row, "split", str, "text"),
        root=root,
        attributes=without(row, _PHOTO_KEYS) | _attributes(row),
    )


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    """Free attributes: JSON in a string, or an object as it is."""
    found = row.get("attributes")
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            raise ValueError("attributes is not JSON in a string") from None
    if found is not None and not isinstance(found, dict):
        raise ValueError("attributes is not an object")
    return found or {}


def _face(row: Any, options: ReadOptions) -> Face:
    if not isinstance(row, dict):
        raise ValueError("not an object")
    pairs = entry(row, "keypoints", list, "a list")
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError("keypoints is not a list of [x, y]")
    if options.points not in (None, len(pairs)):
        raise ValueError(f"{len(pairs)} keypoints, {options.scheme} has {options.points}")
    known = np.array([None not in pair for pair in pairs])
    flat = numbers([v if v is not None else 0 for pair in pairs for v in pair], "keypoints")
    assert flat is not None
    first_pixel = options.base(CAPABILITIES.index_base)
    source = row.get("source") or "manual"
    if source not in ("manual", "auto"):
        raise ValueError("source is neither manual nor auto")
    return Face(
        np.where(known[:, None], flat.reshape(-1, 2) - first_pixel, np.nan),
        scheme=options.scheme or entry(row, "scheme", str, "text"),
        visibility=_visibility(row, known),
        confidence=numbers(row.get("confidence"), "confidence", len(pairs)),
        box=box_of(row.get("bbox"), "bbox", first_pixel),
        score=one_number(row.get("score"), "score"),
        attributes=without(row, (*_FACE_KEYS, "attributes")) | _attributes(row),
        source="auto" if source == "auto" else "manual",
    )


def _visibility(row: dict[str, Any], known: Any) -> Any:
    """(K,) the states as given; where none are, what has a place is visible."""
    given = numbers(row.get("visibility"), "visibility", len(known))
    if given is None:
        return np.where(known, VISIBLE, UNLABELLED).astype(np.uint8)
    if not np.isin(given, (0, 1, 2)).all():
        raise ValueError("visibility holds something that is none of 0, 1 and 2")
    if (~known & (given > 0)).any():
        raise ValueError("visibility is not 0 for a point without a place")
    return given.astype(np.uint8)


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """What JSON can hold."""
    return is_json(value)


def holds_image_attribute(name: str, value: object) -> bool:
    """What JSON can hold."""
    return is_json(value)


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """One file, a photo a line; in a folder it is ``metadata.jsonl``, as ImageFolder wants."""
    if target.is_dir() or not target.suffix:
        target = target / "metadata.jsonl"
    first_pixel = options.base(CAPABILITIES.index_base)
    lines = (dump_json(_image_row(image, first_pixel, target), target) for image in images)
    write_lines(target, lines, options.overwrite)
    return [target]


def _image_row(image: AnnotatedImage, first_pixel: int, target: Path) -> dict[str, Any]:
    return {
        "file_name": written_name(image.path, target),
        "width": image.width,
        "height": image.height,
        "split": image.split,
        "attributes": _text(image.attributes, target),
        "faces": [_face_row(face, first_pixel, target) for face in image.faces],
    }


def _text(attributes: Any, target: Path) -> str | None:
    held = {name: value for name, value in attributes.items() if is_json(value)}
    return dump_json(held, target) if held else None


def _face_row(face: Face, first_pixel: int, target: Path) -> dict[str, Any]:
    points = [
        [x + first_pixel, y + first_pixel] if known else [None, None]
        for (x, y), known in zip(face.points_px.tolist(), face.labelled, strict=True)
    ]
    box = None
    if face.box is not None:
        x, y, w, h = face.box.tolist()
        box = [x + first_pixel, y + first_pixel, w, h]
    return {
        "bbox": box,
        "keypoints": points,
        "visibility": states(face),
        "scheme": face.scheme,
        "confidence": None if face.confidence is None else face.confidence.tolist(),
        "score": face.score,
        "source": face.source,
        "attributes": _text(face.attributes, target),
    }
