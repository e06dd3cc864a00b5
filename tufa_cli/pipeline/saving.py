"""The output of a long run: whole after every save, and a place to go on from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import OutputError
from tufa_cli.formats import get_format, read, write
from tufa_cli.schemes import Scheme

#: Seconds between two saves; saving also never takes more than a twentieth of the time.
_SAVE_EVERY = 60.0
_SHARE = 20.0


class Output:
    """Annotated photos that go to one file (or folder of files), in the order they come.

    Every save writes all of it beside its place and renames it, so a killed run leaves a whole
    output of the photos saved so far, and ``resume`` goes on from it.
    """

    def __init__(
        self,
        path: Path,
        format: str,
        scheme: Scheme,
        root: Path,
        overwrite: bool = False,
        resume: bool = False,
    ) -> None:
        """Check the place and, to resume, read what is there.

        Raises OutputError when something is there and neither ``overwrite`` nor ``resume`` is
        given, or the scheme does not fit the format; InputError when it cannot be resumed from.
        """
        self.path, self.format, self._scheme = path, format, scheme
        self.lost: tuple[str, ...] = ()
        self._images: list[AnnotatedImage] = []
        self._replace = overwrite
        self._unsaved = 0
        self._last_save, self._save_took = time.monotonic(), 0.0
        held = get_format(format).CAPABILITIES.points
        if held not in (None, len(scheme)):
            raise OutputError(
                f"format '{format}' holds {held} points, {scheme.name} has {len(scheme)}",
                "write coco or pts, which hold any number of points",
            )
        if not occupied(path):
            return
        if resume:
            self._images = _existing(path, format, scheme, root)
            self._replace = True
        elif not overwrite:
            raise OutputError(
                f"{path}: exists already",
                "use --resume to go on with it, or --overwrite to replace it",
            )

    @property
    def done(self) -> frozenset[str]:
        """Paths of the photos that are in the output."""
        return frozenset(image.path for image in self._images)

    def add(self, image: AnnotatedImage) -> None:
        """One more photo; saves when it is time to."""
        self._images.append(image)
        self._unsaved += 1
        waited = time.monotonic() - self._last_save
        if waited > max(_SAVE_EVERY, _SHARE * self._save_took):
            self.save()

    def save(self) -> bool:
        """Write everything, unless nothing is new; False when there is nothing to write at all.

        Formats without a place for photos without a face get those with one only.
        """
        started = time.monotonic()
        chosen = get_format(self.format)
        images: Sequence[AnnotatedImage] = self._images
        if not chosen.CAPABILITIES.empty_images:
            images = [image for image in images if image.faces]
        if not images:
            return False
        if self._unsaved:
            report = write(
                images, self.path, self.format, overwrite=self._replace, schemes=[self._scheme]
            )
            self.lost = report.lost
            self._replace = True
            self._unsaved = 0
        self._last_save = time.monotonic()
        self._save_took = self._last_save - started
        return True


def occupied(path: Path) -> bool:
    """Whether writing to ``path`` could replace something: a file, or a folder with entries."""
    if path.is_dir():
        return any(path.iterdir())
    return path.exists() or path.is_symlink()


def _existing(path: Path, format: str, scheme: Scheme, root: Path) -> list[AnnotatedImage]:
    """The records of an earlier output."""
    # Predicted points may lie outside the photo, which plain .pts readers refuse by default.
    extra: dict[str, Any] = {"negatives": "keep"} if format == "pts" else {}
    images = list(read(path, format=format, root=root, **extra))
    if not get_format(format).CAPABILITIES.names:
        return images  # the file does not tell the scheme
    others = {face.scheme for image in images for face in image.faces} - {scheme.name}
    if others:
        raise OutputError(
            f"{path}: holds {', '.join(sorted(str(name) for name in others))}, not {scheme.name}",
            "give another --output, or --overwrite to replace it",
        )
    return images


def check_one_file_per_photo(format: str, names: Sequence[str]) -> None:
    """Raise OutputError when two photos' faces would go to one file, before the work is done.

    Only formats of one file per face name files after photos: those that hold one face a file.
    """
    if get_format(format).CAPABILITIES.several_faces:
        return
    stems = Counter(PurePosixPath(name).with_suffix("").as_posix() for name in names)
    twins = [stem for stem, count in stems.items() if count > 1]
    if twins:
        raise OutputError(
            f"format '{format}': {len(twins)} names belong to several photos, such as {twins[0]}",
            "write coco, or annotate the photos apart",
        )
