"""``tufa-cli completion``: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    Load it once in your shell's start file; afterwards the tab key completes commands, options
    and file names.

    \b
    Example:
      tufa-cli completion bash >> ~/.bashrc
      tufa-cli completion zsh >> ~/.zshrc
      tufa-cli completion fish > ~/.config/fish/completions/tufa-cli.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "tufa-cli", "_TUFA_CLI_COMPLETE")
    click.echo(script.source())
