"""Data sets with a file a face in one folder and its photo in another: ``landmarks/`` ``images/``.

The two folders lie side by side, once or in each part of the data set:
``train/landmarks/a.txt`` belongs to ``train/images/a.jpg``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats._base import ReadOptions, Sniff
from tufa_cli.formats._files import PhotoFinder, inside, list_files, source_files

SPLITS = ("train", "val", "test")


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

    def records(
        self,
        source: Path,
        files: Sequence[Path],
        options: ReadOptions,
        load: Callable[[Path], Face],
    ) -> Iterator[AnnotatedImage]:
        """One record per file.

        Where the two folders lie in the source itself, paths are relative to the photos' folder;
        where they lie in parts of it, to the source: ``train/images/a.jpg``.
        """
        base = self._base(source)
        own = base / self.photos if (base / self.labels).is_dir() else base
        # A folder that the caller names stands for whichever of the two.
        finders = [PhotoFinder(options.root or own), PhotoFinder(options.root or base)]
        for file in files:
            try:
                face = load(file)
            except InputError as error:
                options.failed(error)
                continue
            prefix, rest = self._parts(file, base)
            finder = finders[bool(prefix)]
            photo = self._photo(PurePosixPath(*prefix, *([self.photos] if prefix else []), *rest))
            if self.photo_suffix is not None:
                photo = finder.find(photo) or f"{photo}{self.photo_suffix}"
            split = (prefix or (base.absolute().name,))[-1]
            yield AnnotatedImage(
                photo,
                (face,),
                split=split if split in self.splits else None,
                root=str(finder.root),
            )

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

    def _photo(self, file: PurePosixPath) -> str:
        """A file's path without its own ending."""
        name = file.as_posix()
        return name[: -len(self.ending)] if name.lower().endswith(self.ending) else name

    def target(self, image: AnnotatedImage, folder: Path) -> Path:
        """Where the face of a photo goes, below ``folder``.

        Raises OutputError when another face has gone there, or the photo's path leaves the folder.
        """
        prefix, rest = self._split(image)
        inside(folder, image.path)
        name = PurePosixPath(*prefix, self.labels, *rest).as_posix()
        path = inside(folder, self._stem(name) + self.ending)
        if path.exists():
            raise OutputError(
                f"{image.path}: the face of another photo of this name was written already",
                "convert them to two folders, or to coco",
            )
        return path

    def renamed(self, image: AnnotatedImage) -> bool:
        """Whether a reader of what is written will look for the photo under another path."""
        prefix, rest = self._split(image)
        found = PurePosixPath(*prefix, *([self.photos] if prefix else []), *rest).as_posix()
        return image.path != self._stem(found) + (self.photo_suffix or "")

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


def face_files_in(
    source: Path, suffixes: Sequence[str], sniff_file: Callable[[Path], Sniff], folder: str
) -> list[Path]:
    """The files of one face each: all of those in ``folder``, or else those that look right.

    Where the folder's name tells what they are, a damaged one is not passed over. Raises InputError
    when none looks right.
    """
    found = source_files(source, suffixes)
    if not source.is_dir():
        return found
    if source.absolute().name != folder:
        found = [path for path in found if folder in path.relative_to(source).parts[:-1]]
    for path in found:
        with suppress(InputError):
            if sniff_file(path).yes:
                return found
    return list(list_files(source, suffixes, sniff_file))


def written(folder: Path, staged: Path) -> list[Path]:
    """Where the files of a staged folder will lie, in a stable order."""
    found = sorted(path.relative_to(staged) for path in staged.rglob("*") if path.is_file())
    return [folder / path for path in found]
