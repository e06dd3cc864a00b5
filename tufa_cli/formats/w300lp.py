"""300W-LP and AFLW2000-3D: ``NAME.mat`` beside ``NAME.jpg``, 68 points, 1-based.

``pt2d`` (2, 68) in 300W-LP; ``pt3d_68`` (3, 68) in AFLW2000-3D, whose first two rows are x and y of
the points of a head in space: its contour is not the visible one, so the scheme is ``68-3d``.
AFLW2000-3D's ``pt2d`` are AFLW's 21 points, missing where x is -1 (y is 452 there), read with
``--scheme aflw21``. ``landmarks/SET/NAME_pts.mat`` holds ``pts_2d`` and ``pts_3d`` (68, 2) of
``SET/NAME.jpg``.

The numbers are MATLAB's (y was turned over as H + 1 - y), so the first pixel is 1; most programs in
Python do not shift them, and people who want the same numbers give ``--index-base 0``.

``Pose_Para`` is pitch, yaw, roll in radians, a translation and a scale; ``roi`` is where the photo
was cut from the original. The parameters of the 3-D model (``Shape_Para`` and so on) are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import Capabilities, ReadOptions, Sniff, WriteOptions
from tufa_cli.formats._files import PhotoFinder, inside, sniff_any, source_files
from tufa_cli.formats._layout import written
from tufa_cli.formats._mat5 import FloatArray, mat_bytes, matrix, read_mat
from tufa_cli.formats._numbers import FAR_PX
from tufa_cli.writing import filling, write_bytes

NAME = "300w-lp"
TITLE = "300W-LP and AFLW2000-3D .mat, 68 points, 1-based"
SCHEME = "ibug68"
SCHEME_3D = "68-3d"
SCHEME_21 = "aflw21"
POSE = ("pitch", "yaw", "roll", "translation", "pose_scale")
CAPABILITIES = Capabilities(
    one_face=True, attributes=(*POSE, "roi"), points=(68, 21), index_base=1, streams=True
)
SUFFIXES = (".mat",)

#: A file of one face takes some 10 kB.
_MOST_BYTES = 2_000_000
_POINTS = ("pt2d", "pt3d_68")
_POINTS_BESIDE = ("pts_2d", "pts_3d")
_READ = (*_POINTS, *_POINTS_BESIDE, "Pose_Para", "roi")
_FOLDER = "landmarks"


def _sniff_file(path: Path) -> Sniff:
    names = read_mat(path, limit=_MOST_BYTES)
    held = [name for name in (*_POINTS, *_POINTS_BESIDE) if name in names]
    if not held:
        return Sniff(False, "a MATLAB file without pt2d, pt3d_68 and pts_2d")
    return Sniff(True, f"a MATLAB file with {' and '.join(held)}")


def sniff(path: Path) -> Sniff:
    """Yes for MATLAB files (before 7.3) with pt2d, pt3d_68 or pts_2d."""
    return sniff_any(path, SUFFIXES, _sniff_file)


def read(source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]:
    """One record per file.

    In a folder with both, the files in ``landmarks`` are left out, since they repeat the others.
    """
    base = source if source.is_dir() else source.parent
    files = _files(source, options)
    prefix = base.absolute().name == _FOLDER
    root = options.root or (base.parent if prefix else base)
    finder = PhotoFinder(root)
    mirrored = modelled = 0
    for file in files:
        try:
            face, rest = _face(file, options)
        except InputError as error:
            options.failed(error)
            continue
        stem = file.relative_to(base).with_suffix("").as_posix()
        if rest is None:  # pts_2d: landmarks/SET/NAME_pts.mat
            stem = stem.removeprefix(f"{_FOLDER}/").removesuffix("_pts")
        mirrored += any(part.endswith("_Flip") for part in file.relative_to(base).parts[:-1])
        modelled += bool(rest)
        photo = finder.find(stem) or f"{stem}.jpg"
        yield AnnotatedImage(photo, (face,), root=str(root))
    if mirrored:
        options.note(f"{source}: {mirrored} faces in folders _Flip are mirrored copies of others")
    if modelled:
        options.note(f"{source}: depth and 3-D model's parameters of {modelled} faces are not read")


def _files(source: Path, options: ReadOptions) -> list[Path]:
    """The files to read: those with points, and those that cannot be looked into."""
    files = source_files(source, SUFFIXES)
    if not source.is_dir():
        return files
    whole, beside, others = [], [], 0
    for file in files:
        try:
            names = read_mat(file, limit=_MOST_BYTES)
        except InputError:
            whole.append(file)  # reading it says what is wrong
            continue
        if any(name in names for name in _POINTS):
            whole.append(file)
        elif any(name in names for name in _POINTS_BESIDE):
            beside.append(file)
        else:
            others += 1
    if not whole and not beside:
        raise InputError(source, "no file of this format in the folder")
    if others:
        options.note(f"{source}: {others} MATLAB files hold no points and were left out")
    if whole and beside:
        options.note(f"{source}: {len(beside)} files in {_FOLDER} repeat the others and were left")
    return whole or beside


def _face(path: Path, options: ReadOptions) -> tuple[Face, list[str] | None]:
    """The face, and names of what else the file holds; None for a file of ``landmarks``."""
    found = read_mat(path, _READ, _MOST_BYTES)
    rows, scheme = _points(path, found, options)
    rest = [name for name in found if name not in _READ or name == "pt3d_68"]
    if scheme == SCHEME_21:
        rows[rows[:, 0] == -1] = np.nan  # y is 452 there: H + 1 - y of a -1, with H = 450
    first_pixel = options.base(CAPABILITIES.index_base)
    face = Face(
        rows - first_pixel, scheme=options.scheme or scheme, attributes=_attributes(path, found)
    )
    return face, rest if any(name in found for name in _POINTS) else None


def _points(path: Path, found: dict[str, Any], options: ReadOptions) -> tuple[FloatArray, str]:
    """(N, 2) as on disk, and the scheme they are in."""
    solid = options.scheme == SCHEME_3D
    if options.points == 21:
        return matrix(path, found, "pt2d", (2, 21)).T.copy(), SCHEME_21
    if "pt3d_68" in found:
        return matrix(path, found, "pt3d_68", (3, 68), rows=2).T.copy(), SCHEME_3D
    if "pts_3d" in found and solid:
        return matrix(path, found, "pts_3d", (68, 2)), SCHEME_3D
    if "pts_2d" in found and not solid:
        return matrix(path, found, "pts_2d", (68, 2)), SCHEME
    if solid:
        raise InputError(path, f"no points of {SCHEME_3D} in it")
    return matrix(path, found, "pt2d", (2, 68)).T.copy(), SCHEME


def _attributes(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if "Pose_Para" in found:
        pitch, yaw, roll, *shift, scale = matrix(path, found, "Pose_Para", (1, 7))[0].tolist()
        values = (pitch, yaw, roll, shift, scale)
        attributes.update(zip(POSE, values, strict=True))
    if "roi" in found:
        values = matrix(path, found, "roi", (1, 4))[0]
        attributes["roi"] = [int(value) for value in values.tolist()]
    return attributes


def holds_attribute(name: str, value: object, face: Face) -> bool:
    """The seven numbers of a pose, only all together, and the four whole ones of roi."""
    if name == "roi":
        return _roi(face) is not None
    return name in POSE and _pose(face) is not None


def _pose(face: Face) -> list[float] | None:
    *angles, shift, scale = (face.attributes.get(name) for name in POSE)
    single, moved = _numbers([*angles, scale], 4), _numbers(shift, 3)
    return None if single is None or moved is None else [*single[:3], *moved, single[3]]


def _roi(face: Face) -> list[float] | None:
    values = _numbers(face.attributes.get("roi"), 4)
    return values if values is not None and all(v.is_integer() for v in values) else None


def _numbers(values: object, count: int) -> list[float] | None:
    """So many numbers as floats, or None where it is anything else."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        return None
    real = (int, float, np.integer, np.floating)
    good = [float(v) for v in values if isinstance(v, real) and not isinstance(v, bool)]
    return good if len(good) == count and all(abs(v) <= FAR_PX for v in good) else None


def renames() -> Callable[[AnnotatedImage], bool]:
    """Photos with another ending than .jpg, which is not written."""
    return lambda image: PurePosixPath(image.path).suffix != ".jpg"


def write(images: Iterable[AnnotatedImage], target: Path, options: WriteOptions) -> list[Path]:
    """``NAME.mat`` per photo with pt2d (or pt3d_68), in doubles; a missing point is -1, -1."""
    first_pixel = options.base(CAPABILITIES.index_base)
    made: Counter[str] = Counter()
    with filling(target, options.overwrite) as staged:
        for image in images:
            path = inside(staged, image.path)
            path = path.with_name(f"{path.stem}.mat")
            if path.exists():
                raise OutputError(
                    f"{image.path}: the face of another photo of this name was written already",
                    "convert them to two folders, or to coco",
                )
            for face in image.faces:
                if len(face.points_px) != 68:
                    raise OutputError(
                        f"{image.path}: a face of {len(face.points_px)} points; "
                        f"{NAME} is written with 68",
                        "write coco, which holds any number of points",
                    )
                made[f"faces of {SCHEME_3D} have no depth: NaN"] += face.scheme == SCHEME_3D
                write_bytes(path, mat_bytes(_variables(face, first_pixel)))
        files = written(target, staged)
    options.tell(made)
    return files


def _variables(face: Face, first_pixel: int) -> dict[str, NDArray[Any]]:
    rows = np.where(face.labelled[:, None], face.points_px + first_pixel, -1.0)
    found: dict[str, NDArray[Any]] = {"pt2d": rows.T}
    if face.scheme == SCHEME_3D:
        found = {"pt3d_68": np.vstack([rows.T, np.full((1, len(rows)), np.nan)])}
    pose = _pose(face)
    if pose is not None:
        found["Pose_Para"] = np.array([pose])
    roi = _roi(face)
    if roi is not None:
        small = max(map(abs, roi)) < 2**15
        found["roi"] = np.array([roi]).astype(np.int16 if small else np.int32)
    return found
