"""The manifest: what is listed is what is there, and what a source looks like."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tufa_cli import formats
from tufa_cli.errors import InputError, UnknownNameError

GOOD = "version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n"


def test_manifest_lists_the_files_of_the_folder() -> None:
    files = Path(formats.__file__).parent.glob("[!_]*.py")
    assert sorted(formats.BUILT_IN.values()) == sorted(path.stem for path in files)
    assert formats.BUILT_IN


@pytest.mark.parametrize("name", sorted(formats.BUILT_IN))
def test_each_format_is_complete(name: str) -> None:
    found = formats.get_format(name)
    assert name == found.NAME
    assert len(found.TITLE) < 80
    assert callable(found.sniff) and callable(found.read) and callable(found.write)
    assert isinstance(found.CAPABILITIES, formats.Capabilities)


def test_the_page_of_formats_is_what_the_code_says(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(checkout / "docs")
    script = runpy.run_path(str(checkout / "docs" / "make_formats.py"))
    page = (checkout / "docs" / "formats.md").read_text(encoding="utf-8")
    assert script["with_tables"](page) == page, "run docs/make_formats.py"
    for table in ("formats", "held", "beside"):
        rows = re.findall(r"^\| `([\w-]+)` \|", script["tables"]()[table], re.MULTILINE)
        assert rows == sorted(formats.BUILT_IN)


def test_every_format_says_where_its_photos_are_looked_for(checkout: Path) -> None:
    page = (checkout / "docs" / "formats.md").read_text(encoding="utf-8")
    table = page.partition("## Photos\n")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w-]+)`", " ".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))
    assert sorted({*formats.BUILT_IN} - {*named}) == []


def notes(checkout: Path) -> dict[str, str]:
    """The note on each format in docs/formats.md, in the page's order."""
    page = (checkout / "docs" / "formats.md").read_text(encoding="utf-8")
    text = page.partition("## Notes on each\n")[2].partition("\n## ")[0]
    parts = re.split(r"^\*\*([\w-]+)\.\*\*", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_format_has_a_note(checkout: Path) -> None:
    found = notes(checkout)
    assert list(found) == sorted(formats.BUILT_IN)
    assert [name for name, text in found.items() if len(text.split()) < 10] == []


def test_notes_say_what_the_code_says(checkout: Path) -> None:
    """A read-only format says so, and settings that a note names are the format's."""
    for name, text in notes(checkout).items():
        chosen = formats.get_format(name)
        assert ("Not written" in text) == (chosen.CAPABILITIES.read_only is not None), name
        known = {*getattr(chosen, "SETTINGS", {}), *getattr(chosen, "WRITE_SETTINGS", {})}
        flat = " ".join(text.split())
        named = re.findall(r"settings? `([\w-]+)`", flat) + re.findall(r"setting ([\w-]+)=", flat)
        assert {*named} <= known, name


def test_sections_that_the_code_names_are_there(checkout: Path) -> None:
    page = (checkout / "docs" / "formats.md").read_text(encoding="utf-8")
    code = " ".join(path.read_text() for path in (checkout / "tufa_cli").rglob("*.py"))
    named = re.findall(r'docs/formats\.md, "([^"]+)"', code)
    assert named
    assert [title for title in named if f"## {title}\n" not in page] == []


def test_unknown_name_offers_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean wflw"):
        formats.get_format("wfwl")


def test_formats_load_neither_cv2_nor_torch(python) -> None:
    code = (
        "import sys, tufa_cli.formats as f\n"
        "[f.get_format(n) for n in f.format_names()]\n"
        "print([m for m in ('cv2', 'torch', 'h5py', 'skimage') if m in sys.modules])"
    )
    done = python(["-c", code])
    assert (done.code, done.stdout.strip()) == (0, "[]"), done.stderr


def test_ambiguous_folder_names_the_candidates(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text(GOOD)
    (tmp_path / "b.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(InputError, match="looks like coco and pts") as caught:
        list(formats.read(tmp_path))
    assert "--from" in str(caught.value.hint)


@pytest.mark.parametrize("content", [None, b"hello world\n", b"\xff\xd8\xff\xe0", b""])
def test_unknown_content_is_no_format(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        for name in ("a.txt", "a.pts", "a.json", "a.xyz"):
            (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="none of the known formats"):
        formats.read(tmp_path)


@pytest.mark.parametrize("name", sorted(formats.BUILT_IN))
def test_a_folder_without_the_format_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.md").write_text("# nothing here\n")
    with pytest.raises(InputError, match="in the folder"):
        list(formats.read(tmp_path, name))


@pytest.mark.parametrize("name", ["auto", *sorted(formats.BUILT_IN)])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        list(formats.read(tmp_path / "absent", name))
    with pytest.raises(InputError, match="cannot be read"):
        list(formats.read(tmp_path / ("x" * 5000), name))


def test_scheme_must_fit_the_format(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x\n")
    with pytest.raises(InputError, match="wflw holds 98 points, the scheme ibug68 has 68"):
        formats.read(tmp_path / "list.txt", "wflw", scheme="300w")
    with pytest.raises(UnknownNameError):
        formats.read(tmp_path / "list.txt", "wflw", scheme="wflw99")
    with pytest.raises(InputError, match="no such folder of photos"):
        formats.read(tmp_path / "list.txt", "wflw", root=tmp_path / "absent")
