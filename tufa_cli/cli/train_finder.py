"""``tufa-cli train-finder``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tufa_cli.cli.options import FILE, RunCommand, overwrite_option, resume_run_option

if TYPE_CHECKING:
    from tufa_cli.training.finder_loop import FinderProgress


@click.command("train-finder", cls=RunCommand)
@click.argument("config", type=FILE)
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@resume_run_option
@click.option("--stop-at", type=int, help="Leave after this step (training in stretches).")
@click.option("--store-only", is_flag=True, help="Make the file of photos and leave.")
@overwrite_option
def train_finder(
    config: Path,
    words: tuple[str, ...],
    out: Path,
    resume: bool,
    stop_at: int | None,
    store_only: bool,
    overwrite: bool,
) -> None:
    """Train the face finder on whole photos, as CONFIG (YAML) says; KEY=VALUE words replace values.

    The photos are first put into one file (the config's store), unless it is there already;
    --overwrite makes it anew. Interrupt it whenever you like: the step is finished and saved, and
    --resume goes on. OUT/final.pt is a network for annotate --detector finder --detector-weights;
    where its boxes lie on a face is fitted afterwards by examples/fit_detector.py.

    \b
    Example:
      tufa-cli train-finder examples/finder.yaml -o runs/finder
      tufa-cli train-finder examples/finder.yaml -o runs/finder --resume
    """
    from tufa_cli.training.finder_config import load_finder_config

    settings = load_finder_config(config, words)
    if overwrite or not Path(settings.store).exists():
        from tufa_cli.training.finder_sources import build_store

        made = build_store(settings, overwrite)
        click.echo(
            f"{settings.store}: {made.photos} photos, {made.faces} faces, "
            f"{made.ignored} uncertain ones",
            err=True,
        )
        for photo, reason in made.failed:
            click.echo(f"Failed: {photo}: {reason}", err=True)
    if store_only:
        return
    from tufa_cli.training.finder_loop import train_finder as run

    state = run(settings, out, resume=resume, stop_at=stop_at, report=_line)
    if state.interrupted:
        click.echo(f"Stopped after step {state.step}; --resume goes on.", err=True)
        click.get_current_context().exit(130)


def _line(progress: FinderProgress) -> None:
    """One line on stderr per report; the path of the weights on stdout."""
    at = f"step {progress.step}/{progress.steps}"
    if progress.kind == "step":
        losses = "  ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
        rest = (progress.steps - progress.step) * progress.seconds_per_step / 60
        click.echo(
            f"{at}  {losses}  {progress.seconds_per_step:.3f} s/step  "
            f"waiting {progress.wait_share:.0%}  {rest:.0f} min left",
            err=True,
        )
    elif progress.kind == "mined":
        click.echo(f"{at}  {progress.mined} false alarms to be shown again", err=True)
    elif progress.kind == "searched":
        click.echo(f"second look: {at.replace('step', 'scene')}", err=True)
    elif progress.kind == "second":
        losses = progress.losses
        told = f"loss {losses['second']:.3f}  right {losses['right']:.1%}"
        click.echo(f"second look: {at}  {told}", err=True)
    elif progress.kind == "done":
        click.echo(progress.path)
