"""Damaged files: whatever the bytes, a reader answers with records or an InputError."""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.errors import InputError
from tufa_cli.formats import BUILT_IN, read, sniff

NUMBERS = " ".join(f"{i}.5" for i in range(196))
GOOD = {
    "pts": ("a.pts", b"version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n"),
    "merl-rav": ("a.pts", b"version: 1\nn_points: 68\n{\n" + b"-1 -2\n" * 68 + b"}\n"),
    "scut": ("a.pts", struct.pack("<i", 86) + struct.pack("<2f", 1, 2) * 86),
    "wflw": ("a.txt", f"{NUMBERS} 1 2 3 4 0 0 0 1 0 0 a/b.jpg\n".encode() * 2),
    "mtfl": ("a.txt", b" a\\b.jpg 1 2 3 4 5 6 7 8 9 10 1 2 1 3\n" * 2),
    "retinaface": ("a.txt", b"# a.jpg\n" + b"1 " * 4 + b"2 3 0.0 " * 5 + b"0.5\n"),
    "coco": (
        "a.json",
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 1],
                     "bbox": [1, 2, 3, 4], "score": 0.5, "attributes": {"a": 1}}
                ],
                "categories": [{"id": 1, "name": "face", "keypoints": ["0", "1"]}],
            }
        ).encode(),
    ),
}  # fmt: skip


def test_every_format_is_damaged() -> None:
    assert set(GOOD) == set(BUILT_IN)


@pytest.mark.parametrize("name", sorted(GOOD))
@settings(max_examples=150)
@given(
    place=st.integers(0, 3000),
    length=st.integers(0, 60),
    bytes_=st.binary(max_size=12)
    | st.sampled_from(
        [b"nan", b"-", b"\n", b"{}", b"[", b"null", b'"x"', b"1e9999", b"\xef\xbb\xbf"]
    ),
)
def test_damage_is_an_input_error_or_nothing(
    name: str, place: int, length: int, bytes_: bytes
) -> None:
    file, good = GOOD[name]
    place %= len(good)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        path.write_bytes(good[:place] + bytes_ + good[place + length :])
        sniff(path)
        sniff(Path(folder))
        for options in ({}, {"on_error": lambda error: None}):
            try:
                list(read(path, name, **options))  # type: ignore[arg-type]
            except InputError as error:
                assert str(error.path) == str(path)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_undamaged_file_is_recognised(name: str, tmp_path: Path) -> None:
    file, good = GOOD[name]
    (tmp_path / file).write_bytes(good)
    assert [found for found, verdict in sniff(tmp_path).items() if verdict.yes] == [name]
    assert len(list(read(tmp_path))) == 1
