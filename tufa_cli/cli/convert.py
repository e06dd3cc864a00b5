"""``tufa-cli convert``: landmark files from one format to another, losing nothing unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tufa_cli.cli.convert_scheme import make_rescheme, scheme_lines, scheme_options
from tufa_cli.errors import InputError, TufaError

if TYPE_CHECKING:
    from tufa_cli.annotation import AnnotatedImage

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
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "-f",
    "source_format",
    type=FormatName(),
    default="auto",
    show_default=True,
    help="Format of SOURCE; auto looks at the files.",
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
    help="Number of the first pixel in SOURCE.  [default: the format's]",
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
    help="Setting of SOURCE's format alone; docs/formats.md lists them.",
)
@click.option(
    "--to-setting",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of OUTPUT's format alone.",
)
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
    help="Print what each format says about SOURCE; without --to that is all.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on stdout.")
@click.pass_context
def convert(ctx: click.Context, source: Path, explain: bool, as_json: bool, **given: Any) -> None:
    """Write the faces of SOURCE, a file or a folder, in another format.

    Refuses when the new format cannot hold something that SOURCE has, and prints what.

    \b
    Examples:
      tufa-cli convert 300w --to coco --scheme ibug68 -o 300w.json
      tufa-cli convert list_98pt_rect_attr_train.txt --to coco -o wflw.json
      tufa-cli convert wflw.json --scheme ibug68 --to pts -o points --allow-lossy
      tufa-cli convert faces.json --to pts -o points --allow-lossy
      tufa-cli convert somewhere --explain
    """
    report: dict[str, Any] = {"source": str(source)}
    if explain:
        report["formats"] = _explain(source, as_json)
    if explain and given["target_format"] is None:
        if as_json:
            click.echo(json.dumps(report, indent=1))
        return
    _need(ctx, given)
    failures: list[InputError] = []
    images = _read(source, given, failures, report)
    _check_losses(images, given, report)
    _write(images, given, report)
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


def _explain(source: Path, as_json: bool) -> dict[str, Any]:
    """What each format says about the source; printed as a table unless JSON is asked for."""
    from tufa_cli.formats import sniff

    verdicts = sniff(source)
    if not as_json:
        width = max(map(len, verdicts))
        for name, verdict in verdicts.items():
            click.echo(f"{name:{width}}  {'yes' if verdict.yes else 'no ':3}  {verdict.reason}")
    return {name: {"yes": v.yes, "reason": v.reason} for name, v in verdicts.items()}


def _read(
    source: Path, given: dict[str, Any], failures: list[InputError], report: dict[str, Any]
) -> list[AnnotatedImage]:
    from tufa_cli.formats import check_writes, choose_format, get_format

    def skip(error: InputError) -> None:
        failures.append(error)
        if len(failures) <= MOST_SHOWN:
            click.echo(f"Skipped: {error.message}", err=True)

    check_writes(get_format(given["target_format"]))  # a wrong name should not cost a long read
    chosen = given["source_format"]
    rescheme = make_rescheme(given)
    report["from"] = choose_format(source) if chosen == "auto" else chosen
    images = list(
        rescheme.read(
            source,
            report["from"],
            root=given["images"],
            index_base=_base(given["index_base"]),
            coco_visibility=given["coco_visibility"],
            negatives=given["negatives"],
            settings=given["from_setting"],
            dry_run=given["dry_run"],
            on_error=skip if given["on_error"] == "skip" else None,
            on_failed=skip,
            on_note=lambda text: click.echo(f"Note: {text}", err=True),
        )
    )
    report["scheme"] = rescheme.report()
    for line in scheme_lines(report["scheme"]):  # now: what follows may refuse to write
        click.echo(line, err=True)
    faces = sum(len(image.faces) for image in images)
    report["read"] = {"photos": len(images), "faces": faces}
    report["photos_not_found"] = sum(
        image.root is None or not Path(image.root, image.path).is_file() for image in images
    )
    if not images:
        raise TufaError(f"{source}: nothing could be read", "see the problems above")
    return images


def _check_losses(
    images: list[AnnotatedImage], given: dict[str, Any], report: dict[str, Any]
) -> None:
    """Put what would be lost into the report; raise TufaError unless it was allowed."""
    from tufa_cli.formats import losses

    lost = losses(images, given["target_format"], given["missing"])
    report["lost"] = lost
    if lost and not given["allow_lossy"] and not given["dry_run"]:
        for item in lost:
            click.echo(f"{given['target_format']} cannot hold {item}", err=True)
        hint = "--allow-lossy writes the rest; coco holds everything"
        if given["missing"] == "error" and any(item.startswith(DECIDABLE) for item in lost):
            hint = "--missing drop-face or sentinel says what becomes of such points; " + hint
        raise TufaError(f"{given['target_format']} cannot hold all of it; nothing written", hint)


def _write(images: list[AnnotatedImage], given: dict[str, Any], report: dict[str, Any]) -> None:
    from tufa_cli.formats import write

    report["to"] = given["target_format"]
    report["output"] = None if given["output"] is None else str(given["output"])
    report["dry_run"] = given["dry_run"]
    if given["dry_run"]:
        return
    done = write(
        images,
        given["output"],
        given["target_format"],
        given["overwrite"],
        missing=given["missing"],
        index_base=_base(given["to_index_base"]),
        settings=given["to_setting"],
    )
    report["written"] = {"files": len(done.files), "photos": done.images, "faces": done.faces}
    report["dropped"] = list(done.dropped)
    report["remarks"] = list(done.remarks)


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
    counts = report["written"]
    say(
        f"Wrote {counts['faces']} faces of {counts['photos']} photos in {counts['files']} "
        f"file{'s' if counts['files'] != 1 else ''} to {report['output']} ({report['to']})."
    )
