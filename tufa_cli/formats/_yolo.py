"""``data.yaml`` of YOLO data sets: what it says of points and classes, and where photos lie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from tufa_cli.errors import InputError
from tufa_cli.formats._files import check_source, is_photo, read_bytes, source_files
from tufa_cli.formats._names import Own, scheme_named, scheme_with_names
from tufa_cli.formats._photo_names import stored_name
from tufa_cli.formats._text import text_lines

YAML_SUFFIXES = (".yaml", ".yml")
#: Our own key: which lists of photos are splits, and the schemes of the classes.
MARK = "tufa_cli"
_MOST_BYTES = 1_000_000
_SPLITS = ("train", "val", "test")


class Item(NamedTuple):
    """A photo of a data set: its path below ``root``, its label file if it is there, its split.

    found: whether the photo itself is there.
    """

    name: str
    root: Path
    found: bool
    labels: Path | None
    split: str | None


@dataclass(frozen=True)
class DataSet:
    """What a data.yaml says.

    folder: that the paths in it are relative to. points, columns: of ``kpt_shape``. classes: names.
    schemes: of the classes, by number. told: names of classes that say more than the scheme.
    strict: 1 means occluded even where no 2 occurs.
    lists: keys of lists of photos, and the split that each stands for.
    """

    path: Path
    folder: Path
    points: int
    columns: int
    classes: Mapping[int, str]
    schemes: Mapping[int, str | None]
    told: Mapping[int, str]
    strict: bool
    lists: Mapping[str, str | None]
    raw: Mapping[str, Any] = field(repr=False)


def find_yaml(source: Path) -> Path:
    """The data.yaml that is, or lies in, ``source``; raises InputError for none or several."""
    check_source(source)
    if source.is_file():
        return source
    found = [path for path in source_files(source, YAML_SUFFIXES) if _has_points(path)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(str(path.relative_to(source)) for path in found[:3])
        raise InputError(source, f"several data sets: {names}", hint="give one of these files")
    raise InputError(source, "no data.yaml with kpt_shape in the folder")


def _has_points(path: Path) -> bool:
    try:
        return b"kpt_shape" in read_bytes(path, _MOST_BYTES)
    except InputError:
        return False


def read_yaml(path: Path, given: Own = MappingProxyType({})) -> DataSet:
    """What a data.yaml says; raises InputError with the line or the key."""
    raw = _load(path)
    try:
        shape = raw.get("kpt_shape")
        if shape is None:
            raise ValueError("no kpt_shape: its labels are boxes or masks, or it is another file")
        if not isinstance(shape, list) or len(shape) != 2 or not all(map(_is_count, shape)):
            raise ValueError("kpt_shape is not [points, 2 or 3]")
        points, columns = shape
        if columns not in (2, 3) or not 0 < points < 100_000:
            raise ValueError("kpt_shape is not [points, 2 or 3]")
        classes = _classes(raw)
        mark = _mapping(raw.get(MARK))
        own = _mapping(mark.get("schemes"))
        schemes: dict[int, str | None] = {
            number: scheme_named(name, points)
            or scheme_with_names(_point_names(raw, number), given)
            for number, name in classes.items()
        }
        told = {} if len(classes) == 1 else {k: v for k, v in classes.items() if not schemes[k]}
        if isinstance(mark.get("classes"), dict):
            told = {k: v for k, v in mark["classes"].items() if k in classes and isinstance(v, str)}
        schemes |= {k: v for k, v in own.items() if k in classes and isinstance(v, str)}
        return DataSet(
            path,
            _folder(path, raw),
            points,
            columns,
            classes,
            schemes,
            told,
            strict=mark.get("visibility") == "strict",
            lists=_lists(raw, mark),
            raw=raw,
        )
    except ValueError as error:
        raise InputError(path, str(error)) from None


def _load(path: Path) -> dict[str, Any]:
    data = read_bytes(path, _MOST_BYTES)
    try:
        text = data.decode("utf-8-sig")
        raw = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(path, "not UTF-8 text", line, "save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not readable"
        place = None if mark is None else mark.line + 1
        raise InputError(path, f"not valid YAML: {problem}", place) from None
    except (RecursionError, ValueError, TypeError, OverflowError) as error:
        raise InputError(path, f"not valid YAML: {type(error).__name__}") from None
    if not isinstance(raw, dict):
        raise InputError(path, "not a data.yaml", hint="give the data.yaml or the folder it is in")
    return raw


def _point_names(raw: Mapping[str, Any], number: int) -> list[str]:
    """What ``kpt_names`` calls the points of a class."""
    names = _mapping(raw.get("kpt_names")).get(number)
    return [str(name) for name in names] if isinstance(names, list) else []


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _classes(raw: Mapping[str, Any]) -> dict[int, str]:
    """Names of the classes by number, from a list, a mapping or a mere count."""
    names = raw.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if names is None and _is_count(raw.get("nc")) and 0 < raw["nc"] < 100_000:
        names = {number: str(number) for number in range(raw["nc"])}
    if not isinstance(names, dict) or not names or not all(map(_is_count, names)):
        raise ValueError("names is neither a list nor a mapping of numbers")
    if not all(isinstance(name, (str, int)) for name in names.values()):
        raise ValueError("names holds something that is no name")
    return {number: str(name) for number, name in names.items()}


def _folder(path: Path, raw: Mapping[str, Any]) -> Path:
    """``path`` of the file, where there is such a folder, else the one the file lies in."""
    given = raw.get("path")
    if not isinstance(given, str) or "\0" in given:
        return path.parent
    folder = path.parent / given
    return folder if _is_dir(folder) else path.parent


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _lists(raw: Mapping[str, Any], mark: Mapping[str, Any]) -> dict[str, str | None]:
    """Keys that name photos, with their splits.

    Ours say which are real: Ultralytics wants a train and a val whatever there is. In other files
    photos that are both are in no split.
    """
    own = mark.get("splits")
    if isinstance(own, dict):
        return {k: v for k, v in own.items() if isinstance(k, str) and isinstance(v, str | None)}
    keys = [key for key in _SPLITS if raw.get(key)]
    if not keys:
        raise ValueError("no train, val or test")
    found: dict[str, str | None] = {}
    for key in keys:
        twin = next((other for other in found if raw[other] == raw[key]), None)
        if twin is None:
            found[key] = key
        else:
            found[twin] = None
    return found


def items(data: DataSet, root: Path | None) -> Iterator[Item]:
    """The photos of a data set in a stable order, each once. root: the photos' own folder if named.

    Raises InputError for a list or folder that is not there.
    """
    left = absent(data, root)
    for key, split in data.lists.items():
        for path in () if key in left else _places(data, key):
            if path.suffix.lower() == ".txt":
                yield from _listed(path, root, split)
            else:
                yield from _in_folder(path, data, key, root, split)


def absent(data: DataSet, root: Path | None) -> list[str]:
    """Keys other than train of which nothing is there, where train's photos or labels are: many
    downloads lack the part for tests that their data.yaml names."""
    if root is not None:
        return []
    there = {
        key: any(path.exists() or labels_of(path / "x").parent.is_dir() for path in paths)
        for key, paths in ((key, _places(data, key)) for key in data.lists)
    }
    return [key for key, found in there.items() if not found] if there.get(_SPLITS[0]) else []


def _places(data: DataSet, key: str) -> list[Path]:
    """The folders and lists of a key; raises InputError for anything else."""
    places = data.raw.get(key)
    places = places if isinstance(places, list) else [places]
    for place in places:
        if not isinstance(place, str) or not place or "\0" in place:
            raise InputError(data.path, f"{key} is not the name of a folder or list")
    return [_resolve(data.folder, place) for place in places]


def _resolve(folder: Path, place: str) -> Path:
    """A path of the yaml; as Ultralytics does, ``../train`` may mean ``train``."""
    path = folder / place.replace("\\", "/")
    if not path.exists() and place.startswith("../") and (folder / place[3:]).exists():
        return folder / place[3:]
    return path


def labels_of(photo: Path) -> Path:
    """The label file of a photo: in ``labels`` for the last ``images`` of its path, as .txt."""
    parts = list(photo.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _in_folder(
    folder: Path, data: DataSet, key: str, root: Path | None, split: str | None
) -> Iterator[Item]:
    from tufa_cli.images.reading import is_photo_name  # Pillow takes a moment to load

    labels = labels_of(folder / "x").parent
    photos = folder if root is None else _own_root(root, folder)
    shared = root is not None and _are_shared(photos, data, root)
    stems: dict[str, list[str]] = {}
    for place, wanted in ((photos, True), (labels, False)):
        if not place.is_dir():
            continue
        for name in _below(place):
            stem = name[: -len(PurePosixPath(name).suffix)]
            if wanted and is_photo_name(name):
                stems.setdefault(stem, []).append(name)
            elif not wanted and name.endswith(".txt") and _is_labels(name):
                stems.setdefault(stem, [])
    if photos == labels:  # other texts lie about there
        stems = {stem: names for stem, names in stems.items() if names}
    if not stems and not photos.is_dir() and not labels.is_dir():
        raise InputError(data.path, f"{key}: no folder {folder}", hint="--images names the photos'")
    for stem in sorted(stems):
        file = labels / f"{stem}.txt"
        if shared and not is_photo(file):
            continue  # another part's photo, or nobody's
        for name in stems[stem] or [f"{stem}.jpg"]:
            yield Item(name, photos, bool(stems[stem]), file if is_photo(file) else None, split)


def _is_labels(name: str) -> bool:
    """Tools leave a list of the classes among the labels."""
    return PurePosixPath(name).name != "classes.txt"


def _own_root(root: Path, folder: Path) -> Path:
    """The photos of one list below the folder that the caller named."""
    return root / folder.name if (root / folder.name).is_dir() else root


def _are_shared(photos: Path, data: DataSet, root: Path) -> bool:
    """Whether a folder below ``root`` has the photos of several parts, and so tells none."""
    folders = (path for key in data.lists for path in _places(data, key))
    return sum(_own_root(root, folder) == photos for folder in folders) > 1


def _below(folder: Path) -> Iterator[str]:
    """Paths of the files below a folder, hidden ones and linked folders left out."""
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield Path(where, name).relative_to(folder).as_posix()


def _listed(path: Path, root: Path | None, split: str | None) -> Iterator[Item]:
    """Photos of a text with a path a line; "./" begins at the text's folder.

    Of a path from another machine, or that begins at another folder (CVAT's ``data/images``), as
    much of the end is taken as leads to a photo or its labels.
    """
    seen: set[int] = set()
    for line, _, text in text_lines(path):
        given = Path(text.strip().replace("\\", "/"))
        try:
            if not given.is_absolute():
                given = Path(stored_name(given.as_posix(), "the photo's name"))
        except ValueError as error:
            raise InputError(path, str(error), line) from None
        tails = (Path(*given.parts[start:]) for start in range(max(1, len(given.parts) - 1)))
        places = [path.parent / tail for tail in tails if ".." not in tail.parts]
        photo = next((place for place in places if _is_known(place)), path.parent / given)
        if hash(photo) in seen:
            continue
        seen.add(hash(photo))
        folder, name = _split_path(photo)
        file = labels_of(photo)
        where = folder if root is None else _own_root(root, folder)
        labels = file if is_photo(file) else None
        yield Item(name, where, is_photo(where / name), labels, split)


def _is_known(photo: Path) -> bool:
    return is_photo(photo) or is_photo(labels_of(photo))


def _split_path(photo: Path) -> tuple[Path, str]:
    """The folder ``images`` above a photo and the path below it, else its own folder and name."""
    above = next((parent for parent in photo.parents if parent.name == "images"), photo.parent)
    return above, photo.relative_to(above).as_posix()
