"""Whether a format gives back what it was given: for the tests of formats, others' too."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli import formats
from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats._ids import Place
from tufa_cli.schemes.load import is_shipped_name


def round_trip_problems(
    name: str, images: Sequence[AnnotatedImage], folder: Path, file: str, error_px: float = 1e-6
) -> list[str]:
    """What goes wrong when a format writes these records and reads them again; best nothing.

    images: records without anything that the format says it cannot hold. folder: an empty one.
    file: name of the file, or folder, to write in it. error_px: how far a coordinate may move.

    The records must come back in their order, unchanged in all that the format's capabilities
    promise; the file must be recognised, have the same bytes when it is written again, and the
    records given may not be changed. Raises TufaError where the format does.
    """
    problems = [f"lost: {item}" for item in formats.losses(images, name)]
    before = copy.deepcopy(images)
    written = [_written(name, images, folder / place, file) for place in ("one", "two")]
    if any(any(_changes(a, b, 0)) for a, b in zip(before, images, strict=True)):
        problems.append("the records that were given were changed")
    if written[0] != written[1]:
        problems.append("written again, the bytes are others")
    target = folder / "one" / file
    verdict = formats.get_format(name).sniff(target)
    if not verdict.yes:
        problems.append(f"not recognised: {verdict.reason}")
    schemes = {face.scheme for image in images for face in image.faces}
    scheme = schemes.pop() if len(schemes) == 1 else None
    known = scheme if scheme is not None and is_shipped_name(scheme) else None
    found = list(formats.read(target, name, scheme=known))
    if len(found) != len(images):
        return [*problems, f"{len(images)} photos became {len(found)}"]
    for image, back in zip(images, found, strict=True):
        problems += [f"{image.path}: {what}" for what in _changes(image, back, error_px)]
    return problems


def _written(
    name: str, images: Sequence[AnnotatedImage], folder: Path, file: str
) -> dict[str, bytes]:
    """The bytes of each file that the format writes into a new folder."""
    folder.mkdir()
    formats.write(images, folder / file, name)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _changes(image: AnnotatedImage, back: AnnotatedImage, error_px: float) -> Iterator[str]:
    """What is not as it was in a record, in words."""
    for what in ("path", "split"):
        if getattr(image, what) != getattr(back, what):
            yield f"the {what} became {getattr(back, what)!r}"
    yield from _id_changes(image, back)
    for what in ("width", "height"):  # not counted as lost: the photo knows them
        if getattr(back, what) not in (None, getattr(image, what)):
            yield f"the {what} became {getattr(back, what)!r}"
    if repr(dict(image.attributes)) != repr(dict(back.attributes)):
        yield f"its attributes became {dict(back.attributes)!r}"
    for number, (face, other) in enumerate(zip_longest(image.faces, back.faces)):
        if face is None or other is None:
            yield f"{len(image.faces)} faces became {len(back.faces)}"
            return
        yield from (f"face {number}: {what}" for what in _face_changes(face, other, error_px))


def _id_changes(thing: AnnotatedImage | Face, back: AnnotatedImage | Face) -> Iterator[str]:
    if thing.id not in (None, back.id) and not isinstance(thing.id, Place):
        yield f"the id became {back.id!r}"


def _face_changes(face: Face, back: Face, error_px: float) -> Iterator[str]:
    for what in ("points_px", "box", "confidence"):
        if not _close(getattr(face, what), getattr(back, what), error_px):
            yield f"{what} became {_shown(getattr(back, what))}"
    if not np.array_equal(np.asarray(face.visibility), np.asarray(back.visibility)):
        yield f"visibility became {_shown(back.visibility)}"
    yield from _id_changes(face, back)
    for what in ("score", "source"):
        if getattr(face, what) != getattr(back, what):
            yield f"{what} became {getattr(back, what)!r}"
    if face.scheme is not None and back.scheme is not None and face.scheme != back.scheme:
        yield f"scheme became {back.scheme!r}"
    if repr(dict(face.attributes)) != repr(dict(back.attributes)):
        yield f"attributes became {dict(back.attributes)!r}"


def _close(
    one: NDArray[np.float64] | None, other: NDArray[np.float64] | None, error_px: float
) -> bool:
    if one is None or other is None:
        return one is other
    same_shape = one.shape == other.shape
    return same_shape and bool(np.allclose(one, other, rtol=0, atol=error_px, equal_nan=True))


def _shown(values: Any) -> str:
    return str(None if values is None else values.tolist())[:200]
