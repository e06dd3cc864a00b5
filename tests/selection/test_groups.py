"""Which photos belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.selection import GroupBy


def together(way: str, images: list[AnnotatedImage]) -> list[set[str]]:
    of = GroupBy.parse(way).group(images).of
    return [{path for path in of if of[path] == group} for group in sorted(set(of.values()))]


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("photo", [{"a/1_x.jpg"}, {"a/2_x.jpg"}, {"b/1_x.png"}]),
        ("folder", [{"a/1_x.jpg", "a/2_x.jpg"}, {"b/1_x.png"}]),
        ("stem", [{"a/1_x.jpg", "b/1_x.png"}, {"a/2_x.jpg"}]),
        (r"regex:(\d)_", [{"a/1_x.jpg", "b/1_x.png"}, {"a/2_x.jpg"}]),
        ("regex:^[ab]", [{"a/1_x.jpg", "a/2_x.jpg"}, {"b/1_x.png"}]),
        (r"regex:(\d)|(z)", [{"a/1_x.jpg", "b/1_x.png"}, {"a/2_x.jpg"}]),
    ],
)
def test_by_the_path(photo, way: str, expected: list[set[str]]) -> None:
    images = [photo(path) for path in ("a/1_x.jpg", "a/2_x.jpg", "b/1_x.png")]
    assert together(way, images) == expected


def test_by_an_attribute_of_faces_or_else_of_the_photo(photo) -> None:
    images = [
        photo("a", {"who": 1}),
        photo("b", {"who": "1"}),
        photo("c", {}, attributes={"who": 2}),
        photo("d", {}, {"who": 2}, attributes={"who": 1}),
        photo("e", {}),
        photo("f", {"who": " "}),
    ]
    assert together("attribute:who", images) == [{"e"}, {"f"}, {"a", "b"}, {"c", "d"}]
    assert GroupBy.parse("attribute:who").group(images).alone == 2


def test_a_photo_of_two_persons_joins_their_groups(photo) -> None:
    images = [photo("a", {"who": 1}), photo("b", {"who": 3}), photo("c", {"who": 2})]
    assert len(together("attribute:who", images)) == 3
    images.append(photo("d", {"who": 3}, {"who": 1}))
    assert together("attribute:who", images) == [{"a", "b", "d"}, {"c"}]


def test_entries_of_one_photo_stay_together(photo) -> None:
    images = [photo("a", {"who": 1}), photo("a", {"who": 2}), photo("b", {"who": 2})]
    assert together("attribute:who", images) == [{"a", "b"}]
    images = [photo("a", {}), photo("a", {"who": 2}), photo("a", {})]
    found = GroupBy.parse("attribute:who").group(images)
    assert (found.count, found.alone) == (1, 0)


@given(st.lists(st.frozensets(st.integers(0, 9), max_size=3), max_size=30), st.randoms())
def test_groups_are_the_connected_pieces_in_any_order(people, random) -> None:
    from numpy import zeros

    from tufa_cli.annotation import Face

    images = [
        AnnotatedImage(str(n), [Face(zeros((1, 2)), attributes={"who": w}) for w in who])
        for n, who in enumerate([frozenset({0}), *people])
    ]
    of = GroupBy("attribute", "who").group(images).of
    assert of == GroupBy("attribute", "who").group(random.sample(images, len(images))).of
    pieces = [{image.path} for image in images]
    for person in range(10):
        joined = [p for p in pieces if any(person in _who(images[int(n)]) for n in p)]
        pieces = [p for p in pieces if p not in joined] + ([set().union(*joined)] if joined else [])
    found = [{path for path in of if of[path] == group} for group in set(of.values())]
    assert sorted(map(sorted, found)) == sorted(map(sorted, pieces))


def _who(image: AnnotatedImage) -> set[int]:
    return {face.attributes["who"] for face in image.faces}


@pytest.mark.parametrize("mark", ["\t", ",", " ", " , "])
def test_by_a_file(photo, tmp_path: Path, mark: str) -> None:
    images = [photo(f"set/{name}.jpg", root="/d") for name in ("a b", "c", "d")]
    file = tmp_path / "groups.txt"
    file.write_text(f"a b.jpg{mark}7\n\nc{mark}8\r\nset/d.jpg{mark}7\nz.jpg{mark}1\n", "utf-8-sig")
    found = GroupBy.parse(f"file:{file}").group(images)
    assert found.of == {"set/a b.jpg": "7", "set/c.jpg": "8", "set/d.jpg": "7"}
    assert (found.in_vain, found.alone) == (1, 0)


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("a.jpg\n", "expected a photo and its group", 1),
        ("a.jpg 1\n,2\n", "expected a photo and its group", 2),
        ("a.jpg 1\nb.jpg 1\na.jpg 2\n", "'a.jpg' is of group 2, in line 1 of 1", 3),
        (None, "cannot be read", None),
        (b"\xff\xfe", "UTF-8", None),
    ],
)
def test_bad_files_of_groups(photo, tmp_path: Path, text, problem: str, line: int | None) -> None:
    file = tmp_path / "groups.txt"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=problem) as caught:
        GroupBy("file", str(file)).group([photo("a.jpg"), photo("b.jpg")])
    assert caught.value.line == line


def test_photos_without_a_group(photo, tmp_path: Path) -> None:
    images = [photo("a1"), photo("b"), photo("c")]
    with pytest.raises(TufaError, match=r"the pattern '\\d' gives no group to 2 photos, first b"):
        GroupBy.parse(r"regex:\d").group(images)
    (tmp_path / "g").write_text("a1 1\nb 1\n")
    with pytest.raises(TufaError, match="g gives no group to 1 photo, first c"):
        GroupBy("file", str(tmp_path / "g")).group(images)
    with pytest.raises(UnknownNameError, match="'identy': did you mean identity"):
        GroupBy("attribute", "identy").group([photo("a", {"identity": 1})])


@pytest.mark.parametrize(
    ("text", "error", "problem"),
    [
        ("foldr", UnknownNameError, "did you mean folder"),
        ("attribute", ValueError, "write attribute:NAME"),
        ("regex:", ValueError, "write regex:PATTERN"),
        ("folder:2", ValueError, "'folder' takes nothing"),
        ("regex:(", ValueError, "no regular expression"),
    ],
)
def test_bad_ways(text: str, error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        GroupBy.parse(text)
