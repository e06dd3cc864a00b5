"""XML of any length in little memory, bombs that do not go off, and folders written whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import _xml, get_format, losses, read, write
from tufa_cli.formats._xml import XmlRecords, attribute_values
from tufa_cli.writing import filling, replacing_text

Put = Callable[[str, str | bytes], Path]

FACE = Face(
    np.arange(136.0).reshape(68, 2),
    scheme="ibug68",
    box=np.array([1.0, 2, 3, 4]),
    attributes={"occluded": True},
)


def images(count: int) -> Iterator[AnnotatedImage]:
    """Made while they are asked for, so that only a writer can pile them up."""
    for number in range(count):
        yield AnnotatedImage(f"sub/{number:06d}.jpg", (FACE,), 640, 480)


def peak(work: Callable[[], Any]) -> int:
    """The most memory that Python held at once during the work, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


#: Photos; the files of the fewer are longer than what is read at once.
SIZES = (50, 200)
STREAMS = {"dlib": "o.xml", "cvat": "o.xml", "via": "o.csv", "label-studio": "o.json",
           "labelme": "out", "supervisely": "out", "datumaro": "out"}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_memory_stays_flat_while_writing(tmp_path: Path, name: str) -> None:
    assert get_format(name).CAPABILITIES.streams
    small, large = (
        peak(lambda count=count: write(images(count), tmp_path / str(count) / STREAMS[name], name))
        for count in SIZES
    )
    # A name per photo is kept, and a path per file; the faces alone would be more than 1 MB.
    assert large < small + 400_000


@pytest.mark.parametrize("name", ["dlib", "cvat", "via", "labelme", "supervisely"])
def test_memory_stays_flat_while_reading(tmp_path: Path, name: str) -> None:
    peaks = []
    for count in SIZES:
        target = tmp_path / str(count) / STREAMS[name]
        write(images(count), target, name)

        def through(source: Path = target) -> None:
            assert sum(len(image.faces) for image in read(source, name)) in SIZES

        through()  # what is cached once is not counted
        peaks.append(peak(through))
    assert peaks[1] < peaks[0] + 400_000


def test_losses_are_counted_without_keeping_the_records() -> None:
    def work(count: int) -> None:
        assert losses(images(2 * count), "pts") == [
            f"the box: {2 * count} faces, first in sub/000000.jpg",
        f"attributes of faces (occluded): {2 * count} faces, first in sub/000000.jpg",
        ]  # fmt: skip

    work(1)
    assert peak(lambda: work(400)) < peak(lambda: work(20)) + 100_000


LAUGHS = "<!DOCTYPE lolz [\n" + "<!ENTITY a0 'lol'>\n"
LAUGHS += "".join(
    f"<!ENTITY a{i} '{''.join(f'&a{i - 1};' for _ in range(10))}'>\n" for i in range(1, 10)
)
OUTSIDE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n'


@pytest.mark.parametrize("bomb", [LAUGHS + "]>\n", OUTSIDE, "<!DOCTYPE d SYSTEM 'http://x/d'>\n"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dlib", "<dataset><images><image file='{}'></image></images></dataset>"),
        ("cvat", "<annotations><image id='0' name='{}'></image></annotations>"),
    ],
)
def test_entities_are_refused_before_they_are_looked_at(
    put: Put, tmp_path: Path, name: str, text: str, bomb: str
) -> None:
    entity = "&a9;" if "a9" in bomb else "&x;"
    path = put("a.xml", "<?xml version='1.0'?>\n" + bomb + text.replace("{}", entity))
    for source in (path, tmp_path):
        with pytest.raises(InputError, match=r"document type \(DTD\)|no file of this format"):
            list(read(source, name))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"<a><r x='" + b"y" * 400_000, "a tag of more than 16 MB"),
        (b"<a><!--" + b"y" * 400_000, "a tag of more than 16 MB"),
        (b"<a><r>" + b"y" * 400_000, "<r> holds too long a text"),
        (b"<a>" + b"<r>" * 150, "<r> holds too many elements"),
        (b"<a><r>" + b"<b/>" * 21_000, "<r> holds too many elements"),
    ],
    ids=["tag", "comment", "text", "deep", "many"],
)
def test_what_would_fill_the_memory_is_refused(
    put: Put, text: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_xml, "_MOST_ELEMENTS", 20_000)  # a hundredth of what is allowed
    monkeypatch.setattr(_xml, "_MOST_BYTES", 1 << 18)
    path = put("a.xml", text)
    with pytest.raises(InputError, match=problem) as caught:
        list(XmlRecords(path, "a", ["r"]))
    assert caught.value.line == 1


def test_records_before_the_damage_are_read(put: Put) -> None:
    path = put("a.xml", "<a>\n<r n='1'>\n<r/></r><s><r n='2'/></s>\n<r n=3/>")
    found = []
    with pytest.raises(InputError, match="line 4: not valid XML"):
        for node in XmlRecords(path, "a", ["r"]):
            found.append((node.attributes["n"], node.line, [c.line for c in node.children]))
    assert found == [("1", 2, [3]), ("2", 3, [])]


def test_values_are_those_of_the_tag_in_their_order(put: Put) -> None:
    path = put("a.xml", "<a><r n='b'/><s n='x'/><r n='a'/><r n='b'/><r/>")
    assert attribute_values(path, "r", "n") == ["b", "a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_that_the_file_declares(put: Put, encoding: str) -> None:
    text = f"<?xml version='1.0' encoding='{encoding}'?><a><r n='é'/></a>"
    reader = XmlRecords(put("a.xml", text.encode(encoding)), "a", ["r"])
    assert [node.attributes["n"] for node in reader] == ["é"]
    assert reader.encoding == encoding


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "new/out"
    with pytest.raises(ZeroDivisionError), filling(folder) as staged:
        (staged / "a").write_text("1")
        _ = 1 / 0
    assert not list(tmp_path.iterdir())
    with filling(folder) as staged:
        (staged / "sub").mkdir()
        (staged / "sub/a").write_text("1")
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    with pytest.raises(OutputError, match="a: exists already"), filling(folder) as staged:
        (staged / "sub").mkdir()
        (staged / "sub/a").write_text("2")
        (staged / "b").write_text("2")
    assert [path.name for path in folder.iterdir()] == ["sub"]
    with filling(folder, overwrite=True) as staged:
        (staged / "sub").mkdir()
        (staged / "sub/a").write_text("3")
    assert (folder / "sub/a").read_text() == "3"
    with pytest.raises(OutputError, match="a: is a file"), filling(folder / "sub/a"):
        pass


def test_folders_made_for_nothing_are_taken_away(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="not valid Unicode"),
        replacing_text(tmp_path / "x/y/o.txt") as stream,
    ):
        stream.write("\ud800")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", STREAMS)
def test_names_that_are_no_unicode(tmp_path: Path, name: str) -> None:
    """A file name on disk may hold any bytes; Python shows those as half surrogates."""
    target = tmp_path / STREAMS[name]
    with pytest.raises(OutputError, match="not valid Unicode") as caught:
        write([AnnotatedImage("\udc80.jpg", (FACE,), width=1, height=1)], target, name)
    assert str(target) in caught.value.message and ".part" not in caught.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["pts", "ljson", "supervisely"])
def test_names_that_only_stand_on_the_disk(tmp_path: Path, name: str) -> None:
    faces = () if name == "supervisely" else (FACE,)  # its faces' ids are made of the name
    write([AnnotatedImage("\udc80.jpg", faces, width=1, height=1)], tmp_path / "out", name)
    assert [image.path for image in read(tmp_path / "out", name)] == ["\udc80.jpg"]
