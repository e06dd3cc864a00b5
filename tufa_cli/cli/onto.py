"""``tufa-cli align --onto``: the mean shape of a scheme in, its scheme file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.errors import InputError, ProblemsError

if TYPE_CHECKING:
    from tufa_cli.schemes import Plane
    from tufa_cli.schemes.onto_names import LooseShape

_HINT = 'expected {"points": [[x, y], ...], "names": [...]}, a .pts file or a mean shape file'


def lay_onto(
    plane_file: Path,
    shape_file: Path,
    output: Path,
    name: str | None,
    snap: float | None,
    plot: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Lay a mean shape on a plane and write it as a scheme; report how sure that is."""
    import json

    from tufa_cli.schemes.onto import place_onto
    from tufa_cli.writing import check_writable, write_text

    check_writable(output, overwrite)
    if plot is not None:
        from tufa_cli.images.plots import check_picture

        check_picture(plot, overwrite, svg=True)
    shape = read_loose_shape(shape_file)
    plane = _read_any_plane(plane_file)
    source = f"a mean shape laid on the plane {plane.name} by tufa-cli align --onto"
    within = None if snap is None else snap / 100
    placed = place_onto(shape, plane, name or output.stem, source, within)
    write_text(output, placed.text, overwrite)
    if plot is not None:
        from tufa_cli.images.plane_svg import write_plane

        scheme = placed.scheme
        edges = {scheme.name: scheme.skeleton}
        write_plane(plot, {scheme.name: placed.points_plane}, edges, overwrite)
    report = {"output": str(output), "name": placed.scheme.name, **placed.report}
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print(report)


def read_loose_shape(path: Path) -> LooseShape:
    """A mean shape file of any of the kinds that ``--onto`` takes; raises InputError."""
    from tufa_cli.formats._pts import parse_pts
    from tufa_cli.schemes.clicked import read_clicked
    from tufa_cli.schemes.meanshapes import read_shapes
    from tufa_cli.schemes.onto_names import LooseShape

    if path.suffix.lower() == ".pts":
        points, _ = parse_pts(path)
        return LooseShape(points, (None,) * len(points), str(path))
    try:
        clicked = read_clicked(path)
    except ProblemsError as error:
        more = len(error.problems) - 1
        first = error.problems[0] + (f", and {more} more" if more else "")
        raise InputError(path, first, hint=_HINT) from None
    if clicked is not None:
        return LooseShape(clicked.points, clicked.names, str(path))
    try:
        shapes = read_shapes(path)
    except InputError as error:
        raise InputError(path, error.problem, hint=_HINT) from None
    if len(shapes) != 1:
        raise InputError(
            path, f"holds the mean shapes of {len(shapes)} schemes", hint="give a file with one"
        )
    ((scheme, mean),) = shapes.items()
    return LooseShape(mean.points, _names(scheme, len(mean.points)), str(path))


def _names(scheme: str, count: int) -> tuple[str | None, ...]:
    """What the points of a scheme that ships mean; no names for any other."""
    from tufa_cli.errors import TufaError
    from tufa_cli.schemes import get_scheme

    try:
        known = get_scheme(scheme)
    except TufaError:
        return (None,) * count
    if len(known) != count:
        return (None,) * count
    return tuple(str(m) if m.place is None else None for m in known.meanings)


def _read_any_plane(path: Path) -> Plane:
    """A plane file, or the plane in a weights file; raises InputError."""
    from tufa_cli.schemes import read_plane

    try:
        with path.open("rb") as file:
            # A weights file is a zip archive; everything else is a plane or a mistake.
            zipped = file.read(2) == b"PK"
    except OSError as error:
        reason = error.strerror or "not readable"
        raise InputError(path, f"cannot read the plane: {reason}") from None
    if not zipped:
        return read_plane(path)
    from tufa_cli.model.weights import load_weights

    return load_weights(path).plane


def _print(report: dict[str, Any]) -> None:
    from tufa_cli.schemes.onto_names import not_known

    free = report["free_places"]
    places = f", {free} of them on no part" if free else ""
    click.echo(f"{report['output']}: {report['name']}, {report['points']} points{places}", err=True)
    if "recognised" in report:
        off = report["residual_percent"]
        known = report["recognised"]
        # Annotations of the known scheme have the known scheme's order.
        same = report["order"] == list(range(report["points"]))
        advice = f": --scheme {known} may do" if same else ", its points in another order"
        text = f"It is the shape of {known}, {off:.2f} % of the plane off{advice}."
        click.echo(text, err=True)
    elif report["by"] == "shape":
        text = f"Placed by shape: the next best place costs {report['margin']:.2f} times as much."
        click.echo(f"{text} Look at it with 'tufa-cli schemes plot'.", err=True)
    else:
        click.echo(f"Placed by {report['named']} names.", err=True)
    if report.get("folded_triangles"):
        click.echo(f"Warning: the points fold over {report['folded_triangles']} times", err=True)
    if report["unknown_names"]:
        click.echo(f"Hint: {not_known(report['unknown_names'])}", err=True)
