"""``--help`` of every command: quick, complete, and with examples that the command understands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import click
import pytest

from tufa_cli.cli import COMMANDS, cli

HEAVY = ("torch", "numpy", "cv2", "scipy", "h5py", "skimage", "PIL", "rich", "yaml")

PROBE = f"""
import json, sys
from tufa_cli.cli import main
codes = []
for args in json.loads(sys.argv[1]):
    try:
        main(args)
    except SystemExit as end:
        codes.append(end.code)
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([codes, loaded]), file=sys.stderr)
"""


def below(name: str) -> Iterator[tuple[list[str], click.Command]]:
    """The command ``name`` and all its subcommands, each with the words that lead to it."""
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    todo = [([name], command)]
    while todo:
        words, command = todo.pop()
        yield words, command
        if isinstance(command, click.Group):
            todo += [([*words, sub], command.commands[sub]) for sub in command.commands]


def example_lines(command: click.Command) -> list[str]:
    """The command lines of a help text's "Example:" block, continuation lines joined."""
    text = (command.help or "") + "\n" + (command.epilog or "")
    blocks = re.findall(r"Examples?:\s*\n((?:[ \t]+\S.*\n?|\s*\n)+)", text.replace("\b", ""))
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if "tufa-cli" in line]


def test_the_group_lists_every_command(run_cli):
    result = run_cli("--help")
    assert result.code == 0
    assert result.stderr == ""
    assert COMMANDS
    for name, (_, text) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text)}$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_both_spellings_of_help_work(run_cli, flag):
    assert run_cli("schemes", flag).stdout.startswith("Usage: tufa-cli schemes")


def test_the_version_is_the_packages(run_cli):
    import tufa_cli

    assert run_cli("--version").stdout == f"tufa-cli, version {tufa_cli.__version__}\n"


def test_help_of_the_group_loads_nothing_heavy(python):
    assert probe(python, [["--help"], ["--version"]]) == [[0, 0], []]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_nothing_heavy(name, python):
    calls = [[*words, "--help"] for words, _ in below(name)]
    assert probe(python, calls) == [[0] * len(calls), []]


def probe(python, calls):
    result = python(["-c", PROBE, json.dumps(calls)])
    assert result.code == 0, result.stderr
    return json.loads(result.stderr.splitlines()[-1])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name):
    for words, command in below(name):
        assert command.help and len(command.help.split()) > 3, f"{words}: no help text"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{words}: {parameter.opts[0]} has no help"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_it_understands(name, understands):
    """A group may leave the examples to its subcommands."""
    for words, command in below(name):
        lines = example_lines(command)
        if isinstance(command, click.Group):
            continue
        assert lines, f"{' '.join(words)}: no example block in the help"
        for line in lines:
            understands(line)


@pytest.mark.parametrize(
    "args, text",
    [
        (["anotate"], "No such command 'anotate'"),
        (["annotate", "--shceme", "wflw98"], "No such option"),
        (["schemes", "nonsense"], "No such command 'nonsense'"),
    ],
)
def test_wrong_usage_is_exit_2_and_no_traceback(run_cli, args, text):
    result = run_cli(*args)
    assert (result.code, result.stdout) == (2, "")
    assert text in result.stderr and "Traceback" not in result.stderr
