"""``tufa-cli pack``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.cli.options import FILE, dry_run_option, json_option, overwrite_option

if TYPE_CHECKING:
    from tufa_cli.data.pack import PackReport
    from tufa_cli.selection import Selection

#: A pack is a file or, in shards, a folder.
PACK = click.Path(path_type=Path)
#: Starting a process takes as long as packing so many photos.
_PHOTOS_PER_JOB = 250


@click.command()
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=PACK, help="Pack file (HDF5), or folder of shards.")
@click.option("-f", "--from", "format_name", default="auto", show_default=True, help="Format.")
@click.option("--scheme", help="Landmark scheme, where the format does not tell: name or file.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of the photos.")
@click.option("--source", "source_name", help="Name of this source  [default: SOURCE's name]")
@click.option("--split", default="train", show_default=True, help="Split of photos naming none.")
@click.option("--val-list", type=FILE, help="Photos that go to the split 'val', one a line.")
@click.option("--list", "include", type=FILE, help="Pack these photos alone, one a line.")
@click.option("--exclude", type=FILE, help="Leave these photos out, one a line.")
@click.option("--plane", type=FILE, help="Plane file  [default: the shipped plane]")
@click.option("--append", is_flag=True, help="Add to the pack instead of making a new one.")
@click.option("--resume", is_flag=True, help="As --append; faces it holds already are left alone.")
@overwrite_option
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes  [default: one per CPU]")
@click.option(
    "--shard-size", type=click.IntRange(1), help="Faces per file: OUTPUT is a folder of packs."
)
@click.option("--context", default=1.5, show_default=True, help="Stored crop over the window.")
@click.option("--max-size", default=256, show_default=True, help="Largest stored crop in pixels.")
@click.option("--quality", default=92, show_default=True, help="JPEG quality.")
@dry_run_option
@json_option
@click.option("--verify", type=PACK, help="Check every row of this pack instead of packing.")
@click.option("--info", type=PACK, help="Show what this pack holds instead of packing.")
@click.pass_context
def pack(
    ctx: click.Context,
    source: Path | None,
    output: Path | None,
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
    resume: bool,
    overwrite: bool,
    jobs: int | None,
    shard_size: int | None,
    context: float,
    max_size: int,
    quality: int,
    dry_run: bool,
    as_json: bool,
    verify: Path | None,
    info: Path | None,
) -> None:
    """Labelled photos of SOURCE into one HDF5 file of face crops for training.

    A killed run goes on where it was when the same command is given again; with --resume also when
    it had just finished. The file is the same whatever --jobs is. Photos that cannot be read are
    listed at the end (exit code 3). --verify lists rows that are damaged (exit code 1). A scheme
    file of your own goes into the pack, so that train needs the pack alone.

    \b
    Example:
      tufa-cli pack 300w --from pts --scheme ibug68 --val-list val.txt -o faces.h5
      tufa-cli pack wflw/list.txt --from wflw --images WFLW_images -o faces.h5 --append
      tufa-cli pack 300w --scheme ibug68 -o packs/faces --shard-size 20000
      tufa-cli pack --verify faces.h5
    """
    if verify or info:
        _look(verify, info, source, as_json)
        return
    if source is None or output is None:
        raise click.UsageError("give SOURCE and -o, or --verify or --info")
    from tufa_cli.data.pack import PackOptions, PackReport
    from tufa_cli.data.pack import pack as run
    from tufa_cli.formats import read
    from tufa_cli.schemes import builtin_plane, get_scheme, read_plane
    from tufa_cli.schemes.align import with_own
    from tufa_cli.selection import read_name_list, select

    layout = get_scheme(scheme) if scheme else None
    on_plane = read_plane(plane) if plane else builtin_plane()
    if layout is not None:
        on_plane = with_own(on_plane, layout)
    name = layout.name if layout else None
    photos = list(read(source, format=format_name, scheme=layout, root=images))
    chosen = select(
        photos,
        include=read_name_list(include) if include else None,
        exclude=read_name_list(exclude) if exclude else None,
    )
    val = _held_out(chosen, val_list)
    options = PackOptions(source_name or source.stem, split, name, context, max_size, quality)
    if dry_run:
        faces = sum(len(photo.faces) for photo in chosen)
        click.echo(f"{len(chosen)} photos, {faces} faces, {len(val)} photos to 'val'; not written")
        return
    report = PackReport()
    for report in run(
        chosen,
        output,
        on_plane,
        options,
        append=append,
        resume=resume,
        overwrite=overwrite,
        val_photos=val,
        jobs=jobs or _jobs_for(len(chosen)),
        shard_rows=shard_size,
    ):
        click.echo(f"{report.photos}/{len(chosen)} photos", err=True)
    _tell(report, output, as_json)
    if report.failed:
        ctx.exit(3)


def _held_out(chosen: Selection, val_list: Path | None) -> frozenset[str]:
    """The photos that go to the split 'val'; warns of names that matched nothing."""
    from tufa_cli.selection import read_name_list, select

    warnings, val = [chosen.warning()], frozenset[str]()
    if val_list:
        held_out = select(chosen, include=read_name_list(val_list))
        val = frozenset(photo.path for photo in held_out)
        warnings.append(held_out.warning())
    for text in filter(None, warnings):
        click.echo(f"Warning: {text}", err=True)
    return val


def _jobs_for(photos: int) -> int:
    """Processes for so many photos on the CPUs that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    cpus = len(usable(0)) if usable else os.cpu_count() or 1
    return max(1, min(cpus, photos // _PHOTOS_PER_JOB))


def _tell(report: PackReport, output: Path, as_json: bool) -> None:
    if as_json:
        _print_json(
            {
                "pack": str(output),
                "faces": report.rows,
                "present": report.present,
                "photos": report.photos,
                "failed": report.failed,
            }
        )
    else:
        present = f", {report.present} were there" if report.present else ""
        click.echo(f"{output}: {report.rows} faces of {report.photos} photos{present}")
    for photo, reason in report.failed:
        click.echo(f"Failed: {photo}: {reason}", err=True)


def _print_json(values: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(values))


def _look(verify: Path | None, info: Path | None, source: Path | None, as_json: bool) -> None:
    """--verify and --info."""
    if source is not None or (verify and info):
        raise click.UsageError("--verify and --info stand alone, with one FILE")
    if info:
        _show(info, as_json)
    elif verify:
        _verify(verify, as_json)


def _verify(path: Path, as_json: bool) -> None:
    """Lists what is bad on stdout; exit code 1 when there is something."""
    from tufa_cli.data.verify import verify

    verdict = verify(path)
    if as_json:
        bad = [{"row": row, "problem": problem} for row, problem in verdict.bad]
        _print_json(
            {
                "pack": str(path),
                "rows": verdict.rows,
                "checksums": verdict.has_checksums,
                "bad": bad,
            }
        )
    else:
        for row, problem in verdict.bad:
            click.echo(problem if row is None else f"row {row}: {problem}")
    if not verdict.has_checksums:
        click.echo(f"Warning: {path} is of version 1, which has no checksums", err=True)
    if verdict.bad:
        rows = len({row for row, _ in verdict.bad if row is not None})
        damaged = f"damaged ({rows} of {verdict.rows} rows)" if rows else "not sound"
        click.echo(f"{path}: {damaged}; pack it again", err=True)
        click.get_current_context().exit(1)
    if not as_json:
        click.echo(f"{path}: {verdict.rows} rows, all sound")


def _show(path: Path, as_json: bool) -> None:
    from tufa_cli.data.verify import describe

    found = describe(path)
    if as_json:
        _print_json(found)
        return
    checks = "checksums" if found["checksums"] else "no checksums"
    files = f" in {found['files']} files" if found["files"] > 1 else ""
    click.echo(f"{path}: {found['faces']} faces{files}, {found['bytes'] / 1e6:.1f} MB, {checks}")
    for group in found["groups"]:
        name = f"{group['source']}/{group['scheme']}"
        click.echo(f"  {group['split']:8} {name:28} {group['faces']:7} faces")
    low, middle, high = found["crop_px"]
    weights = "/".join(f"{size / 1024:.1f}" for size in found["crop_bytes"])
    click.echo(f"crops: {low} to {high} px, median {middle}; {weights} KiB least/median/most")
    plane = found["plane"]
    x, y, side = plane["window"]
    click.echo(f"plane: {plane['name']}, {len(plane['schemes'])} schemes")
    click.echo(f"window: ({x:g}, {y:g}), side {side:g}; stored {found['context']:g} times as wide")
