"""``tufa-cli pack``."""

from __future__ import annotations

from pathlib import Path

import click

from tufa_cli.cli.options import FILE, dry_run_option, json_option, overwrite_option


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=FILE, required=True, help="Pack file (HDF5).")
@click.option("-f", "--from", "format_name", default="auto", show_default=True, help="Format.")
@click.option("--scheme", help="Landmark scheme, where the format does not tell.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of the photos.")
@click.option("--source", "source_name", help="Name of this source  [default: SOURCE's name]")
@click.option("--split", default="train", show_default=True, help="Split of photos naming none.")
@click.option("--val-list", type=FILE, help="Photos that go to the split 'val', one a line.")
@click.option("--list", "include", type=FILE, help="Pack these photos alone, one a line.")
@click.option("--exclude", type=FILE, help="Leave these photos out, one a line.")
@click.option("--plane", type=FILE, help="Plane file  [default: the shipped plane]")
@click.option("--append", is_flag=True, help="Add to the pack instead of making a new one.")
@overwrite_option
@click.option("--context", default=1.5, show_default=True, help="Stored crop over the window.")
@click.option("--max-size", default=256, show_default=True, help="Largest stored crop in pixels.")
@click.option("--quality", default=92, show_default=True, help="JPEG quality.")
@dry_run_option
@json_option
@click.pass_context
def pack(
    ctx: click.Context,
    source: Path,
    output: Path,
    format_name: str,
    scheme: str | None,
    images: Path | None,
    source_name: str | None,
    split: str,
    val_list: Path | None,
    include: Path | None,
    exclude: Path | None,
    plane: Path | None,
    append: bool,
    overwrite: bool,
    context: float,
    max_size: int,
    quality: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Labelled photos of SOURCE into one HDF5 file of face crops for training.

    A killed run goes on where it was when the same command is given again. Photos that cannot be
    read are listed at the end (exit code 3).

    \b
    Example:
      tufa-cli pack 300w --from pts --scheme ibug68 --val-list val.txt -o faces.h5
      tufa-cli pack wflw/list.txt --from wflw --images WFLW_images -o faces.h5 --append
    """
    import json

    from tufa_cli.data.pack import PackOptions, PackReport
    from tufa_cli.data.pack import pack as run
    from tufa_cli.formats import read
    from tufa_cli.schemes import builtin_plane, get_scheme, read_plane
    from tufa_cli.selection import read_name_list, select

    name = get_scheme(scheme).name if scheme else None
    on_plane = read_plane(plane) if plane else builtin_plane()
    photos = list(read(source, format=format_name, scheme=name, root=images))
    chosen = select(
        photos,
        include=read_name_list(include) if include else None,
        exclude=read_name_list(exclude) if exclude else None,
    )
    val = frozenset[str]()
    warnings = [chosen.warning()]
    if val_list:
        held_out = select(chosen, include=read_name_list(val_list))
        val = frozenset(photo.path for photo in held_out)
        warnings.append(held_out.warning())
    for text in filter(None, warnings):
        click.echo(f"Warning: {text}", err=True)
    options = PackOptions(source_name or source.stem, split, name, context, max_size, quality)
    if dry_run:
        faces = sum(len(photo.faces) for photo in chosen)
        click.echo(f"{len(chosen)} photos, {faces} faces, {len(val)} photos to 'val'; not written")
        return
    report = PackReport()
    for report in run(
        chosen, output, on_plane, options, append=append, overwrite=overwrite, val_photos=val
    ):
        click.echo(f"{report.photos}/{len(chosen)} photos", err=True)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "pack": str(output),
                    "faces": report.rows,
                    "photos": report.photos,
                    "failed": report.failed,
                }
            )
        )
    else:
        click.echo(f"{output}: {report.rows} faces of {report.photos} photos")
    for photo, reason in report.failed:
        click.echo(f"Failed: {photo}: {reason}", err=True)
    if report.failed:
        ctx.exit(3)
