"""``tufa-cli train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tufa_cli.training.loop import Progress


@click.command()
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, if there is one.")
@click.option("--stop-at", type=int, help="Leave after this step (training in stretches).")
@click.option("--dry-run", is_flag=True, help="Check the config and the packs, print and leave.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on stdout.")
def train(
    config: Path,
    words: tuple[str, ...],
    out: Path,
    resume: bool,
    stop_at: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the regressor on packed faces, as CONFIG (YAML) says; KEY=VALUE words replace values.

    Interrupt it whenever you like: the step is finished and saved, and --resume goes on.

    \b
    Example:
      tufa-cli train examples/train_nano.yaml packs='[faces.h5]' -o runs/nano
      tufa-cli train examples/train_nano.yaml packs='[faces.h5]' -o runs/nano --resume
    """
    from tufa_cli.training.config import load_config

    settings = load_config(config, words)
    if dry_run:
        _describe(settings)
        return
    from tufa_cli.training.loop import train as run

    state = run(
        settings, out, resume=resume, stop_at=stop_at, report=_json_line if as_json else _line
    )
    if state.step < min(settings.steps, stop_at or settings.steps):
        click.echo(f"Stopped after step {state.step}; --resume goes on.", err=True)
        click.get_current_context().exit(130)


def _describe(settings: object) -> None:
    """The merged config and what the packs hold, on stdout."""
    import yaml

    from tufa_cli.data.packed import PackedFaces

    data = settings.to_dict()  # type: ignore[attr-defined]
    click.echo(yaml.safe_dump(data, sort_keys=False), nl=False)
    faces = PackedFaces([Path(p) for p in data["packs"]], 128)
    for split in sorted(set(faces.split_of)):
        rows = faces.rows(split)
        labels = [f"{faces.source_of[r]}/{faces.scheme_of[r]}" for r in rows]
        for label in sorted(set(labels)):
            click.echo(f"# {split} {label}: {labels.count(label)} faces")


def _line(progress: Progress) -> None:
    """One line on stderr per report."""
    at = f"step {progress.step}/{progress.steps}"
    if progress.kind == "step":
        rest = (progress.steps - progress.step) * progress.seconds_per_step / 60
        click.echo(
            f"{at}  loss {progress.loss:.3f}  {progress.seconds_per_step:.3f} s/step  "
            f"waiting {progress.wait_share:.0%}  {rest:.0f} min left",
            err=True,
        )
    elif progress.kind == "validation":
        scores = "  ".join(f"{key} {value:.2f}" for key, value in progress.nme_percent.items())
        click.echo(f"{at}  NME %  {scores}", err=True)
    elif progress.kind == "done":
        click.echo(progress.path)


def _json_line(progress: Progress) -> None:
    """One JSON object per report on stdout, without values that are not numbers."""
    import json
    import math

    values = {
        key: value
        for key, value in vars(progress).items()
        if not (isinstance(value, float) and math.isnan(value)) and value not in ({}, "")
    }
    click.echo(json.dumps(values))
