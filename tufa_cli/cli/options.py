"""Options that several commands share, each a decorator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tufa_cli.schemes import Scheme

#: A file that must be there is checked by the reader, whose reasons are better than click's.
FILE = click.Path(path_type=Path, dir_okay=False)

weights_option = click.option(
    "--weights", type=FILE, help="Weights file  [default: the shipped network]"
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
)
threads_option = click.option("--threads", type=click.IntRange(1), help="CPU threads.")
batch_size_option = click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Faces at a time."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace files that exist.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, write nothing."
)
carry_option = click.option(
    "--carry/--no-carry",
    default=True,
    show_default=True,
    help="Points the network was not trained on: carried along by those around them that it was, "
    "or asked for by themselves.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")

resume_run_option = click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in the folder, or start it there; '--resume auto' is the same.",
)


class RunCommand(click.Command):
    """A command with ``resume_run_option``, which may be followed by the word auto.

    Click would take any word after an option with a value for that value, a KEY=VALUE too.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave the word out."""
        words = ["--resume" if word == "--resume=auto" else word for word in args]
        plain = [
            word
            for before, word in zip(["", *words], words, strict=False)
            if (before, word) != ("--resume", "auto")
        ]
        return super().parse_args(ctx, plain)


def scheme_for(name_or_file: str, weights: Path | None) -> Scheme:
    """A scheme by name or file; or by the name of a user's scheme that the weights carry.

    Raises UnknownNameError, InputError or ProblemsError.
    """
    from tufa_cli.errors import UnknownNameError
    from tufa_cli.schemes import get_scheme

    try:
        return get_scheme(name_or_file)
    except UnknownNameError as error:
        if weights is None:
            raise
        from tufa_cli.model.weights import load_weights

        own = load_weights(weights).plane.schemes
        if name_or_file in own:
            return own[name_or_file]
        if not own:
            raise
        hint = f"{weights} holds {', '.join(sorted(own))} of its own; {error.hint}"
        known = [*error.known, *own]
        raise UnknownNameError("scheme", name_or_file, known, hint) from None
