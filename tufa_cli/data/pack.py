"""Labelled photos to a pack file: crops by the design's oracle rule, encoded as JPEG."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data.store import Row, merge, open_pack, require_same, write_rows
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.geometry.crop import CropMap, oracle_crop
from tufa_cli.images.reading import read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.schemes import Plane, get_scheme
from tufa_cli.schemes.anchors import anchors_for
from tufa_cli.writing import check_writable, replacing

#: Rows per part file: what a kill can cost.
_PART_ROWS = 500


@dataclass(frozen=True)
class PackOptions:
    """scheme None: the one each face names. split: of photos that name none.

    context: side of the stored crop over that of the window. max_size: of a stored crop in pixels
    (a face is never enlarged). quality: of the JPEG.
    """

    source: str
    split: str = "train"
    scheme: str | None = None
    context: float = 1.5
    max_size: int = 256
    quality: int = 92


@dataclass
class PackReport:
    """What a run did; ``failed`` holds (photo, reason)."""

    rows: int = 0
    resumed: int = 0
    photos: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def row_key(source: str, photo: str, face: int, scheme: str) -> bytes:
    """The identity of a row; a hash, because photo names are personal data."""
    text = "\0".join((source, photo, str(face), scheme))
    return hashlib.sha256(text.encode()).hexdigest()[:32].encode()


def context_crop(crop: CropMap, context: float) -> CropMap:
    """The crop enlarged ``context`` times about its middle."""
    shift = (1 - context) / 2
    return crop.then(np.array([[context, 0.0, shift], [0.0, context, shift]]))


def make_row(
    image: np.ndarray, face: Face, face_index: int, photo: str, plane: Plane, options: PackOptions
) -> Row:
    """One face as a row. Raises TufaError when its scheme or points do not fit the plane."""
    name = options.scheme or face.scheme
    if name is None:
        raise TufaError("the format does not tell the scheme", "give --scheme NAME")
    scheme = get_scheme(name)
    if len(face.points_px) != len(scheme):
        raise TufaError(f"{len(face.points_px)} points, {scheme.name} has {len(scheme)}")
    crop = oracle_crop(anchors_for(scheme, plane), face.points_px, plane.window)
    wide = context_crop(crop, options.context)
    size = int(np.clip(np.ceil(wide.side_px), 16, options.max_size))
    stored = warp_crop(image, wide, size)
    ok, jpeg = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, options.quality])
    if not ok:
        raise TufaError("the crop cannot be encoded as JPEG")
    return Row(
        key=row_key(options.source, photo, face_index, scheme.name),
        scheme=scheme.name,
        source=options.source,
        split=options.split,
        jpeg=jpeg.reshape(-1),
        points_crop=crop.to_crop(face.points_px),
        visibility=np.asarray(face.visibility),
        crop_to_px=crop.matrix,
        weight=float(face.attributes.get("weight", 1.0)),
    )


def pack(
    images: Iterable[AnnotatedImage],
    out: Path,
    plane: Plane,
    options: PackOptions,
    *,
    append: bool = False,
    overwrite: bool = False,
    val_photos: frozenset[str] = frozenset(),
) -> Iterator[PackReport]:
    """Pack labelled photos into ``out``, yielding the growing report after every part.

    Work is kept in part files in ``OUT.parts`` and merged into ``out`` at the end, so that a
    killed run costs at most one part and goes on where it was. val_photos: relative paths that go
    to the split "val".

    Raises OutputError when ``out`` exists and neither append nor overwrite is given, and TufaError
    when the same source, photo, face and scheme come twice.
    """
    if not append:
        check_writable(out, overwrite)
    previous = [out] if append and out.exists() else []
    folder = out.with_name(out.name + ".parts")
    folder.mkdir(parents=True, exist_ok=True)
    attributes = {"plane": plane.to_json(), "context": options.context}
    done = _keys(sorted(folder.glob("*.h5")))
    taken = _keys(previous)
    report = PackReport(resumed=len(done))
    seen: set[bytes] = set()
    rows = _rows(images, plane, options, report, done, taken, seen, val_photos)
    number = len(list(folder.glob("*.h5")))
    while batch := list(islice(rows, _PART_ROWS)):
        part = folder / f"{number:06d}.h5"
        with replacing(part) as temporary:
            write_rows(temporary, batch, attributes)
        number += 1
        yield report
    parts = [*previous, *sorted(folder.glob("*.h5"))]
    report.rows = len(_keys(parts)) - len(taken)
    if not report.rows and not previous:
        shutil.rmtree(folder)
        raise TufaError("no face could be packed", _first_reason(report))
    require_same(parts, ["plane", "context"])
    with replacing(out, overwrite or append) as temporary:
        merge(parts, temporary, attributes)
    shutil.rmtree(folder)
    yield report


def _first_reason(report: PackReport) -> str:
    if not report.failed:
        return "the source holds no labelled face"
    photo, reason = report.failed[0]
    return f"{len(report.failed)} failed, the first: {photo}: {reason}"


def _keys(paths: Iterable[Path]) -> set[bytes]:
    keys: set[bytes] = set()
    for path in paths:
        with open_pack(path) as file:
            keys.update(file["key"][:].tolist())
    return keys


def _rows(
    images: Iterable[AnnotatedImage],
    plane: Plane,
    options: PackOptions,
    report: PackReport,
    done: set[bytes],
    taken: set[bytes],
    seen: set[bytes],
    val_photos: frozenset[str],
) -> Iterator[Row]:
    """Rows not packed yet; failures go to the report, duplicates raise."""
    for image in images:
        report.photos += 1
        split = "val" if image.path in val_photos else (image.split or options.split)
        here = replace(options, split=split)
        pixels = None
        for index, face in enumerate(image.faces):
            name = options.scheme or face.scheme or ""
            scheme = get_scheme(name).name if name else name
            key = row_key(options.source, image.path, index, scheme)
            if key in seen or key in taken:
                raise TufaError(
                    f"{image.path}, face {index}: packed twice as {scheme} from {options.source}",
                    "the same photo, face, scheme and source may come once; "
                    "give another --source, or leave the photo out",
                )
            seen.add(key)
            if key in done:
                continue
            try:
                if pixels is None:
                    pixels = read_rgb(Path(image.root or ".") / image.path)
                yield make_row(pixels, face, index, image.path, plane, here)
            except (InputError, OutputError) as error:
                report.failed.append((image.path, error.message))
            except TufaError as error:
                report.failed.append((f"{image.path}, face {index}", error.message))
