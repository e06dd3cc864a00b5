"""``tufa-cli align``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from tufa_cli.schemes import Scheme
    from tufa_cli.schemes.align import Alignment
    from tufa_cli.schemes.meanshapes import SchemeShape

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("shapes", metavar="MEANSHAPE...", nargs=-1, required=True, type=_FILE)
@click.option(
    "-o",
    "--output",
    type=_FILE,
    required=True,
    help="Plane file (JSON); with --onto a scheme file (YAML).",
)
@click.option(
    "--onto",
    type=_FILE,
    metavar="PLANE",
    help="Lay the one MEANSHAPE on this plane (a plane file, or the plane of a weights file) and "
    "write it as a scheme.",
)
@click.option(
    "--snap",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="With --onto: points nearer to a part, in % of the plane, lie on it  [default: none do]",
)
@click.option(
    "--scheme",
    "extra",
    multiple=True,
    help="The file of a scheme that does not ship, or a scheme without a mean shape, which is "
    "placed by meaning alone. May be repeated.",
)
@click.option("--name", help="Name of the plane, or scheme  [default: the output's name]")
@click.option(
    "--plot", type=_FILE, help="Picture of the plane with numbered points (.png, .jpg, .svg)."
)
@click.option(
    "--cross-check",
    is_flag=True,
    help="Also leave every third shared place, and every scheme, out of the fit and predict it.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def align(
    shapes: tuple[Path, ...],
    output: Path,
    onto: Path | None,
    snap: float | None,
    extra: tuple[str, ...],
    name: str | None,
    plot: Path | None,
    cross_check: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Put the mean shapes of schemes on one plane, by what their points mean.

    The mean shape of wflw98 is the reference. Every other scheme is carried onto it by a
    similarity, then each point is moved so that equal places coincide and its neighbours follow.
    Printed is how far apart equal places are, in % of the plane's side, before and after, and how
    many equal points are each other's nearest.

    With --onto, a scheme of which there is only a mean shape becomes a scheme file without a photo:
    MEANSHAPE is {"points": [[x, y], ...], "names": ["chin", null, ...]}, a .pts file, or what
    meanshape wrote. Points whose names are places (chin, jaw@0.25) go where the plane has them;
    without names the shape alone tells where the points lie, whatever their order, turn and size.

    \b
    Example:
      tufa-cli align wflw98.json ibug68.json scut86.json -o plane.json --plot plane.png
      tufa-cli align --onto plane.json average.json -o my.yaml
    """
    import json

    if onto is not None:
        from tufa_cli.cli.onto import lay_onto

        if len(shapes) != 1 or extra or cross_check:
            raise click.UsageError("--onto takes one MEANSHAPE, no --scheme and no --cross-check")
        lay_onto(onto, shapes[0], output, name, snap, plot, overwrite, as_json)
        return
    if snap is not None:
        raise click.UsageError("--snap goes with --onto")

    from tufa_cli.schemes import get_scheme
    from tufa_cli.schemes.align import align as fit
    from tufa_cli.schemes.align import with_schemes
    from tufa_cli.schemes.meanshapes import merge_shapes, read_shapes
    from tufa_cli.writing import check_writable, write_text

    check_writable(output, overwrite)
    if plot is not None:
        from tufa_cli.images.plots import check_picture

        check_picture(plot, overwrite, svg=True)
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
        from tufa_cli.images.plane_svg import write_plane

        edges = {key: scheme.skeleton for key, scheme in layouts.items()}
        write_plane(plot, plane.anchors, edges, overwrite)
    checks = _cross_check(means, layouts) if cross_check else {}
    if as_json:
        report = {"output": str(output), "name": plane.name, **plane.report, **checks}
        click.echo(json.dumps(report))
        return
    _print(found, [scheme.name for scheme in bare], output)
    for title, rows in checks.items():
        _print_checks(title, rows)


def _cross_check(
    means: Mapping[str, SchemeShape], layouts: Mapping[str, Scheme]
) -> dict[str, list[dict[str, Any]]]:
    from tufa_cli.schemes.cross_check import held_out_places, left_out_schemes

    shapes = {key: shape.points for key, shape in means.items()}
    return {
        "held_out_places": [dict(vars(row)) for row in held_out_places(shapes, layouts)],
        "left_out_schemes": [dict(vars(row)) for row in left_out_schemes(shapes, layouts)],
    }


def _known(name: str) -> Scheme:
    from tufa_cli.errors import UnknownNameError
    from tufa_cli.schemes import get_scheme

    try:
        return get_scheme(name)
    except UnknownNameError as error:
        raise TufaError(error.message, "give its YAML file with --scheme FILE") from None


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=110)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(title=title)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _print(found: Alignment, bare: list[str], output: Path) -> None:
    _table(
        "Distance of equal points, % of the plane's side, and nearest neighbours that are right",
        [
            "schemes",
            "points",
            "before",
            "after",
            "worst",
            "nearest",
            "on curves",
            "before",
            "after",
        ],
        (
            [
                f"{pair.first} {pair.second}",
                str(pair.equal_points),
                f"{pair.before:.2f}",
                f"{pair.after:.2f}",
                f"{pair.worst:.2f}",
                "" if pair.nearest_after is None else f"{pair.nearest_after:.1%}",
                str(pair.curve_points or ""),
                f"{pair.curve_before:.2f}" if pair.curve_points else "",
                f"{pair.curve_after:.2f}" if pair.curve_points else "",
            ]
            for pair in found.residuals
        ),
    )
    _table(
        "Displacement of points by the alignment, % of the plane's side",
        ["scheme", "points", "mean", "largest", "asymmetry", "closest two", "folds"],
        (
            [
                key,
                str(row["points"]),
                f"{row['moved_mean_percent']:.2f}",
                f"{row['moved_max_percent']:.2f}",
                f"{row['symmetry_error_percent']:.2f}",
                f"{row['smallest_spacing_percent']:.2f}",
                str(row["folded_triangles"]),
            ]
            for key, row in found.plane.report["schemes"].items()
        ),
    )
    shares = [pair.nearest_after for pair in found.residuals if pair.nearest_after is not None]
    if shares:
        count = sum(pair.equal_points for pair in found.residuals)
        before, after = (
            sum(pair.equal_points * getattr(pair, when) for pair in found.residuals) / count
            for when in ("before", "after")
        )
        click.echo(
            f"All pairs together: {before:.2f} % before, {after:.2f} % after; "
            f"the nearest is right for {sum(shares) / len(shares):.1%}"
        )
    if bare:
        click.echo(f"Placed by meaning alone: {', '.join(bare)}")
    click.echo(f"Plane written to {output}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


_TITLES = {
    "held_out_places": "Equal points left out of the fit and predicted, % of the face box",
    "left_out_schemes": "Mean shapes predicted from the other schemes, % of the face box",
}


def _print_checks(key: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        cells = [[_cell(value) for value in row.values()] for row in rows]
        _table(_TITLES[key], list(rows[0]), cells)
    if key == "held_out_places" and rows:
        points = sum(row["points"] for row in rows)
        mean = sum(row["points"] * row["after"] for row in rows) / points
        click.echo(f"Mean over {points} points: {mean:.2f} % of the face box")
