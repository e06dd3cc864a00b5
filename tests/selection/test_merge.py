"""Several sources as one: whose photo is whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tufa_cli.errors import TufaError
from tufa_cli.selection import merge


def paths(images) -> list[str]:
    return [image.path for image in images]


def test_sources_follow_one_another(photo) -> None:
    one = [photo("b.jpg", {}, root="/d"), photo("a.jpg", {}, root="/d")]
    two = [photo("c.jpg", {}, root="/e")]
    assert paths(merge([("x", one), ("y", two)])) == ["b.jpg", "a.jpg", "c.jpg"]


def test_equal_paths_of_other_folders_are_refused_by_name(photo) -> None:
    sources = [
        (name, [photo(f"{n}.jpg", {}, root=f"/data/{name}") for n in range(5)])
        for name in ("helen", "lfpw")
    ]
    with pytest.raises(TufaError) as caught:
        merge(sources)
    assert caught.value.message == (
        "5 photos have the path of another: 0.jpg (helen and lfpw), 1.jpg (helen and lfpw), "
        "2.jpg (helen and lfpw) and 2 more"
    )
    assert "--prefix-sources" in str(caught.value.hint)


@pytest.mark.parametrize("other", ["./a.jpg", "sub/../a.jpg", "Jose\u0301/../a.jpg"])
def test_a_path_is_what_it_names(photo, other: str) -> None:
    with pytest.raises(TufaError, match="1 photo has the path of another"):
        merge([("x", [photo("a.jpg", {}, root="/d")]), ("y", [photo(other, {}, root="/e")])])


def test_photos_without_a_folder_are_not_taken_for_the_same(photo) -> None:
    sources = [("x.json", [photo("a.jpg", {})]), ("y.json", [photo("a.jpg", {})])]
    with pytest.raises(TufaError, match="path of another"):
        merge(sources)
    assert paths(merge(sources, prefix=True)) == ["x/a.jpg", "y/a.jpg"]


def test_prefixed_paths_lead_to_the_same_photos(photo) -> None:
    found = merge(
        [
            ("h", [photo("a.jpg", {}, root="/data/helen/images")]),
            ("l", [photo("s/a.jpg", {}, root="/data/lfpw"), photo("../b.jpg", {}, root="/data/m")]),
        ],
        prefix=True,
    )
    assert paths(found) == ["helen/images/a.jpg", "lfpw/s/a.jpg", "b.jpg"]
    assert {Path(image.root) for image in found} == {Path("/data")}


def test_prefixed_source_above_the_other(photo) -> None:
    sources = [("h", [photo("a.jpg", {}, root="/d")]), ("l", [photo("a.jpg", {}, root="/d/e")])]
    assert paths(merge(sources, prefix=True)) == ["a.jpg", "e/a.jpg"]


def test_prefixes_that_do_not_help_are_refused_too(photo) -> None:
    sources = [("p/x.json", [photo("a.jpg", {})]), ("q/x.json", [photo("a.jpg", {})])]
    with pytest.raises(TufaError, match="path of another") as caught:
        merge(sources, prefix=True)
    assert "--prefix" not in str(caught.value.hint)


def test_a_photo_of_two_sources_gets_the_faces_of_both(photo) -> None:
    notes: list[str] = []
    one = photo("a.jpg", {"n": 1}, root="/d", width=5, attributes={"p": 1})
    two = photo("./a.jpg", {"n": 2}, {"n": 3}, root="/d/", split="val", attributes={"q": 2})
    found = merge([("x", [one]), ("y", [two])], on_note=notes.append)
    assert paths(found) == ["a.jpg"]
    assert [face.attributes["n"] for face in found[0].faces] == [1, 2, 3]
    assert (found[0].width, found[0].split, found[0].attributes) == (5, "val", {"p": 1, "q": 2})
    assert notes == ["photos in several sources, their faces put together: 1"]


@pytest.mark.parametrize(
    ("one", "two"),
    [({"width": 5}, {"width": 6}), ({"split": "train"}, {"split": "val"}),
     ({"attributes": {"p": 1}}, {"attributes": {"p": 2}})],
)  # fmt: skip
def test_entries_that_contradict_each_other_stay_apart(photo, one, two) -> None:
    notes: list[str] = []
    sources = [(n, [photo("a.jpg", {}, root="/d", **f)]) for n, f in (("x", one), ("y", two))]
    assert len(merge(sources, on_note=notes.append)) == 2
    assert notes == ["photos in several sources whose entries differ, left as they are: 1"]


def test_one_source_s_repeated_entries_stay(photo) -> None:
    twice = [photo("a.jpg", {}, root="/d"), photo("a.jpg", {}, root="/d")]
    assert len(merge([("x", twice), ("y", [photo("b.jpg", {}, root="/d")])])) == 3
    assert len(merge([("x", twice), ("y", [photo("a.jpg", {}, root="/d")])])) == 3
