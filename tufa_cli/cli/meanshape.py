"""``tufa-cli meanshape``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tufa_cli.annotation import Face
    from tufa_cli.schemes import Scheme
    from tufa_cli.schemes.meanshapes import SchemeShape

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-f", "--from", "format_name", default="auto", show_default=True, help="Format.")
@click.option("--scheme", help="Landmark scheme of the labels: a name or a file.")
@click.option(
    "--points",
    type=click.IntRange(3),
    metavar="N",
    help="Instead of --scheme: labels of N points, of which nobody wrote down what they mean.",
)
@click.option("--list", "include", type=_FILE, help="Use these photos alone, one a line.")
@click.option("--exclude", type=_FILE, help="Leave these photos out, one a line.")
@click.option("-o", "--output", type=_FILE, required=True, help="Mean shape file (JSON).")
@click.option("--plot", type=_FILE, help="Picture of the mean shape with numbered points.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
@click.pass_context
def meanshape(
    ctx: click.Context,
    sources: tuple[Path, ...],
    format_name: str,
    scheme: str | None,
    points: int | None,
    include: Path | None,
    exclude: Path | None,
    output: Path,
    plot: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """The Procrustes mean shape of the faces labelled in SOURCES.

    Every face is turned, scaled and shifted onto the mean, the mean is taken again, until it
    stands still. Points that are not labelled are left out; so are faces with fewer than three.
    The result is upright, centred at 0 and of norm 1.

    With --points the mean shape has the name of the output and is not made upright; align --onto
    makes a scheme of it.

    \b
    Example:
      tufa-cli meanshape 300w/afw 300w/helen --from pts --scheme ibug68 --exclude val.txt \\
          -o ibug68.json --plot ibug68.png
    """
    if (scheme is None) == (points is None):
        raise click.UsageError("give --scheme, or --points for labels of no known scheme")
    from tufa_cli.geometry.procrustes import mean_shape
    from tufa_cli.schemes import get_scheme
    from tufa_cli.schemes.meanshapes import SchemeShape, shapes_to_json
    from tufa_cli.writing import check_writable, write_text

    check_writable(output, overwrite)
    if plot is not None:
        from tufa_cli.images.plots import check_picture

        check_picture(plot, overwrite)
    layout = get_scheme(scheme) if scheme is not None else None
    wanted = _Wanted(layout, len(layout) if layout else points or 0)
    faces, failures = _labelled_faces(sources, format_name, wanted, include, exclude)
    name = layout.name if layout else output.stem
    found = mean_shape(faces, layout.flip if layout else [-1] * wanted.points)
    if not found.converged:
        click.echo(
            f"Warning: still moving by {found.change:.1e} after {found.iterations} rounds", err=True
        )
    shape = SchemeShape(
        name,
        found.points,
        found.faces,
        found.left_out,
        found.iterations,
        found.change,
        "generalized Procrustes analysis",
    )
    write_text(output, shapes_to_json({name: shape}), overwrite)
    if plot is not None:
        _plot(plot, layout.skeleton if layout else (), shape, overwrite)
    _report(shape, output, found.converged, len(failures), as_json)
    for failure in failures:
        click.echo(f"Failed: {failure}", err=True)
    if failures:
        ctx.exit(3)


class _Wanted(NamedTuple):
    """Which labels count: those of a scheme, or (None) all of so many points."""

    layout: Scheme | None
    points: int

    def __str__(self) -> str:
        return self.layout.name if self.layout else f"{self.points} points"

    def has(self, face: Face) -> bool:
        named = self.layout is None or face.scheme in (None, self.layout.name)
        return named and len(face.points_px) == self.points


def _labelled_faces(
    sources: tuple[Path, ...],
    format_name: str,
    wanted: _Wanted,
    include: Path | None,
    exclude: Path | None,
) -> tuple[NDArray[np.float64], list[str]]:
    """(N, K, 2) points of all faces that are wanted, and what could not be read."""
    import numpy as np

    from tufa_cli.formats import read
    from tufa_cli.selection import read_name_list, select

    names = [read_name_list(path) if path else None for path in (include, exclude)]
    failures: list[str] = []
    photos = []
    for source in sources:
        photos += read(
            source,
            format=format_name,
            scheme=wanted.layout,
            on_error=lambda error: failures.append(error.message),
            on_note=lambda note: click.echo(f"Note: {note}", err=True),
        )
    selection = select(photos, *names)
    if warning := selection.warning():
        click.echo(f"Warning: {warning}", err=True)
    faces = [face for photo in selection.chosen for face in photo.faces]
    fitting = [face.points_px for face in faces if wanted.has(face)]
    if len(fitting) < len(faces):
        others = len(faces) - len(fitting)
        click.echo(f"Warning: {others} faces are not labelled in {wanted}", err=True)
    if not fitting:
        raise TufaError(
            f"no face labelled in {wanted} among {len(selection.chosen)} photos",
            "check --scheme, --from and the lists",
        )
    return np.stack(fitting), failures


def _plot(
    path: Path, edges: Sequence[tuple[int, int]], shape: SchemeShape, overwrite: bool
) -> None:
    from tufa_cli.images.plots import shape_picture, write_picture

    title = f"{shape.scheme}, mean of {shape.faces} faces"
    write_picture(path, shape_picture(shape.points, edges, title), overwrite)


def _report(
    shape: SchemeShape, output: Path, converged: bool, failures: int, as_json: bool
) -> None:
    import json

    if as_json:
        fields = {
            "scheme": shape.scheme,
            "points": len(shape.points),
            "faces": shape.faces,
            "left_out": shape.left_out,
            "unreadable": failures,
            "iterations": shape.iterations,
            "change": shape.change,
            "converged": converged,
            "output": str(output),
        }
        click.echo(json.dumps(fields))
        return
    click.echo(
        f"{output}: {shape.scheme}, mean of {shape.faces} faces"
        + (f" ({shape.left_out} left out)" if shape.left_out else "")
        + f", {'converged' if converged else 'stopped'} after {shape.iterations} rounds"
        + f" (last change {shape.change:.1e})"
    )
