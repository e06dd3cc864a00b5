"""Labels of any schemes into one: by what their points mean, by an index table, or by a network.

Face by face, so that memory does not grow. Which points are exact, interpolated, taken from a
table or predicted is kept for the report.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tufa_cli.annotation import OCCLUDED, VISIBLE, AnnotatedImage, Face
from tufa_cli.errors import InputError, TufaError
from tufa_cli.formats import choose_format, get_format, read
from tufa_cli.pipeline.peek import PeekedSource
from tufa_cli.schemes import Scheme, get_scheme
from tufa_cli.schemes.load import is_shipped_name
from tufa_cli.schemes.places import CURVE, MEAN, POINT
from tufa_cli.schemes.tables import Table
from tufa_cli.schemes.transfer import TABLE, Transfer, transfer

#: What became of a run's labels: nothing was asked, the scheme was only named, every label had it
#: already, or labels of another were converted.
UNASKED, NAMED, SAME, CONVERTED = "unasked", "named", "same", "converted"

#: How a point was made (Transfer.how) to the word of the report.
KINDS = {POINT: "exact", MEAN: "exact", CURVE: "interpolated", TABLE: "table"}
PREDICTED, MOVED = "predicted", "moved"

_FROM_HINT = "--from-scheme names the scheme of SOURCE"
_ONLY_HINT = f"{_FROM_HINT}; --on-error skip leaves such faces out"

OnError = Callable[[InputError], None]


@dataclass(eq=False)
class Link:
    """The way from one scheme to the target, and how many faces went it (whoever moves counts).

    way: what the labels tell. kinds: (K target) "exact", "interpolated", "moved" (either, then by
    habits), "table", "predicted" or None for a point that cannot be had. same: whether nothing is
    to do.
    """

    way: Transfer
    kinds: tuple[str | None, ...]
    same: bool = False
    faces: int = 0

    def points(self, kind: str | None) -> list[int]:
        """Indices of the target's points that are made so."""
        return [index for index, own in enumerate(self.kinds) if own == kind]

    def to_dict(self) -> dict[str, Any]:
        """The counts and points, for a report."""
        source, target = self.way.source, self.way.target

        def listed(indices: Sequence[int], scheme: Scheme) -> list[dict[str, Any]]:
            return [
                {"index": i, "name": scheme.names[i], "part": scheme.meanings[i].part}
                for i in indices
            ]

        report: dict[str, Any] = {"from": source.name, "to": target.name, "faces": self.faces}
        for kind in ("exact", "interpolated", MOVED, TABLE, PREDICTED):
            report[kind] = listed(self.points(kind), target)
        report["missing"] = listed(self.points(None), target)
        unused = [] if PREDICTED in self.kinds else self.way.unused
        report["unused"] = listed(unused, source)
        report["counts"] = {k: len(v) for k, v in report.items() if isinstance(v, list)}
        return report


#: The way from the scheme of a photo's face; raises InputError.
LinkOf = Callable[[AnnotatedImage, Face], Link]


class Relabels(Protocol):
    """A network that labels faces anew (``rescheme_model.ModelLabels``)."""

    def stream(
        self, images: Iterable[AnnotatedImage], link_of: LinkOf, failed: OnError
    ) -> Iterator[AnnotatedImage]:
        """The photos, in order, with the faces that are of another scheme labelled anew."""
        ...


def move_face(face: Face, way: Transfer) -> Face:
    """The face with the target's points; box, score, attributes and source are kept.

    A made point is as visible and as confident as the worst of the points it is made of; where one
    of those is missing it is missing.
    """
    confidence = None if face.confidence is None else way.worst(face.confidence)
    return replace(
        face,
        points_px=way.apply(face.points_px),
        scheme=way.target.name,
        visibility=way.worst(_states(face)).astype(np.uint8),
        confidence=confidence,
    )


def _moved(image: AnnotatedImage, face: Face, link_of: LinkOf) -> Face:
    link = link_of(image, face)
    link.faces += 1
    return face if link.same else move_face(face, link.way)


def hidden_as_labelled(face: Face, way: Transfer) -> np.ndarray:
    """(K target,) visibility of predicted points: hidden where a label says so, else visible."""
    told = way.worst(_states(face), VISIBLE)
    return np.where(told == OCCLUDED, OCCLUDED, VISIBLE).astype(np.uint8)


def _states(face: Face) -> np.ndarray:
    assert face.visibility is not None  # Face derives it when it is left out
    return face.visibility


@dataclass(eq=False)
class Reading:
    """What became of one source: a decision (see above), and the scheme that it says it has."""

    path: str
    decision: str = UNASKED
    told: str | None = None


@dataclass(eq=False)
class Rescheme:
    """Reads sources and hands their faces out in the scheme that was asked for.

    target: the scheme wanted, or None. source: the scheme of the source's labels, whatever its
    format says. table: an index table instead of part and t. model: a network instead of the
    labels. partial: points that cannot be had are missing instead of an error. habits: points are
    moved by what the annotators of both schemes do differently (``schemes.habits``).

    Where a source does not tell its scheme and nothing else says that it is another, ``target``
    names it, and nothing is converted. readings, links: what was done, for ``report``.
    """

    target: Scheme | None = None
    source: Scheme | None = None
    table: Table | None = None
    model: Relabels | None = None
    partial: bool = False
    habits: bool = False
    readings: list[Reading] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.table is None:
            return
        if self.target is None and self.table.target is None:
            raise TufaError(
                f"{self.table.name} does not say which scheme it makes", "name it with --scheme"
            )
        self.target = self.target or get_scheme(str(self.table.target))

    @property
    def schemes(self) -> list[Scheme]:
        """Those that were given, which may be no shipped ones."""
        return [scheme for scheme in (self.target, self.source) if scheme is not None]

    def read(
        self,
        path: Path | str,
        format: str = "auto",
        *,
        on_error: OnError | None = None,
        on_note: Callable[[str], None] | None = None,
        on_failed: OnError | None = None,
        **options: Any,
    ) -> Iterator[AnnotatedImage]:
        """The records of a source, as ``formats.read`` yields them, in the scheme asked for.

        on_failed: called with a photo or face that the network cannot label; None raises it.
        options: see ``formats.read``. Raises TufaError before the first record that needs a point
        which cannot be had.
        """
        if format == "auto":
            format = choose_format(path)
        reading = Reading(str(path))
        self.readings.append(reading)
        callbacks = {"on_error": on_error, "on_note": on_note}
        options["schemes"] = self.schemes
        if self.target is None or self.source is not None:
            reading.decision = UNASKED if self.source is None else NAMED
            images = read(path, format, self.source, **callbacks, **options)
            return (
                images
                if self.target is None
                else self._convert(images, reading, on_error, on_failed)
            )
        return self._look(PeekedSource(path, format, options), callbacks, reading, on_failed)

    def _look(
        self,
        source: PeekedSource,
        callbacks: dict[str, Any],
        reading: Reading,
        on_failed: OnError | None,
    ) -> Iterator[AnnotatedImage]:
        """What the first face says decides whether the target names the points or is made."""
        assert self.target is not None
        first, error = source.peek()
        reading.told = first.scheme if first is not None else None
        if self._known(reading.told) is not None:
            images = source.resume(callbacks)
            yield from self._convert(images, reading, callbacks["on_error"], on_failed)
            return
        if error is not None and not get_format(source.format).CAPABILITIES.takes(len(self.target)):
            raise error
        if self.model is not None or self.table is not None:
            told = None if self.table is None else self.table.source
            if told is None:
                says = (
                    f"say '{reading.told}', no scheme that ships" if reading.told else "tell none"
                )
                raise InputError(source.path, f"its labels {says}", hint=_FROM_HINT)
            images = read(source.path, source.format, told, **callbacks, **source.options)
            yield from self._convert(images, reading, callbacks["on_error"], on_failed)
            return
        reading.decision = NAMED
        count = len(first.points_px) if first is not None else len(self.target)
        try:
            yield from read(source.path, source.format, self.target, **callbacks, **source.options)
        except InputError as problem:
            if problem.hint is not None or count == len(self.target):
                raise
            hint = "to convert points of another scheme, name it with --from-scheme"
            raise InputError(problem.path, problem.problem, problem.line, hint) from None

    def _convert(
        self,
        images: Iterable[AnnotatedImage],
        reading: Reading,
        on_error: OnError | None,
        on_failed: OnError | None,
    ) -> Iterator[AnnotatedImage]:
        reading.decision = SAME
        link_of = functools.partial(self._link, reading)
        if on_error is not None:
            images = _linked_only(images, link_of, on_error)
        if self.model is not None:
            yield from self.model.stream(images, link_of, on_failed or _raise)
            return
        for image in images:
            yield replace(image, faces=tuple(_moved(image, face, link_of) for face in image.faces))

    def _link(self, reading: Reading, image: AnnotatedImage, face: Face) -> Link:
        """The way from a face's scheme to the target; raises InputError."""
        assert self.target is not None
        link = self.links.get(face.scheme or "")
        if link is None:
            scheme = self._known(face.scheme)
            if scheme is None:
                said = f"'{face.scheme}', which is none that ships" if face.scheme else "not told"
                problem = f"the scheme of a face of {len(face.points_px)} points is {said}"
                raise InputError(image.path, problem, hint=_ONLY_HINT)
            link = self.links[face.scheme or ""] = self._linked(scheme, self.target)
        source = link.way.source
        if len(face.points_px) != len(source):
            problem = f"{len(face.points_px)} points are said to be {source.name}, which has "
            raise InputError(image.path, f"{problem}{len(source)}", hint=_FROM_HINT)
        if not link.same:
            reading.decision = CONVERTED
        return link

    def _linked(self, source: Scheme, target: Scheme) -> Link:
        if source.name == target.name and source.meanings == target.meanings:
            way = transfer(source, target)
            return Link(way, tuple("exact" for _ in way.how), same=True)
        if self.model is not None:
            return Link(transfer(source, target), (PREDICTED,) * len(target))
        table = self.table
        way = (
            transfer(source, target, self.habits)
            if table is None
            else table.transfer(source, target)
        )
        if way.missing and not self.partial:
            raise _refusal(way, table)
        kinds = [None if how is None else KINDS[how] for how in way.how]
        for index in way.moved:
            kinds[index] = MOVED
        return Link(way, tuple(kinds))

    def _known(self, name: str | None) -> Scheme | None:
        """The scheme of that name: one that was given, or a shipped one; None for any other.

        What a file says is never taken for another file's name.
        """
        if name is None:
            return None
        if self.source is not None and name == self.source.name:
            return self.source
        if is_shipped_name(name):
            return get_scheme(name)
        return self.target if self.target is not None and name == self.target.name else None

    def report(self) -> dict[str, Any] | None:
        """What was done, for ``--json`` and the lines on stderr; None when nothing was asked."""
        wanted = self.target if self.target is not None else self.source
        if wanted is None:
            return None
        by = "habits" if self.habits else "labels"
        by = by if self.table is None else f"table {self.table.name}"
        return {
            "scheme": wanted.name,
            "from_scheme": None if self.source is None else self.source.name,
            "by": "model" if self.model is not None else by,
            "sources": [
                {"source": reading.path, "decision": reading.decision, "says": reading.told}
                for reading in self.readings
            ],
            "unchanged_faces": sum(link.faces for link in self.links.values() if link.same),
            "conversions": [link.to_dict() for link in self.links.values() if not link.same],
        }


def _linked_only(
    images: Iterable[AnnotatedImage], link_of: LinkOf, on_error: OnError
) -> Iterator[AnnotatedImage]:
    """The photos without the faces whose scheme cannot be known, which are told."""
    for image in images:
        faces = []
        for face in image.faces:
            try:
                link_of(image, face)
            except InputError as error:
                on_error(error)
            else:
                faces.append(face)
        yield replace(image, faces=tuple(faces))


def _raise(error: InputError) -> None:
    raise error


def _refusal(way: Transfer, table: Table | None) -> TufaError:
    """The error that lists every point that cannot be had."""
    lost = ", ".join(f"{index} {way.target.names[index]}" for index in way.missing)
    what = way.source.name if table is None else f"the table {table.name}"
    return TufaError(
        f"{what} does not tell {len(way.missing)} of the {len(way.target)} points of "
        f"{way.target.name}: {lost}",
        "--scheme-partial leaves them missing; --scheme-by model asks a network for all points "
        "(needs the photos)",
    )
