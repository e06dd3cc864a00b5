"""Writing: round trips in all that a format can hold, and nothing lost unsaid."""

from __future__ import annotations

import copy
import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.formats import BUILT_IN, get_format, losses, read, write
from tufa_cli.formats.mtfl import FIELDS
from tufa_cli.formats.wflw import FLAGS

#: What is drawn per format: its points, the least coordinate, and the digits that survive.
SIZES = {"merl-rav": 68, "wflw": 98, "mtfl": 5, "scut": 86, "retinaface": 5, "300vw": 68,
         "300w-lp": 68, "celeba": 5, "cofw": 29, "cofw68": 68, "helen": 194, "jd": 106,
         "lapa": 106, "muct": 76}  # fmt: skip
SCHEMES = {"merl-rav": "ibug68", "wflw": "wflw98", "mtfl": "mtfl5", "scut": "scut86",
           "retinaface": "mtfl5", "300vw": "ibug68", "300w-lp": "ibug68", "celeba": "mtfl5",
           "cofw": "cofw29", "cofw68": "ibug68", "helen": "helen194", "jd": "lapa106",
           "lapa": "lapa106", "muct": "muct76"}  # fmt: skip
FILES = {"pts": "out", "merl-rav": "out", "scut": "out", "coco": "o.json", "dlib": "o.xml",
         "cvat": "o.xml", "labelme": "out", "supervisely": "out", "label-studio": "o.json",
         "via": "o.json", "300vw": "out", "300w-lp": "out", "cofw": "o.mat", "cofw68": "out",
         "helen": "out", "jd": "out", "lapa": "out", "muct": "o.csv",
         "hrnet-csv": "o.csv"}  # fmt: skip
#: Formats whose files hold faces of one size.
ONE_SIZE = {"dlib", "hrnet-csv"}
#: Formats in which coordinates are whole numbers.
WHOLE = {"dlib", "celeba"}
WRITABLE = sorted(n for n in BUILT_IN if get_format(n).CAPABILITIES.read_only is None)
#: Formats that hold any number of points of any scheme, with boxes and more.
RICH = {"coco", "dlib", "cvat", "labelme", "supervisely", "label-studio", "via"}
#: Formats that keep a photo's size.
SIZED = {"coco", "dlib", "cvat", "labelme", "supervisely", "label-studio"}
#: Formats in which every digit survives.
EXACT = {"coco", "scut", "dlib", "cofw", "cofw68", "300w-lp"}
#: Formats for exchange between programs.
SIZES |= {"coco-wholebody": 68, "halpe": 68}
SCHEMES |= {"coco-wholebody": "ibug68", "halpe": "ibug68"}
FILES |= {"coco-results": "o.json", "coco-wholebody": "o.json", "halpe": "o.json", "csv": "o.csv",
          "datumaro": "out", "hf-jsonl": "metadata.jsonl", "ljson": "out",
          "yolo-pose": "out"}  # fmt: skip
ONE_SIZE |= {"csv", "yolo-pose"}
RICH |= {"coco-results", "datumaro", "hf-jsonl"}
SIZED |= {"coco-wholebody", "datumaro", "halpe", "hf-jsonl", "yolo-pose"}
EXACT |= {"coco-results", "coco-wholebody", "csv", "datumaro", "halpe", "hf-jsonl", "ljson"}
SCHEMES_OF = {5: "mtfl5", 19: None, 68: "ibug68", 1: "a scheme of mine"}


def no_numbers(name: str) -> bool:
    """Whether no word of a photo's name would be taken for a number of the line it stands in."""
    return not any(word.isdigit() for word in name.split())


NAMES = st.text("abcXYZ019 _-#é日", min_size=1, max_size=8).map(str.strip).filter(bool)
NAMES = NAMES.filter(no_numbers)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)
ATTRIBUTES = st.dictionaries(st.text("abcs_", min_size=1, max_size=6), JSON, max_size=3)


def coordinates(name: str) -> st.SearchStrategy[float]:
    if name == "scut":
        return st.floats(-500, 5000, width=32)
    if name in WHOLE:
        return st.integers(-50, 5000).map(float)
    if name in ("cofw", "cofw68", "300w-lp"):  # doubles, 1 more on disk
        return st.integers(-50_000, 5_000_000).map(lambda i: i / 1024)
    if name == "muct":  # (0, 0) is a point that is missing
        return st.integers(1, 5_000_000_000).map(lambda i: i / 1e6)
    if name == "coco-results":  # (0, 0) with score 0 is a point that is missing
        return st.floats(0.5, 50000)
    if name == "yolo-pose":  # in the photo
        return st.integers(0, 480 * 1024).map(lambda i: i / 1024)
    if name in RICH:
        return st.floats(-5000, 50000)
    # Plain .pts refuses pairs of negatives, and MERL-RAV has no way to write (0, 0) occluded.
    least = 0 if name == "pts" else 1 if name == "merl-rav" else -100_000_000
    return st.integers(least, 5_000_000_000).map(lambda i: i / 1e6)


@st.composite
def faces(draw: st.DrawFn, name: str, count: int) -> Face:
    """A face in all that a format can hold."""
    caps = get_format(name).CAPABILITIES
    flat = draw(st.lists(coordinates(name), min_size=10, max_size=10))
    points = np.resize(np.array(flat), (count, 2)).copy()
    states = [2, *([1] if caps.visibility else []), *([0] if caps.missing else [])]
    visibility = np.resize(draw(st.lists(st.sampled_from(states), min_size=3, max_size=7)), count)
    auto = caps.source and draw(st.booleans())
    if caps.confidence == "labelled" and auto:
        visibility[:] = 2
    scored = caps.confidence if caps.score is None else caps.score
    box, attributes = draw(boxes_and_attributes(name, count))
    return Face(
        points,
        scheme=scheme_of(name, count),
        visibility=visibility.astype(np.uint8),
        confidence=np.linspace(0, 1, count) if auto and caps.confidence else None,
        score=draw(st.floats(0, 1)) if scored and draw(st.booleans()) else None,
        box=box,
        attributes=attributes,
        source="auto" if auto else "manual",
    )


def scheme_of(name: str, count: int) -> str | None:
    """What a reader will say that a face of this size is."""
    if name == "hrnet-csv":
        return {68: "ibug68", 19: "aflw19"}.get(count)
    if name == "csv":  # told by the points' names
        return {5: "mtfl5", 68: "ibug68"}.get(count)
    return SCHEMES_OF[count] if name in RICH or name == "yolo-pose" else SCHEMES.get(name)


@st.composite
def boxes_and_attributes(draw: st.DrawFn, name: str, count: int) -> tuple[Any, dict[str, Any]]:
    whole = draw(st.tuples(*[st.integers(0, 9000)] * 4))
    caps = get_format(name).CAPABILITIES
    box: Any = np.array(whole) / (8 if caps.float_box else 1)
    if name == "wflw":
        if draw(st.booleans()):
            return None, {}
        x, y, w, h = whole
        return np.array([x - 50, y - 50, w, h]), {flag: draw(st.integers(0, 1)) for flag in FLAGS}
    if name == "mtfl":
        return None, draw(st.dictionaries(st.sampled_from(FIELDS), st.integers(1, 5)))
    if name == "retinaface":
        blur = st.integers(0, 100).map(lambda i: i / 100)
        return box, draw(st.fixed_dictionaries({}, optional={"blur": blur}))
    if name == "dlib":
        words = {"label": st.sampled_from(["left", "a 'b' <c> & é日"]), "age": st.floats(0, 99)}
        words |= {"gender": st.sampled_from(["male", "female"]), "occluded": st.booleans()}
        return box, draw(st.fixed_dictionaries({}, optional=words))
    if name in RICH:
        return draw(st.sampled_from([box, None])), draw(ATTRIBUTES)
    if name == "cofw":
        return box, {}  # a face must have one
    if name == "yolo-pose":
        sides = [i % 300 + 1 for i in whole]
        return np.array([*sides[:2], *(i / 2 for i in sides[2:])]), draw(OWN_ATTRIBUTES[name])
    own = OWN_ATTRIBUTES.get(name, st.just({}))
    if name == "hrnet-csv" and count == 19:
        own = own.flatmap(lambda known: PLACES.map(lambda side: known | {"box_size": side}))
    return (draw(st.sampled_from([box, None])) if caps.box else None), draw(own)


WHOLES = st.integers(0, 5000)
PLACES = WHOLES.map(lambda i: i / 8)
#: What a face must have, or may have, in formats with attributes of their own.
OWN_ATTRIBUTES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "coco-wholebody": ATTRIBUTES,
    "halpe": ATTRIBUTES,
    "yolo-pose": st.fixed_dictionaries({}, optional={"class": st.sampled_from(["left", "é: 日"])}),
    "celeba": st.fixed_dictionaries({}, optional={"identity": WHOLES}),
    "muct": st.fixed_dictionaries({}, optional={"tag": st.integers(1, 0xFFF)}),
    "hrnet-csv": st.fixed_dictionaries(
        {"scale": PLACES, "center": st.lists(PLACES, min_size=2, max_size=2)}
    ),
    "300w-lp": st.one_of(
        st.just({}),
        st.fixed_dictionaries(
            {"pitch": PLACES, "yaw": PLACES, "roll": PLACES, "pose_scale": PLACES}
            | {"translation": st.lists(PLACES, min_size=3, max_size=3)},
            optional={"roi": st.lists(WHOLES, min_size=4, max_size=4)},
        ),
    ),
}


def placed(name: str, path: str, split: str | None, number: int) -> str:
    """The path of a photo as the format has it; number: its place in its split, from 1."""
    if name == "300vw":
        return f"{path.removesuffix('.jpg')}/imgs/{number:06d}.png"
    if name in ("cofw", "cofw68"):
        return f"{number + 1345 * (name == 'cofw68' or split == 'test'):06d}.png"
    if name == "lapa" and split is not None:
        return f"{split}/images/{path}"
    return path


@st.composite
def records(draw: st.DrawFn, name: str) -> list[AnnotatedImage]:
    """Photos of different names with as many faces as a format can hold."""
    caps = get_format(name).CAPABILITIES
    stems = draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=str.casefold))
    counts = [SIZES[name]] if name in SIZES else [1, 5, 19, 68]
    if name in ONE_SIZE:
        counts = [draw(st.sampled_from(counts))]
    splits = caps.split if isinstance(caps.split, tuple) else ("train",) if caps.split else ()
    numbers: Counter[str | None] = Counter()
    images = []
    for stem in sorted(stems):
        folder = draw(st.sampled_from(["", "sub/", "0--a b/c/"]))
        most = 3 if caps.several_faces else 1
        least = 0 if caps.empty_images else 1
        several = st.sampled_from(counts).flatmap(lambda count: faces(name, count))
        # Ultralytics takes a face that is there twice once.
        once = (lambda face: face.points_px.tobytes()) if name == "yolo-pose" else None
        found = draw(st.lists(several, min_size=least, max_size=most, unique_by=once))
        split = draw(st.sampled_from([*([] if name == "cofw" else [None]), *splits]))
        numbers[split] += 1
        images.append(
            AnnotatedImage(
                placed(name, f"{folder}{stem}.jpg", split, numbers[split]),
                tuple(found),
                width=640 if name in SIZED else None,
                height=480 if name in SIZED else None,
                split=split,
                attributes=draw(photo_attributes(name)),
            )
        )
    return images


def photo_attributes(name: str) -> st.SearchStrategy[dict[str, Any]]:
    held = get_format(name).CAPABILITIES.image_attributes
    if name == "dlib":
        box = st.lists(st.integers(0, 99).map(float), min_size=4, max_size=4)
        some = {"ignored_boxes": st.lists(box, min_size=1, max_size=2)}
        return st.fixed_dictionaries({}, optional=some)
    return ATTRIBUTES if held else st.just({})


def assert_same(
    before: Sequence[AnnotatedImage], after: Sequence[AnnotatedImage], digits: float
) -> None:
    def by_path(images: Sequence[AnnotatedImage]) -> list[AnnotatedImage]:
        return sorted(images, key=lambda image: image.path)

    assert [i.path for i in by_path(before)] == [i.path for i in by_path(after)]
    for old, new in zip(by_path(before), by_path(after), strict=True):
        assert (old.width, old.height, old.split) == (new.width, new.height, new.split)
        assert dict(old.attributes) == dict(new.attributes)
        assert len(old.faces) == len(new.faces)
        for a, b in zip(old.faces, new.faces, strict=True):
            np.testing.assert_allclose(a.points_px, b.points_px, rtol=0, atol=digits)
            np.testing.assert_array_equal(a.visibility, b.visibility)
            assert (a.scheme, a.score, a.source) == (b.scheme, b.score, b.source)
            assert dict(a.attributes) == dict(b.attributes)
            for x, y in ((a.box, b.box), (a.confidence, b.confidence)):
                assert (x is None) == (y is None)
                if x is not None and y is not None:
                    np.testing.assert_allclose(x, y, rtol=0, atol=digits)


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.rglob("*.*"))
    return {
        str(file.relative_to(path.parent)): file.read_bytes() for file in files if file.is_file()
    }


#: Every format, and those that write more than one kind of file.
KINDS = [*((name, FILES.get(name, "o.txt")) for name in WRITABLE), ("via", "o.csv")]


@pytest.mark.parametrize(("name", "file"), KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_read_of_write_is_the_same(name: str, file: str, data: st.DataObject) -> None:
    images = data.draw(records(name))
    before = copy.deepcopy(images)
    digits = 0 if name in EXACT else 6e-7
    assert losses(images, name) == []
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "1", file), Path(folder, "2", file)
        write(images, first, name)
        write(images, second, name)
        assert contents(first) == contents(second)
        assert_same(before, images, 0)  # what was given is not changed
        if name == "yolo-pose":  # nothing can be read without the photos
            put_photos(images, first / "images")
        assert_same(before, list(read(first, name)), digits)


def put_photos(images: Sequence[AnnotatedImage], folder: Path) -> None:
    for image in images:
        path = folder / (image.split or "unsplit") / image.path
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("1", (640, 480)).save(path, format="PNG")


def face(count: int = 5, **given: Any) -> Face:
    points = np.arange(2 * count, dtype=float).reshape(-1, 2) + 1
    return Face(points, **given)


def image(*found: Face, path: str = "a.jpg", **given: Any) -> AnnotatedImage:
    return AnnotatedImage(path, found or (face(),), **{"width": 640, "height": 480} | given)


HOLED = replace(face(), visibility=np.array([2, 2, 0, 2, 2], dtype=np.uint8))
HIDDEN = replace(face(), visibility=np.array([2, 1, 1, 2, 2], dtype=np.uint8))


@pytest.mark.parametrize(
    ("record", "format", "lost"),
    [
        (image(HOLED), "pts", "that points are missing: 1 face, first in a.jpg"),
        (image(HIDDEN), "pts", "which points are occluded: 1 face, first in a.jpg"),
        (image(HIDDEN, HIDDEN), "mtfl", "which points are occluded: 2 faces, first in a.jpg"),
        (image(face(box=np.ones(4))), "pts", "the box: 1 face, first in a.jpg"),
        (image(face(98, box=np.ones(4) / 2)), "wflw", "the box's fraction: 1 face, first in a.jpg"),
        (image(face(confidence=np.ones(5))), "pts", "the confidence: 1 face, first in a.jpg"),
        (image(face(score=0.5)), "retinaface", "the score: 1 face, first in a.jpg"),
        (image(face(source="auto")), "pts", "that a model made the points: 1 face, first in a.jpg"),
        (AnnotatedImage("a.jpg"), "pts", "the entry without a face: 1 photo, first a.jpg"),
        (image(split="train"), "pts", "the split: 1 photo, first a.jpg"),
        (image(attributes={"x": 1}), "pts", "the photo's attributes: 1 photo, first a.jpg"),
        (image(face(attributes={"b": 1, "a": 2})), "pts", "attributes of faces: a, b"),
        (image(face(attributes={"pose": 1, "x": 2})), "mtfl", "attributes of faces: x"),
        (image(face(attributes={"pose": "left"})), "mtfl", "attributes of faces: pose"),
        (image(face(attributes={"blur": float("nan")})), "retinaface", "attributes of faces: blur"),
        (image(face(98, attributes={"blur": 1})), "wflw", "attributes of faces: blur"),
    ],
)
def test_losses_are_named(record: AnnotatedImage, format: str, lost: str) -> None:
    assert losses([record], format) == [lost]
    assert losses([record], "coco") == []


def test_losses_of_a_write_are_in_its_report(tmp_path: Path) -> None:
    report = write([image(face(box=np.ones(4)))], tmp_path / "out", "pts")
    assert report.lost == ("the box: 1 face, first in a.jpg",)
    assert (report.images, report.faces) == (1, 1)
    assert report.files == (tmp_path / "out/a.pts",)


@pytest.mark.parametrize("format", ["pts", "mtfl"])
def test_missing_points_are_refused_by_default(tmp_path: Path, format: str) -> None:
    with pytest.raises(OutputError, match=f"a.jpg: {format} cannot say that point 2 is missing"):
        write([image(HOLED)], tmp_path / "out", format)
    assert not list(tmp_path.iterdir())


def test_missing_points_drop_the_face_or_leave_a_sentinel(tmp_path: Path) -> None:
    images = [image(HOLED, face(), path="x.jpg")]
    report = write(images, tmp_path / "drop", "pts", missing="drop-face")
    assert report.faces == 1 and report.dropped == ("1 face with points that pts cannot hold",)
    report = write(images, tmp_path / "out", "pts", missing="sentinel")
    assert report.dropped == ("1 point of 1 face as sentinels",)
    assert report.remarks == ("1 photo with several faces: files NAME_1, NAME_2",)
    text = (tmp_path / "out/x_1.pts").read_text().splitlines()
    assert text == ["version: 1", "n_points: 5", "{", "2.000000 3.000000", "4.000000 5.000000",
                    "-1 -1", "8.000000 9.000000", "10.000000 11.000000", "}"]  # fmt: skip


def test_merl_rav_cannot_write_points_outside_the_near_edges(tmp_path: Path) -> None:
    points = np.full((68, 2), 9.0)
    points[3], points[4] = (-2.5, 4), (0, 0)
    visibility = np.full(68, 2, dtype=np.uint8)
    visibility[4] = 1
    images = [image(Face(points, visibility=visibility))]
    with pytest.raises(OutputError, match="no way to write point 3, 4 where it is"):
        write(images, tmp_path / "out", "merl-rav")
    write(images, tmp_path / "out", "merl-rav", missing="sentinel")
    (back,) = read(tmp_path / "out", "merl-rav")
    assert not back.faces[0].labelled[[3, 4]].any()
    assert back.faces[0].labelled.sum() == 66


@pytest.mark.parametrize("format", sorted(SIZES))
def test_other_numbers_of_points_are_refused(tmp_path: Path, format: str) -> None:
    with pytest.raises(OutputError, match=rf"a.jpg: a face of 7 points; {format} holds \d+"):
        write([image(face(7))], tmp_path / "out", format)


@pytest.mark.parametrize("format", WRITABLE)
def test_nothing_is_overwritten_unasked(tmp_path: Path, format: str) -> None:
    path = placed(format, "a.jpg", None, 1)
    images = [image(face(SIZES.get(format, 5)), path=path, width=64, height=48)]
    target = tmp_path / FILES.get(format, "o.txt")
    write(images, target, format)
    before = contents(target)
    with pytest.raises(OutputError, match="exists already"):
        write(images, target, format)
    assert contents(target) == before
    write(images, target, format, overwrite=True)
    assert contents(target) == before


@pytest.mark.parametrize("path", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:/x.jpg"])
@pytest.mark.parametrize(
    "format",
    ["pts", "merl-rav", "scut", "coco", "coco-results", "coco-wholebody", "csv", "datumaro",
     "halpe", "hf-jsonl", "ljson", "yolo-pose"],
)  # fmt: skip
def test_files_stay_inside_the_folder(tmp_path: Path, format: str, path: str) -> None:
    with pytest.raises(OutputError, match=r"(leaves|leads out of) its folder"):
        write([image(face(SIZES.get(format, 5)), path=path)], tmp_path / "out", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "path"),
    [("wflw", "a\nb.jpg"), ("mtfl", " a.jpg"), ("retinaface", "a.jpg "), ("wflw", "1 a.jpg"),
     ("mtfl", "a 1"), ("retinaface", "")],
)  # fmt: skip
def test_names_that_do_not_fit_in_a_line(tmp_path: Path, format: str, path: str) -> None:
    with pytest.raises(OutputError, match="does not fit in a line"):
        write([image(face(SIZES[format]), path=path)], tmp_path / "out", format)


def test_two_photos_of_one_stem_do_not_share_a_file(tmp_path: Path) -> None:
    images = [image(path="a.jpg"), image(path="a.png")]
    with pytest.raises(OutputError, match=r"faces of both a\.jpg and a\.png"):
        write(images, tmp_path / "out", "pts")
    numbered = [image(face(), face(), path="a.jpg"), image(path="a_2.jpg")]
    with pytest.raises(OutputError, match=r"faces of both a\.jpg and a_2\.jpg"):
        write(numbered, tmp_path / "out", "pts")


def test_one_face_in_one_named_file(tmp_path: Path) -> None:
    write([image()], tmp_path / "b.pts", "pts")
    (back,) = read(tmp_path / "b.pts", "pts")
    assert back.faces[0].points_px[0].tolist() == [1, 2]
    with pytest.raises(OutputError, match="2 faces do not fit in one"):
        write([image(), image(path="c.jpg")], tmp_path / "c.pts", "pts")


def test_index_base_on_writing(tmp_path: Path) -> None:
    write([image()], tmp_path / "a.pts", "pts", index_base=0)
    assert (tmp_path / "a.pts").read_text().splitlines()[3] == "1.000000 2.000000"
    (back,) = read(tmp_path / "a.pts", "pts", index_base=0)
    assert back.faces[0].points_px[0].tolist() == [1, 2]


def test_attributes_that_are_no_json(tmp_path: Path) -> None:
    for value in (float("nan"), object()):
        with pytest.raises(OutputError, match="cannot be written as JSON"):
            write([image(face(attributes={"x": value}))], tmp_path / "o.json", "coco")
    write([image(face(attributes={"x": np.float32(0.5)}))], tmp_path / "o.json", "coco")
    assert next(read(tmp_path / "o.json")).faces[0].attributes == {"x": 0.5}


def test_remarks_on_what_was_made_up(tmp_path: Path) -> None:
    report = write([image()], tmp_path / "a.txt", "retinaface")
    assert report.remarks == ("1 faces without a box got the box of their points",)
    report = write([image(face(98, box=np.ones(4)))], tmp_path / "b.txt", "wflw")
    assert report.remarks == ("1 faces got 0 for flags they do not have",)
    outside = Face(np.array([[-9.0, -9], [5, 5]]))
    report = write([image(outside)], tmp_path / "c.pts", "pts")
    assert "read with --negatives keep" in report.remarks[0]
    (back,) = read(tmp_path / "c.pts", "pts", negatives="keep")
    np.testing.assert_array_equal(back.faces[0].points_px, outside.points_px)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    class Full(io.StringIO):
        write = writelines = full

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write([image()], tmp_path / "a.pts", "pts", missing="sentinel")
    monkeypatch.setattr(Path, "open", lambda *_, **__: Full())
    with pytest.raises(OutputError, match="No space left"):
        write([image()], tmp_path / "o.json", "coco")
    assert not list(tmp_path.iterdir())
