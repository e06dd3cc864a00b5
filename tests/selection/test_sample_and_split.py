"""Samples and parts: the same ones in any order, groups never parted, nothing left over."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import TufaError
from tufa_cli.selection import GroupBy, Sample, Split, part_path
from tufa_cli.selection.sampling import CHANCES, chance

PATHS = st.lists(
    st.builds("{}/{}.jpg".format, st.sampled_from("abcdefgh"), st.integers(0, 30)),
    min_size=1,
    max_size=60,
)
SEEDS = st.integers(-3, 1_000_000)


def photos(paths) -> list[AnnotatedImage]:
    return [AnnotatedImage(path) for path in paths]


def paths_of(images) -> list[str]:
    return [image.path for image in images]


@given(PATHS, SEEDS, st.randoms())
def test_a_sample_does_not_know_the_order(paths, seed, random) -> None:
    mixed = random.sample(paths, len(paths))
    sample = Sample.parse("40%")
    if round(len(set(paths)) * 0.4 + 1e-9) == 0:
        return
    taken = sample.take(photos(paths), seed)
    assert sorted(paths_of(taken)) == sorted(paths_of(sample.take(photos(mixed), seed)))
    wanted = set(paths_of(taken))
    assert paths_of(taken) == [path for path in paths if path in wanted]
    assert len(wanted) == int(len(set(paths)) * 0.4 + 0.5)


@given(PATHS, SEEDS)
def test_a_larger_sample_holds_a_smaller_one(paths, seed) -> None:
    sizes = range(1, len(set(paths)) + 1)
    taken = [set(paths_of(Sample.parse(str(n)).take(photos(paths), seed))) for n in sizes]
    assert [len(found) for found in taken] == list(sizes)
    assert all(small < large for small, large in pairwise(taken))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("0", "give a number"), ("0%", "give a number"), ("101%", "up to 100%"), ("-3", "not a"),
     ("2.5", "give a number"), ("ten", "not a number"), ("", "not a number"), ("1e3", "not a")],
)  # fmt: skip
def test_a_bad_size_of_a_sample(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Sample.parse(text)


def test_a_sample_that_is_not_there() -> None:
    with pytest.raises(TufaError, match="--sample 4: only 3 of them"):
        Sample.parse("4").take(photos("abc"))
    with pytest.raises(TufaError, match="--sample 10% of 3 photos is none"):
        Sample.parse("10%").take(photos("abc"))
    assert len(Sample.parse("100%").take(photos("abca"))) == 4


def test_chance_never_changes() -> None:
    """What a seed chose last year it chooses today: these numbers are not to be touched."""
    assert chance(0, "split", "a.jpg") == 12668507171004113589
    assert chance(1, "sample", "Jos\u00e9/1.png") == 6009439827444504466
    assert 0 <= chance(-1, "", "\udc80") < CHANCES


@given(PATHS, SEEDS, st.sampled_from(["photo", "folder", "stem"]), st.randoms())
def test_a_split_parts_everything_and_no_group(paths, seed, way, random) -> None:
    groups = GroupBy(way).group(photos(paths))
    split = Split.parse("train=60,val=40")
    try:
        parts = split.divide(photos(paths), groups, seed)
    except TufaError as error:
        assert "no photo for the part" in error.message
        return
    assert sorted(path for part in parts for path in paths_of(part.images)) == sorted(paths)
    inside = [{groups.of[path] for path in paths_of(part.images)} for part in parts]
    assert not inside[0] & inside[1]
    assert [part.groups for part in parts] == [len(names) for names in inside]
    mixed = photos(random.sample(paths, len(paths)))
    again = split.divide(mixed, GroupBy(way).group(mixed), seed)
    assert [sorted(paths_of(p.images)) for p in again] == [
        sorted(paths_of(p.images)) for p in parts
    ]


@given(PATHS, PATHS, SEEDS)
def test_a_percentage_leaves_photos_where_they_are_when_others_come(paths, more, seed) -> None:
    found = []
    for given_paths in (paths, paths + more):
        images = photos(given_paths)
        try:
            parts = Split.parse("a=50%,b=50%").divide(images, GroupBy("folder").group(images), seed)
        except TufaError:
            return
        found.append({path: part.name for part in parts for path in paths_of(part.images)})
    assert found[0].items() <= found[1].items()


@given(PATHS, SEEDS)
def test_numbers_of_photos_are_kept_to(paths, seed) -> None:
    images = photos(set(paths))
    if len(images) < 6:
        return
    single = Split.parse("val=2,train=rest,test=3").divide(images, GroupBy().group(images), seed)
    sizes = {part.name: len(part.images) for part in single}
    assert sizes == {"val": 2, "train": len(images) - 5, "test": 3}
    groups = GroupBy("folder").group(images)
    try:
        parts = Split.parse("val=2,train=rest").divide(images, groups, seed)
    except TufaError as error:
        assert groups.count < 2 and "part train" in error.message
        return
    last = max(sum(g == group for g in groups.of.values()) for group in groups.of.values())
    assert 2 <= len(parts[0].images) < 2 + last


def test_percentages_come_out_about_right_and_apart_from_the_sample() -> None:
    images = photos(f"{n}.jpg" for n in range(4000))
    images = Sample.parse("50%").take(images, 5)
    split = Split.parse("train=80%,val=12.5%,test=rest")
    parts = split.divide(images, GroupBy().group(images), 5)
    assert sum(len(part.images) for part in parts) == 2000
    for part, share in zip(parts, (0.8, 0.125, 0.075), strict=True):
        assert abs(len(part.images) / 2000 - share) < 0.03


@pytest.mark.parametrize(
    ("text", "percent", "sizes"),
    [
        ("train=80,val=10,test=10", True, [80, 10, 10]),
        ("a=33.3%, b=33.3%, c=33.4%", True, None),
        ("train=80%,val=rest", True, [80, None]),
        ("train=rest,val=10,test=10", False, [None, 10, 10]),
        ("train=500,val=100", False, [500, 100]),
    ],
)
def test_sizes(text: str, percent: bool, sizes: list[int | None] | None) -> None:
    split = Split.parse(text)
    assert split.percent is percent
    assert sizes is None or list(split.parts.values()) == sizes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("train", "expected NAME=SIZE"),
        ("train=", "expected NAME=SIZE"),
        ("=3", "expected NAME=SIZE"),
        ("../x=50,y=50", "expected NAME=SIZE"),
        ("train=100", "two parts"),
        ("a=50,A=50", "comes twice"),
        ("a=rest,b=rest", "only one part"),
        ("a=50%,b=50", "not both"),
        ("a=50%,b=40%", "add up to 90, not 100"),
        ("a=50%,b=60%", "add up to 110, not 100"),
        ("a=100%,b=rest", "leaves no rest"),
        ("a=0,b=5", "size 0"),
        ("a=1.5,b=3", "whole"),
        ("a=x,b=3", "not a number"),
    ],
)
def test_bad_sizes(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Split.parse(text)


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ("a=5,b=6", "asks for 11 photos of 10"),
        ("a=5,b=4", "leaves 1 photo in no part"),
        ("a=10,b=rest", "no photo for the part b"),
        ("a=99.9,b=0.1", "no photo for the part b"),
    ],
)
def test_parts_that_cannot_be(split: str, problem: str) -> None:
    images = photos("abcdefghij")
    with pytest.raises(TufaError, match=problem):
        Split.parse(split).divide(images, GroupBy().group(images))


def test_the_place_of_a_part(tmp_path: Path) -> None:
    assert part_path(Path("o/faces.json"), "val") == Path("o/faces.val.json")
    assert part_path(Path("o/points"), "val") == Path("o/points/val")
    assert part_path(Path("o/{part}/x.json"), "val") == Path("o/val/x.json")
    (tmp_path / "v1.2").mkdir()
    assert part_path(tmp_path / "v1.2", "val") == tmp_path / "v1.2/val"
