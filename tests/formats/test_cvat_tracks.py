"""CVAT for video 1.1: tracks of points and skeletons, frame by frame, and broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tufa_cli.errors import InputError
from tufa_cli.formats import choose_format, read

Put = Callable[[str, str | bytes], Path]

META = """  <meta><task><size>30</size><mode>interpolation</mode><labels>
    <label><name>face</name><type>skeleton</type><attributes></attributes></label>
    <label><name>1</name><type>points</type><parent>face</parent></label>
    <label><name>2</name><type>points</type><parent>face</parent></label>
  </labels><original_size><width>320</width><height>240</height></original_size></task></meta>
"""


def document(*tracks: str, meta: str = META) -> str:
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return f"{head}{meta}{''.join(tracks)}</annotations>\n"


def track(*shapes: str, number: str = "0", label: str = "face", more: str = "") -> str:
    lines = "".join(f"    {shape}\n" for shape in shapes)
    return f'  <track id="{number}" label="{label}" source="manual"{more}>\n{lines}  </track>\n'


def points(frame: Any, text: str, keyframe: int = 1, outside: int = 0, inner: str = "") -> str:
    return (
        f'<points frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" '
        f'points="{text}" z_order="0">{inner}</points>'
    )


def skeleton(frame: int, *children: str, inner: str = "") -> str:
    return (
        f'<skeleton frame="{frame}" keyframe="1" z_order="0">{"".join(children)}{inner}</skeleton>'
    )


def part(label: str, text: str, outside: int = 0, occluded: int = 0) -> str:
    return (
        f'<points label="{label}" keyframe="1" outside="{outside}" occluded="{occluded}" '
        f'points="{text}" z_order="0"></points>'
    )


def test_tracks_of_points_as_cvat_stores_them(put: Put, tmp_path: Path) -> None:
    put("images/frame_000007.PNG", b"")
    one = track(
        points(7, "1.00,2.00;3.50,4.00", inner='<attribute name="blur">true</attribute>'),
        points(8, "1.50,2.00;3.50,4.00", keyframe=0),
        points(9, "1.50,2.00;3.50,4.00", outside=1),
    )
    two = track(points(0, "5,6;7,8"), points(7, "9,9;8,8"), number="4")
    notes: list[str] = []
    put("annotations.xml", document(one, two))
    assert choose_format(tmp_path) == "cvat"
    first, both, last = read(tmp_path, on_note=notes.append)
    assert [image.path for image in (first, both, last)] == [
        "frame_000000.png", "frame_000007.PNG", "frame_000008.png"
    ]  # fmt: skip
    assert {image.root for image in (first, both, last)} == {str(tmp_path / "images")}
    assert {(image.width, image.height) for image in (first, both, last)} == {(320, 240)}
    assert [face.points_px.tolist() for face in both.faces] == [
        [[1, 2], [3.5, 4]],
        [[9, 9], [8, 8]],
    ]
    assert [face.attributes for face in both.faces] == [{"blur": True, "track": 0}, {"track": 4}]
    assert last.faces[0].attributes == {"track": 0, "keyframe": False}
    assert notes == [
        f"{tmp_path / 'annotations.xml'}: 1 shapes of tracks have no point in the picture"
    ]


def test_photos_are_found_where_cvat_puts_the_frames(put: Put, tmp_path: Path) -> None:
    put("images/frame_000007.PNG", b"")
    path = put("annotations.xml", document(track(points(7, "1,2;3,4"), points(8, "1,2;3,4"))))
    found = list(read(path))
    assert [(i.root, i.path) for i in found] == [
        (str(tmp_path / "images"), "frame_000007.PNG"),
        (str(tmp_path / "images"), "frame_000008.png"),
    ]
    (given, _) = read(path, root=tmp_path)
    assert (given.root, given.path) == (str(tmp_path), "frame_000007.png")


def test_tracks_of_skeletons(put: Put) -> None:
    shown = skeleton(3, part("2", "5,6", occluded=1), part("1", "7,8"),
                     inner='<attribute name="who">007</attribute>')  # fmt: skip
    half = skeleton(4, part("1", "0,0", outside=1), part("2", "1,2"))
    gone = skeleton(5, part("1", "0,0", outside=1), part("2", "1,2", outside=1))
    boxes = track('<box frame="3" outside="0" occluded="0" keyframe="1" xtl="1" ytl="2" xbr="9" '
                  'ybr="8"/>', number="1", label="box", more=' group_id="6"')  # fmt: skip
    path = put("a.xml", document(track(shown, half, gone, more=' group_id="6"'), boxes))
    first, second = read(path)
    (face,) = first.faces
    assert face.points_px.tolist() == [[7, 8], [5, 6]]
    assert face.visibility is not None and face.visibility.tolist() == [2, 1]
    assert face.attributes == {"track": 0, "who": "007"}
    assert face.box is not None and face.box.tolist() == [1, 2, 8, 6]
    assert second.faces[0].labelled.tolist() == [False, True]


def test_frames_that_images_name(put: Put) -> None:
    image = '<image id="{}" name="{}" width="64" height="48" subset="val"></image>\n'
    images = image.format(2, "sub/b.jpg") + image.format(1, "sub/a.jpg")
    tracks = track(points(1, "1,2;3,4"), points(5, "1,2;3,4"))
    notes: list[str] = []
    found = list(read(put("a.xml", document(images, tracks)), on_note=notes.append))
    assert [(i.path, i.width, i.split, len(i.faces)) for i in found] == [
        ("sub/b.jpg", 64, "val", 0),
        ("sub/a.jpg", 64, "val", 0),
        ("sub/a.jpg", 64, "val", 1),
        ("frame_000005.png", 320, None, 1),
    ]
    assert notes == []


def test_points_one_by_one_are_a_face_by_their_group(put: Put) -> None:
    tracks = [
        track(points(0, f"{n},5"), number=str(n), label=name, more=' group_id="2"')
        for n, name in enumerate("ab")
    ]
    (image,) = read(put("a.xml", document(*tracks, meta="")))
    assert image.faces[0].points_px.tolist() == [[0, 5], [1, 5]]
    assert (image.width, image.faces[0].attributes) == (None, {"track": 0})


BROKEN = [
    (track(points("", "1,2;3,4")), "frame: '' is not a number", 10),
    (track(points(-1, "1,2;3,4")), "frame: '-1' is no number of one", 10),
    (track(points(1.5, "1,2;3,4")), "frame: '1.5' is no number of one", 10),
    (track(points("nan", "1,2;3,4")), "frame: 'nan' is not a finite number", 10),
    (track('<points points="1,2;3,4"/>'), "<points> has no frame", 10),
    (track(points(1, "1,2;3,4"), points(1, "1,2;3,4")), "frame 1 again in one track", 11),
    (track(points(1, "1,2;3")), "points: '3' is not x,y", 10),
    (track(points(1, "1,2;3,inf")), "not a finite number", 10),
    (track(points(1, "1,2;3,4", outside=2)), "outside: '2' is neither 0 nor 1", 10),
    (track(points(1, "1,2;3,4", keyframe=2)), "keyframe: '2' is neither 0 nor 1", 10),
    (track(skeleton(1, part("3", "1,2"))), "no point is called '3'", 10),
    (track(skeleton(1, part("1", "1,2;3,4"))), "a point of a skeleton with 2 places", 10),
    (track(skeleton(1, part("1", "1,2"), part("1", "3,4"))), "two points of one face", 10),
    ('  <track label="f"></track>', "<track> has no id", 9),
    ('  <track id="0"></track>', "<track> has no label", 9),
    ('  <track id="0" label="f"><attribute>1</attribute></track>', "<attribute> has no name", 9),
]


@pytest.mark.parametrize(("text", "problem", "line"), BROKEN)
def test_broken_tracks(put: Put, text: str, problem: str, line: int) -> None:
    good = track(points(2, "1,2;3,4"), number="9")
    path = put("a.xml", document(text, good))
    with pytest.raises(InputError) as caught:
        list(read(path, "cvat"))
    assert problem in caught.value.message and caught.value.line == line
    failed: list[InputError] = []
    found = list(read(path, "cvat", on_error=failed.append))
    assert len(failed) == 1
    assert [face.attributes["track"] for i in found if "02." in i.path for face in i.faces] == [9]


def test_a_track_for_each_point_is_refused(put: Put) -> None:
    inner = '<track id="1" label="1" source="manual">' + points(0, "1,2") + "</track>"
    path = put("a.xml", document(track(skeleton(0), inner)))
    with pytest.raises(InputError, match="line 9: a skeleton with a track for each") as caught:
        list(read(path, "cvat"))
    assert "CVAT for images 1.1" in str(caught.value.hint)


def test_a_file_that_is_cut_in_a_track(put: Put) -> None:
    text = document(track(points(2, "1,2;3,4")))
    with pytest.raises(InputError, match="not valid XML"):
        list(read(put("a.xml", text[:-40]), "cvat"))
