"""``tufa-cli convert``: landmark files from one format to another, losing nothing unsaid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tufa_cli.cli.convert_report import (
    MOST_SHOWN,
    print_report,
    tell_lost,
    tell_read,
    tell_written,
)
from tufa_cli.cli.convert_scheme import make_rescheme, scheme_options
from tufa_cli.cli.convert_select import (
    check_places,
    check_selection,
    chosen,
    selection_options,
    targets,
)
from tufa_cli.errors import InputError

if TYPE_CHECKING:
    from tufa_cli.annotation import AnnotatedImage
    from tufa_cli.pipeline.convert import Passage, Places, Target
    from tufa_cli.pipeline.rescheme import Rescheme

EXIT_SOME_FAILED = 3


class FormatName(click.ParamType):
    """A format's name; completed from the manifest, checked by the library with near names."""

    name = "format"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from tufa_cli.formats import format_names

        names = [name for name in format_names() if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names]


@click.command(short_help="Landmark files from one format to another.")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--from",
    "-f",
    "source_format",
    type=FormatName(),
    default="auto",
    show_default=True,
    help="Format of SOURCES; auto looks at the files of each.",
)
@click.option("--to", "-t", "target_format", type=FormatName(), help="Format to write.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File, or folder for formats of one file per face.",
)
@scheme_options
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of the photos, where they do not lie as the format has it.",
)
@click.option(
    "--index-base",
    type=click.Choice(["0", "1"]),
    help="Number of the first pixel in SOURCES.  [default: the format's]",
)
@click.option(
    "--to-index-base",
    type=click.Choice(["0", "1"]),
    help="Number of the first pixel in OUTPUT.  [default: the format's]",
)
@click.option(
    "--coco-visibility",
    type=click.Choice(["auto", "strict"]),
    default="auto",
    show_default=True,
    help="auto: 1 means visible in COCO files without any 2.",
)
@click.option(
    "--negatives",
    type=click.Choice(["error", "keep"]),
    default="error",
    show_default=True,
    help="Pairs of negative numbers in plain .pts files.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "drop-face", "sentinel"]),
    default="error",
    show_default=True,
    help="Points that the new format cannot hold.",
)
@click.option(
    "--from-setting",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of the SOURCES' format alone; docs/formats.md lists them.",
)
@click.option(
    "--to-setting",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of OUTPUT's format alone.",
)
@selection_options
@click.option("--allow-lossy", is_flag=True, help="Write even when something is lost.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--dry-run", is_flag=True, help="Read and report, write nothing.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="Faces and files that cannot be read.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Print what each format says about SOURCES; without --to that is all.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on stdout.")
@click.pass_context
def convert(
    ctx: click.Context, sources: tuple[Path, ...], explain: bool, as_json: bool, **given: Any
) -> None:
    """Write the faces of SOURCES, files or folders, in another format.

    Refuses when the new format cannot hold something that they have, and prints what. Several
    sources become one; --where, --sample and --split choose from it.

    \b
    Examples:
      tufa-cli convert 300w --to coco --scheme ibug68 -o 300w.json
      tufa-cli convert list_98pt_rect_attr_train.txt --to coco -o wflw.json
      tufa-cli convert wflw.json --scheme ibug68 --to pts -o points --allow-lossy
      tufa-cli convert faces.json --to pts -o points --allow-lossy
      tufa-cli convert a.json b.json --to coco -o all.json --where "missing == 0" \\
          --split train=80,val=10,test=10 --group-by folder
      tufa-cli convert somewhere --explain
    """
    report: dict[str, Any] = {"source": ", ".join(map(str, sources))}
    if explain:
        found = {str(source): _explain(source, as_json, len(sources) > 1) for source in sources}
        report["formats"] = found if len(sources) > 1 else found[str(sources[0])]
    if explain and given["target_format"] is None:
        if as_json:
            click.echo(json.dumps(report, indent=1))
        return
    _need(ctx, given)
    check_selection(ctx, sources, given)
    failures: list[InputError] = []
    _check_formats(given)
    check_places(given)
    rescheme = make_rescheme(given)
    images = _read(sources, given, rescheme, failures, report)
    if given["split"] is None:
        _in_one_go(images, given, rescheme, report)
    else:
        _in_parts(images, given, rescheme, report)
    report["failed"] = [error.message for error in failures]
    print_report(report, as_json)
    if failures:
        ctx.exit(EXIT_SOME_FAILED)


def _need(ctx: click.Context, given: dict[str, Any]) -> None:
    """Check the command line; raises click's usage error for what is missing or wrong."""
    if given["target_format"] is None:
        raise click.UsageError("Missing option '--to' / '-t'.", ctx)
    if given["output"] is None and not given["dry_run"]:
        raise click.UsageError("Missing option '--output' / '-o' (or --dry-run).", ctx)
    for name in ("from_setting", "to_setting"):
        given[name] = _pairs(f"--{name.replace('_', '-')}", given[name])


def _pairs(option: str, words: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE words as a mapping; raises click's usage error for any other."""
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not equals or not key.strip():
            raise click.UsageError(f"{option} takes KEY=VALUE, not '{key}'.")
    return {key.strip(): value for key, _, value in pairs}


def _base(value: str | None) -> int | None:
    return None if value is None else int(value)


def _explain(source: Path, as_json: bool, named: bool) -> dict[str, Any]:
    """What each format says about a source; printed as a table unless JSON is asked for."""
    from tufa_cli.formats import sniff

    verdicts = sniff(source)
    if not as_json:
        if named:
            click.echo(f"{source}:")
        width = max(map(len, verdicts))
        for name, verdict in verdicts.items():
            click.echo(f"{name:{width}}  {'yes' if verdict.yes else 'no ':3}  {verdict.reason}")
    return {name: {"yes": v.yes, "reason": v.reason} for name, v in verdicts.items()}


def _check_formats(given: dict[str, Any]) -> None:
    """Raise TufaError for a target that is not written; warn of formats that cannot be used."""
    from tufa_cli.formats import check_writes, get_format, plugin_problems

    # A wrong name should not cost a long read.
    check_writes(get_format(given["target_format"]), given["to_setting"])
    if given["source_format"] == "auto":
        for problem in plugin_problems():
            click.echo(f"Warning: {problem}", err=True)


def _read(
    sources: tuple[Path, ...],
    given: dict[str, Any],
    rescheme: Rescheme,
    failures: list[InputError],
    report: dict[str, Any],
) -> Iterable[AnnotatedImage]:
    """The photos of all sources that are chosen, read while they are asked for if need not be
    sooner."""
    from tufa_cli.formats import choose_format

    def skip(error: InputError) -> None:
        failures.append(error)
        if len(failures) <= MOST_SHOWN:
            click.echo(f"Skipped: {error.message}", err=True)

    auto, rows, readings = given["source_format"] == "auto", [], []
    for source in sources:
        name = choose_format(source) if auto else given["source_format"]
        rows.append({"source": str(source), "from": name, "photos": 0, "faces": 0})
        readings.append((str(source), _records(source, given, skip, rescheme, rows[-1])))
    report["from"] = ", ".join(dict.fromkeys(row["from"] for row in rows))
    report["sources"] = rows
    return chosen(readings, given, report)


def _records(
    source: Path,
    given: dict[str, Any],
    skip: Callable[[InputError], None],
    rescheme: Rescheme,
    row: dict[str, Any],
) -> Iterator[AnnotatedImage]:
    """The photos of one source as they are read, in the scheme asked for; counted in ``row``."""
    for image in rescheme.read(
        source,
        row["from"],
        root=given["images"],
        index_base=_base(given["index_base"]),
        coco_visibility=given["coco_visibility"],
        negatives=given["negatives"],
        settings=given["from_setting"],
        dry_run=given["dry_run"],
        on_error=skip if given["on_error"] == "skip" else None,
        on_failed=skip,
        on_note=_note,
    ):
        row["photos"] += 1
        row["faces"] += len(image.faces)
        yield image


def _note(text: str) -> None:
    click.echo(f"Note: {text}", err=True)


def _write_options(given: dict[str, Any], rescheme: Rescheme) -> dict[str, Any]:
    return {
        "overwrite": given["overwrite"],
        "missing": given["missing"],
        "index_base": _base(given["to_index_base"]),
        "settings": given["to_setting"],
        "schemes": rescheme.schemes,
    }


def _in_one_go(
    images: Iterable[AnnotatedImage],
    given: dict[str, Any],
    rescheme: Rescheme,
    report: dict[str, Any],
) -> None:
    """Write all photos into one output while they are read."""
    from tufa_cli.pipeline.convert import pass_on

    def on_read(passage: Passage) -> None:
        tell_read(report, rescheme, passage.photos, passage.photos_not_found)
        _tell_places(passage.places, report)
        tell_lost([("", item) for item in passage.losses.lines()], given, report)

    done = pass_on(
        images,
        given["target_format"],
        None if given["dry_run"] else given["output"],
        lossy=given["allow_lossy"],
        on_read=on_read,
        **_write_options(given, rescheme),
    )
    tell_written([""], [done] if done is not None else [], given, report)


def _tell_places(places: Places, report: dict[str, Any]) -> None:
    """Notes on folders that the output's paths do not tell apart, and on photos of another size."""
    folders, sizes = places.folders, places.other_sizes
    if len(folders) > 1 and len(report["sources"]) == 1:
        more = " ..." if len(folders) > 2 else ""
        _note(
            f"the photos lie in {len(folders)} folders ({folders[0]}, {folders[1]}{more}), which "
            "OUTPUT names with --prefix-sources only"
        )
    if sizes:
        click.echo(
            f"Warning: SOURCES give {len(sizes)} photos another size than they have upright "
            f"({sizes[0]}); fractions are of what SOURCES say",
            err=True,
        )


def _in_parts(
    images: Iterable[AnnotatedImage],
    given: dict[str, Any],
    rescheme: Rescheme,
    report: dict[str, Any],
) -> None:
    """Write every part of a split, or none when one of them fails."""
    from tufa_cli.pipeline.convert import Places, is_there, lost_of, write_parts
    from tufa_cli.selection import hold

    images = hold(images)
    tell_read(report, rescheme, len(images), sum(not is_there(image) for image in images.heads()))
    places = Places(given["target_format"])
    for image in images.heads():
        places.add(image)
    _tell_places(places, report)
    parts: list[Target] = targets(images, given, report)
    target, missing = given["target_format"], given["missing"]
    counted = [lost_of(part, target, missing) for part in parts]
    labelled = zip(parts, counted, strict=True)
    tell_lost(
        [(part.label, item) for part, lost in labelled for item in lost.lines()], given, report
    )
    more = _write_options(given, rescheme)
    done = [] if given["dry_run"] else write_parts(parts, target, _note, counted=counted, **more)
    tell_written([part.label for part in parts], done, given, report)
