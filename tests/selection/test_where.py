"""The language of ``--where``: what it means, where it goes wrong, and there and back again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import UnknownNameError
from tufa_cli.selection.faces import FIELDS, FaceFilter
from tufa_cli.selection.where import Condition, Junction, Name, Not, WhereError, parse_where

ATTRIBUTES = {
    **{"occluded": True, "pose": "left", "age": "31", "tags": ["hat", "beard"], "width": 5},
    **{"make-up": 0, "two words": "yes", "yaw": np.float64(12.5), "lost": float("nan")},
}
FACE = Face(
    [[0, 0], [30, 10], [np.nan, np.nan], [2, 3]],
    scheme="ibug68",
    visibility=[2, 1, 0, 2],
    box=[1, 2, 40, 60.5],
    score=0.75,
    confidence=[0.5, 1, np.nan, 0.75],
    attributes=ATTRIBUTES,
)
PHOTO = AnnotatedImage("afw/x/a.jpg", [FACE], 640, None, "train", attributes={"camera": "one"})


def keeps(text: str, image: AnnotatedImage = PHOTO) -> bool:
    return bool(list(FaceFilter(parse_where(text)).stream([image])))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("occluded", True),
        ("make-up", False),
        ("not make-up", True),
        ("occluded == true", True),
        ("occluded == 1", True),
        ("occluded == 'true'", True),
        ("occluded != TRUE", False),
        ("pose == left", True),
        ('pose == "left"', True),
        ("pose == Left", False),
        ("pose in (right, left)", True),
        ("pose in (right)", False),
        ("age == 31", True),
        ("age == '31'", True),
        ("age > 30.5", True),
        ("age > 1e3", False),
        ("pose > 3", False),
        ("tags == hat", True),
        ("tags != hat", False),
        ("tags == shoe", False),
        ("yaw > -13 and yaw <= +12.5", True),
        ("lost == none and height == none", True),
        ("lost > 0 or lost < 1", False),
        ("width == 640 and @width == 5", True),
        ('@"two words" == yes', True),
        ("camera == one", True),
        ("path ~ 'afw/*'", True),
        ("path ~ 'afw'", False),
        ("path ~ '*/[a-c].j?g' and path !~ '*.png'", True),
        ("age ~ '3?' and occluded ~ 't*' and yaw !~ '*4'", True),
        ("height ~ '*' or height !~ '*'", False),
        ("folder == 'afw/x' and name == a.jpg and split == train", True),
        ("scheme == ibug68 and scheme == 300w and scheme in (wflw, 300W)", True),
        ("scheme == wflw98", False),
        ("points == 4 and visible == 2 and hidden == 1 and missing == 1 and faces == 1", True),
        ("box_width == 40 and box_height == 60.5 and box_size == 60.5 and face_size == 30", True),
        ("score >= 0.75 and confidence == 0.75 and source == manual", True),
        ("pose == right or pose == left and occluded", True),
        ("(pose == left or occluded) and make-up", False),
        ("pose == left or occluded and make-up", True),
        ("not pose == right and not (occluded and make-up)", True),
        ("not not occluded AND NOT make-up", True),
    ],
)
def test_what_an_expression_means(text: str, expected: bool) -> None:
    assert keeps(text) is expected
    assert keeps(str(parse_where(text))) is expected


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "nothing in it"),
        ("  ", 1, "nothing in it"),
        ("pose ==", 8, "expected a value, found the end"),
        ("pose = left", 6, "'=' is not known"),
        ("a && b", 3, "'&&' is not known"),
        ("a || b", 3, r"'\|\|' is not known"),
        ("!a", 1, "'!' is not known"),
        ("a b", 3, "expected an operator"),
        ("a 'b'", 3, "expected an operator"),
        ("'a' == b", 1, "expected a name"),
        ("3 == b", 1, "expected a name"),
        ("and", 1, "expected a name"),
        ("a and", 6, "expected a name, found the end"),
        ("a == not", 6, "expected a value"),
        ("(a or b", 8, r"expected '\)'"),
        ("a)", 2, "expected 'and', 'or' or the end"),
        ("a in b", 6, r"expected '\(' after 'in'"),
        ("a in ()", 7, "expected a value"),
        ("a in (1, 2", 11, r"expected ',' or '\)'"),
        ("a < b", 5, "expected a number after '<'"),
        ("a >= true", 6, "expected a number after '>='"),
        ("a ~ 3", 5, "expected a pattern"),
        ("path ~ afw/*", 11, "'/' has no meaning here"),
        ("a == 'b", 6, "without its second one"),
        ("a == 1e999", 6, "finite"),
        ("__import__('os')", 11, "expected 'and', 'or' or the end"),
        ("(" * 60 + "a" + ")" * 60, 51, "more than 50 brackets"),
        ("not " * 100_000 + "a", 201, "more than 50 brackets"),
    ],
)
def test_mistakes_are_told_with_their_column(text: str, column: int, problem: str) -> None:
    with pytest.raises(WhereError, match=problem) as caught:
        parse_where(text)
    assert caught.value.column == column
    assert f"column {column} " in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("widht > 3", "unknown name .column 1 of --where. 'widht': did you mean width"),
        ("occluded or (posse == left)", "column 14 .* 'posse': did you mean pose"),
        ("@score > 1", "column 1 .* 'score': known: "),
    ],
)
def test_a_name_that_nothing_has_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        keeps(text)


def test_photos_go_by_one_at_a_time(photo) -> None:
    came = []
    images = (came.append(n) or photo(f"{n}", {"n": n}) for n in range(10))
    stream = FaceFilter(parse_where("n >= 3")).stream(images)
    assert next(stream).path == "3" and came == [0, 1, 2, 3]


def test_a_name_that_any_photo_has_is_known(photo) -> None:
    faces = FaceFilter(parse_where("late == 1"))
    assert [i.path for i in faces.stream([photo("a", {}), photo("b", {"late": 1})])] == ["b"]
    assert faces.notes() == ["--where: late is not known of 1 face"]


def test_nothing_read_is_no_wrong_name() -> None:
    assert list(FaceFilter(parse_where("nonsense")).stream([])) == []


@pytest.mark.parametrize(("text", "kept"), [("n > 5", 1), ("n < 5", 1), ("n == 5", 0), ("n", 2)])
def test_whole_numbers_beyond_any_other(photo, text: str, kept: int) -> None:
    """JSON has whole numbers of any length, which are no float."""
    images = [photo("a.jpg", {"n": 10**400}), photo("b.jpg", {"n": -(10**400)})]
    assert len(list(FaceFilter(parse_where(text)).stream(images))) == kept


def test_faces_are_dropped_and_photos_with_their_last_one(photo) -> None:
    images = [photo("a", {"n": 1}, {"n": 2}), photo("b", {"n": 2}), photo("c", {"n": 1})]
    faces = FaceFilter(parse_where("n == 1"))
    left = list(faces.stream(images))
    assert [(i.path, [f.attributes["n"] for f in i.faces]) for i in left] == [
        ("a", [1]),
        ("c", [1]),
    ]
    assert (faces.faces_dropped, faces.photos_dropped) == (2, 1)
    assert left[1] is images[2] and len(images[0].faces) == 2
    assert faces.notes() == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [("path ~ 'a*'", True), ("faces == 0", True), ("visible > 0", False), ("scheme == none", True)],
)
def test_a_photo_that_came_without_a_face_is_asked_itself(photo, text: str, kept: bool) -> None:
    faces = FaceFilter(parse_where(text))
    assert len(list(faces.stream([photo("a.jpg")]))) == kept
    assert (faces.faces_dropped, faces.photos_dropped) == (0, not kept)


def test_sizes_are_asked_for_where_the_record_has_none(photo) -> None:
    asked = []

    def size_of(image: AnnotatedImage) -> tuple[int, int] | None:
        asked.append(image.path)
        return (9, 7) if image.path == "a" else None

    faces = FaceFilter(parse_where("path != c and width == 9 and height < 8"), size_of)
    assert [i.path for i in faces.stream(photo(p, {}) for p in "abc")] == ["a"]
    assert asked.count("c") == 0
    assert faces.notes() == ["--where: width is not known of 1 face"]


def test_every_field_of_every_face_has_a_value_or_none(photo) -> None:
    bare = AnnotatedImage("a.jpg", [Face(np.full((1, 2), np.nan))])
    for name in FIELDS:
        for image in (bare, photo("a.jpg"), PHOTO):
            assert keeps(f"{name} == none or {name} != none", image)


def test_the_page_has_every_field() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "selection.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page.partition("## `--sample`")[0], re.M))
    assert rows == {name: text for name, (text, _) in FIELDS.items()}


WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,5}", fullmatch=True)
RESERVED = {"and", "or", "not", "in", "true", "false", "none"}
NAMES = st.one_of(
    WORDS.filter(lambda word: word.lower() not in RESERVED).map(Name),
    st.text(max_size=6).map(lambda word: Name(word, attribute=True)),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(NUMBERS, st.text(max_size=6), st.booleans(), st.none())
CONDITIONS = st.one_of(
    st.builds(Condition, NAMES),
    st.builds(Condition, NAMES, st.sampled_from(["==", "!="]), st.tuples(VALUES)),
    st.builds(Condition, NAMES, st.sampled_from(["<", "<=", ">", ">="]), st.tuples(NUMBERS)),
    st.builds(Condition, NAMES, st.sampled_from(["~", "!~"]), st.tuples(st.text(max_size=6))),
    st.builds(Condition, NAMES, st.just("in"), st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
)
EXPRESSIONS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(
            Junction,
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3).map(tuple),
        ),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_an_expression_is_what_its_text_says(expression) -> None:
    assert parse_where(str(expression)) == expression


@given(st.text(alphabet="ab01 ()'\"@=!<>~,.&notid\u00e9\n", max_size=20))
def test_any_text_is_an_expression_or_a_mistake_with_a_column(text: str) -> None:
    try:
        expression = parse_where(text)
    except WhereError as error:
        assert 1 <= error.column <= len(text) + 1
    else:
        assert parse_where(str(expression)) == expression
