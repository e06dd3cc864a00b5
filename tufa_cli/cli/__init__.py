"""The command line: click and rich live only here, and heavy imports only in command bodies."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from tufa_cli import __version__
from tufa_cli.errors import TufaError

EXIT_USER_ERROR = 1
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130

#: Command name -> "module:attribute"; a module is imported only when its command is used.
COMMANDS = {
    "align": ("tufa_cli.cli.align:align", "Put the mean shapes of schemes on one plane."),
    "annotate": ("tufa_cli.cli.annotate:annotate", "Photos in, landmarks of any scheme out."),
    "completion": ("tufa_cli.cli.completion:completion", "The completion script of a shell."),
    "config": ("tufa_cli.cli.config:config", "Show what a training configuration comes to."),
    "convert": ("tufa_cli.cli.convert:convert", "Landmark files from one format to another."),
    "evaluate": ("tufa_cli.cli.evaluate:evaluate", "Measure a model against people's labels."),
    "meanshape": ("tufa_cli.cli.meanshape:meanshape", "The Procrustes mean shape of labels."),
    "models": ("tufa_cli.cli.models:models", "List, show, export and import weights files."),
    "pack": ("tufa_cli.cli.pack:pack", "Labelled photos into one HDF5 file for training."),
    "schemes": ("tufa_cli.cli.schemes:schemes", "List, show, plot, check and write schemes."),
    "train": ("tufa_cli.cli.train:train", "Train the regressor on packed faces."),
    "train-finder": ("tufa_cli.cli.train_finder:train_finder", "Train the face finder on photos."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 something you can fix, 2 wrong usage, "
    "3 finished but some items failed, 130 interrupted.",
)
@click.version_option(__version__, prog_name="tufa-cli")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Face landmarks in any scheme: pack datasets, train one model, annotate photos."""
    ctx.obj = {"debug": debug}


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the design's codes."""
    args = sys.argv[1:] if args is None else args
    debug = "--debug" in args or bool(os.environ.get("TUFA_DEBUG"))
    try:
        code: Any = cli.main(args=args, prog_name="tufa-cli", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except TufaError as error:
        if debug:
            raise
        report(error)
        sys.exit(EXIT_USER_ERROR)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (head, less): not an error of ours or theirs.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def report(error: TufaError) -> None:
    """An error as one or two lines on stderr."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"Hint: {error.hint}", err=True)
