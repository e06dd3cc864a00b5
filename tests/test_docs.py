"""The pages a user reads: commands that exist and run, links that lead somewhere, no stale page."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import tufa_cli

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")])
BLOCK = re.compile(r"(<!-- run -->\n)?```sh\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[bool, str]]:
    """(whether it is marked to be run, text) of each shell block."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(bool(marked), text) for marked, text in found]


RUNNABLE = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (marked, text) in enumerate(blocks(page))
    if marked
]


def test_the_pages_that_must_be_there_are():
    names = {page.relative_to(CHECKOUT).as_posix() for page in PAGES}
    assert names >= {
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "MODEL_CARD.md",
        "WEIGHTS_LICENSE.md",
        "docs/cli.md",
        "docs/index.md",
        "docs/walkthrough.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_shell_blocks_exist(page, understands):
    for _, text in blocks(page):
        for line in text.replace("\\\n", " ").splitlines():
            if re.search(r"\btufa-cli [a-z]", line) and not line.lstrip().startswith(("#", "git")):
                understands(line)


def test_some_blocks_are_run():
    assert len(RUNNABLE) >= 4


@pytest.mark.parametrize("text", RUNNABLE)
def test_blocks_marked_run_do_run(text, desk):
    done = desk.run(text)
    assert done.code == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_pages_named_in_messages_exist():
    named = {
        name
        for path in (CHECKOUT / "tufa_cli").rglob("*.py")
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert [name for name in sorted(named) if not (CHECKOUT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page):
    assert not re.search(r"TO FILL|TODO|FIXME", page.read_text(encoding="utf-8"))


def test_the_command_reference_is_what_help_says():
    spec = importlib.util.spec_from_file_location("make_cli", CHECKOUT / "docs" / "make_cli.py")
    make_cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_cli)
    written = make_cli.TARGET.read_text(encoding="utf-8")
    assert written == make_cli.page(), "docs/cli.md is stale: run `make docs`"


def test_make_targets_named_in_the_pages_exist():
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named and named <= targets


def test_ci_runs_what_the_readme_says():
    ci = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for command in ("make test", "make lint", "make demo"):
        assert f"\n{command}\n" in ci and f"\n{command}\n" in readme


def test_the_changelog_knows_this_version():
    text = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(tufa_cli.__version__)}\b", text, re.MULTILINE)


def test_every_dependency_has_its_exact_version():
    import configparser

    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    lists = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    needed = {re.split(r"[><=]", line)[0].lower() for text in lists for line in text.split()}
    pinned = {
        line.partition("==")[0].lower()
        for line in (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    assert needed and needed <= pinned
