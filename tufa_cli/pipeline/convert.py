"""Records from a reader to a writer in one go, with no more than one of them in memory.

What a format cannot hold has to be known before anything is written, and that takes a look at all
records. They are neither kept for it nor read twice: writers fill a file (or folder) beside its
place, which gets its name when they have come to an end, so that until then all can be taken back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.formats import (
    Losses,
    MissingPolicy,
    WriteReport,
    get_format,
    photo_size,
    write,
)
from tufa_cli.writing import check_writable


class _Stop(TufaError):
    """Stops a writer whose work would be taken back."""


class Places:
    """The folders that photos lie in; raises TufaError for two photos that would have one path.

    Some formats find photos above their file or in a folder a split. Where ``format`` has a folder
    a split as well, photos of one path in two splits stay two.
    """

    def __init__(self, format: str) -> None:
        self._by_split = getattr(get_format(format), "SPLITS_ARE_FOLDERS", False)
        self._fractions = getattr(get_format(format), "HOLDS_FRACTIONS", False)
        self._folders: dict[str, str] = {}
        self._first: dict[tuple[str, str | None], str] = {}
        self.other_sizes: list[str] = []  # photos whose size is not the record's, with both

    def add(self, image: AnnotatedImage) -> None:
        """Take a photo into account."""
        if image.root is None:
            return
        if self._fractions and None not in (image.width, image.height) and is_there(image):
            real = photo_size(replace(image, width=None, height=None))
            if real is not None and real != (image.width, image.height):
                said = f"{image.width} x {image.height}"
                self.other_sizes.append(f"{image.path}: {said}, not {real[0]} x {real[1]}")
        if image.root not in self._folders:
            self._folders[image.root] = os.path.normpath(Path(image.root).absolute())
        folder = self._folders[image.root]
        key = (image.path, image.split if self._by_split else None)
        other = self._first.setdefault(key, folder)
        if other != folder:
            raise TufaError(
                f"{image.path}: a photo in {other} and one in {folder} would have one path",
                "--prefix-sources puts the photos' folders in front of their paths",
            )

    @property
    def folders(self) -> list[str]:
        """Those whose photos the output names without them."""
        return [] if self._by_split else sorted(set(self._folders.values()))


class Passage:
    """Records that go by: what a format cannot hold of them, and how many photos are not there.

    losses: what ``format`` cannot hold of the photos so far; missing as for ``formats.write``.
    places: where the photos lie.
    photos, photos_not_found: how many came by so far, and how many of those are on no disk.
    """

    def __init__(
        self,
        images: Iterable[AnnotatedImage],
        format: str,
        missing: MissingPolicy,
        on_read: Callable[[Passage], None],
    ) -> None:
        self.losses = Losses(get_format(format), missing)
        self.places = Places(format)
        self.photos = self.photos_not_found = 0
        self._on_read = on_read
        self._failure: BaseException | None = None
        self._records = self._looked_at(images)

    def stream(self, lossy: bool) -> Iterator[AnnotatedImage]:
        """The records, for a writer. lossy: whether to go on when something is lost."""
        for image in self._records:
            if self.losses and not lossy:
                raise _Stop("something would be lost")
            yield image

    def finish(self) -> None:
        """Look at the records that are left; raises what kept some of them from being read.

        It is raised as it was: on its way through a writer an error may be taken for one of
        writing.
        """
        for _ in self._records:
            pass
        if self._failure is not None:
            raise self._failure

    def _looked_at(self, images: Iterable[AnnotatedImage]) -> Iterator[AnnotatedImage]:
        try:
            for image in images:
                self.places.add(image)
                self.losses.add(image)
                self.photos += 1
                self.photos_not_found += not is_there(image)
                yield image
            self._on_read(self)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._failure = error
            raise


def is_there(image: AnnotatedImage) -> bool:
    """Whether the photo is where the record says."""
    return image.root is not None and Path(image.root, image.path).is_file()


def pass_on(
    images: Iterable[AnnotatedImage],
    format: str,
    path: Path | None,
    *,
    missing: MissingPolicy = "error",
    lossy: bool = False,
    on_read: Callable[[Passage], None],
    **options: Any,
) -> WriteReport | None:
    """Write records as they are read; what comes back is the writer's report.

    path: None to look at the records only. lossy: whether the writer goes on when something is
    lost. options: of ``formats.write``.
    on_read: called once, when all records have been looked at and nothing has its name yet. What
    it raises leaves nothing written; it has to raise where losses are not ``lossy``, or there was
    no record.

    Raises what reading raises before what ``on_read`` raises, and that before the OutputError of
    writing, as if all had been read before it was written.
    """
    passage = Passage(images, format, missing, on_read)
    if path is None:
        passage.finish()
        return None
    problem = report = None
    records = passage.stream(lossy)
    try:
        first = next(records)  # a writer is not asked for a file of nothing
        report = write(
            chain([first], records),
            path,
            format,
            missing=missing,
            counted=passage.losses,
            **options,
        )
    except StopIteration:
        pass
    except TufaError as error:
        problem = error
    passage.finish()
    if problem is not None:
        raise problem
    return report


@dataclass(frozen=True)
class Target:
    """What is written into one output: its part's name (None without parts) and photos."""

    part: str | None
    output: Path | None
    images: Sequence[AnnotatedImage]

    @property
    def label(self) -> str:
        """What lines of a report begin with."""
        return "" if self.part is None else f"{self.part}: "


def lost_of(part: Target, format: str, missing: MissingPolicy) -> Losses:
    """What a format cannot hold of a part's photos."""
    losses = Losses(get_format(format), missing)
    for image in part.images:
        losses.add(image)
    return losses


def write_parts(
    parts: Sequence[Target],
    format: str,
    on_note: Callable[[str], None],
    *,
    overwrite: bool,
    counted: Sequence[Losses],
    **options: Any,
) -> list[WriteReport]:
    """Write every part, or, where one cannot be written, none.

    counted: what is lost of each. options: of ``formats.write``. With ``overwrite`` the parts
    before one that fails may have replaced other files: they stay, and ``on_note`` is told. Raises
    TufaError.
    """
    outputs = [part.output for part in parts if part.output is not None]
    for output in outputs:
        if output.is_file():  # before the first part is written
            check_writable(output, overwrite)
    places = {place for output in outputs for place in (output, *output.parents)}
    new = {place for place in places if not place.exists()}
    done: list[WriteReport] = []
    try:
        for part, output, lost in zip(parts, outputs, counted, strict=True):
            done.append(write(part.images, output, format, overwrite, counted=lost, **options))
    except TufaError:
        if overwrite:
            for part, _ in zip(parts, done, strict=False):
                on_note(f"{part.label}{part.output} is written already")
        else:
            _take_back([path for report in done for path in report.files], new)
        raise
    return done


def _take_back(files: Sequence[Path], new: set[Path]) -> None:
    """Remove files, and their folders at or below those places that were not there before."""
    for path in files:
        path.unlink(missing_ok=True)
    folders = {folder for path in files for folder in path.parents}
    for folder in sorted(folders, reverse=True):
        if not new.isdisjoint((folder, *folder.parents)):
            with suppress(OSError):
                folder.rmdir()
