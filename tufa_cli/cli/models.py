"""``tufa-cli models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tufa_cli.cli.options import json_option, overwrite_option

if TYPE_CHECKING:
    from tufa_cli.model.weights import Weights

#: What training calls its settings would read as the network's beside "model".
_META_KEYS = {"config": "training"}


@click.group()
def models() -> None:
    """List, show, export and import weights files."""


@models.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """The networks that ship with the package.

    \b
    Example:
      tufa-cli models list
    """
    import json

    from tufa_cli.model.weights import load_weights

    entries = [_describe(path, load_weights(path)) for path in _shipped()]
    if as_json:
        click.echo(json.dumps(entries, indent=2))
        return
    if not entries:
        click.echo("This package ships no weights; give a file where a command takes --weights.")
    for entry in entries:
        click.echo(
            f"{entry['name']}  {entry['parameters'] / 1e6:.2f} M parameters, "
            f"{entry['input_size']} px, trained on {', '.join(entry['trained_schemes']) or 'none'}"
        )


@models.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(file: Path | None, as_json: bool) -> None:
    """What a weights FILE holds (the shipped network when none is named), and its terms of use.

    \b
    Example:
      tufa-cli models show
      tufa-cli models show runs/nano/best.pt --json
    """
    import json

    from tufa_cli.model.weights import builtin_weights_path, load_weights

    path = file or builtin_weights_path()
    entry = _describe(path, load_weights(path))
    if as_json:
        click.echo(json.dumps(entry, indent=2))
        return
    for key, value in entry.items():
        _print_entry(key.replace("_", " "), value)


@models.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New file.")
@click.option("--half", is_flag=True, help="Matrices in float16: half the size.")
@overwrite_option
def export(file: Path, output: Path, half: bool, overwrite: bool) -> None:
    """A weights FILE written anew, smaller with --half, as the shipped ones were.

    \b
    Example:
      tufa-cli models export runs/nano/final.pt --half -o nano.pt
    """
    from tufa_cli.model.weights import load_weights, save_weights

    save_weights(output, load_weights(file), overwrite=overwrite, half=half)
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


@models.command("import-official")
@click.argument("weights", metavar="WEIGHTS", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--prompts",
    multiple=True,
    metavar="[SCHEME=]FILE",
    help="The release's shape_68.npz, shape_98.npz or shape_29.npz; any other with the name or "
    "file of its scheme. May be repeated.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New file.")
@click.option("--name", help="Name of the weights  [default: the output's name]")
@overwrite_option
def import_official(
    weights: Path, prompts: tuple[str, ...], output: Path, name: str | None, overwrite: bool
) -> None:
    """The official release's WEIGHTS and prompts as a weights file of ours.

    WEIGHTS is Face_prompt_base.pth (our size s8) or Face_prompt_small.pth (s16). Every tensor is
    checked; what is missing or left over is named. Schemes without a prompt file are asked for by
    the plane's own anchors. The release tells no confidence, so none is written.

    \b
    Example:
      tufa-cli models import-official Face_prompt_base.pth --prompts shape_68.npz \\
          --prompts shape_98.npz -o official.pt
    """
    from tufa_cli.model.official import TERMS, import_official, read_prompts
    from tufa_cli.model.weights import save_weights
    from tufa_cli.writing import check_writable

    check_writable(output, overwrite)
    places = read_prompts(prompts)
    save_weights(output, import_official(weights, places, name or output.stem), overwrite=overwrite)
    asked = ", ".join(sorted(places)) or "none"
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB, prompts of {asked}")
    click.echo(f"Terms: {TERMS}", err=True)


def _shipped() -> list[Path]:
    """The weights files in the package, by name."""
    import importlib.util

    # The package's folder without importing it: torch would take a second to list nothing.
    spec = importlib.util.find_spec("tufa_cli.model")
    folders = spec.submodule_search_locations if spec else None
    return sorted(path for folder in folders or () for path in Path(folder).glob("weights/*.pt"))


def _describe(path: Path, weights: Weights) -> dict[str, Any]:
    """What a weights file says of itself, as plain values."""
    from tufa_cli.model.build import count_parameters

    meta = dict(weights.meta)
    window = weights.window
    return {
        "name": weights.name,
        "file": str(path),
        "bytes": path.stat().st_size,
        "terms": meta.pop("terms", "not stated in the file: ask who made it before using it"),
        "parameters": count_parameters(weights.model),
        "input_size": weights.input_size,
        "trained_schemes": sorted(weights.learned),
        "schemes": {name: len(points) for name, points in sorted(weights.plane.anchors.items())},
        "plane": weights.plane.name,
        "window": {"x": window.x, "y": window.y, "side": window.side},
        "model": weights.model.config.to_dict(),
        **{_META_KEYS.get(key, key): value for key, value in meta.items() if key != "name"},
    }


def _print_entry(key: str, value: Any, indent: int = 0) -> None:
    """One entry on a line, nested ones below it."""
    start = "  " * indent
    if isinstance(value, dict) and value:
        click.echo(f"{start}{key}:")
        for name, inner in value.items():
            _print_entry(str(name), inner, indent + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        click.echo(f"{start}{key}:")
        for inner in value:
            click.echo(f"{start}  - " + ", ".join(f"{k}: {v}" for k, v in inner.items()))
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"{start}{key}: {'–' if text in (None, '', {}) else text}")
