"""Data sets with a file a face in one folder and its photo in another: ``landmarks/`` ``images/``.

The two folders lie side by side, once or in each part of the data set:
``train/landmarks/a.txt`` belongs to ``train/images/a.jpg``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import ReadOptions
from tufa_cli.formats._files import PhotoFinder, inside

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Place:
    """Where a face's file stands and which photo it belongs to, relative to the photos' root."""

    file: Path
    photo: str
    split: str | None = None


@dataclass(frozen=True)
class Layout:
    """The names of the two folders, and how a file's name is made from its photo's.

    labels, photos: names of the folders. ending: what a file's name ends in.
    photo_suffix: the photo's ending where it is not there to be looked at; None where the file's
    name holds the photo's whole name (``a.jpg.txt``).
    splits: folders above the two that are parts of the data set.
    """

    labels: str
    photos: str
    ending: str
    photo_suffix: str | None
    splits: tuple[str, ...] = ()

    def places(
        self, source: Path, files: Sequence[Path], root: Path | None
    ) -> tuple[Path, Iterator[Place]]:
        """The folder that the photos' paths are relative to, and the place of each file.

        That folder is the photos' own where there is only one, else the source.
        """
        base = self._base(source)
        flat = all(not self._parts(file, base)[0] for file in files)
        if root is None:
            root = base / self.photos if flat and (base / self.labels).is_dir() else base
        return root, self._places(files, base, flat, PhotoFinder(root))

    def _places(
        self, files: Sequence[Path], base: Path, flat: bool, finder: PhotoFinder
    ) -> Iterator[Place]:
        for file in files:
            prefix, rest = self._parts(file, base)
            split = (prefix or (base.name,))[-1]
            name = PurePosixPath(*prefix, *([] if flat else [self.photos]), *rest).as_posix()
            stem = name[: -len(self.ending)] if name.lower().endswith(self.ending) else name
            if self.photo_suffix is None:
                photo = stem
            else:
                photo = finder.find(stem) or f"{stem}{self.photo_suffix}"
            yield Place(file, photo, split if split in self.splits else None)

    def _base(self, source: Path) -> Path:
        """The folder that holds the two folders, or parts that do."""
        if source.is_dir():
            return source.parent if source.name == self.labels else source
        above = next((p for p in source.parents if p.name == self.labels), None)
        return source.parent if above is None else above.parent

    def _parts(self, file: Path, base: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What stands before and after the labels' folder in a file's path."""
        parts = file.relative_to(base).parts
        if self.labels not in parts[:-1]:
            return (), parts
        where = parts.index(self.labels)
        return parts[:where], parts[where + 1 :]

    def records(
        self,
        source: Path,
        files: Sequence[Path],
        options: ReadOptions,
        load: Callable[[Path], Face],
    ) -> Iterator[AnnotatedImage]:
        """One record per file."""
        root, places = self.places(source, files, options.root)
        for place in places:
            try:
                face = load(place.file)
            except InputError as error:
                options.failed(error)
                continue
            yield AnnotatedImage(place.photo, (face,), split=place.split, root=str(root))

    def targets(self, images: Sequence[AnnotatedImage], target: Path) -> list[tuple[Path, Face]]:
        """Where the face of each photo goes, below ``target``.

        Raises OutputError when two faces would go to one file, or a photo's path leaves the folder.
        """
        found: list[tuple[Path, Face]] = []
        taken: dict[Path, str] = {}
        for image in images:
            prefix, rest = self._split(image)
            name = PurePosixPath(*prefix, self.labels, *rest).as_posix()
            inside(target, image.path)
            path = inside(target, self._stem(name) + self.ending)
            for face in image.faces:
                if path in taken:
                    raise OutputError(
                        f"{path}: faces of both {taken[path]} and {image.path} would go here",
                        "convert them to two folders, or to coco",
                    )
                taken[path] = image.path
                found.append((path, face))
        return found

    def renamed(self, images: Sequence[AnnotatedImage]) -> list[str]:
        """Photos that a reader of what was written will look for under another path."""
        splits = [self._split(image) for image in images]
        flat = all(not prefix for prefix, _ in splits)
        changed = []
        for image, (prefix, rest) in zip(images, splits, strict=True):
            stem = PurePosixPath(*prefix, *([] if flat else [self.photos]), *rest).as_posix()
            if image.path != self._stem(stem) + (self.photo_suffix or ""):
                changed.append(image.path)
        return changed

    def _stem(self, photo: str) -> str:
        if self.photo_suffix is None:
            return photo
        suffix = PurePosixPath(photo).suffix
        return photo[: -len(suffix)] if suffix else photo

    def _split(self, image: AnnotatedImage) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a photo's path has before and after the photos' folder; or its part and all of it.

        Only a path that a reader finds again is taken apart: one with the folder's name in it,
        below the photo's part of the data set.
        """
        parts = PurePosixPath(image.path).parts
        split = image.split if image.split in self.splits else None
        if self.photos in parts[1:-1]:
            where = parts.index(self.photos, 1)
            part = parts[where - 1]
            known = part if part in self.splits else None
            if known == split and self.labels not in parts[:where]:
                return parts[:where], parts[where + 1 :]
        return (() if split is None else (split,)), parts
