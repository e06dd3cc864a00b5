"""The extra ``fast``: the same bytes and the same numbers with orjson and without it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.formats import _fast, read, write
from tufa_cli.formats._json import Numbers, dump_row, parse_json
from tufa_cli.formats._numbers import numbers, plain_numbers, shortest, shortest_pairs

HERE = Path("here")


def python_alone(do: Callable[[], Any]) -> Any:
    """What ``do`` gives where orjson is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fast, "compiled", lambda: None)
        return do()


def outcome(do: Callable[[], Any]) -> Any:
    """What ``do`` gives, or the error that it raises."""
    try:
        return do()
    except (TufaError, ValueError) as error:
        return type(error), str(error)


def alike(do: Callable[[], Any]) -> Any:
    """What ``do`` gives, which must be the same in both ways; ``repr`` tells 1 from 1.0."""
    found = outcome(do)
    assert repr(found) == repr(python_alone(lambda: outcome(do)))
    return found


@pytest.fixture(autouse=True)
def needs_orjson() -> Iterator[None]:
    if _fast.compiled() is None:
        pytest.skip("orjson is not installed (or one before 3.12): pip install tufa-cli[fast]")
    yield


floats = st.floats(allow_nan=False, allow_infinity=False)
places = st.floats(-2000, 2000).map(lambda value: round(value, 6)) | floats
ODD = [0.0, -0.0, 1e-5, 1.5e-7, 9.99e-5, 1e15, 1e16, 1e22, 5e-324, 1.7976931348623157e308, 3.0]


@given(st.lists(places, max_size=30))
@example(ODD)
def test_numbers_as_text(values: list[float]):
    text = alike(lambda: _fast.list_text(values))
    assert text == repr(values).replace(" ", "")
    assert alike(lambda: _fast.list_text(np.array(values))) == text
    pairs = np.array(values[: len(values) // 2 * 2]).reshape(-1, 2)
    for order in ("C", "F"):
        found = alike(lambda order=order: shortest_pairs(np.asarray(pairs, order=order)))
        assert found == [f"{shortest(x)},{shortest(y)}" for x, y in pairs.tolist()]


TOKENS = ["1", "-1", "0.5", "-0", "-0.0", "007", "1.", ".5", "1e5", "nan", "inf", "1_0", "+1", "",
          "--1", "1-2", "1.2.3", "99999999", "1" * 400, "12345678901234567890", "true", "٣", " 1",
          "-", ".", "null", "[1]", "1]", "20000000"]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS) | places.map(str), max_size=6))
@example(["-0", "1"])
@example(["1", "-0"])
def test_numbers_from_text(tokens: list[str]):
    found = alike(lambda: plain_numbers(",".join(tokens)))
    try:
        wanted = numbers(tokens)
    except ValueError:
        wanted = None
    if found is not None and tokens:
        assert wanted is not None
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
    elif wanted:  # the slow way takes more, and tells why not
        assert any(set(token) & set("eE+ ") for token in tokens)


class Colour(Enum):
    RED = 1


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values_of_json = st.recursive(
    scalars | st.sampled_from([*ODD, 2**63, 2**64, -(2**63) - 1, "e-3", "null", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), values_of_json, min_size=1, max_size=4))
@example({"a": math.nan})
@example({"a": Colour.RED})
@example({"a": UUID(int=1)})
@example({"a": np.float64(1.5), "b": np.arange(3)})
@example({"a": {1: 2}})
@example({"a": (1, 2)})
def test_rows_of_json(row: dict[str, Any]):
    text = alike(lambda: dump_row(row, HERE))
    if isinstance(text, str) and "\ud800" not in text:
        assert text == json.dumps(
            row, ensure_ascii=False, separators=(",", ":"), default=lambda value: value.tolist()
        )


@given(st.lists(floats | st.integers(-10, 10), min_size=1))
def test_lists_of_numbers_come_last_in_a_row(values: list[float]):
    text = alike(lambda: dump_row({"points": Numbers(values), "id": 1}, HERE))
    assert json.loads(text) == {"id": 1, "points": values}
    assert list(json.loads(text)) == ["id", "points"]


@pytest.mark.parametrize("text", [
    "", " ", "{", '{"a": 1', "[1,]", "NaN", "[Infinity]", "-0", "[-0.0, 1E5, 1e999, 1e-400]",
    "18446744073709551615", "18446744073709551616", "[-9223372036854775809]", '"\\ud800"',
    '{"a": 1, "a": 2}', "\ufeff[1]", "[1] x", '"\x01"', "[" * 5000, "\n\n[1 2]", "0." + "3" * 40,
    '{"id": 123456789012345678901234567890}', "[01]", "[.5]", "[1.]", "tru", "'a'", "null",
    "1" * 5000,
])  # fmt: skip
def test_json_and_what_is_none(text: str):
    alike(lambda: parse_json(HERE, text.encode(), unique=False))


def test_json_that_is_not_utf8_names_its_line():
    found = alike(lambda: parse_json(HERE, b'{"a":\n "\xff"}', unique=False))
    assert found[0] is InputError and "line 2" in found[1]


@given(values_of_json)
def test_json_values(value: Any):
    raw = json.dumps(value).encode()
    alike(lambda: parse_json(HERE, raw, unique=False))


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("digits", [18, 19, 20, 40])
def test_long_whole_numbers_keep_their_digits(at: int, digits: int):
    """Wherever they lie; 2**20 is where pieces of a file meet."""
    number = "9" * digits
    for before in (at, (1 << 20) - 25 + at, (1 << 20) - 10 + at):
        raw = f"[{' ' * before}{number}]".encode()
        assert _fast.json_value(raw) == [int(number)]


def records() -> list[AnnotatedImage]:
    rng = np.random.default_rng(3)
    images = []
    for number in range(12):
        points = rng.uniform(-5, 900, (98, 2)).round(number)
        visibility = rng.integers(0, 3, 98) if number % 2 else None
        points[0] = 12.0, 1e-5 * number
        box = np.array([10.0, 20.5, 300.0, 40.0]) if number % 3 else None
        attributes = {"pose": number % 2, "note": "null e-5", "weight": 1e-7 * number}
        face = Face(points, "wflw98", visibility, box=box, attributes=attributes)
        images.append(AnnotatedImage(f"a/{number}.jpg", (face,)))
    return images


@pytest.mark.parametrize("format", ["coco", "cvat", "coco-results", "wflw"])
def test_files_are_the_same(format: str, tmp_path: Path):
    def there_and_back(name: str) -> tuple[bytes, bytes]:
        first, second = tmp_path / name / "1.txt", tmp_path / name / "2.txt"
        write(records(), first, format, missing="sentinel")
        write(list(read(first, format)), second, format, missing="sentinel")
        return first.read_bytes(), second.read_bytes()

    fast = there_and_back("fast")
    assert python_alone(lambda: there_and_back("slow")) == fast
    if format != "wflw":  # six decimals, whole boxes
        assert fast[0] == fast[1]


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, UUID(int=1)])
def test_what_json_does_not_have_is_refused(value: object, tmp_path: Path):
    face = Face(np.ones((3, 2)), attributes={"odd": value})
    for do in (lambda run: run(), python_alone):
        with pytest.raises(OutputError, match="cannot be written as JSON"):
            do(lambda: write([AnnotatedImage("a.jpg", (face,))], tmp_path / "a.json", "coco"))
    assert not list(tmp_path.iterdir())
