"""Each format's table of broken files: an InputError with file and line, and nothing written.

What only some formats have (DTDs, zip files, wrong counts) stands in their own tests; lines of a
gigabyte in those of lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_files import GOOD, laid_out

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError
from tufa_cli.formats import read, sniff

#: Formats whose files are no text.
BINARY = {"300w-lp", "aflw-sqlite", "aflwinfo", "cofw", "cofw68", "scut"}
TEXT = sorted(set(GOOD) - BINARY)
#: A JSON value or lines of them; yolo-pose's yaml is flow style.
JSON = [name for name in TEXT if GOOD[name][0].endswith(("json", "jsonl"))]
#: Formats whose programs write where the photos were, be it elsewhere.
ANYWHERE = {"dlib", "labelme"}
#: Names of photos that would lead out of the photos' folder.
ESCAPES = ("../../a.jpg", "b/../../a.jpg", "..\\..\\a.jpg", "/etc/a.jpg", "C:\\a.jpg")


def outcome(path: Path, name: str) -> tuple[list[AnnotatedImage], list[InputError]]:
    """What becomes of a file, which has to be the same kind of thing whether reading goes on."""
    before = sorted(path.parent.rglob("*"))
    sniff(path)
    stopped: list[InputError] = []
    try:
        list(read(path, name))
    except InputError as error:
        stopped.append(error)
    failed: list[InputError] = []
    images = []
    try:
        for image in read(path, name, on_error=failed.append):
            images.append(image)
    except InputError as error:  # the file as a whole
        failed.append(error)
    assert bool(stopped) == bool(failed)
    for error in stopped + failed:
        assert str(error.path).startswith(str(path.parent)), error
        assert "\n" not in error.message and "Traceback" not in error.message
    assert sorted(path.parent.rglob("*")) == before
    for image in images:
        for face in image.faces:
            assert np.isfinite(face.points_px[face.labelled]).all()
            assert (np.abs(face.points_px[face.labelled]) <= 1.1e7).all()
    return images, failed


def facts(images: list[AnnotatedImage]) -> list[str]:
    """What can be compared, missing points too."""
    return [
        repr((i.path, i.split, [(f.points_px.tolist(), f.scheme, f.attributes) for f in i.faces]))
        for i in images
    ]


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_file_that_is_cut_off(name: str, tmp_path: Path) -> None:
    good = GOOD[name][1]
    for number, part in enumerate((0.0, 0.02, 0.3, 0.6, 0.9)):
        path = laid_out(tmp_path / str(number), name, good[: int(len(good) * part)])
        images, failed = outcome(path, name)
        whole = facts(list(read(laid_out(tmp_path / f"{number} whole", name, good), name)))
        # A table may be cut between two rows, and a yaml or a database after what is needed.
        assert failed or all(row in whole for row in facts(images))
    _, failed = outcome(laid_out(tmp_path / "empty", name, b""), name)
    assert failed


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("kind", ["bom", "crlf", "cr"])
def test_other_line_ends_and_a_byte_order_mark_change_nothing(
    name: str, kind: str, tmp_path: Path
) -> None:
    good = GOOD[name][1]
    ends = {"bom": b"\xef\xbb\xbf" + good, "crlf": good.replace(b"\n", b"\r\n")}
    changed = ends.get(kind, good.replace(b"\n", b"\r"))
    images, failed = outcome(laid_out(tmp_path / "changed", name, changed), name)
    assert not failed
    assert facts(images) == facts(list(read(laid_out(tmp_path / "good", name, good), name)))


@pytest.mark.parametrize("name", TEXT)
def test_letters_of_another_encoding(name: str, tmp_path: Path) -> None:
    good = GOOD[name][1]
    latin = good.replace(b"a", b"M\xfcller", 1) if b"a" in good else good + b"M\xfcller\n"
    path = laid_out(tmp_path, name, latin)
    _, (error, *_) = outcome(path, name)
    assert re.search("UTF-8|not valid XML|not valid", str(error)), error


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize(
    "number", ["NaN", "nan", "-inf", "1e400", "1e30", "9" * 5000, "1_0", "٣", '"1"', "[]"]
)
def test_numbers_that_are_no_places(name: str, number: str, tmp_path: Path) -> None:
    """Every number of the file in turn; each is refused, or is none of a point."""
    text = GOOD[name][1].decode()
    places = [m.span() for m in re.finditer(r"(?<![\w.\"'-])-?\d+(?:\.\d+)?(?![\w.\"'])", text)]
    chosen = [*places[:12], *places[-4:]]
    assert chosen or name == "yolo-pose"
    for index, (start, end) in enumerate(chosen):
        broken = text[:start] + number + text[end:]
        outcome(laid_out(tmp_path / str(index), name, broken.encode()), name)


def variants(value: Any) -> Iterator[Any]:
    """The value with one thing in it of another type, or gone, or twice."""
    for other in (None, True, -1, 1.5, "x", "", [], {}, [[]], 10**400):
        if type(other) is not type(value):
            yield other
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: changed} for changed in variants(inner))
    if isinstance(value, list) and value:
        yield [*value, value[0]]
        yield value[1:]
        for changed in variants(value[0]):
            yield [changed, *value[1:]]


@pytest.mark.parametrize("name", JSON)
def test_values_of_other_types(name: str, tmp_path: Path) -> None:
    path = laid_out(tmp_path, name, GOOD[name][1])
    for changed in variants(json.loads(GOOD[name][1])):
        try:
            path.write_text(json.dumps(changed))
        except ValueError:  # more digits than Python writes
            continue
        outcome(path, name)


@pytest.mark.parametrize("name", TEXT)
def test_two_files_in_one(name: str, tmp_path: Path) -> None:
    """Every id, every heading, every name is there twice."""
    outcome(laid_out(tmp_path, name, GOOD[name][1] * 2), name)


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("escape", ESCAPES)
def test_photos_stay_in_their_folder(name: str, escape: str, tmp_path: Path) -> None:
    good = GOOD[name][1]
    found = re.search(rb"(?:\w+[\\/])?\w+\.jpg", good)
    if found is None:
        return  # the file does not name its photo
    inside = escape.replace("\\", "\\\\") if name in JSON else escape
    broken = good.replace(found[0], inside.encode())
    images, failed = outcome(laid_out(tmp_path / "a/b/c", name, broken), name)
    assert failed or images
    for image in images:
        assert ".." not in image.path.split("/")
        assert name in ANYWHERE or not image.path.startswith(("/", "C:"))


@pytest.mark.parametrize("name", TEXT)
def test_a_long_line(name: str, tmp_path: Path) -> None:
    for number, junk in enumerate((b"1 " * 1_200_000, b"x" * 2_400_000)):
        outcome(laid_out(tmp_path / str(number), name, GOOD[name][1] + junk), name)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_links_in_a_circle(name: str, tmp_path: Path) -> None:
    path = laid_out(tmp_path / "in", name, GOOD[name][1])
    whole = facts(list(read(tmp_path / "in", name)))
    (path.parent / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    itself = path.with_name("self" + path.suffix)
    itself.symlink_to(itself.name)
    assert facts(list(read(tmp_path / "in", name))) == whole
    sniff(tmp_path / "in")
    for source in (itself, tmp_path / "none"):
        with pytest.raises(InputError):
            list(read(source, name))
