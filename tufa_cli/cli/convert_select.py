"""Which photos and faces ``convert`` writes, and into which parts: its options and their work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.cli.options import FILE
from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    from tufa_cli.annotation import AnnotatedImage
    from tufa_cli.pipeline.convert import Target
    from tufa_cli.selection import Held


class Parsed(click.ParamType):
    """A word that the library understands; a mistake in it is wrong usage.

    parser: the library's function, "module:name" or "module:class.method", loaded when needed.
    """

    def __init__(self, name: str, parser: str) -> None:
        self.name = name
        self._parser = parser

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pkgutil import resolve_name

        if not isinstance(value, str):
            return value
        try:
            return resolve_name(self._parser)(value)
        except TufaError as error:
            self.fail("\nHint: ".join(filter(None, (error.message, error.hint))), param, ctx)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


_OPTIONS = (
    click.option(
        "--prefix-sources",
        is_flag=True,
        help="Paths from the folder above all photos of SOURCES, to tell those of one name apart.",
    ),
    click.option("--list", "include", type=FILE, help="Use these photos alone, one a line."),
    click.option("--exclude", type=FILE, help="Leave these photos out, one a line."),
    click.option(
        "--where",
        type=Parsed("expression", "tufa_cli.selection:parse_where"),
        metavar="EXPRESSION",
        help="Keep the faces it is true for: 'box_size >= 64 and not occluded'.",
    ),
    click.option(
        "--sample",
        type=Parsed("sample", "tufa_cli.selection:Sample.parse"),
        metavar="N|P%",
        help="Take so many photos by chance.",
    ),
    click.option(
        "--split",
        type=Parsed("split", "tufa_cli.selection:Split.parse"),
        metavar="NAME=SIZE,...",
        help="Parts in percent or photos, each an OUTPUT of its own: train=80,val=10,test=10.",
    ),
    click.option(
        "--group-by",
        type=Parsed("way", "tufa_cli.selection:GroupBy.parse"),
        metavar="WAY",
        help="What --split does not part: folder, stem, attribute:NAME, regex:PATTERN, file:FILE.",
    ),
    click.option(
        "--one-output", is_flag=True, help="All parts in one OUTPUT, for formats that hold splits."
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of --sample and --split."),
)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose photos and faces."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_selection(ctx: click.Context, sources: Sequence[Path], given: dict[str, Any]) -> None:
    """Raise click's usage error for options that say nothing without another."""
    for word in ("group_by", "one_output"):
        if given[word] and not given["split"]:
            raise click.UsageError(f"--{word.replace('_', '-')} needs --split.", ctx)
    places = [source.absolute() for source in sources]
    for source, place in zip(sources, places, strict=True):
        if places.count(place) > 1:
            raise click.UsageError(f"{source} is given twice.", ctx)


def check_places(given: dict[str, Any]) -> None:
    """Raise OutputError for files that are there and may not be replaced: before a long read."""
    from tufa_cli.selection import part_path
    from tufa_cli.writing import check_writable

    output, split = given["output"], given["split"]
    if output is None or given["dry_run"]:
        return
    apart = split is not None and not given["one_output"]
    for place in [part_path(output, name) for name in split.parts] if apart else [output]:
        if place.is_file():  # what a folder may hold, its format says
            check_writable(place, given["overwrite"])


def chosen(
    readings: Sequence[tuple[str, Iterator[AnnotatedImage]]],
    given: dict[str, Any],
    report: dict[str, Any],
) -> Iterable[AnnotatedImage]:
    """The photos of all sources that --list, --exclude, --where and --sample leave, in this order.

    The report says what each step did, when the last photo has come. Photos go by one after the
    other; where a step needs all of them (several sources, lists, a sample) they wait on the disk.
    """
    steps: list[dict[str, Any]] = []
    report["selection"] = steps
    images = _merged(readings, given)
    if given["include"] or given["exclude"]:
        images = _listed(images, given, steps)
    if given["where"] is not None:
        images = _filtered(images, given["where"], steps)
    if given["sample"] is not None:
        images = _sampled(images, given, steps)
    return images


def _merged(
    readings: Sequence[tuple[str, Iterator[AnnotatedImage]]], given: dict[str, Any]
) -> Iterable[AnnotatedImage]:
    from tufa_cli.selection import merge

    if len(readings) == 1 and not given["prefix_sources"]:
        return readings[0][1]
    return merge(
        readings,
        given["prefix_sources"],
        on_note=lambda text: click.echo(f"Note: {text}", err=True),
    )


def _sampled(
    images: Iterable[AnnotatedImage], given: dict[str, Any], steps: list[dict[str, Any]]
) -> Iterable[AnnotatedImage]:
    from tufa_cli.selection import hold

    left = hold(images)
    if left:
        left = hold(given["sample"].take(left, given["seed"]))
        steps.append({"step": f"--sample {given['sample']}", **_counts(left)})
    return left


def _counts(images: Held) -> dict[str, int]:
    return {"photos": len(images), "faces": images.faces}


def _listed(
    images: Iterable[AnnotatedImage], given: dict[str, Any], steps: list[dict[str, Any]]
) -> Iterable[AnnotatedImage]:
    from tufa_cli.selection import hold, read_name_list, select

    names = [read_name_list(given[key]) if given[key] else None for key in ("include", "exclude")]
    selection = select(hold(images), *names)
    if warning := selection.warning():
        click.echo(f"Warning: {warning}", err=True)
    words = [word for word, key in (("--list", "include"), ("--exclude", "exclude")) if given[key]]
    step = {"step": " and ".join(words), **_counts(hold(selection.chosen))}
    steps.append({**step, "names_in_vain": len(selection.unmatched)})
    return selection.chosen


def _filtered(
    images: Iterable[AnnotatedImage], expression: Any, steps: list[dict[str, Any]]
) -> Iterator[AnnotatedImage]:
    from tufa_cli.formats import photo_size
    from tufa_cli.selection import FaceFilter

    # One photo's faces come one after the other, and its size is asked for each.
    faces = FaceFilter(expression, lru_cache(maxsize=1)(photo_size))
    left = {"photos": 0, "faces": 0}
    for image in faces.stream(images):
        left["photos"] += 1
        left["faces"] += len(image.faces)
        yield image
    for note in faces.notes():
        click.echo(f"Note: {note}", err=True)
    dropped = {"faces_dropped": faces.faces_dropped, "photos_dropped": faces.photos_dropped}
    steps.append({"step": f"--where {expression}", **left, **dropped})


def targets(images: Held, given: dict[str, Any], report: dict[str, Any]) -> list[Target]:
    """What --split puts into which output: one a part, or all in one with --one-output.

    A photo's split becomes its part where the format holds one beside its path. Raises TufaError
    for a part without a photo, and for --one-output where the format cannot hold their names.
    """
    from tufa_cli.formats import get_format
    from tufa_cli.pipeline.convert import Target
    from tufa_cli.selection import GroupBy, hold, part_path

    split, output = given["split"], given["output"]
    way = given["group_by"] or GroupBy()
    groups = way.group(images)
    if groups.alone:
        click.echo(f"Note: {groups.alone} photos without {way.by} stand alone", err=True)
    if groups.in_vain:
        click.echo(f"Warning: {groups.in_vain} lines of {way.by} name no photo", err=True)
    divided = split.divide(images, groups, given["seed"])
    parts = [(part.name, hold(part.images)) for part in divided]
    report["parts"] = [
        {"part": name, **_counts(photos), "groups": part.groups}
        for (name, photos), part in zip(parts, divided, strict=True)
    ]
    report["group_by"] = str(way)
    target = get_format(given["target_format"])
    holds = target.CAPABILITIES.holds_split
    if given["one_output"]:
        return [Target(None, output, _in_one(images, parts, holds, given["target_format"]))]
    found = []
    for (name, photos), row in zip(parts, report["parts"], strict=True):
        path = part_path(output, name) if output is not None else None
        row["output"] = None if path is None else str(path)
        # Where a split is a folder that photos lie in, the part's own output is that folder.
        said = name if holds(name) and not hasattr(target, "renames") else None
        found.append(Target(name, path, photos.changed(_saying(said))))
    return found


def _saying(split: str | None) -> Callable[[int, AnnotatedImage], AnnotatedImage]:
    """What makes photos say that they belong to a part."""
    return lambda number, image: replace(image, split=split)


def _in_one(
    images: Held, parts: Sequence[tuple[str, Held]], holds: Callable[[str], bool], target: str
) -> Held:
    """All photos in the order they came, each with its part as its split."""
    strange = [name for name, _ in parts if not holds(name)]
    if strange:
        raise TufaError(
            f"{target} does not hold the split {' and '.join(strange)}",
            "leave --one-output out for an output a part",
        )
    part_of = {number: name for name, photos in parts for number in photos.numbers}
    return images.changed(lambda number, image: replace(image, split=part_of[number]))


def selection_lines(report: dict[str, Any]) -> Iterator[str]:
    """The report of ``chosen`` and ``targets`` as lines for people."""
    for step in report["selection"]:
        line = f"{step['step']}: {several(step, 'photos')}, {several(step, 'faces')} left"
        if "faces_dropped" in step:
            faces, photos = (several(step, f"{what}_dropped") for what in ("faces", "photos"))
            line += f" ({faces} and {photos} dropped)"
        yield line + "."
    parts = report.get("parts", [])
    total = sum(row["photos"] for row in parts)
    for row in parts:
        share = f"{100 * row['photos'] / total:.1f}%"
        groups = "" if report["group_by"] == "photo" else f" in {several(row, 'groups')}"
        counts = f"{several(row, 'photos')} ({share}), {several(row, 'faces')}"
        yield f"{row['part']}: {counts}{groups}."


def several(row: dict[str, Any], key: str) -> str:
    """A count with its noun: "1 face", "2 faces"."""
    noun = key.partition("_")[0]
    return f"{row[key]} {noun.removesuffix('s') if row[key] == 1 else noun}"
