"""``tufa-cli config``: what a training configuration comes to, and where each value is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click


@click.group()
def config() -> None:
    """Look at training configurations without training."""


@config.command()
@click.argument("config", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON object on stdout.")
def show(config: Path | None, words: tuple[str, ...], as_json: bool) -> None:
    """Every key with its value after CONFIG (YAML) and KEY=VALUE words, and where it is from.

    Without CONFIG: the keys there are and their defaults. Mistakes are all listed at once.

    \b
    Example:
      tufa-cli config show
      tufa-cli config show examples/train_nano.yaml steps=1000
    """
    import json

    from tufa_cli.training.config import TrainConfig, load_config

    settings = load_config(config, words) if config else TrainConfig()
    origins = _origins(config, words)
    rows = {
        key: {"value": value, "origin": origins.get(key, "default")}
        for key, value in _leaves(settings.to_dict())
    }
    if as_json:
        click.echo(json.dumps(rows))
        return
    lines = {key: f"{key}: {json.dumps(row['value'])}" for key, row in rows.items()}
    width = max(map(len, lines.values()))
    for key, line in lines.items():
        click.echo(f"{line:<{min(width, 50)}}  # {rows[key]['origin']}")


def _origins(config: Path | None, words: tuple[str, ...]) -> dict[str, str]:
    """Dotted key -> the file's name or "command line", for the keys that are not defaults."""
    import yaml

    found = {}
    if config is not None:
        raw = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        found = {key: config.name for key, _ in _leaves(raw)}
    return found | {word.partition("=")[0]: "command line" for word in words}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; an empty mapping is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
