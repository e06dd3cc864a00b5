"""Tables of good, odd and broken files, made by hand, for every format that is text or binary rows.

A broken file gives an InputError that names file and line, never anything else.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError
from tufa_cli.formats import read

HEAD = "version: 1\nn_points: 3\n{\n"
ROWS = "1.5 2\n3 4.25\n5 6\n"
THREE = [[0.5, 1], [2, 3.25], [4, 5]]


def only(path: Path, format: str, **options: object) -> AnnotatedImage:
    (image,) = read(path, format, **options)  # type: ignore[arg-type]
    return image


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        HEAD + ROWS + "}\n",
        HEAD + ROWS + "}",
        (HEAD + ROWS + "}\n").replace("\n", "\r\n"),
        (HEAD + ROWS + "}\n").replace("\n", "\r"),
        "\ufeff" + HEAD + ROWS + "}\n",
        HEAD.replace("n_points: 3", "n_points:  3").replace("1", "1.0", 1) + ROWS + "}\n\n\n",
        ROWS,
        ROWS.replace("\n", " 0.9 extra\n"),
        "{\n" + ROWS + "}\n",
        HEAD + ROWS.replace(" ", "\t") + "}\n",
        HEAD + ROWS.replace("5 6", "5e0 +6.") + "}\n",
    ],
)
def test_pts_as_it_comes(tmp_path: Path, content: str) -> None:
    image = only(put(tmp_path, "a.pts", content), "pts")
    np.testing.assert_array_equal(image.faces[0].points_px, THREE)
    assert (image.path, image.root, image.faces[0].scheme) == ("a.jpg", str(tmp_path), None)


BROKEN_PTS = [
    ("", 1, "empty"),
    ("\n \n", 1, "empty"),
    (HEAD + "}\n", 4, "no points"),
    (HEAD + "1 2\n3 4\n}\n", 6, "n_points says 3, found 2"),
    (HEAD + ROWS + "7 8\n}\n", 8, "n_points says 3, found 4"),
    (HEAD + ROWS, 6, "without a closing brace"),
    (HEAD + "1 2\n3", 5, "expected two numbers"),
    (HEAD + "1 2\n3 3 4\n5 6\n}\n", 5, "3 columns, the points before have 2: '3 3 4'"),
    (HEAD + "1 2 0\n3 4\n5 6 1\n}\n", 5, "2 columns, the points before have 3"),
    (HEAD + "1 nan\n3 4\n5 6\n}\n", 4, "'nan' is not a finite"),
    (HEAD + "1 2\ninf 4\n5 6\n}\n", 5, "'inf' is not a finite"),
    (HEAD + "1 2\n3 1e999\n5 6\n}\n", 5, "not a finite"),
    (HEAD + "1 2\n3 1e30\n5 6\n}\n", 5, "too far out"),
    (HEAD + "1 2\n3 four\n5 6\n}\n", 5, "'four' is not a number"),
    (HEAD + "1 2\n3 1_0\n5 6\n}\n", 5, "not a number"),
    (HEAD + "1 2\n3 ٤\n5 6\n}\n", 5, "not a number"),
    (HEAD + ROWS + "}\n1 2\n", 8, "after the closing brace"),
    (HEAD.replace("3", "three") + ROWS + "}\n", 2, "not a whole number"),
    (HEAD.replace("n_points", "points") + ROWS + "}\n", 2, "unknown header 'points'"),
    (HEAD + "1 2\n-3 -4\n5 6\n}\n", 5, "negative"),
    (b"version: 1\nn_points: 3\n{\n1 2\n3 \xe9\n5 6\n}\n", 5, "not UTF-8"),
    ("1 2\n3 4\n".encode("utf-16"), 1, "not UTF-8"),
    (b"\x56\x00\x00\x00" + b"\x00" * 40, 1, "zero bytes"),
    (b"1 2\n" * 300_000, None, "longer than"),
]


@pytest.mark.parametrize(("content", "line", "problem"), BROKEN_PTS)
def test_broken_pts(tmp_path: Path, content: str | bytes, line: int | None, problem: str) -> None:
    path = put(tmp_path, "a.pts", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "pts"))
    assert (caught.value.path, caught.value.line) == (path, line)


def test_a_pts_with_67_of_68_lines(tmp_path: Path) -> None:
    rows = "".join(f"{i} {i}\n" for i in range(1, 68))
    whole = put(tmp_path, "a.pts", "version: 1\nn_points: 68\n{\n" + rows + "}\n")
    with pytest.raises(InputError, match=r"a\.pts, line 71: n_points says 68, found 67 points"):
        list(read(whole, "pts"))
    bare = put(tmp_path, "b.pts", rows)
    with pytest.raises(InputError, match=r"b\.pts, line 67: expected 68 points, found 67"):
        list(read(bare, "pts", scheme="ibug68"))


def test_negative_pts_name_merl_rav_or_are_kept(tmp_path: Path) -> None:
    path = put(tmp_path, "a.pts", "-1 -1\n-3 4\n5 6\n")
    with pytest.raises(InputError, match="MERL-RAV") as caught:
        list(read(path, "pts"))
    assert "--from merl-rav" not in str(caught.value.hint)  # which has 68 points
    whole = put(tmp_path, "c.pts", "-1 -1\n" + "5 6\n" * 67)
    with pytest.raises(InputError, match="MERL-RAV") as caught:
        list(read(whole, "pts"))
    assert "--from merl-rav" in str(caught.value.hint)
    kept = only(path, "pts", negatives="keep").faces[0]
    np.testing.assert_array_equal(kept.points_px, [[-2, -2], [-4, 3], [4, 5]])
    beside = put(tmp_path, "b.pts", "1 1\n-3 4\n")  # beside the photo, not a sign of MERL-RAV
    np.testing.assert_array_equal(only(beside, "pts").faces[0].points_px, [[0, 0], [-4, 3]])


def test_index_base_and_scheme(tmp_path: Path) -> None:
    path = put(tmp_path, "a.pts", "".join(f"{i} 7\n" for i in range(68)))
    face = only(path, "pts", index_base=0, scheme="300W").faces[0]
    assert face.points_px[3].tolist() == [3, 7]
    assert face.scheme == "ibug68"


def test_photos_are_found_by_stem_and_folders_kept(tmp_path: Path) -> None:
    for name in ("b/x.y.pts", "a/z.PTS", "a/n.pts", "c.pts", ".hidden.pts", "._c.pts"):
        put(tmp_path, f"labels/{name}", ROWS)
    put(tmp_path, "labels/x.pts/inside.pts", ROWS)  # a folder that is named like a file
    for name in ("b/x.y.PNG", "a/z.jpeg", "c.ppm", "c.bmp"):
        put(tmp_path, f"photos/{name}", b"")
    images = list(read(tmp_path / "labels", "pts", root=tmp_path / "photos"))
    assert [image.path for image in images] == [
        "a/n.jpg", "a/z.jpeg", "b/x.y.PNG", "c.ppm", "x.pts/inside.jpg",
    ]  # fmt: skip
    assert {image.root for image in images} == {str(tmp_path / "photos")}


def test_numbered_files_are_faces_only_where_no_photo_has_their_name(tmp_path: Path) -> None:
    for name in ("a_1.pts", "a_2.pts", "b_1.pts", "b_2.pts"):
        put(tmp_path, name, ROWS)
    for name in ("a.jpg", "b.jpg", "b_1.jpg", "b_2.jpg"):
        put(tmp_path, name, b"")
    images = list(read(tmp_path, "pts"))
    assert [(image.path, len(image.faces)) for image in images] == [
        ("a.jpg", 2), ("b_1.jpg", 1), ("b_2.jpg", 1),
    ]  # fmt: skip


def merl(rows: dict[int, str]) -> str:
    lines = [rows.get(i, f"{i + 1} {i + 2}") for i in range(68)]
    return "version: 1\nn_points: 68\n{\n" + "\n".join(lines) + "\n}"


def test_merl_rav_has_three_states(tmp_path: Path) -> None:
    path = put(tmp_path, "a.pts", merl({0: "-1 -1", 1: "-10.5 -20", 2: "3 4"}))
    face = only(path, "auto").faces[0]
    assert face.scheme == "ibug68"
    assert face.visibility is not None and face.visibility[:3].tolist() == [0, 1, 2]
    assert np.isnan(face.points_px[0]).all()
    assert face.points_px[1:3].tolist() == [[9.5, 19], [2, 3]]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (merl({5: "-3 4"}), 9, "one number is negative"),
        (merl({5: "0 -4"}), 9, "one number is negative"),
        (ROWS, 3, "expected 68 points, found 3"),
    ],
)
def test_broken_merl_rav(tmp_path: Path, content: str, line: int, problem: str) -> None:
    path = put(tmp_path, "a.pts", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "merl-rav"))
    assert caught.value.line == line


def scut(count: int = 86, rows: int = 86, value: float = 1.5) -> bytes:
    return struct.pack("<i", count) + struct.pack("<2f", value, 2) * rows


def test_scut_layout(tmp_path: Path) -> None:
    put(tmp_path, "facial landmark/A 1.pts", scut())
    put(tmp_path, "images/A 1.jpg", b"")
    for source in (tmp_path, tmp_path / "facial landmark", tmp_path / "facial landmark/A 1.pts"):
        image = only(source, "auto")
        assert (image.path, image.root) == ("A 1.jpg", str(tmp_path / "images"))
        assert image.faces[0].points_px.tolist() == [[1.5, 2]] * 86
        assert image.faces[0].scheme == "scut86"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a binary .pts"),
        (b"\x01\x02", "not a binary .pts"),
        (scut(rows=85), "86 points take 692 bytes, the file has 684"),
        (scut()[:-1], "the file has 691"),
        (scut() + b"\0", "the file has 693"),
        (scut(68, 68), "expected 86 points, found 68"),
        (scut(-1), "not a binary .pts"),
        (scut(value=float("nan")), "point 0 is not a place"),
        (scut(value=float("inf")), "point 0 is not a place"),
        (scut(value=1e30), "point 0 is not a place"),
        (HEAD.encode(), "a text .pts"),
    ],
)
def test_broken_scut(tmp_path: Path, content: bytes, problem: str) -> None:
    path = put(tmp_path, "a.pts", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "scut"))
    assert caught.value.path == path


POINTS98 = " ".join(f"{i}.25 {i}.5" for i in range(98))
LONG = f"{POINTS98} 1 2 11 22 0 1 0 0 1 0"


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_wflw_groups_lines_of_one_photo(tmp_path: Path, end: str) -> None:
    rows = [f"{LONG} 0--x/a b.jpg", f"{POINTS98} c.jpg", f"{LONG} 0--x/a b.jpg"]
    text = (end or "\n").join(rows) + end
    first, second = read(put(tmp_path, "list.txt", text), "auto")
    assert (first.path, len(first.faces), second.path) == ("0--x/a b.jpg", 2, "c.jpg")
    face = first.faces[0]
    assert face.scheme == "wflw98"
    assert face.points_px[97].tolist() == [97.25, 97.5]
    assert face.box is not None and face.box.tolist() == [1, 2, 10, 20]
    assert [face.attributes[flag] for flag in ("pose", "expression", "occlusion")] == [0, 1, 1]
    assert second.faces[0].box is None and not second.faces[0].attributes


def test_wflw_photos_folder(tmp_path: Path) -> None:
    put(tmp_path, "WFLW_images/a.jpg", b"")
    path = put(tmp_path, "annotations/lists/train.txt", f"{LONG} a.jpg\n")
    assert only(path, "wflw").root == str(tmp_path / "WFLW_images")
    assert only(tmp_path, "wflw").root == str(tmp_path / "WFLW_images")
    assert only(path, "wflw", root=tmp_path).root == str(tmp_path)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (POINTS98, "expected 207 fields .* found 196"),
        (f"{POINTS98} 5 a.jpg", "found 198"),
        (f"{LONG} 5 a.jpg", "found 208"),
        (LONG, "found 206"),
        (LONG.replace(" 3.25", "", 1) + " a.jpg", "found 206"),
        (LONG.replace("3.25", "nan", 1) + " a.jpg", "not a finite"),
        (LONG.replace("3.25", "x", 1) + " a.jpg", "'x' is not a number"),
        (LONG.replace("1 2 11 22", "11 22 1 2") + " a.jpg", "far corner"),
        (f"{LONG}.5 a.jpg", "flag '0.5'"),
        ("garbage", "found 1"),
    ],
)
def test_broken_wflw(tmp_path: Path, row: str, problem: str) -> None:
    path = put(tmp_path, "list.txt", f"{LONG} a.jpg\n\n{row}\n{LONG} b.jpg\n")
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "wflw"))
    assert caught.value.line == 3
    failures: list[InputError] = []
    images = list(read(path, "wflw", on_error=failures.append))
    assert [image.path for image in images] == ["a.jpg", "b.jpg"]
    assert [error.line for error in failures] == [3]


MTFL = "1 2 3 4 5 11 12 13 14 15"


def test_mtfl(tmp_path: Path) -> None:
    path = put(
        tmp_path, "training.txt", f" lfw\\a b.jpg {MTFL} 1 2 2 3\n net\\c.jpg {MTFL} 0 0 0 0\n"
    )
    first, second = read(path, "auto")
    assert (first.path, second.path) == ("lfw/a b.jpg", "net/c.jpg")
    assert first.faces[0].points_px.tolist() == [[0, 10], [1, 11], [2, 12], [3, 13], [4, 14]]
    assert first.faces[0].attributes == {"gender": 1, "smile": 2, "glasses": 2, "pose": 3}
    assert first.faces[0].scheme == "mtfl5"
    assert not second.faces[0].attributes


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"a.jpg {MTFL} 1 2 2", "15 fields"),
        (f"a.jpg {MTFL} 9 1 2 2 3", "found more"),
        (f"{MTFL} 1 2 2 3", "15 fields"),
        (f"a.jpg {MTFL} 1 2 2 3.5", "pose '3.5'"),
        (f"a.jpg {MTFL.replace('13', 'nan')} 1 2 2 3", "not a finite"),
        (f"a.jpg {MTFL.replace('13', 'x')} 1 2 2 3", "'x' is not a number"),
    ],
)
def test_broken_mtfl(tmp_path: Path, row: str, problem: str) -> None:
    path = put(tmp_path, "training.txt", f"a.jpg {MTFL} 1 2 2 3\n{row}\n")
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "mtfl"))
    assert caught.value.line == 2


RETINA = "24 10 102 128 58 51 0.0 108 46 1.0 -1.0 -1.0 -1.0 60 97 0.0 110 88 0.0 0.7"


def test_retinaface(tmp_path: Path) -> None:
    path = put(tmp_path, "label.txt", f"# a/b c.jpg\n{RETINA}\n{RETINA}\n# empty.jpg\n")
    first, second = read(path, "auto")
    assert (first.path, len(first.faces)) == ("a/b c.jpg", 2)
    assert (second.path, second.faces) == ("empty.jpg", ())
    face = first.faces[0]
    assert face.box is not None and face.box.tolist() == [24, 10, 102, 128]
    assert face.visibility is not None and face.visibility.tolist() == [2, 1, 0, 2, 2]
    assert face.points_px[4].tolist() == [110, 88]
    assert face.attributes == {"blur": 0.7}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (RETINA[:-4], "expected 20 numbers .* found 19"),
        (RETINA.replace("1.0", "2.0", 1), "flag 2 is none"),
        (RETINA.replace("102", "-102"), "negative size"),
        (RETINA.replace("58", "nan"), "not a finite"),
        ("#", "without the name"),
    ],
)
def test_broken_retinaface(tmp_path: Path, row: str, problem: str) -> None:
    path = put(tmp_path, "label.txt", f"# a.jpg\n{RETINA}\n{row}\n")
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, "retinaface"))
    assert caught.value.line == 3


def test_retinaface_needs_a_photo_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: a face before"):
        list(read(put(tmp_path, "label.txt", RETINA), "retinaface"))


@pytest.mark.parametrize("format", ["wflw", "mtfl", "retinaface", "coco"])
@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [(b"", 1, "empty"), (b"abc\nM\xfcller.jpg", 2, "not UTF-8"), (b"\n\n", 1, "empty")],
)
def test_unreadable_lists(
    tmp_path: Path, format: str, content: bytes, line: int, problem: str
) -> None:
    path = put(tmp_path, "list", content)
    with pytest.raises(InputError, match=problem) as caught:
        list(read(path, format))
    assert (caught.value.path, caught.value.line) == (path, line)


def test_lists_in_a_folder_are_those_that_look_right(tmp_path: Path) -> None:
    put(tmp_path, "README.txt", "About the data\n")
    put(tmp_path, "b/test.txt", f"b.jpg {MTFL} 1 2 2 3\n")
    put(tmp_path, "a/train.txt", f"a.jpg {MTFL} 1 2 2 3\n")
    images = list(read(tmp_path, "auto"))
    assert [(image.path, image.root) for image in images] == [
        ("a.jpg", str(tmp_path / "a")), ("b.jpg", str(tmp_path / "b")),
    ]  # fmt: skip


def test_reading_streams(tmp_path: Path) -> None:
    put(tmp_path, "a.pts", ROWS)
    put(tmp_path, "b.pts", "garbage")
    images = read(tmp_path, "pts")
    assert next(images).path == "a.jpg"
    with pytest.raises(InputError, match=r"b\.pts, line 1"):
        next(images)
