"""Records that wait on the disk: the same when they come back, and no memory of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import OutputError
from tufa_cli.selection import GroupBy, Held, Sample, Split, held, hold, merge, select


def made(count: int, root: str = "/d") -> Iterator[AnnotatedImage]:
    """Faces of 98 points: 2 kB each."""
    for number in range(count):
        points = np.arange(196.0).reshape(98, 2) + number / 7
        points[number % 98] = np.nan
        face = Face(points, "wflw98", box=np.array([1.5, 2, 3, 4]), attributes={"who": number % 5})
        yield AnnotatedImage(f"f{number % 3}/{number}.jpg", (face,), 64, 48, root=root)


def told(image: AnnotatedImage) -> str:
    faces = [
        (f.points_px.tolist(), f.visibility.tolist(), f.box.tolist(), f.scheme, dict(f.attributes))
        for f in image.faces
    ]
    return repr((image.path, image.root, image.width, image.split, dict(image.attributes), faces))


def test_records_come_back_as_they_were() -> None:
    records = list(made(40))
    kept = hold(iter(records))
    assert hold(kept) is kept and (len(kept), kept.faces) == (40, 40)
    for _ in range(2):
        assert list(map(told, kept)) == list(map(told, records))
    few = kept.pick([3, 0, 3])
    assert [told(image) for image in few] == [told(records[n]) for n in (3, 0, 3)]
    assert told(kept[-1]) == told(records[-1])
    assert [told(image) for image in kept[5:8]] == [told(image) for image in records[5:8]]
    with pytest.raises(IndexError):
        kept[40]
    heads = list(kept.heads())
    assert [(i.path, i.root, i.width, i.height) for i in heads] == [
        (i.path, i.root, i.width, i.height) for i in records
    ]
    assert not any(image.faces for image in heads)


def test_what_cannot_be_put_aside_stays_in_memory() -> None:
    odd = AnnotatedImage("a", (Face(np.zeros((1, 2)), attributes={"f": lambda: 1}),))
    proxy = AnnotatedImage("b", attributes=MappingProxyType({"x": 1}))
    kept = hold([odd, proxy, *made(1)])
    assert kept[0] is odd and kept[1] is proxy and told(kept[2]) == told(next(made(1)))


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> None:
            pass

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(held.tempfile, "SpooledTemporaryFile", lambda size: Full())
    with pytest.raises(OutputError, match="cannot be put aside: No space left") as caught:
        hold(made(1))
    assert "TMPDIR" in str(caught.value.hint)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["a", "b/a", "b/../a", "c"]), min_size=4, max_size=30))
def test_the_disk_changes_no_choice(paths: list[str]) -> None:
    """Of records on the disk the same are chosen as of those in memory."""
    images = [
        AnnotatedImage(f"{path}{n % 7}.jpg", root="/d", attributes={"who": n % 4})
        for n, path in enumerate(paths)
    ]
    names = [f"{paths[0]}0"] if "/" not in paths[0] else [f"{paths[0]}0.jpg"]
    for way in ("photo", "folder", "stem", "attribute:who", "regex:(\\d)"):
        found = []
        for given_images in (images, hold(images)):
            try:
                left = Sample.parse("70%").take(given_images, 3)
                left = select(left, exclude=names).chosen
                groups = GroupBy.parse(way).group(left)
                parts = Split.parse("x=60,y=40").divide(left, groups, 1)
                rows = [(p.name, p.groups, [i.path for i in p.images]) for p in parts]
                found.append(repr((rows, groups.count, dict(groups.of))))
            except Exception as error:  # of either the same one
                found.append(repr(error))
        assert found[0] == found[1]


def test_memory_does_not_grow_with_the_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_IN_MEMORY", 1 << 14)

    def work(count: int) -> None:
        sources = [("x", made(count // 2, "/d")), ("y", made(count // 2, "/e"))]
        images = merge(sources, prefix=True)
        images = Sample.parse("90%").take(images, 0)
        assert isinstance(images, Held)
        for part in Split.parse("a=50,b=50").divide(images, GroupBy().group(images)):
            assert sum(1 for _ in part.images) == len(part.images)

    work(20)
    peaks = []
    for count in (50, 450):
        tracemalloc.start()
        work(count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 400 * 500  # a face takes 3,000 bytes in memory
