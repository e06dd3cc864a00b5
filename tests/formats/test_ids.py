"""Ids of photos and faces: kept where a format has them, else said to be lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import FILES, SCHEMES, SIZES, WRITABLE, put_photo

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.format_toolkit import round_trip_problems
from tufa_cli.formats import get_format, losses, read, write
from tufa_cli.formats._ids import Place, id_in, ids_for, only_count

#: Ids as old data sets have them.
PHOTOS = (397133, 37777, 252219)
FACES = (200887, 183126, 1)
HOLDING = [name for name in WRITABLE if get_format(name).CAPABILITIES.ids]


def records(
    name: str, photos: Sequence[Any] = PHOTOS, faces: Sequence[Any] = FACES
) -> list[AnnotatedImage]:
    count = SIZES.get(name, 5)
    places = np.stack([np.arange(count) + 20.0, np.arange(count) % 7 + 30.0], axis=1)
    return [
        AnnotatedImage(f"{n}.jpg", [Face(places, SCHEMES.get(name), id=b)], 640, 480, id=a)
        for n, (a, b) in enumerate(zip(photos, faces, strict=True))
    ]


def ids(images: Sequence[AnnotatedImage]) -> tuple[list[Any], list[Any]]:
    return [i.id for i in images], [face.id for i in images for face in i.faces]


@pytest.mark.parametrize("name", [n for n in WRITABLE if n not in ("300vw", "cofw68", "cofw")])
def test_ids_come_back_or_are_said_to_be_lost(name: str, tmp_path: Path) -> None:
    images = records(name)
    said = [line for line in losses(images, name) if line.startswith("the ids of")]
    held = get_format(name).CAPABILITIES.ids
    lost = {"photos": "photos: 3 photos", "faces": "faces: 3 faces"}
    assert said == [f"the ids of {lost[w]}, first in 0.jpg" for w in lost if w not in held]
    places = list(map(Place, (4, 1, 9)))  # of a file where they count from 1
    assert not any("ids of" in line for line in losses(records(name, places, places), name))
    report = write(images, tmp_path / "o" / FILES[name], name)
    assert not any("ids of" in remark for remark in report.remarks)
    if name == "yolo-pose":
        for image in images:
            put_photo(tmp_path / "o" / FILES[name] / "images/unsplit" / image.path)
    found = ids(list(read(tmp_path / "o" / FILES[name], name)))
    for what, given, back in zip(("photos", "faces"), (PHOTOS, FACES), found, strict=True):
        assert back == (list(given) if what in held else [None] * 3)


@pytest.mark.parametrize("name", HOLDING)
def test_ids_that_are_not_unique_are_numbered_anew_and_said(name: str, tmp_path: Path) -> None:
    report = write(records(name, (7, 7, 9), (3, 3, 4)), tmp_path / "o.json", name)
    photos, faces = ids(list(read(tmp_path / "o.json", name)))
    assert len(set(photos)) == 3
    said = [remark for remark in report.remarks if "ids of" in remark]
    if "faces" in get_format(name).CAPABILITIES.ids:
        assert (photos, faces) == ([1, 2, 3], [1, 2, 3])
        assert [line[:17] for line in said] == ["3 ids of photos a", "3 ids of faces ar"]
    else:
        assert len(said) == 1


@pytest.mark.parametrize("name", HOLDING)
def test_photos_without_an_id_get_one_that_is_free(name: str, tmp_path: Path) -> None:
    write(records(name, (None, 2, None), (None, 2, None)), tmp_path / "o.json", name)
    photos, faces = ids(list(read(tmp_path / "o.json", name)))
    assert len(set(photos)) == 3 or name == "label-studio"
    assert photos[1] == 2
    if "faces" in get_format(name).CAPABILITIES.ids:
        assert (photos, faces) == ([3, 2, 4], [3, 2, 4])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (1.0, 1), ("a7", "a7"), (1.5, None), (True, None), ("", None), ([1], None)],
)
def test_ids_in_files(value: Any, expected: Any) -> None:
    assert id_in(value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], True),
        ([0, 1], True),
        ([], True),
        ([2, 3], False),
        ([1, 3], False),
        (["1"], False),
    ],
)
def test_ids_that_only_count(values: list[Any], expected: bool) -> None:
    assert only_count(values) == expected


def test_words_are_ids_where_they_may_be() -> None:
    assert ids_for(["b", None, "a"]) == (["b", 1, "a"], 0)
    assert ids_for(["b", None, "a"], words=False) == ([1, 2, 3], 2)
    assert ids_for(["1", 1]) == (["1", 1], 0)
    assert ids_for([-5, None]) == ([-5, 1], 0)


def test_the_toolkit_sees_ids_that_change(tmp_path: Path, monkeypatch: Any) -> None:
    images = records("coco")
    for number in "12":
        (tmp_path / number).mkdir()
    assert round_trip_problems("coco", images, tmp_path / "1", "a.json") == []
    monkeypatch.setattr("tufa_cli.formats._coco_write.ids_for", lambda given: ([1, 2, 3], 0))
    problems = round_trip_problems("coco", images, tmp_path / "2", "a.json")
    assert len(problems) == 6 and "the id became 1" in problems[0]


@pytest.mark.parametrize(
    ("kinds", "said"),
    [([9], []), ([1, 2], []), ([3, 7], ["ids of categories"]), ([0, 1], ["ids of categories"])],
)
def test_ids_of_several_categories_are_said_to_be_lost(
    kinds: list[int], said: list[str], tmp_path: Path
) -> None:
    """Of a single one nobody asks the id."""
    names = [{"id": k, "name": f"face {k}", "keypoints": list("abcde")} for k in kinds]
    rows = [
        {"id": n, "image_id": 1, "category_id": k, "keypoints": [1.5, 2, 2] * 5}
        for n, k in enumerate(kinds, start=1)
    ]
    image = {"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}
    data = {"images": [image], "annotations": rows, "categories": names}
    (tmp_path / "a.json").write_text(json.dumps(data))
    notes: list[str] = []
    (found,) = read(tmp_path / "a.json", on_note=notes.append)
    assert len(found.faces) == len(kinds)
    heads = [note.partition("of itself ")[2] for note in notes if "of itself" in note]
    assert heads == [f"({what}) is not kept" for what in said]
