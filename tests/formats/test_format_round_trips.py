"""Round trips of every format that is written, in all that it can hold."""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import (
    EXACT,
    FILES,
    ONE_SIZE,
    RICH,
    SCHEMES,
    SIZED,
    SIZES,
    WRITABLE,
    contents,
    placed,
    put_photos,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.formats import get_format, losses, read, write
from tufa_cli.formats.mtfl import FIELDS
from tufa_cli.formats.wflw import FLAGS

SCHEMES_OF = {5: "mtfl5", 19: None, 68: "ibug68", 1: "a scheme of mine"}
#: Formats in which coordinates are whole numbers.
WHOLE = {n for n in WRITABLE if not get_format(n).CAPABILITIES.float}


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


#: Every format, and those that write more than one kind of file.
KINDS = [*((name, FILES[name]) for name in WRITABLE), ("via", "o.csv")]


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
