"""Writing formats with one file a photo: all of the files, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import OutputError
from tufa_cli.formats._files import inside, write_lines
from tufa_cli.writing import filling


def place_of(image: AnnotatedImage, target: Path, suffix: str, under: str = "") -> Path:
    """A photo's file relative to ``target``: its path with another ending, below ``under``.

    Raises OutputError when that would lie outside ``target``.
    """
    folder = inside(target, under) if under else target
    return inside(folder, image.path).with_suffix(suffix).relative_to(target)


class Places:
    """Files that photos have taken, so that no two share one."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._taken: dict[Path, str] = {}

    def take(self, place: Path, image: AnnotatedImage) -> None:
        """Give ``place`` to a photo; raises OutputError when another has it."""
        if place in self._taken:
            raise OutputError(
                f"{self._target / place}: both {self._taken[place]} and {image.path} would go here",
                "convert them to two folders, or to coco",
            )
        self._taken[place] = image.path


def write_photo_files(
    images: Iterable[AnnotatedImage],
    target: Path,
    suffix: str,
    overwrite: bool,
    lines_of: Callable[[AnnotatedImage], Sequence[str]],
    empty: bool = False,
) -> list[Path]:
    """A file for each photo that has a face, under ``target``, in the photos' sub-folders.

    empty: for those without a face too.

    A ``target`` that has the ending itself is the file of the one photo there is. Raises
    OutputError, and then nothing is written.
    """
    # Those without a face are said among the losses, where they have no file.
    shown = (image for image in images if image.faces or empty)
    if target.suffix.lower() == suffix and not target.is_dir():
        return [_write_one(shown, target, overwrite, lines_of)]
    written = []
    places = Places(target)
    with filling(target, overwrite) as staged:
        for image in shown:
            place = place_of(image, target, suffix)
            places.take(place, image)
            write_lines(staged / place, lines_of(image), overwrite=False)
            written.append(target / place)
    return written


def _write_one(
    images: Iterator[AnnotatedImage],
    target: Path,
    overwrite: bool,
    lines_of: Callable[[AnnotatedImage], Sequence[str]],
) -> Path:
    found = list(islice(images, 2))
    if len(found) != 1:
        count = "several" if found else "no"
        raise OutputError(
            f"{target}: {count} photos do not fit in one {target.suffix} file",
            "give a folder for one file per photo",
        )
    write_lines(target, lines_of(found[0]), overwrite)
    return target
