"""MATLAB files before 7.3: scipy, which knows them from elsewhere, writes and reads what we do."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tufa_cli.errors import InputError
from tufa_cli.formats._mat5 import Cells, mat_bytes, matrix, read_mat

KINDS = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
ARRAYS = st.sampled_from(KINDS).flatmap(
    lambda kind: arrays.arrays(
        kind,
        st.tuples(st.integers(0, 4), st.integers(0, 5)),
        elements={"min_value": -100 if kind[0] != "u" else 0, "max_value": 100},
    )
)
Put = Callable[[str, bytes], Path]


def by_scipy(content: dict[str, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, content, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mat") / "a.mat"


@given(value=ARRAYS, packed=st.booleans())
def test_reads_what_scipy_writes(place: Path, value: np.ndarray, packed: bool) -> None:
    place.write_bytes(by_scipy({"other": "x", "v": value}, do_compression=packed))
    found = read_mat(place, ["v"])
    np.testing.assert_array_equal(found["v"], value)
    assert found["other"] is None


@given(value=ARRAYS)
def test_scipy_reads_what_is_written(place: Path, value: np.ndarray) -> None:
    data = mat_bytes({"v": value, "w": np.eye(2)})
    assert data == mat_bytes({"v": value, "w": np.eye(2)})
    found = scipy.io.loadmat(io.BytesIO(data))
    np.testing.assert_array_equal(found["v"], value)
    assert found["v"].dtype == value.dtype
    place.write_bytes(data)
    np.testing.assert_array_equal(read_mat(place, ["v"])["v"], value)


@pytest.mark.parametrize("packed", [False, True])
def test_cells_of_text(put: Put, packed: bool) -> None:
    names = np.empty((3, 1), dtype=object)
    names[:, 0] = ["0/a.jpg", "日é.jpg", np.arange(3.0)]
    path = put("a.mat", by_scipy({"n": names, "t": "text", "s": {"a": 1}}, do_compression=packed))
    found = read_mat(path, ["n", "t", "s"])
    assert isinstance(found["n"], Cells) and found["n"].dims == (3, 1)
    assert found["n"].items[:2] == ("0/a.jpg", "日é.jpg")
    assert found["n"].items[2].tolist() == [[0, 1, 2]]
    assert (found["t"], found["s"]) == ("text", None)


def test_big_endian(put: Put) -> None:
    def part(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    small = struct.pack(">HH", 1, 1) + b"v\0\0\0"  # a name that stands in its own tag
    body = part(6, struct.pack(">II", 6, 0)) + part(5, struct.pack(">ii", 1, 2)) + small
    body += part(3, struct.pack(">hh", 5, -7))
    head = b"MATLAB 5.0".ljust(116) + bytes(8) + b"\x01\x00MI"
    path = put("a.mat", head + part(14, body))
    assert read_mat(path, ["v"])["v"].tolist() == [[5, -7]]


GOOD = mat_bytes({"v": np.ones((2, 3))})
PACKED = by_scipy({"v": np.ones((2, 3))}, do_compression=True)
BOMB = struct.pack("<II", 14, 1 << 24) + bytes(1 << 24)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a MATLAB file"),
        (b"hello " * 50, "not a MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", r"MATLAB 7\.3 \(HDF5\)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "HDF5"),
        (GOOD[:-4], "ends within a variable .variable at byte 128"),
        (GOOD[:130], "ends within a variable"),
        (PACKED[:-9], "ends within a variable"),
        (PACKED[:140] + b"\0\0\0\0" + PACKED[144:], "damaged"),
        (GOOD.replace(struct.pack("<ii", 2, 3), struct.pack("<ii", 2, 4)), "8 numbers takes 48"),
        (GOOD.replace(struct.pack("<ii", 2, 3), struct.pack("<ii", -2, 3)), "negative size"),
        (GOOD + GOOD[128:], "'v' comes twice"),
        (by_scipy({"v": np.ones((2, 3)) * 1j}), "complex"),
        (GOOD[:128] + struct.pack("<II", 15, 30) + b"x" * 30, "damaged"),
    ],
)
def test_broken(put: Put, content: bytes, problem: str) -> None:
    path = put("a.mat", content)
    with pytest.raises(InputError, match=problem) as caught:
        read_mat(path, ["v"])
    assert caught.value.path == path


def test_a_bomb_is_not_unpacked(put: Put) -> None:
    whole = mat_bytes({"v": np.zeros((2000, 2000))})[128:]
    packed = zlib.compress(whole)
    assert len(packed) < len(whole) / 500
    path = put("a.mat", GOOD[:128] + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(InputError, match="more than 1 MB"):
        read_mat(path, ["v"], limit=1_000_000)
    assert read_mat(path, limit=1_000_000) == {"v": None}  # its name costs nothing
    with pytest.raises(InputError, match="longer than 100 bytes"):
        read_mat(path, limit=100)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("text", "no 2 x N numbers 'v'"),
        (np.ones((3, 2)), "'v' is 3 x 2, expected 2 x N"),
        (np.ones((2, 2, 2)), "'v' is 2 x 2 x 2"),
        (np.array([[1, 2], [3, np.nan]]), "row 2, column 2 is not a place"),
        (np.array([[1, np.inf], [3, 4]]), "row 1, column 2 is not a place"),
        (np.array([[1, 2], [3, 1e30]]), "row 2, column 2 is not a place"),
    ],
)
def test_a_matrix_has_a_shape_and_sane_numbers(value: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        matrix(Path("a.mat"), {"v": value}, "v", (2, None))
