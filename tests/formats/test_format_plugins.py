"""Formats of other packages: they join lazily, and broken ones take nothing down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tufa_cli import formats
from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import TufaError, UnknownNameError
from tufa_cli.format_toolkit import round_trip_problems
from tufa_cli.formats import _plugins
from tufa_cli.formats._base import Capabilities, Sniff

GOOD = "version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n"
PHOTOS = [AnnotatedImage("a.jpg", [Face(np.ones((2, 2)))])]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets the entry points that other packages would bring: (name, place) each."""

    def set_points(*points: tuple[str, str]) -> None:
        found = [EntryPoint(name, value, formats.ENTRY_POINTS) for name, value in points]
        monkeypatch.setattr(_plugins, "entry_points", lambda group: found)
        _plugins._listing.cache_clear()

    yield set_points
    _plugins._listing.cache_clear()


@pytest.fixture
def mine(plugins, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A format 'mine' with these parts changed (None: left out), as ``get_format`` gives it."""

    def make(**changed: Any) -> Any:
        parts = {
            "TITLE": "mine",
            "CAPABILITIES": Capabilities(),
            "sniff": lambda path: Sniff(True, "it is"),
            "read": lambda source, options: iter(PHOTOS),
            "write": lambda images, target, options: [target for _ in images][:1],
            **changed,
        }
        module = SimpleNamespace(**{k: v for k, v in parts.items() if v is not None})
        monkeypatch.setitem(sys.modules, "made_up_format", module)
        plugins(("mine", "made_up_format"))
        return formats.get_format("mine")

    return make


def test_a_plugin_joins_and_is_not_loaded_by_listing(plugins) -> None:
    plugins(("mine", "tufa_cli.formats.pts"), ("broken", "no_such_module_anywhere"))
    assert {"mine", "broken"} <= set(formats.format_names())
    assert formats.get_format("mine").TITLE == formats.get_format("pts").TITLE
    assert formats.get_format("mine").NAME == "mine"  # as users call it
    with pytest.raises(TufaError, match=r"'broken'.*cannot be loaded"):
        formats.get_format("broken")


def test_a_broken_plugin_does_not_stop_sniffing_but_is_said(plugins, tmp_path: Path) -> None:
    plugins(("broken", "no_such_module_anywhere"), ("empty", "tufa_cli.errors"))
    (tmp_path / "a.pts").write_text(GOOD)
    assert formats.choose_format(tmp_path) == "pts"
    assert "cannot be loaded" in formats.sniff(tmp_path)["broken"].reason
    assert "has no TITLE, CAPABILITIES, sniff" in formats.sniff(tmp_path)["empty"].reason
    notes: list[str] = []
    assert len(list(formats.read(tmp_path, on_note=notes.append))) == 1
    assert [note[:16] for note in notes] == ["format 'broken' ", "format 'empty' ("]


def test_a_plugin_may_not_take_a_built_in_name(plugins) -> None:
    plugins(("pts", "no_such_module_anywhere"))
    assert formats.get_format("pts").NAME == "pts"
    assert formats.plugin_problems() == [
        "format 'pts' of another package (no_such_module_anywhere) is not used: built in"
    ]


def test_two_packages_with_one_name_are_both_left_out(plugins, tmp_path: Path) -> None:
    plugins(("mine", "tufa_cli.formats.pts"), ("mine", "tufa_cli.formats.coco"))
    with pytest.raises(TufaError, match=r"several packages .*coco, .*pts"):
        formats.get_format("mine")
    assert len(formats.plugin_problems()) == 1
    (tmp_path / "a.pts").write_text(GOOD)
    assert formats.choose_format(tmp_path) == "pts"
    plugins(("mine", "tufa_cli.formats.pts"), ("mine", "tufa_cli.formats.pts"))  # found twice
    assert formats.plugin_problems() == [] and formats.get_format("mine")


def test_plugins_can_be_switched_off(plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins(("mine", "tufa_cli.formats.pts"))
    monkeypatch.setenv("TUFA_DISABLE_PLUGINS", "1")
    _plugins._listing.cache_clear()
    assert "mine" not in formats.format_names()
    with pytest.raises(UnknownNameError):
        formats.get_format("mine")


def test_metadata_that_cannot_be_read_is_said(plugins, monkeypatch, tmp_path: Path) -> None:
    plugins()

    def fail(group: str) -> None:
        raise ValueError("bad line")

    monkeypatch.setattr(_plugins, "entry_points", fail)
    assert formats.plugin_problems() == [
        "no other package's format can be used: ValueError: bad line"
    ]
    (tmp_path / "a.pts").write_text(GOOD)
    assert formats.choose_format(tmp_path) == "pts"


def bang(*given: object) -> Any:
    raise KeyError("inside")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"read": None}, "has no read"),
        ({"write": None}, "has no write"),
        ({"CAPABILITIES": {"float": True}}, "CAPABILITIES that are no tufa_cli"),
        ({"read": lambda source: []}, "a read that does not take 2 arguments"),
        ({"sniff": "yes"}, "a sniff that does not take 1 arguments"),
        ({"write": lambda: [], "sniff": lambda: True}, "a sniff that .*; has a write that"),
    ],
)
def test_a_wrong_interface_is_named(mine, changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(TufaError, match=rf"format 'mine' \(made_up_format\) .*{problem}") as caught:
        mine(**changed)
    assert "docs/new_format.md" in str(caught.value.hint)


def test_a_format_that_only_reads_needs_no_write(mine) -> None:
    assert mine(write=None, CAPABILITIES=Capabilities(read_only="made by a camera"))


@pytest.mark.parametrize("error", [ImportError("no lib"), SyntaxError("bad"), SystemExit(3)])
def test_whatever_loading_raises_is_an_error_of_ours(plugins, monkeypatch, error) -> None:
    plugins(("mine", "somewhere"))

    def load(self: EntryPoint) -> None:
        raise error

    monkeypatch.setattr(EntryPoint, "load", load)
    with pytest.raises(TufaError, match=f"cannot be loaded: {type(error).__name__}") as caught:
        formats.get_format("mine")
    assert "TUFA_DISABLE_PLUGINS" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"read": bang}, "read failed: KeyError: 'inside'"),
        ({"read": lambda s, o: (bang() for _ in "ab")}, "read failed: KeyError: 'inside'"),
        ({"read": lambda s, o: None}, "read gave NoneType instead of Iterable"),
        ({"read": lambda s, o: [*PHOTOS, None]}, "read gave NoneType instead of AnnotatedImage"),
        ({"read": lambda s, o: sys.exit(2)}, "read failed: SystemExit: 2"),
    ],
)
def test_a_reader_that_fails_is_named(mine, tmp_path: Path, changed: Any, problem: str) -> None:
    mine(**changed)
    with pytest.raises(TufaError, match=problem) as caught:
        list(formats.read(tmp_path, "mine"))
    assert caught.value.message.startswith("format 'mine' (made_up_format): ")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"write": bang}, "write failed: KeyError"),
        ({"write": lambda i, t, o: None}, "write gave NoneType instead of Sequence"),
        ({"write": lambda i, t, o: ["x"]}, "write gave str instead of Path"),
        ({"lost": bang}, "lost failed: KeyError"),
        ({"renames": lambda: bang}, "renames failed: KeyError"),
    ],
)
def test_a_writer_that_fails_is_named(mine, tmp_path: Path, changed: Any, problem: str) -> None:
    mine(**changed)
    with pytest.raises(TufaError, match=problem):
        formats.write(PHOTOS, tmp_path / "x", "mine")


@pytest.mark.parametrize(
    ("sniff", "problem"),
    [(bang, "sniff failed: KeyError"), (lambda path: True, "sniff gave bool instead of Sniff")],
)
def test_a_look_that_fails_is_a_no_with_the_reason(mine, tmp_path: Path, sniff, problem) -> None:
    mine(sniff=sniff)
    verdict = formats.sniff(tmp_path)["mine"]
    assert not verdict.yes and problem in verdict.reason


def test_errors_for_users_pass_through(mine, tmp_path: Path) -> None:
    def read(source: object, options: object) -> Any:
        raise TufaError("line 3 is odd", "mend it")

    mine(read=read)
    with pytest.raises(TufaError) as caught:
        list(formats.read(tmp_path, "mine"))
    assert (caught.value.message, caught.value.hint) == ("line 3 is odd", "mend it")


def test_a_good_format_survives_the_round_trip_check(tmp_path: Path) -> None:
    faces = [Face([[1.25, 2], [np.nan] * 2], visibility=[1, 0], box=[0, 1, 2, 3], score=0.5)]
    images = [AnnotatedImage("s/a.jpg", faces, split="val"), AnnotatedImage("b.jpg")]
    assert round_trip_problems("coco", images, tmp_path, "x.json") == []


def test_the_round_trip_check_finds_what_goes_wrong(mine, tmp_path: Path) -> None:
    given = [AnnotatedImage("a.jpg", [Face(np.ones((2, 2)), attributes={"b": 1})])]
    counter = iter(range(9))

    def write(images: Any, target: Path, options: object) -> list[Path]:
        given[0].faces[0].points_px[0] = 5
        target.write_text(str(next(counter)))
        return [target]

    mine(write=write, sniff=lambda path: Sniff(False, "not mine"))
    problems = round_trip_problems("mine", given, tmp_path, "x.txt")
    assert problems == [
        "lost: attributes of faces (b): 1 face, first in a.jpg",
        "the records that were given were changed",
        "written again, the bytes are others",
        "not recognised: not mine",
        "a.jpg: face 0: points_px became [[1.0, 1.0], [1.0, 1.0]]",
        "a.jpg: face 0: attributes became {}",
    ]
