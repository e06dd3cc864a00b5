"""``tufa-cli train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tufa_cli.cli.options import RunCommand, resume_run_option

if TYPE_CHECKING:
    from tufa_cli.training.config import TrainConfig


@click.command(cls=RunCommand)
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Run folder.")
@resume_run_option
@click.option("--stop-at", type=int, help="Leave after this step (training in stretches).")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check config and packs, take a few steps, estimate time and memory; write nothing.",
)
@click.option(
    "--find-batch-size",
    is_flag=True,
    help="Try growing batches: faces per second and memory of each; write nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on stdout.")
def train(
    config: Path,
    words: tuple[str, ...],
    out: Path | None,
    resume: bool,
    stop_at: int | None,
    dry_run: bool,
    find_batch_size: bool,
    as_json: bool,
) -> None:
    """Train the regressor on packed faces, as CONFIG (YAML) says; KEY=VALUE words replace values.

    Interrupt it whenever you like: the step is finished and saved, and --resume goes on. On many
    GPUs: torchrun --nproc-per-node N --max-restarts 3 -m tufa_cli train ... --resume auto

    \b
    Example:
      tufa-cli train examples/train_nano.yaml packs='[faces.h5]' -o runs/nano
      tufa-cli train examples/train_nano.yaml packs='[faces.h5]' -o runs/nano --resume
    """
    from tufa_cli.training.config import load_config

    settings = load_config(config, words)
    if dry_run:
        _describe(settings, as_json)
        return
    if find_batch_size:
        _batch_sizes(settings, as_json)
        return
    if out is None:
        raise click.UsageError("Missing option '-o' / '--out'.")
    from tufa_cli.cli.train_view import view
    from tufa_cli.training.loop import train as run

    with view(as_json) as report:
        state = run(settings, out, resume=resume, stop_at=stop_at, report=report)
    done = state.step >= min(settings.steps, stop_at or settings.steps)
    if not done and not (out / "final.pt").exists():
        if os.environ.get("RANK", "0") == "0":
            click.echo(f"Stopped after step {state.step}; --resume goes on.", err=True)
        click.get_current_context().exit(130)


def _describe(settings: TrainConfig, as_json: bool) -> None:
    """The merged config, what the packs hold, and what a few steps cost, on stdout."""
    import json

    import yaml

    from tufa_cli.data.packed import PackedFaces
    from tufa_cli.training.trial import try_steps

    data = settings.to_dict()
    faces = PackedFaces([Path(p) for p in data["packs"]], 128)
    counts = {}
    for split in sorted(set(faces.split_of)):
        rows = faces.rows(split)
        labels = [f"{faces.source_of[r]}/{faces.scheme_of[r]}" for r in rows]
        counts[str(split)] = {label: labels.count(label) for label in sorted(set(labels))}
    trial = try_steps(settings)
    hours = settings.steps * max(trial.step_seconds, _load_share(settings, trial)) / 3600
    if as_json:
        report = {"config": data, "faces": counts, "trial": vars(trial), "hours": hours}
        click.echo(json.dumps(report))
        return
    click.echo(yaml.safe_dump(data, sort_keys=False), nl=False)
    for split, found in counts.items():
        for label, count in found.items():
            click.echo(f"# {split} {label}: {count} faces")
    memory = "" if trial.memory_mb is None else f", {trial.memory_mb:.0f} MB"
    click.echo(
        f"# a step: {trial.step_seconds:.2f} s, {trial.load_seconds:.2f} s of a worker's time to "
        f"load it{memory}; loss {trial.loss:.2f}"
    )
    click.echo(f"# {settings.steps} steps: about {hours:.1f} hours, validation not counted")


def _load_share(settings: TrainConfig, trial: object) -> float:
    """Seconds of loading that each step waits for at least, shared by the workers."""
    return trial.load_seconds / max(settings.workers, 1)  # type: ignore[attr-defined]


def _batch_sizes(settings: TrainConfig, as_json: bool) -> None:
    """A row for each batch size that fits."""
    import json

    from tufa_cli.training.trial import batch_sizes

    for trial in batch_sizes(settings):
        if as_json:
            click.echo(json.dumps(vars(trial) | {"faces_per_second": trial.faces_per_second}))
            continue
        memory = "" if trial.memory_mb is None else f"  {trial.memory_mb:.0f} MB"
        click.echo(
            f"batch_size={trial.batch_size}  {trial.faces_per_second:.1f} faces/s  "
            f"{trial.step_seconds:.3f} s/step{memory}"
        )
