"""``tufa-cli schemes``: list, show, plot, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.cli.schemes_new import new
from tufa_cli.errors import TufaError

if TYPE_CHECKING:
    from tufa_cli.schemes import Plane, Scheme

_FILE = click.Path(path_type=Path, dir_okay=False)
_PLANE = click.option("--plane", type=_FILE, help="Plane file  [default: the shipped plane]")
_JSON = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")


@click.group()
def schemes() -> None:
    """List, show, plot, check and write landmark schemes."""


schemes.add_command(new)


@schemes.command("list")
@_JSON
def list_schemes(as_json: bool) -> None:
    """The schemes that ship, with their aliases and number of points.

    \b
    Example:
      tufa-cli schemes list
    """
    import json

    from tufa_cli.schemes import get_scheme, scheme_names

    found = [get_scheme(name) for name in scheme_names()]
    if as_json:
        click.echo(json.dumps([_summary(scheme) for scheme in found], indent=1))
        return
    rows = [(s.name, ", ".join(s.aliases), str(len(s)), s.title) for s in found]
    _columns([("name", "aliases", "points", "title"), *rows])


@schemes.command()
@click.argument("scheme")
@_PLANE
@_JSON
def show(scheme: str, plane: Path | None, as_json: bool) -> None:
    """What every point of SCHEME (a name or a YAML file) means, and where it lies on the plane.

    \b
    Example:
      tufa-cli schemes show cofw29
      tufa-cli schemes show my-scheme.yaml --json
    """
    import json

    found, on_plane = _scheme_and_plane(scheme, plane)
    anchors = _anchors(found, on_plane)
    if as_json:
        click.echo(json.dumps(_details(found, anchors), indent=1))
        return
    click.echo(f"{found.name}: {found.title}")
    click.echo(f"source: {found.source}")
    click.echo(f"errors are divided by: {_normaliser(found)}")
    groups = {i: group for group, members in found.groups.items() for i in members}
    rows = [("point", "name", "means", "group", "mirror", "x", "y")]
    for i, (name, meaning) in enumerate(zip(found.names, found.meanings, strict=True)):
        place = ("", "") if anchors is None else tuple(f"{v:.4f}" for v in anchors[i])
        mirror = str(found.flip[i]) if found.flip[i] >= 0 else "-"
        rows.append((str(i), name, str(meaning), groups[i], mirror, *place))
    _columns(rows)


@schemes.command()
@click.argument("names", metavar="[SCHEME]...", nargs=-1)
@click.option("-o", "--output", type=_FILE, required=True, help="Picture (.png, .jpg, .svg).")
@click.option(
    "--on",
    "ground",
    type=click.Choice(["both", "plane", "mean-face"]),
    default="both",
    show_default=True,
    help="Draw on the bare plane, on an outline of the mean face, or both side by side.",
)
@_PLANE
@click.option("--overwrite", is_flag=True, help="Replace a picture that exists.")
def plot(
    names: tuple[str, ...], output: Path, ground: str, plane: Path | None, overwrite: bool
) -> None:
    """Draw the numbered points of schemes on the plane; without SCHEME, all of the plane.

    \b
    Example:
      tufa-cli schemes plot my-scheme.yaml -o mine.png
      tufa-cli schemes plot ibug68 wflw98 --on plane -o two.png
    """
    from tufa_cli.images.plane_svg import write_plane
    from tufa_cli.images.plots import check_picture
    from tufa_cli.schemes import builtin_plane, read_plane
    from tufa_cli.schemes.anchors import anchors_for, face_outline

    check_picture(output, overwrite, svg=True)
    on_plane = read_plane(plane) if plane else builtin_plane()
    layouts = [_scheme_and_plane(name, plane)[0] for name in names or on_plane.anchors]
    anchors = {layout.name: anchors_for(layout, on_plane) for layout in layouts}
    edges = {layout.name: layout.skeleton for layout in layouts}
    outline = [] if ground == "plane" else face_outline(on_plane)
    write_plane(output, anchors, edges, overwrite, outline, alone=ground == "both")
    click.echo(f"{output}: {', '.join(anchors)}")


@schemes.command()
@click.argument("names", metavar="SCHEME...", nargs=-1, required=True)
@_PLANE
@_JSON
def check(names: tuple[str, ...], plane: Path | None, as_json: bool) -> None:
    """Check schemes: all mistakes in their files, and what is wrong with them on the plane.

    That is points for which the plane has no place and points that collapse into one. Exit code 1
    when a scheme has such a problem. Warnings (points without a counterpart on the other side,
    points that the network does not see ...) do not count.

    \b
    Example:
      tufa-cli schemes check my-scheme.yaml another.yaml
    """
    import json

    from tufa_cli.schemes import builtin_plane, read_plane

    on_plane = read_plane(plane) if plane else builtin_plane()
    results = [_check_one(name, on_plane) for name in names]
    bad = [result for result in results if not result["ok"]]
    if as_json:
        click.echo(json.dumps(results, indent=1))
    else:
        for result in results:
            _say_findings(result)
    if bad:
        count = "a scheme has mistakes" if len(bad) == 1 else f"{len(bad)} schemes have mistakes"
        raise TufaError(count, "the keys are described in docs/schemes.md")


def _check_one(name: str, plane: Plane) -> dict[str, Any]:
    from dataclasses import asdict

    from tufa_cli.schemes.check import Findings, check_file

    try:
        found = check_file(name, plane)
    except TufaError as error:
        found = Findings(0, [error.message])
    return {"scheme": name, "ok": not found.problems, **asdict(found)}


def _say_findings(result: dict[str, Any]) -> None:
    if result["ok"]:
        click.echo(f"{result['scheme']}: fine, {result['points']} points")
    else:
        click.echo(f"{result['scheme']}:", err=True)
    for problem in result["problems"]:
        click.echo(f"  - {problem}", err=True)
    for warning in result["warnings"]:
        click.echo(f"Warning: {result['scheme']}: {warning}", err=True)


def _scheme_and_plane(name: str, plane: Path | None) -> tuple[Scheme, Plane]:
    from tufa_cli.schemes import builtin_plane, get_scheme, read_plane

    return get_scheme(name), read_plane(plane) if plane else builtin_plane()


def _anchors(scheme: Scheme, plane: Plane) -> Any:
    from tufa_cli.schemes.anchors import anchors_for

    try:
        return anchors_for(scheme, plane)
    except TufaError as error:
        click.echo(f"Warning: {error.message}", err=True)
        return None


def _normaliser(scheme: Scheme) -> str:
    if scheme.normaliser is None:
        return "the side of the plane's face box"
    return "the distance of points {} and {}".format(*scheme.normaliser)


def _summary(scheme: Scheme) -> dict[str, Any]:
    return {
        "name": scheme.name,
        "aliases": list(scheme.aliases),
        "points": len(scheme),
        "title": scheme.title,
        "source": scheme.source,
        "normaliser": scheme.normaliser or "plane_box",
    }


def _details(scheme: Scheme, anchors: Any) -> dict[str, Any]:
    groups = {i: group for group, members in scheme.groups.items() for i in members}
    return {
        **_summary(scheme),
        "flip": list(scheme.flip),
        "skeleton": [list(edge) for edge in scheme.skeleton],
        "landmarks": [
            {
                "index": i,
                "name": name,
                "part": meaning.part,
                "t": meaning.t,
                "group": groups[i],
                "anchor": None if anchors is None else anchors[i].tolist(),
            }
            for i, (name, meaning) in enumerate(zip(scheme.names, scheme.meanings, strict=True))
        ],
    }


def _columns(rows: list[tuple[str, ...]]) -> None:
    """Rows on stdout as plain aligned columns, which survive a pipe."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
