"""``tufa-cli convert``: landmark files from one format to another, losing nothing unsaid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tufa_cli.cli.convert_scheme import make_rescheme, scheme_lines, scheme_options
from tufa_cli.cli.convert_select import (
    Target,
    check_selection,
    chosen,
    merged,
    selection_lines,
    selection_options,
    targets,
    write_parts,
)
from tufa_cli.errors import InputError, TufaError

if TYPE_CHECKING:
    from tufa_cli.annotation import AnnotatedImage
    from tufa_cli.pipeline.rescheme import Rescheme

EXIT_SOME_FAILED = 3

#: Losses that --missing decides about.
DECIDABLE = ("that points are missing", "where points lie")

#: Problems printed one by one; the rest are counted.
MOST_SHOWN = 10


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
    images = _read(sources, given, failures, report)
    parts = targets(images, given, report)
    _check_losses(parts, given, report)
    _write(parts, given, report)
    report["failed"] = [error.message for error in failures]
    _print(report, as_json)
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


def _read(
    sources: tuple[Path, ...],
    given: dict[str, Any],
    failures: list[InputError],
    report: dict[str, Any],
) -> list[AnnotatedImage]:
    """The photos of all sources that are chosen; the report counts what was read and what is left.

    Raises TufaError when nothing could be read.
    """
    from tufa_cli.formats import check_writes, choose_format, get_format, plugin_problems

    def skip(error: InputError) -> None:
        failures.append(error)
        if len(failures) <= MOST_SHOWN:
            click.echo(f"Skipped: {error.message}", err=True)

    check_writes(get_format(given["target_format"]))  # a wrong name should not cost a long read
    if given["source_format"] == "auto":
        for problem in plugin_problems():
            click.echo(f"Warning: {problem}", err=True)
    rescheme = make_rescheme(given)
    auto, rows, readings = given["source_format"] == "auto", [], []
    for source in sources:
        name = choose_format(source) if auto else given["source_format"]
        rows.append({"source": str(source), "from": name, "photos": 0, "faces": 0})
        readings.append((str(source), _records(source, given, skip, rescheme, rows[-1])))
    report["from"] = ", ".join(dict.fromkeys(row["from"] for row in rows))
    report["sources"] = rows
    images = chosen(merged(readings, given), given, report)
    report["scheme"] = rescheme.report()
    for line in scheme_lines(report["scheme"]):  # now: what follows may refuse to write
        click.echo(line, err=True)
    report["read"] = {what: sum(row[what] for row in rows) for what in ("photos", "faces")}
    if not report["read"]["photos"]:
        raise TufaError(f"{report['source']}: nothing could be read", "see the problems above")
    if not images:
        raise TufaError(f"{report['selection'][-1]['step']} leaves no photo; nothing written")
    report["photos_not_found"] = sum(
        image.root is None or not Path(image.root, image.path).is_file() for image in images
    )
    return images


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
        on_note=lambda text: click.echo(f"Note: {text}", err=True),
    ):
        row["photos"] += 1
        row["faces"] += len(image.faces)
        yield image


def _check_losses(parts: list[Target], given: dict[str, Any], report: dict[str, Any]) -> None:
    """Put what would be lost into the report; raise TufaError unless it was allowed."""
    from tufa_cli.formats import losses

    target, missing = given["target_format"], given["missing"]
    found = [(part.label, item) for part in parts for item in losses(part.images, target, missing)]
    report["lost"] = [label + item for label, item in found]
    if found and not given["allow_lossy"] and not given["dry_run"]:
        for label, item in found:
            click.echo(f"{label}{target} cannot hold {item}", err=True)
        hint = "--allow-lossy writes the rest; coco holds everything"
        if missing == "error" and any(item.startswith(DECIDABLE) for _, item in found):
            hint = "--missing drop-face or sentinel says what becomes of such points; " + hint
        raise TufaError(f"{target} cannot hold all of it; nothing written", hint)


def _write(parts: list[Target], given: dict[str, Any], report: dict[str, Any]) -> None:
    """Write every part, or none when one of them fails; the report says what was written."""
    report["to"] = given["target_format"]
    report["output"] = None if given["output"] is None else str(given["output"])
    report["dry_run"] = given["dry_run"]
    if given["dry_run"]:
        return
    done = write_parts(
        parts,
        given["target_format"],
        given["overwrite"],
        missing=given["missing"],
        index_base=_base(given["to_index_base"]),
        settings=given["to_setting"],
    )
    rows = [{"files": len(d.files), "photos": d.images, "faces": d.faces} for d in done]
    for row, written in zip(report.get("parts", []), rows, strict=False):
        if not given["one_output"]:
            row["written"] = written
    report["written"] = {what: sum(row[what] for row in rows) for what in rows[0]}
    for key in ("dropped", "remarks"):
        report[key] = [
            part.label + item
            for part, d in zip(parts, done, strict=True)
            for item in getattr(d, key)
        ]


def _print(report: dict[str, Any], as_json: bool) -> None:
    """The report: JSON on stdout, or a few lines on stderr (the files are the data)."""
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return

    def say(text: str) -> None:
        click.echo(text, err=True)

    if len(report["failed"]) > MOST_SHOWN:
        say(f"Skipped: {len(report['failed']) - MOST_SHOWN} more")
    counts = report["read"]
    say(f"Read {counts['photos']} photos, {counts['faces']} faces ({report['from']}).")
    for line in selection_lines(report):
        say(line)
    if report["photos_not_found"]:
        say(f"Photos not found: {report['photos_not_found']} (--images names their folder).")
    for item in report["lost"]:
        say(f"{'Would be lost' if report['dry_run'] else 'Lost'}: {item}")
    if report["dry_run"]:
        say(f"Dry run: nothing written ({report['to']}).")
        return
    for item in report["dropped"]:
        say(f"Dropped: {item}")
    for item in report["remarks"]:
        say(f"Note: {item}")
    parts = [row for row in report.get("parts", []) if "written" in row]
    for row in parts or [report]:
        counts = row["written"]
        say(
            f"Wrote {counts['faces']} faces of {counts['photos']} photos in {counts['files']} "
            f"file{'s' if counts['files'] != 1 else ''} to {row['output']} ({report['to']})."
        )
