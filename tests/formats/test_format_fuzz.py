"""Damaged files: whatever the bytes, a reader answers with records or an InputError."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from format_files import GOOD, laid_out
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.errors import InputError
from tufa_cli.formats import BUILT_IN, read, sniff


def test_every_format_is_damaged() -> None:
    assert set(GOOD) == set(BUILT_IN)


@pytest.mark.parametrize("name", sorted(GOOD))
@settings(max_examples=150)
@given(
    place=st.integers(0, 50_000),
    length=st.integers(0, 60),
    bytes_=st.binary(max_size=12)
    | st.sampled_from(
        [b"nan", b"-", b"\n", b"{}", b"[", b"null", b'"x"', b"1e9999", b"\xef\xbb\xbf"]
    ),
)
def test_damage_is_an_input_error_or_nothing(
    name: str, place: int, length: int, bytes_: bytes
) -> None:
    good = GOOD[name][1]
    place %= len(good)
    with tempfile.TemporaryDirectory() as folder:
        path = laid_out(Path(folder), name, good[:place] + bytes_ + good[place + length :])
        sniff(path)
        sniff(Path(folder))
        for options in ({}, {"on_error": lambda error: None}):
            try:
                list(read(path, name, **options))  # type: ignore[arg-type]
            except InputError as error:
                assert str(error.path) == str(path)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_undamaged_file_is_recognised(name: str, tmp_path: Path) -> None:
    laid_out(tmp_path, name, GOOD[name][1])
    assert [found for found, verdict in sniff(tmp_path).items() if verdict.yes] == [name]
    assert len(list(read(tmp_path))) == 1
