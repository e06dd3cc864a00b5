"""``tufa-cli evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tufa_cli.cli.options import carry_option, scheme_for
from tufa_cli.cli.progress import tracked

if TYPE_CHECKING:
    from tufa_cli.annotation import AnnotatedImage
    from tufa_cli.detect import Detector
    from tufa_cli.evaluation.report import Report, Score
    from tufa_cli.schemes import Scheme

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-f", "--from", "format_name", default="auto", show_default=True, help="Format.")
@click.option(
    "--task",
    type=click.Choice(["landmarks", "detection"]),
    default="landmarks",
    show_default=True,
    help="What is measured: the points, or how well faces are found.",
)
@click.option("--scheme", help="Landmark scheme of the labels: a name or a file.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of the photos.")
@click.option("--weights", type=_FILE, help="Weights file  [default: the shipped network]")
@click.option(
    "--box",
    type=click.Choice(["oracle", "jitter", "detector"]),
    default="oracle",
    show_default=True,
    help="Where crops come from: the labels, the labels disturbed, or a face detector.",
)
@click.option("--detector", help="Detector for --box detector  [default: as annotate's]")
@click.option("--detector-weights", type=_FILE, help="Its weights, where it needs a file.")
@click.option("--boxes", type=_FILE, help="Boxes of the detector 'boxes': an annotation file.")
@click.option("--min-score", type=float, help="Of --task detection [default: the detector's own].")
@click.option(
    "--confirm", type=_FILE, metavar="YUNET", help="Its unlabelled finds are no false alarms."
)
@click.option("--baseline", is_flag=True, help="Measure the bare mean shape too.")
@click.option("--list", "include", type=_FILE, help="Measure these photos alone, one a line.")
@click.option("--exclude", type=_FILE, help="Leave these photos out, one a line.")
@click.option(
    "--subset-file",
    "subset_files",
    multiple=True,
    metavar="NAME=FILE",
    help="A subset to report by itself: a file of photo names. May be repeated.",
)
@carry_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Faces at a time."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the disturbed boxes."
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    source: Path,
    format_name: str,
    task: Literal["landmarks", "detection"],
    scheme: str | None,
    images: Path | None,
    weights: Path | None,
    box: Literal["oracle", "jitter", "detector"],
    detector: str | None,
    detector_weights: Path | None,
    boxes: Path | None,
    min_score: float | None,
    confirm: Path | None,
    baseline: bool,
    include: Path | None,
    exclude: Path | None,
    subset_files: tuple[str, ...],
    carry: bool,
    device: str,
    threads: int | None,
    batch_size: int,
    seed: int,
    as_json: bool,
) -> None:
    """Measure a network against people's labels in SOURCE.

    NME by the scheme's own normaliser, the failure rate and the AUC at 10 %, per subset and per
    part of the face. Which box the crops came from is always said. --baseline lays the mean shape
    on the same crops without a network: what a prediction has to beat.

    --task detection measures a detector instead: recall, false alarms and average precision by the
    faces' size. With --confirm, finds that YuNet (an ONNX file) sees too are left aside where no
    label is.

    \b
    Example:
      tufa-cli evaluate 300w --from pts --scheme ibug68 --list val.txt --baseline
      tufa-cli evaluate labels.json --scheme wflw98 --box jitter --json
      tufa-cli evaluate label.txt --from retinaface --task detection --json
    """
    if task == "detection":
        if box != "oracle" or baseline or subset_files or weights is not None:
            raise click.UsageError(
                "--task detection measures a detector alone: no --box, --baseline, --subset-file "
                "and --weights"
            )
        finder = _detector(detector, detector_weights, boxes)
        selected, failures = _labels(source, format_name, scheme, images, include, exclude)
        from tufa_cli.cli.evaluate_detection import evaluate_detection

        failures += evaluate_detection(selected, finder, confirm, min_score, threads, as_json)
        _tell(ctx, failures)
        return
    if scheme is None:
        raise click.UsageError("Missing option '--scheme'.")
    if confirm is not None or min_score is not None:
        raise click.UsageError("--confirm and --min-score are for --task detection")
    if box != "detector" and (detector or detector_weights or boxes):
        raise click.UsageError("--detector and --boxes are for --box detector")
    import json

    from tufa_cli.evaluation.jitter import Jitter
    from tufa_cli.model.predict import Predictor
    from tufa_cli.model.weights import load_weights
    from tufa_cli.pipeline.evaluate import Plan, make_report, measure

    layout = scheme_for(scheme, weights)
    loaded = load_weights(weights)
    loaded.prompts(layout)  # a point without a place is told before any photo is read
    found_by = _detector(detector, detector_weights, boxes) if box == "detector" else None
    plan = Plan(layout, loaded, box, Jitter(seed=seed), found_by, batch_size, carry)
    predictor = Predictor(loaded, device, threads)
    selected, failures = _labels(source, format_name, layout, images, include, exclude)
    photos = _of_scheme(selected, layout)
    measured = tracked(measure(photos, plan, predictor), len(photos), "Measuring")
    report = make_report(measured, plan, _subsets(photos, subset_files), baseline, seed)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)
    _tell(ctx, failures + [f"{photo.path}: {photo.failure}" for photo in measured if photo.failure])


def _tell(ctx: click.Context, failures: list[str]) -> None:
    """Name what failed, and leave with the code for that."""
    for failure in failures:
        click.echo(f"Failed: {failure}", err=True)
    if failures:
        click.echo(f"{len(failures)} of the labelled photos could not be measured.", err=True)
        ctx.exit(3)


def _detector(name: str | None, weights: Path | None, boxes: Path | None) -> Detector:
    """The named detector; without a name the one that the given file is for."""
    from tufa_cli.detect import DEFAULT_DETECTOR, make_detector

    return make_detector(name or ("boxes" if boxes else DEFAULT_DETECTOR), weights, boxes)


def _labels(
    source: Path,
    format_name: str,
    scheme: str | Scheme | None,
    images: Path | None,
    include: Path | None,
    exclude: Path | None,
) -> tuple[list[AnnotatedImage], list[str]]:
    """The photos to measure, and what of the source could not be read."""
    from tufa_cli.formats import read
    from tufa_cli.selection import read_name_list, select

    names = [read_name_list(path) if path else None for path in (include, exclude)]
    failures: list[str] = []
    labelled = list(
        read(
            source,
            format=format_name,
            scheme=scheme,
            root=images,
            on_error=lambda error: failures.append(error.message),
            on_note=lambda note: click.echo(f"Note: {note}", err=True),
        )
    )
    selection = select(labelled, *names)
    if warning := selection.warning():
        click.echo(f"Warning: {warning}", err=True)
    return selection.chosen, failures


def _of_scheme(selected: list[AnnotatedImage], layout: Scheme) -> list[AnnotatedImage]:
    """The photos with the faces that are labelled in the scheme."""
    from tufa_cli.pipeline.evaluate import faces_of_scheme

    photos, others = faces_of_scheme(selected, layout)
    if others:
        click.echo(f"Warning: {others} faces are not labelled in {layout.name}", err=True)
    return photos


def _subsets(photos: list[AnnotatedImage], files: tuple[str, ...]) -> list[frozenset[str]]:
    """The subsets of each photo: the named files', else the first folders."""
    from tufa_cli.evaluation.subsets import folder_subsets, listed_subsets
    from tufa_cli.selection import read_name_list

    if not files:
        return folder_subsets(photos)
    lists = {}
    for word in files:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise click.BadParameter(f"'{word}' is not NAME=FILE", param_hint="--subset-file")
        lists[name] = read_name_list(Path(file))
    members, in_vain = listed_subsets(photos, lists)
    for name, count in in_vain.items():
        if count:
            click.echo(f"Warning: {count} names of subset {name} matched no photo", err=True)
    return members


def _print(report: Report) -> None:
    """The report as tables on stdout."""
    from rich.console import Console
    from rich.table import Table

    # Wide enough for every column when the output goes to a file, which has no width.
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(f"Scheme {report.scheme}, weights {report.weights}, {report.anchors} anchors.")
    console.print(f"Box: {report.box} ({report.box_detail}).", highlight=False)
    table = Table()
    table.add_column("set")
    for column in ("faces", "missed", "skipped", "NME %", "95 %", "FR@10 %", "AUC@10 %"):
        table.add_column(column, justify="right")
    table.add_row("all", *_cells(report.total))
    for name, subset in report.subsets.items():
        table.add_row(name, *_cells(subset))
    if report.baseline:
        table.add_row("mean shape (baseline)", *_cells(report.baseline))
    console.print(table)
    parts = Table("part")
    parts.add_column("NME %", justify="right")
    if report.baseline:
        parts.add_column("mean shape", justify="right")
    for name, value in report.total.parts.items():
        bare = [_number(report.baseline.parts[name])] if report.baseline else []
        parts.add_row(name, _number(value), *bare)
    console.print(parts)


def _cells(score: Score) -> list[str]:
    interval = score.interval_percent
    return [
        str(score.faces),
        str(score.missed),
        str(score.skipped),
        _number(score.nme_percent),
        "–" if interval is None else f"{interval[0]:.2f}–{interval[1]:.2f}",
        _number(score.failure_rate_percent),
        _number(score.auc, 3),
    ]


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
