"""``tufa-cli evaluate --task detection``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tufa_cli.annotation import AnnotatedImage
    from tufa_cli.detect import Detector
    from tufa_cli.evaluation.detection import DetectionReport, DetectionScore


def evaluate_detection(
    photos: list[AnnotatedImage],
    detector: Detector,
    confirm: Path | None,
    min_score: float | None,
    threads: int | None,
    as_json: bool,
) -> list[str]:
    """Measure a detector on labelled photos and print the report; the photos that failed."""
    import json

    from tufa_cli.cli.progress import tracked
    from tufa_cli.detect import make_detector
    from tufa_cli.evaluation.detection import detection_report
    from tufa_cli.pipeline.evaluate_detection import search

    if threads is not None:
        import cv2
        import torch

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    other = make_detector("yunet", confirm) if confirm is not None else None
    searched = tracked(search(photos, detector, other), len(photos), "Searching")
    bound = detector.min_score if min_score is None else min_score
    report = detection_report(searched, detector.name, bound)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)
    return [
        f"{image.path}: {photo.failure}"
        for image, photo in zip(photos, searched, strict=True)
        if photo.failure
    ]


def _print(report: DetectionReport) -> None:
    """The report as a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print(
        f"Detector {report.detector}, score {report.min_score:g} or more, {report.photos} photos, "
        f"{report.ms_per_photo:.1f} ms a photo.",
        highlight=False,
    )
    table = Table("faces of")
    for column in ("faces", "recall %", "95 %", "false alarms a photo", "AP %"):
        table.add_column(column, justify="right")
    table.add_row("all sizes", *_cells(report.total))
    names = {"lt48": "below 48 px", "48to96": "48 to 96 px", "ge96": "96 px and more"}
    for name, score in report.by_size.items():
        table.add_row(names[name], *_cells(score))
    console.print(table)
    if report.left_aside:
        console.print(f"{report.left_aside} finds without a label were confirmed and left aside.")


def _cells(score: DetectionScore) -> list[str]:
    interval = score.interval
    return [
        str(score.faces),
        _percent(score.recall),
        "–" if interval is None else f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}",
        f"{score.false_alarms_per_photo:.3f}",
        _percent(score.average_precision),
    ]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
