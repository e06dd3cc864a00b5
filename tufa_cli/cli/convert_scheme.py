"""The options of ``convert`` that choose the scheme of the points, and what is said of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tufa_cli.cli.options import device_option, threads_option, weights_option

if TYPE_CHECKING:
    from tufa_cli.pipeline.rescheme import Rescheme

Command = Callable[..., Any]

#: Options that make no sense without another one: (the option, its name in a call).
NEEDS_SCHEME = {"scheme_by": "--scheme-by", "scheme_partial": "--scheme-partial"}

#: Kinds of points in a report, and how they are called on stderr.
KINDS = {
    "exact": "exact",
    "interpolated": "interpolated",
    "table": "from the table",
    "moved": "moved by habit",
    "predicted": "predicted",
    "missing": "missing",
}


class TableName(click.ParamType):
    """A table's name, which the library checks, or a CSV file."""

    name = "table"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from tufa_cli.schemes.tables import table_names

        return [CompletionItem(name) for name in table_names() if name.startswith(incomplete)]


_OPTIONS = (
    click.option(
        "--scheme",
        help="Landmark scheme wanted: labels of another are converted. Where nothing tells what "
        "SOURCE has, it names SOURCE's.",
    ),
    click.option("--from-scheme", help="Landmark scheme of SOURCE, whatever its files say."),
    click.option(
        "--scheme-by",
        type=click.Choice(["labels", "habits", "model"]),
        help="Convert by what the points mean; by that and by what people who label in each scheme "
        "do differently; or ask a network (needs the photos).  [default: labels]",
    ),
    click.option(
        "--scheme-table",
        type=TableName(),
        metavar="NAME|CSV",
        help="Convert by an index table instead; docs/convert-schemes.md lists them.",
    ),
    click.option(
        "--scheme-partial",
        is_flag=True,
        help="Convert though some points cannot be had; those are missing.",
    ),
    weights_option,
    device_option,
    threads_option,
)


def scheme_options(command: Command) -> Command:
    """Adds the options, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_rescheme(given: dict[str, Any]) -> Rescheme:
    """What the options ask for; raises click's usage error where they do not fit together."""
    by_model, by_habits = (given["scheme_by"] == way for way in ("model", "habits"))
    table = given["scheme_table"]
    if given["scheme"] is None and table is None:
        for name, option in NEEDS_SCHEME.items():
            if given[name]:
                raise click.UsageError(f"{option} needs --scheme, the scheme wanted.")
    if by_model and table is not None:
        raise click.UsageError("--scheme-by model and --scheme-table exclude each other.")
    if by_habits and table is not None:
        raise click.UsageError("--scheme-by habits and --scheme-table exclude each other.")
    if given["weights"] is not None and not by_model:
        raise click.UsageError("--weights needs --scheme-by model.")
    from tufa_cli.pipeline.rescheme import Rescheme
    from tufa_cli.schemes import get_scheme
    from tufa_cli.schemes.tables import get_table

    target, source = (
        None if given[name] is None else get_scheme(given[name])
        for name in ("scheme", "from_scheme")
    )
    rescheme = Rescheme(
        target,
        source,
        None if table is None else get_table(table),
        partial=given["scheme_partial"],
        habits=by_habits,
    )
    if by_model and target is not None:
        from tufa_cli.pipeline.rescheme_model import ModelLabels

        weights: Path | None = given["weights"]
        rescheme.model = ModelLabels(target, weights, given["device"], given["threads"])
    return rescheme


def scheme_lines(report: dict[str, Any] | None) -> Iterator[str]:
    """What was done with the scheme, in lines."""
    if report is None:
        return
    scheme, several = report["scheme"], len(report["sources"]) > 1
    for row in report["sources"]:
        of = f" of {row['source']}" if several else ""
        if row["decision"] == "named":
            why = "SOURCE does not tell its scheme"
            if report["from_scheme"] is not None:
                why = "as --from-scheme says"
            elif row["says"] is not None:
                why = f"SOURCE says '{row['says']}', which is no scheme that ships"
            yield f"Scheme: the points{of} are read as {scheme}, nothing converted ({why})."
        elif row["decision"] == "same":
            yield f"Scheme: the points{of} are {scheme} already, nothing converted."
    by = {
        "labels": "by what the points mean",
        "habits": "by what the points mean and how people put them",
        "model": "by the network, from the photos",
    }
    for link in report["conversions"]:
        how = by.get(report["by"], f"by the {report['by']}")
        faces = _count(link["faces"], "face")
        yield f"Scheme: converted {link['from']} to {scheme}, {faces}, {how}."
        count = sum(len(link[kind]) for kind in KINDS)
        for kind, name in KINDS.items():
            yield from _listed(name, link[kind], len(link[kind]) == count)
        yield from _listed(f"not used of {link['from']}", link["unused"])
    if report["conversions"] and report["unchanged_faces"]:
        yield f"Scheme: {_count(report['unchanged_faces'], 'face')} had {scheme} already."


def _listed(what: str, points: list[dict[str, Any]], whole: bool = False) -> Iterator[str]:
    """Numbers of points by the part of the face they are on, in lines of a terminal's width."""
    if not points:
        return
    parts: dict[str, list[int]] = {}
    for point in points:
        parts.setdefault(point["part"], []).append(point["index"])
    # A part and its numbers stay in one line: the spaces between them are not broken at.
    words = [f"{part} {_runs(indices)}".replace(" ", "\0") for part, indices in parts.items()]
    text = f"{what}, {len(points)}: {'all points' if whole else '; '.join(words)}"
    for line in textwrap.wrap(text, 100, initial_indent="  ", subsequent_indent="    "):
        yield line.replace("\0", " ")


def _runs(indices: list[int]) -> str:
    """``0-16`` for numbers in a row, ``17, 20`` for others."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
