"""The report of ``convert``: what was read, lost and written, gathered step by step and printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.cli.convert_scheme import scheme_lines
from tufa_cli.cli.convert_select import selection_lines, several
from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    from tufa_cli.formats import WriteReport
    from tufa_cli.pipeline.rescheme import Rescheme

#: Losses that --missing decides about.
DECIDABLE = ("that points are missing", "where points lie")

#: Problems printed one by one; the rest are counted.
MOST_SHOWN = 10


def tell_read(report: dict[str, Any], rescheme: Rescheme, photos: int, not_found: int) -> None:
    """Put into the report what was read; raise TufaError when nothing is left to be written."""
    report["scheme"] = rescheme.report()
    for line in scheme_lines(report["scheme"]):  # now: what follows may refuse to write
        click.echo(line, err=True)
    rows = report["sources"]
    report["read"] = {what: sum(row[what] for row in rows) for what in ("photos", "faces")}
    if not report["read"]["photos"]:
        raise TufaError(f"{report['source']}: nothing could be read", "see the problems above")
    if not photos:
        raise TufaError(f"{report['selection'][-1]['step']} leaves no photo; nothing written")
    report["photos_not_found"] = not_found


def tell_lost(
    found: Sequence[tuple[str, str]], given: dict[str, Any], report: dict[str, Any]
) -> None:
    """Put what would be lost, (part, what), into the report; raise TufaError unless allowed."""
    target, missing = given["target_format"], given["missing"]
    report["lost"] = [label + item for label, item in found]
    if found and not (given["allow_lossy"] or given["dry_run"]):
        for label, item in found:
            click.echo(f"{label}{target} cannot hold {item}", err=True)
        hint = "--allow-lossy writes the rest; coco holds everything"
        if missing == "error" and any(item.startswith(DECIDABLE) for _, item in found):
            hint = "--missing drop-face or sentinel says what becomes of such points; " + hint
        raise TufaError(f"{target} cannot hold all of it; nothing written", hint)


def tell_written(
    labels: Sequence[str],
    done: Sequence[WriteReport],
    given: dict[str, Any],
    report: dict[str, Any],
) -> None:
    """Put what was written, and under which labels, into the report."""
    report["to"] = given["target_format"]
    report["output"] = None if given["output"] is None else str(given["output"])
    report["dry_run"] = given["dry_run"]
    if given["dry_run"]:
        return
    rows = [{"files": len(d.files), "photos": d.images, "faces": d.faces} for d in done]
    for row, written in zip(report.get("parts", []), rows, strict=False):
        if not given["one_output"]:
            row["written"] = written
    report["written"] = {what: sum(row[what] for row in rows) for what in rows[0]}
    for key in ("dropped", "remarks"):
        report[key] = [
            label + item for label, d in zip(labels, done, strict=True) for item in getattr(d, key)
        ]


def print_report(report: dict[str, Any], as_json: bool) -> None:
    """The report: JSON on stdout, or a few lines on stderr (the files are the data)."""
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return

    def say(text: str) -> None:
        click.echo(text, err=True)

    if len(report["failed"]) > MOST_SHOWN:
        say(f"Skipped: {len(report['failed']) - MOST_SHOWN} more")
    counts = report["read"]
    say(f"Read {several(counts, 'photos')}, {several(counts, 'faces')} ({report['from']}).")
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
            f"Wrote {several(counts, 'faces')} of {several(counts, 'photos')} in "
            f"{several(counts, 'files')} to {row['output']} ({report['to']})."
        )
