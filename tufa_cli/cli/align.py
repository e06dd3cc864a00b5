"""``tufa-cli align``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    from tufa_cli.schemes import Scheme
    from tufa_cli.schemes.align import Alignment

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("shapes", metavar="MEANSHAPE...", nargs=-1, required=True, type=_FILE)
@click.option("-o", "--output", type=_FILE, required=True, help="Plane file (JSON).")
@click.option(
    "--scheme",
    "extra",
    multiple=True,
    help="The file of a scheme that does not ship, or a scheme without a mean shape, which is "
    "placed by meaning alone. May be repeated.",
)
@click.option("--name", help="Name of the plane  [default: the output's name]")
@click.option("--plot", type=_FILE, help="Picture of the plane with numbered points.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def align(
    shapes: tuple[Path, ...],
    output: Path,
    extra: tuple[str, ...],
    name: str | None,
    plot: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Put the mean shapes of schemes on one plane, by what their points mean.

    The mean shape of wflw98 is the reference. Every other scheme is carried onto it by a
    similarity, then each point is moved so that equal places coincide and its neighbours follow.
    Printed is how far apart equal places are, in % of the plane's side, before and after.

    \b
    Example:
      tufa-cli align wflw98.json ibug68.json scut86.json -o plane.json --plot plane.png
    """
    import json

    from tufa_cli.schemes import get_scheme
    from tufa_cli.schemes.align import align as fit
    from tufa_cli.schemes.align import with_schemes
    from tufa_cli.schemes.meanshapes import merge_shapes, read_shapes
    from tufa_cli.writing import check_writable, write_text

    for path in (output, plot):
        if path is not None:
            check_writable(path, overwrite)
    given = {scheme.name: scheme for scheme in map(get_scheme, extra)}
    means = merge_shapes({str(path): read_shapes(path) for path in shapes})
    layouts = {key: given.get(key) or _known(key) for key in means}
    found = fit(
        {key: shape.points for key, shape in means.items()},
        layouts,
        name=name or output.stem,
        faces={key: shape.faces for key, shape in means.items()},
    )
    bare = [scheme for key, scheme in given.items() if key not in means]
    plane = with_schemes(found.plane, bare, layouts)
    layouts |= {scheme.name: scheme for scheme in bare}
    write_text(output, plane.to_json(), overwrite)
    if plot is not None:
        from tufa_cli.images.plots import plane_picture, write_picture

        edges = {key: scheme.skeleton for key, scheme in layouts.items()}
        write_picture(plot, plane_picture(plane.anchors, edges), overwrite)
    if as_json:
        click.echo(json.dumps({"output": str(output), "name": plane.name, **plane.report}))
    else:
        _print(found, [scheme.name for scheme in bare], output)


def _known(name: str) -> Scheme:
    from tufa_cli.errors import UnknownNameError
    from tufa_cli.schemes import get_scheme

    try:
        return get_scheme(name)
    except UnknownNameError as error:
        raise TufaError(error.message, "give its YAML file with --scheme FILE") from None


def _print(found: Alignment, bare: list[str], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100)
    table = Table(title="Distance of equal places, % of the plane's side")
    for column in ("schemes", "points", "before", "after", "worst", "on curves", "before", "after"):
        table.add_column(column, justify="left" if column == "schemes" else "right")
    for pair in found.residuals:
        curve = [f"{pair.curve_before:.2f}", f"{pair.curve_after:.2f}"] if pair.curve else ["", ""]
        table.add_row(
            f"{pair.first} {pair.second}",
            str(pair.equal),
            f"{pair.before:.2f}",
            f"{pair.after:.2f}",
            f"{pair.worst:.2f}",
            str(pair.curve or ""),
            *curve,
        )
    console.print(table)
    moved = Table(title="Displacement of points by the alignment, % of the plane's side")
    for column in ("scheme", "points", "mean", "largest"):
        moved.add_column(column, justify="left" if column == "scheme" else "right")
    for key, row in found.plane.report["schemes"].items():
        mean, largest = row["moved_mean_percent"], row["moved_max_percent"]
        moved.add_row(key, str(row["points"]), f"{mean:.2f}", f"{largest:.2f}")
    console.print(moved)
    if bare:
        console.print(f"Placed by meaning alone: {', '.join(bare)}")
    console.print(f"Plane written to {output}", soft_wrap=True)
