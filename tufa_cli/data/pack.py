"""Labelled photos to a pack file: crops by the design's oracle rule, encoded as JPEG."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data.crops import PackOptions, Photo, crop_photos, row_key
from tufa_cli.data.parts import PartFolder
from tufa_cli.data.shards import check_shards_writable, pack_files, shard_size
from tufa_cli.data.store import Row, joint_head, keys_of
from tufa_cli.errors import TufaError
from tufa_cli.schemes import Plane
from tufa_cli.schemes.plane import merged
from tufa_cli.writing import check_writable

__all__ = ["PackOptions", "PackReport", "pack"]

#: Rows per part file: what a kill can cost.
_PART_ROWS = 500


@dataclass
class PackReport:
    """What a run did; ``failed`` holds (photo, reason).

    rows: added to the pack. resumed: of these, packed by an earlier run that was cut off.
    present: left alone because the pack held them already (``resume``).
    """

    rows: int = 0
    resumed: int = 0
    present: int = 0
    photos: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def pack(
    images: Iterable[AnnotatedImage],
    out: Path,
    plane: Plane,
    options: PackOptions,
    *,
    append: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    val_photos: frozenset[str] = frozenset(),
    jobs: int = 1,
    shard_rows: int | None = None,
) -> Iterator[PackReport]:
    """Pack labelled photos into ``out``, yielding the growing report after every part.

    Work is kept in part files in ``OUT.parts`` and merged into ``out`` at the end, so that a
    killed run costs at most one part and goes on where it was. The file's bytes depend on the
    input alone, not on ``jobs`` (processes) or on kills. val_photos: relative paths that go to the
    split "val". append: add to the pack. resume: the same, and faces that it holds already are
    left as they are, so that a command can be given again whenever it was cut off. plane: what
    the crops are made by; a scheme that does not ship must be on it (``align.with_schemes``).

    Raises OutputError when ``out`` exists and neither of append, resume and overwrite is given,
    and TufaError when the same source, photo, face and scheme come twice, or ``out`` was packed
    with another plane or context.
    """
    adding = append or resume
    if adding and out.is_dir():
        shard_rows = shard_size(out, shard_rows)
    elif shard_rows:
        check_shards_writable(out, overwrite)
    elif not adding:
        check_writable(out, overwrite)
    previous = pack_files(out) if adding and out.exists() else []
    if previous:
        held, context = joint_head(previous)
        merged({str(out): held, "the new faces": plane})
        if context != options.context:
            raise TufaError(
                f"{out}: its crops are stored {context:g} times as wide as the window, not "
                f"{options.context:g} times",
                f"--context {context:g}",
            )
    taken = keys_of(previous)
    attributes = {"plane": plane.to_json(), "context": options.context}
    parts = PartFolder(out, _task(plane, options, val_photos), attributes)
    try:
        parts.forget_if_in(taken)
        work = _Work(options, plane, val_photos, taken if resume else set())
        work.done = parts.keys()
        # Rows in both: killed while the parts were added to shards.
        work.forbidden = set() if resume else taken - work.done
        work.report.resumed = len(work.done)
        yield from _pack_parts(work, images, parts, plane, jobs)
        report = work.report
        report.rows = len(parts.keys())
        _refuse_strangers(work, parts)
        if not report.rows and not previous:
            raise TufaError("no face could be packed", _first_reason(report))
        if report.rows:
            parts.merge(previous, overwrite or adding, shard_rows)
        yield report
    finally:
        parts.close()


def _task(plane: Plane, options: PackOptions, val_photos: Set[str]) -> str:
    """What decides about a row beside its photo and label, as a checksum."""
    settings = [plane.to_json(), dataclasses.asdict(options), sorted(val_photos)]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


class _Work:
    """Which faces are to be packed.

    present: keys of rows that the pack holds and that are left alone; done: of those in parts;
    forbidden: of those that must not come again.
    """

    def __init__(
        self, options: PackOptions, plane: Plane, val_photos: Set[str], present: set[bytes]
    ) -> None:
        self.options, self.plane = options, plane
        self.val_photos, self.present = val_photos, present
        self.done: set[bytes] = set()
        self.forbidden: set[bytes] = set()
        self.seen: set[bytes] = set()
        self.report = PackReport()

    def photo(self, image: AnnotatedImage) -> Photo:
        """The photo with the faces that are not packed yet; raises when one comes twice."""
        faces = [(i, _bare(f)) for i, f in enumerate(image.faces) if self._is_new(image, i, f)]
        split = "val" if image.path in self.val_photos else (image.split or self.options.split)
        return Photo(image.path, image.root, split, tuple(faces))

    def _is_new(self, image: AnnotatedImage, index: int, face: Face) -> bool:
        name = self.options.scheme or face.scheme or ""
        scheme = self.plane.layout(name).name if name else name
        key = row_key(self.options.source, image.path, index, scheme)
        if key in self.seen or key in self.forbidden:
            raise TufaError(
                f"{image.path}, face {index}: packed twice as {scheme} from {self.options.source}",
                "the same photo, face, scheme and source may come once; give another --source, "
                "leave the photo out, or use --resume to keep what the pack holds",
            )
        self.seen.add(key)
        if key in self.present:
            self.report.present += 1
        return key not in self.present and key not in self.done


def _bare(face: Face) -> Face:
    """A face without what other formats carry along, which is not ours to send to a process."""
    weight = {"weight": face.attributes["weight"]} if "weight" in face.attributes else {}
    return Face(face.points_px, face.scheme, face.visibility, attributes=weight)


def _pack_parts(
    work: _Work, images: Iterable[AnnotatedImage], parts: PartFolder, plane: Plane, jobs: int
) -> Iterator[PackReport]:
    rows: list[Row] = []
    photos = (work.photo(image) for image in images)
    for crops in crop_photos(photos, plane, work.options, jobs):
        work.report.photos += 1
        work.report.failed += crops.failed
        rows += crops.rows
        while len(rows) >= _PART_ROWS:
            parts.add(rows[:_PART_ROWS])
            del rows[:_PART_ROWS]
            yield work.report
    if rows:
        parts.add(rows)
        yield work.report


def _refuse_strangers(work: _Work, parts: PartFolder) -> None:
    """Raise when parts of an earlier run hold faces that the source has no longer."""
    strangers = len(work.done - work.seen)
    if strangers:
        raise TufaError(
            f"{parts.folder} holds {strangers} faces that the source lacks",
            "the source has changed since the run that was cut off: delete the folder",
        )


def _first_reason(report: PackReport) -> str:
    if not report.failed:
        return "the source holds no labelled face"
    photo, reason = report.failed[0]
    return f"{len(report.failed)} failed, the first: {photo}: {reason}"
