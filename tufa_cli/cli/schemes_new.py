"""``tufa-cli schemes new``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.cli.options import FILE, device_option, json_option, overwrite_option

if TYPE_CHECKING:
    from tufa_cli.schemes import Plane, Scheme
    from tufa_cli.schemes.new import Draft


@click.command()
@click.option("--parts", metavar="LIST", help="Parts and how many points on each: jaw:33, chin.")
@click.option(
    "--from-points",
    "points_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Points clicked on a face: {"points": [[x, y], ...], "names": [...]}, or labels in any '
    "format that convert reads. Several faces are averaged.",
)
@click.option("--like", metavar="SCHEME", help="The points of another scheme (name or file).")
@click.option("--only", metavar="LIST", help="With --like: these parts alone, such as eyes,mouth.")
@click.option("-o", "--output", type=FILE, help="Scheme file (YAML)  [default: stdout]")
@click.option("--name", help="Name of the scheme  [default: the output's name]")
@click.option("--title", help="The scheme in a few words.")
@click.option(
    "--normaliser",
    metavar="A,B",
    help="Points whose distance divides errors, by index or name, or plane_box  [default: outer "
    "eye corners, else pupils, else inner eye corners, else plane_box]",
)
@click.option(
    "--on",
    "frame",
    type=click.Choice(["photo", "plane"]),
    default="photo",
    show_default=True,
    help="With --from-points: whether the numbers are pixels or the plane's own.",
)
@click.option("--photo", type=FILE, help="With --from-points: the photo  [default: beside FILE]")
@click.option("-f", "--from", "format_name", default="auto", help="Format of FILE.")
@click.option(
    "--snap",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="With --from-points: points nearer to a part, in % of the plane, lie on it  "
    "[default: 2 on a photo, 0.5 on the plane]",
)
@click.option("--plane", "plane_file", type=FILE, help="Plane file  [default: the shipped plane]")
@click.option("--weights", type=FILE, help="Weights that look at photos  [default: the shipped]")
@device_option
@overwrite_option
@json_option
def new(
    parts: str | None,
    points_file: Path | None,
    like: str | None,
    only: str | None,
    output: Path | None,
    name: str | None,
    title: str | None,
    normaliser: str | None,
    frame: str,
    photo: Path | None,
    format_name: str,
    snap: float | None,
    plane_file: Path | None,
    weights: Path | None,
    device: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the file of a scheme that nobody has trained; ``annotate --scheme FILE`` takes it.

    \b
    From parts: a curve (jaw:33) is divided evenly, an outline (left_eye:8, mouth:20, nose:9) in
    the order of ibug68 and wflw98; eyes:6 is six points for each eye; chin and jaw@0.25 are one
    point. Left and right are as seen in the image.
    From points on a photo: the network finds the face and carries the points onto the plane;
    names that are parts (chin, jaw@0.25) say what a point means, and where there is no photo two
    of them fix the rest. What lies on no part becomes a place of its own.
    From another scheme: all its points, or those in some parts.

    \b
    Example:
      tufa-cli schemes new --parts "jaw:33, eyes:8, nose_tip" -o my.yaml
      tufa-cli schemes new --from-points clicks.json --photo face.jpg -o my.yaml
      tufa-cli schemes new --like wflw98 --only eyes,mouth -o my.yaml --name eyes-and-mouth
    """
    from tufa_cli.schemes import builtin_plane, read_plane
    from tufa_cli.schemes.new import make_scheme
    from tufa_cli.writing import check_writable, write_text

    _check_usage(parts, points_file, like, only, output, as_json)
    if output is not None:
        check_writable(output, overwrite)
    plane = read_plane(plane_file) if plane_file else builtin_plane()
    options = (frame == "plane", photo, format_name, snap, weights, device)
    draft, source = _draft(parts, points_file, like, only, plane, options)
    name = name or (output.stem if output is not None else "my-scheme")
    scheme, text = make_scheme(draft, name, plane, title, source, normaliser)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, overwrite)
    _report(scheme, plane, output, as_json)


def _check_usage(
    parts: str | None,
    points_file: Path | None,
    like: str | None,
    only: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    given = [value for value in (parts, points_file, like) if value is not None]
    if len(given) != 1:
        raise click.UsageError("give one of --parts, --from-points and --like")
    if only is not None and like is None:
        raise click.UsageError("--only goes with --like")
    if as_json and output is None:
        raise click.UsageError("--json needs an --output")


def _draft(
    parts: str | None,
    points_file: Path | None,
    like: str | None,
    only: str | None,
    plane: Plane,
    options: tuple[Any, ...],
) -> tuple[Draft, str]:
    """The points, and a line that says where they come from."""
    from tufa_cli.schemes import get_scheme
    from tufa_cli.schemes.new import MADE, from_parts, from_scheme

    if parts is not None:
        return from_parts(parts), f"{MADE} --parts"
    if like is not None:
        like_scheme = get_scheme(like)
        chosen = f" --only {only}" if only is not None else ""
        return from_scheme(like_scheme, only), f"{MADE} --like {like_scheme.name}{chosen}"
    assert points_file is not None
    return _clicked(points_file, plane, *options), f"{MADE} --from-points"


def _clicked(
    points_file: Path,
    plane: Plane,
    on_plane: bool,
    photo: Path | None,
    format_name: str,
    snap: float | None,
    weights: Path | None,
    device: str,
) -> Draft:
    from tufa_cli.pipeline.clicked import PhotoMapper, place_faces, read_faces
    from tufa_cli.schemes.anchors import curves_of
    from tufa_cli.schemes.new import SNAP_PHOTO, SNAP_PLANE, from_places

    faces = read_faces(points_file, format_name, photo, on_plane)
    points = place_faces(faces, plane, on_plane, lambda: PhotoMapper(plane, weights, device))
    default = SNAP_PLANE if on_plane else SNAP_PHOTO
    within = default if snap is None else snap / 100
    return from_places(points, faces[0].names, curves_of(plane), within)


def _report(scheme: Scheme, plane: Plane, output: Path | None, as_json: bool) -> None:
    """What was made, and hints on what may be missing, on stderr (JSON on stdout)."""
    import json

    from tufa_cli.schemes.check import check_scheme, missing_sides
    from tufa_cli.schemes.parts import FREE

    free = sum(meaning.part == FREE for meaning in scheme.meanings)
    missing = missing_sides(scheme)
    if as_json:
        fields = {
            "output": str(output),
            "name": scheme.name,
            "points": len(scheme),
            "free_places": free,
            "normaliser": scheme.normaliser or "plane_box",
            "missing_sides": missing,
            "warnings": check_scheme(scheme, plane).warnings,
        }
        click.echo(json.dumps(fields))
    where = f"{output}: " if output is not None else ""
    places = f", {free} of them on no part" if free else ""
    click.echo(f"{where}{scheme.name}, {len(scheme)} points{places}", err=True)
    for warning in check_scheme(scheme, plane).warnings:
        click.echo(f"Hint: {warning}", err=True)
