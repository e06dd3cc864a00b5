"""Writes docs/cli.md from the commands' own --help texts. Run it with ``make docs``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from tufa_cli.cli import cli

TARGET = Path(__file__).resolve().parent / "cli.md"
WIDTH = 96

HEAD = """\
# Command reference

Made from `--help` by `make docs`; change the commands, not this page.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 something you can fix,
2 wrong usage, 3 finished but some items failed, 130 interrupted. `--debug` before the name of the
command shows the traceback of an error.
"""


def helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """("tufa-cli schemes list", its help text) for a command and everything below it."""
    text = command.get_help(context)
    yield context.command_path, "\n".join(line.rstrip() for line in text.splitlines())
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from helps(below, context_of(below, name, context))


def context_of(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    """What the command line would make for this command, at a width that is always the same."""
    return click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )


def page() -> str:
    """The whole text of docs/cli.md."""
    parts = [HEAD]
    for title, text in helps(cli, context_of(cli, "tufa-cli", None)):
        parts.append(f"{'#' * (1 + len(title.split()))} {title}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    print(f"written: {TARGET.name}")
