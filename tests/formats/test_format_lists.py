"""Lists of a face a line: rows of one photo come together, and memory does not grow with rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import read, write
from tufa_cli.formats._lists import Companion, PhotoRows
from tufa_cli.formats._text import _CHUNK, lines_at, raw_lines, text_lines

Put = Callable[[str, str | bytes], Path]
MTFL = "1 2 3 4 5 11 12 13 14 15 1 2 2 3"


def first_word(text: str) -> str:
    return text.split()[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists") / "list.txt"


@given(
    words=st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=30),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n"]), min_size=1, max_size=3),
    bom=st.booleans(),
)
def test_rows_of_a_photo_come_together(
    place: Path, words: list[str], ends: list[str], bom: bool
) -> None:
    rows = [f"{word} {number}" for number, word in enumerate(words)]
    text = "".join(row + ends[i % len(ends)] for i, row in enumerate(rows))
    place.write_bytes(("\ufeff" * bom + text).encode())
    expected: dict[str, list[str]] = {}
    for word, row in zip(words, rows, strict=True):
        expected.setdefault(word, []).append(row)
    found = PhotoRows(place, first_word)
    assert len(found) == len(rows)
    groups = list(found)
    assert [[text.strip() for _, text in group] for group in groups] == list(expected.values())
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert all(lines[line - 1] == text for group in groups for line, text in group)
    for word in "abcdefg":
        assert [text.strip() for _, text in found.find(word)] == expected.get(word, [])


def test_names_that_share_a_key_stay_apart(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.hash", lambda value: 7)
    path = put("list.txt", "a 1\nb 2\na 3\n")
    rows = [[text for _, text in group] for group in PhotoRows(path, first_word)]
    assert rows == [["a 1", "a 3"], ["b 2"]]
    assert [text for _, text in PhotoRows(path, first_word).find("b")] == ["b 2"]


def test_lines_across_chunks(put: Put) -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        pieces = [b"x" * (_CHUNK // 3 - offset) for offset in range(-2, 3)] * 2
        path = put("long.txt", end.join(pieces) + end)
        assert [raw for _, raw in raw_lines(path)] == pieces
        offsets = [offset for offset, _ in raw_lines(path)]
        found = lines_at(path, [(9, offsets[4], 1), (2, offsets[1], 1)])
        assert [len(text) for _, text in found] == [len(pieces[4]), len(pieces[1])]


@pytest.mark.parametrize("format", ["wflw", "mtfl", "celeba", "hrnet-csv", "muct"])
def test_an_endless_line_is_refused_without_reading_it(put: Put, format: str) -> None:
    path = put("list.txt", "")
    with path.open("r+b") as stream:
        stream.truncate(1 << 30)  # one line of a gigabyte, which takes no room on the disk
    tracemalloc.start()
    with pytest.raises(InputError, match=r"zero bytes|more than 1,000,000|not text"):
        list(read(path, format))
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"", 1, "empty"),
        (b"\xef\xbb\xbf\r\n \n", 1, "empty"),
        (b"a\nM\xfcller\n", 2, "not UTF-8"),
        (b"a\rb\r\0\r", 3, "zero bytes"),
        (b"a\n" + b"x" * 2_500_000, 2, "a line of more than"),
    ],
)
def test_no_text(put: Put, content: bytes, line: int, problem: str) -> None:
    path = put("list.txt", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(text_lines(path))
    assert (caught.value.path, caught.value.line) == (path, line)


def test_photos_of_several_lists_are_told(put: Put, tmp_path: Path) -> None:
    """WFLW's lists of subsets repeat faces of its test list."""
    numbers = " ".join(["1"] * 196)
    put("test.txt", "".join(f"{numbers} {name}.jpg\n" for name in "abca"))
    put("test_blur.txt", f"{numbers} b.jpg\n{numbers} a.jpg\n")
    put("train.txt", f"{numbers} x.jpg\n")
    notes: list[str] = []
    assert len(list(read(tmp_path, "wflw", on_note=notes.append))) == 6
    assert notes == [f"{tmp_path}: 2 photos stand in several of its lists"]
    notes.clear()
    assert len(list(read(tmp_path / "test.txt", "wflw", on_note=notes.append))) == 3
    assert notes == []


@pytest.mark.parametrize(
    "name", ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "C:\\a.jpg", "..\\a.jpg"]
)
@pytest.mark.parametrize("format", ["mtfl", "wflw", "retinaface"])
def test_names_that_lead_out_of_the_folder(
    put: Put, refused: Callable[..., InputError], tmp_path: Path, format: str, name: str
) -> None:
    numbers = " ".join(["1"] * 196)
    rows = {"mtfl": f"{name} {MTFL}", "wflw": f"{numbers} {name}", "retinaface": f"# {name}"}
    refused(put("list.txt", rows[format] + "\n"), format, "leads out of its folder", 1)
    face = Face(np.ones((98 if format == "wflw" else 5, 2)))
    image = AnnotatedImage(name.replace("\\", "/"), (face,))
    with pytest.raises(OutputError, match="leads out of its folder"):
        write([image], tmp_path / "out/o.txt", format)
    assert not (tmp_path / "out").exists()


def test_a_companion_in_another_order(put: Put) -> None:
    path = put("beside.txt", "head\na 1\nb 2\nd 4\nc 3\nb 5\n")
    beside = Companion(path, first_word, header=1)
    assert [beside.find(name) for name in "acda"] == [
        (2, "a 1"), (5, "c 3"), (4, "d 4"), (2, "a 1"),
    ]  # fmt: skip
    assert beside.find("x") is None
    with pytest.raises(InputError, match=r"line 6: 'b' again: it stands in line 3"):
        beside.find("b")


def test_a_companion_with_a_bad_row(put: Put) -> None:
    def name(text: str) -> str:
        if len(text.split()) != 2:
            raise ValueError("expected two fields")
        return text.split()[0]

    beside = Companion(put("beside.txt", "b 2\nbad\na 1\n"), name)
    with pytest.raises(InputError, match="line 2: expected two fields"):
        beside.find("a")


def faces(count: int) -> Iterator[AnnotatedImage]:
    points = np.arange(10.0).reshape(5, 2)
    for number in range(count):
        yield AnnotatedImage(f"{number % (count - 9)}.jpg", (Face(points),))


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Ten times the faces, some of photos that occur again, take the same memory but 32 bytes."""
    peaks = []
    for count in (1_000, 10_000):
        path = tmp_path / f"{count}.txt"
        tracemalloc.start()
        write(faces(count), path, "mtfl")
        assert sum(len(image.faces) for image in read(path, "mtfl")) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The whole list would take 1 MB, its faces 10 MB.
    assert peaks[1] - peaks[0] < 10_000 * 32 * 4 + 2 * _CHUNK
