"""What every format module offers and is given: options, verdicts, capabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, UnknownNameError
from tufa_cli.schemes import Scheme

MissingPolicy = Literal["error", "drop-face", "sentinel"]
#: Marks a box that nobody labelled in formats where a face must have one.
BOX_FROM_POINTS = "points"

MISSING_POLICIES: tuple[MissingPolicy, ...] = ("error", "drop-face", "sentinel")


@dataclass(frozen=True)
class Sniff:
    """Whether a source looks like a format, and why (or why not) in a few words.

    near: it is of this format's family and yet cannot be read, so that the reason is what a user
    should hear where no other format says yes.
    """

    yes: bool
    reason: str
    near: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What a format can hold; what it cannot is reported by ``losses``, never dropped unsaid.

    float: coordinates keep their fraction.
    float_box: so does the box.
    visibility: tells occluded from visible.
    missing: a point may be unlabelled.
    box, several_faces, names (of points): as named.
    one_face: a photo has one face at most, and no file beside for a second one.
    confidence: per point; "labelled" where a point that is missing has none.
    score: of the face; None where it is held as the confidence is.
    empty_images: a photo without a face has a place.
    source: tells a model's points from people's.
    split: the part of a data set that a photo belongs to; a tuple where only some names are held.
    attributes: names of the attributes of a face it holds; None for any.
    ids: of photos, of faces, that other tables are joined by.
    image_attributes: whether a photo's own attributes are held, or the names of those that are.
    points: the number of points it takes, several numbers, or None for any.
    index_base: number of the first pixel on disk.
    streams: ``write`` takes the records one by one, so that memory does not grow with their number.
    read_only: why the format is read but not written; None where it is written.
    """

    float: bool = True
    float_box: bool = True
    visibility: bool = False
    missing: bool = False
    box: bool = False
    several_faces: bool = False
    one_face: bool = False
    names: bool = False
    confidence: bool | Literal["labelled"] = False
    score: bool | None = None
    empty_images: bool = False
    source: bool = False
    split: bool | tuple[str, ...] = False
    attributes: tuple[str, ...] | None = ()
    ids: tuple[Literal["photos", "faces"], ...] = ()
    image_attributes: bool | tuple[str, ...] = False
    points: int | tuple[int, ...] | None = None
    index_base: int = 0
    streams: bool = False
    read_only: str | None = None

    @property
    def counts(self) -> tuple[int, ...] | None:
        """The numbers of points it takes, or None for any."""
        return (self.points,) if isinstance(self.points, int) else self.points

    def takes(self, points: int) -> bool:
        """Whether a face of so many points fits."""
        return self.counts is None or points in self.counts

    @property
    def counts_text(self) -> str:
        """The numbers of points in words: "68 or 76"."""
        return " or ".join(map(str, self.counts)) if self.counts is not None else "any number of"

    def holds_split(self, split: str) -> bool:
        """Whether this part of a data set can be said."""
        return self.split if isinstance(self.split, bool) else split in self.split


#: Of formats that have a place for all that a record holds; others say what they lack.
EVERYTHING = Capabilities(
    visibility=True,
    missing=True,
    box=True,
    several_faces=True,
    names=True,
    confidence=True,
    empty_images=True,
    source=True,
    split=True,
    attributes=None,
    image_attributes=True,
)


@dataclass(frozen=True)
class ReadOptions:
    """How to read; see ``tufa_cli.formats.read`` for each option.

    scheme, points: the name the caller gave and its number of points; None where not given.
    layout: that scheme itself, which need not be one that ships.
    schemes: schemes of the user's own, by name, for files that say they have them.
    settings: what only some formats ask for, by name; a format lists its own in ``SETTINGS``.
    dry_run: write nothing, whatever a setting asks for.
    on_error: called with an item that cannot be read, which is then left out; None raises it.
    on_note: called with remarks a user should see.
    """

    scheme: str | None = None
    points: int | None = None
    layout: Scheme | None = None
    schemes: Mapping[str, Scheme] = field(default_factory=dict)
    root: Path | None = None
    index_base: int | None = None
    coco_visibility: Literal["auto", "strict"] = "auto"
    negatives: Literal["error", "keep"] = "error"
    settings: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    on_error: Callable[[InputError], None] | None = None
    on_note: Callable[[str], None] | None = None

    def failed(self, error: InputError) -> None:
        """Hand on an item that cannot be read; raises it unless the caller wants to go on."""
        if self.on_error is None:
            raise error
        self.on_error(error)

    def note(self, text: str) -> None:
        """A remark for the user."""
        if self.on_note is not None:
            self.on_note(text)

    def base(self, default: int) -> int:
        """Number of the first pixel on disk."""
        return default if self.index_base is None else self.index_base


@dataclass(frozen=True)
class WriteOptions:
    """How to write.

    overwrite: replace files that exist. index_base: number of the first pixel on disk.
    settings: what only some formats ask for, by name; listed in ``WRITE_SETTINGS``.
    schemes: schemes of the user's own, by name, for the names of their points.
    on_note: called with what a user should know of the file, beside what was lost.
    """

    overwrite: bool = False
    index_base: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    schemes: Mapping[str, Scheme] = field(default_factory=dict)
    on_note: Callable[[str], None] | None = None

    def base(self, default: int) -> int:
        """Number of the first pixel on disk."""
        return default if self.index_base is None else self.index_base

    def note(self, text: str) -> None:
        """A remark for the user."""
        if self.on_note is not None:
            self.on_note(text)

    def tell(self, counts: Mapping[str, int]) -> None:
        """Remarks that begin with how often it was: "faces without a box got ..."."""
        for what, count in counts.items():
            if count:
                self.note(f"{count} {what}")


@dataclass(frozen=True)
class WriteReport:
    """What ``write`` did.

    files: what was written. images, faces: how many went in. dropped: faces left out, or points
    replaced by a sentinel, in words. lost: what the format could not hold, in words. remarks:
    what else a user should know (a box made from points, faces in numbered files).
    """

    files: tuple[Path, ...]
    images: int
    faces: int
    dropped: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


class Format(Protocol):
    """A format is one module (or object) with these names.

    ``read`` yields records in a stable order; ``write`` gets at least one image, every face with
    a number of points the format takes, and NaN only where the format may hold it or where the
    caller asked for the format's sentinel. It may not change what it is given. A format whose
    capabilities say ``streams`` gets an iterator instead of a sequence, to go through once; it
    may raise as late as at its end, and then nothing may be left.

    Optional beside these: ``holds_attribute(name, value, face) -> bool`` and
    ``holds_image_attribute(name, value) -> bool``; ``unholdable(face, options) -> (K,) bool``,
    labelled points it cannot write; ``outside(face, image) -> (K,) bool``, those that it cannot
    because of where they lie in that photo; ``lost(image) -> list[str]``, what else is lost of a
    photo; ``remarks(images) -> list[str]`` where it does not stream;
    ``renames() -> Callable[[AnnotatedImage], bool]``, which makes a check for records that go by in
    order: whether a reader will find the photo under another path; ``SETTINGS`` and
    ``WRITE_SETTINGS``, mappings of the settings its reader and writer take to what they do. A
    format whose ``CAPABILITIES.read_only`` gives a reason is never asked to ``write``.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def TITLE(self) -> str: ...
    @property
    def CAPABILITIES(self) -> Capabilities: ...
    def sniff(self, path: Path) -> Sniff: ...
    def read(self, source: Path, options: ReadOptions) -> Iterator[AnnotatedImage]: ...
    def write(
        self, images: Iterable[AnnotatedImage], target: Path, options: WriteOptions
    ) -> list[Path]: ...


def first(items: Iterable[str], count: int = 3) -> str:
    """The first few of several names, for a message."""
    items = list(items)
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more


def several_files(photos: int) -> str:
    """The remark on photos whose faces went to a file each."""
    return f"{photos} photo{'s' * (photos != 1)} with several faces: files NAME_1, NAME_2"


def one_of(options: ReadOptions | WriteOptions, setting: str, values: Sequence[str]) -> str:
    """A setting that is one of these words, the first when it is not given; raises TufaError."""
    value = options.settings.get(setting, values[0])
    if value not in values:
        raise UnknownNameError(f"value of the setting {setting}", value, values)
    return value


def records_of(
    files: Iterable[Path], record: Callable[[Path], AnnotatedImage], options: ReadOptions
) -> Iterator[AnnotatedImage]:
    """The record of each file; those that cannot be read go to ``options.failed``.

    record: raises InputError, or ValueError with what is wrong with the file.
    """
    for path in files:
        try:
            image = record(path)
        except InputError as error:
            options.failed(error)
            continue
        except ValueError as error:
            options.failed(InputError(path, str(error)))
            continue
        yield image


class Tally:
    """What became of a file's faces while it is read, said once at its end.

    other: what is said of faces of another scheme than the one asked for.
    """

    def __init__(self, other: str = "faces are not of this scheme") -> None:
        self._other = other
        self._taken = 0
        self._counts: Counter[str] = Counter()

    def took(self, face: Face | None) -> bool:
        """Count a face that was read, or None for one of another scheme; whether it was one."""
        if face is None:
            self._counts[self._other] += 1
        else:
            self._taken += 1
        return face is not None

    def aside(self, what: str, count: int = 1) -> None:
        """Count what was left aside; ``what`` reads on from a number: "boxes without points"."""
        self._counts[what] += count

    def close(self, path: object, options: ReadOptions) -> None:
        """Tell it; raises InputError when no face was of the scheme that was asked for."""
        if self._counts[self._other] and not self._taken and options.scheme is not None:
            raise InputError(
                path,
                f"no face has the {options.points} points of {options.scheme}",
                hint="name the scheme the file was labelled in",
            )
        for what, count in self._counts.items():
            if count:
                options.note(f"{path}: {count} {what}")


def states(face: Face) -> list[int]:
    """(K) visibility of each point: 0 unlabelled, 1 occluded, 2 visible."""
    assert face.visibility is not None  # Face derives it when it is left out
    found: list[int] = face.visibility.tolist()
    return found


def written_points(face: Face, first_pixel: float) -> NDArray[np.float64]:
    """(K, 2) image pixels, the first of which is ``first_pixel``; -1, -1 for a missing point."""
    points: NDArray[np.float64] = np.where(
        face.labelled[:, None], face.points_px + first_pixel, -1.0
    )
    return points
