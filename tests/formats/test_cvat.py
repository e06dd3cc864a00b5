"""CVAT for images 1.1: as CVAT exports it, what goes back into it, and broken files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError
from tufa_cli.formats import choose_format, losses, read, sniff, write
from tufa_cli.schemes import get_scheme

Put = Callable[[str, str | bytes], Path]
Refused = Callable[..., InputError]

NAMES = get_scheme("mtfl5").names


def label(name: str, kind: str = "points", parent: str | None = None) -> str:
    inner = f"<name>{name}</name><color>#fa3253</color><type>{kind}</type><attributes></attributes>"
    return f"<label>{inner}{f'<parent>{parent}</parent>' if parent else ''}</label>\n"


def task(*labels: str) -> str:
    return f"  <meta><task><id>1</id><labels>{''.join(labels)}</labels></task></meta>\n"


def document(*images: str, meta: str = "") -> str:
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return f"{head}{meta}{''.join(images)}</annotations>\n"


def image(*shapes: str, name: str = "a.jpg", more: str = "") -> str:
    head = f'  <image id="0" name="{name}" width="64" height="48"{more}>\n'
    return head + "".join(f"    {shape}\n" for shape in shapes) + "  </image>\n"


def point(name: str, place: str = "1.50,2.25", outside: int = 0, occluded: int = 0) -> str:
    return (
        f'<points label="{name}" source="manual" outside="{outside}" occluded="{occluded}" '
        f'points="{place}"></points>'
    )


def skeleton(*points: str, label: str = "my face", more: str = "") -> str:
    return (
        f'<skeleton label="{label}" source="manual" z_order="0"{more}>{"".join(points)}</skeleton>'
    )


def only(path: Path, **options: Any) -> AnnotatedImage:
    (found,) = read(path, "cvat", **options)
    return found


def test_a_skeleton_as_cvat_exports_it(put: Put, tmp_path: Path) -> None:
    put("images/sub/a.jpg", b"")
    shape = skeleton(
        point("nose", "7.00,8.00", occluded=1),
        point("left", "1.50,2.25"),
        point("right", "3.00,4.00", outside=1),
        '<attribute name="blur">true</attribute><attribute name="who">007</attribute>',
        more=' group_id="4"',
    )
    box = '<box label="box" xtl="1.00" ytl="2.00" xbr="11.50" ybr="22.00" group_id="4"/>'
    other = '<box label="box" xtl="1.00" ytl="2.00" xbr="11.50" ybr="22.00"/>'
    meta = task(label("my face", "skeleton"), *[label(n, parent="my face")
                for n in ("left", "right", "nose")], label("box", "rectangle"))  # fmt: skip
    notes: list[str] = []
    photo = image(shape, box, other, name="sub/a.jpg", more=' subset="train" task_id="3"')
    put("annotations.xml", document(photo, meta=meta))
    assert choose_format(tmp_path) == "cvat"
    found = only(tmp_path, on_note=notes.append)
    assert (found.path, found.width, found.height, found.split) == ("sub/a.jpg", 64, 48, "train")
    assert found.root == str(tmp_path / "images")
    face = found.faces[0]
    assert face.points_px[[0, 2]].tolist() == [[1.5, 2.25], [7, 8]]
    assert face.visibility is not None and face.visibility.tolist() == [2, 0, 1]
    assert face.box is not None and face.box.tolist() == [1, 2, 10.5, 20]
    assert face.attributes == {"blur": True, "who": "007"}
    assert (face.scheme, face.source) == (None, "manual")
    assert notes == [
        "the names of the points (left, right, nose) are of no known scheme and are not kept; "
        "--from-scheme names one",
        "that faces are called 'my face' is not kept",
        f"{tmp_path / 'annotations.xml'}: 1 images have a task_id, which is not kept",
        f"{tmp_path / 'annotations.xml'}: 1 rectangles have a label of their own, which is not "
        "kept",
        f"{tmp_path / 'annotations.xml'}: 1 boxes belong to no face",
    ]


def test_labels_of_a_project(put: Put) -> None:
    meta = "<meta><project><labels>" + label("f", "skeleton")
    meta += "".join(label(n, parent="f") for n in "ba") + "</labels></project></meta>"
    found = only(put("a.xml", document(image(skeleton(point("a"), label="f")), meta=meta)))
    assert found.faces[0].labelled.tolist() == [False, True]


@pytest.mark.parametrize("meta", [True, False])
def test_points_named_as_a_scheme_has_them(put: Put, meta: bool) -> None:
    shuffled = [point(name, f"{NAMES.index(name)},9") for name in sorted(NAMES)]
    labels = task(label("MTFL", "skeleton"), *[label(n, parent="MTFL") for n in sorted(NAMES)])
    text = document(image(skeleton(*shuffled, label="MTFL")), meta=labels if meta else "")
    face = only(put("a.xml", text)).faces[0]
    assert face.scheme == "mtfl5"
    assert face.points_px.tolist() == [[i, 9] for i in range(5)]


def test_numbers_as_names_count_from_0_or_1(put: Put) -> None:
    for first in (0, 1):
        points = [point(str(i + first), f"{i},9") for i in (3, 1, 0)]
        path = put("a.xml", document(image(skeleton(*points))))
        face = only(path, scheme="mtfl5").faces[0]
        assert face.points_px[[0, 1, 3], 0].tolist() == [0, 1, 3]
        assert face.labelled.sum() == 3


def test_names_in_an_order_the_user_gives(put: Put) -> None:
    path = put("a.xml", document(image(skeleton(point("b", "1,1"), point("a", "2,2")))))
    with pytest.raises(InputError, match=r"names b, a are not those of mtfl5.*setting names"):
        list(read(path, "cvat", scheme="mtfl5"))
    face = only(path, scheme="mtfl5", settings={"names": "e, a, c, b, d"}).faces[0]
    assert face.labelled.tolist() == [False, True, False, True, False]


def test_skeletons_of_other_sizes_are_left_out(put: Put) -> None:
    meta = task(label("x", "skeleton"), label("p", parent="x"), label("f", "skeleton"),
                *[label(str(i), parent="f") for i in range(5)])  # fmt: skip
    five = skeleton(*[point(str(i)) for i in range(5)], label="f")
    path = put("a.xml", document(image(skeleton(point("p"), label="x"), five), meta=meta))
    notes: list[str] = []
    assert len(only(path, scheme="mtfl5", on_note=notes.append).faces) == 1
    assert "1 faces are not of this scheme" in notes[-1]
    with pytest.raises(InputError, match="no face has the 68 points of ibug68"):
        list(read(path, "cvat", scheme="ibug68"))


def test_a_points_shape_is_a_face_when_its_points_are_many(put: Put) -> None:
    shape = '<points label="f" occluded="{}" points="1,2;3,4;5.5,6;7,8;9,10" z_order="0"></points>'
    path = put("a.xml", document(image(shape.format(0), shape.format(1))))
    first, second = only(path).faces
    assert first.points_px.tolist() == [[1, 2], [3, 4], [5.5, 6], [7, 8], [9, 10]]
    assert second.visibility is not None and set(second.visibility.tolist()) == {1}
    assert only(path, scheme="mtfl5").faces[0].scheme == "mtfl5"
    with pytest.raises(InputError, match="no face has the 68 points"):
        list(read(path, "cvat", scheme="ibug68"))
    named = put("b.xml", document(image(shape.format(0).replace('"f"', '"mtfl5"'))))
    assert only(named).faces[0].scheme == "mtfl5"


def test_points_shapes_of_one_point_are_named_by_their_label(put: Put) -> None:
    one = '<points label="{}" points="{},1" group_id="{}"></points>'
    shapes = [one.format(name, x, group) for group in (1, 2) for x, name in enumerate(NAMES)]
    found = only(put("a.xml", document(image(*shapes[:-1]))), scheme="mtfl5")
    assert [face.labelled.sum() for face in found.faces] == [5, 4]
    assert found.faces[0].points_px[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_the_only_box_of_the_only_face_needs_no_group(put: Put) -> None:
    box = '<box label="b" xtl="10" ytl="20" xbr="30" ybr="30" rotation="90.00"></box>'
    face = only(put("a.xml", document(image(skeleton(point("0")), box)))).faces[0]
    assert face.box is not None
    np.testing.assert_allclose(face.box, [15, 15, 10, 20])  # turned about its middle


GOOD = document(
    image(skeleton(point("0"), point("1", "3,4"), more=' group_id="1"'),
          '<box label="b" xtl="1" ytl="2" xbr="3" ybr="4" group_id="1"></box>')
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "empty"),
        (GOOD[:150], 5, "not valid XML"),
        (GOOD[: GOOD.index("</image>")], 7, "not valid XML: no element found"),
        (GOOD.replace("<annotations>", "<!DOCTYPE a [<!ENTITY x 'y'>]><annotations>"), 2, "DTD"),
        (GOOD.replace("annotations>", "dataset>"), 2, "root is <dataset>"),
        (GOOD.replace(' name="a.jpg"', ""), 4, "<image> has no name"),
        (GOOD.replace('"a.jpg"', '"../a.jpg"'), 4, "leads out of its folder"),
        (GOOD.replace('"a.jpg"', '"/etc/a.jpg"'), 4, "leads out of its folder"),
        (GOOD.replace('"a.jpg"', '""'), 4, "missing"),
        (GOOD.replace('width="64"', 'width="6.5"'), 4, "width is not a size"),
        (GOOD.replace("3,4", "3"), 5, "'3' is not x,y"),
        (GOOD.replace("3,4", "3,4,5"), 5, "'3,4,5' is not x,y"),
        (GOOD.replace("3,4", "3,4;5,6"), 5, "a point of a skeleton with 2 places"),
        (GOOD.replace("3,4", "nan,4"), 5, "'nan' is not a finite"),
        (GOOD.replace("3,4", "1e300,4"), 5, "too far out"),
        (GOOD.replace(' points="3,4"', ""), 5, "<points> has no points"),
        (GOOD.replace('label="1"', 'label="0"'), 5, "two points of one face are called '0'"),
        (GOOD.replace('label="1" ', ""), 5, "<points> has no label"),
        (GOOD.replace('occluded="0"', 'occluded="2"'), 5, "occluded: '2' is neither"),
        (GOOD.replace('xtl="1"', 'xtl="left"'), 6, "xtl: 'left' is not a number"),
        (GOOD.replace('ybr="4" ', ""), 6, "<box> has no ybr"),
    ],
)  # fmt: skip
def test_broken(put: Put, refused: Refused, text: str, line: int, problem: str) -> None:
    path = put("a.xml", text)
    assert refused(path, "cvat", problem, line).path == path


def test_latin_1_without_saying_so(put: Put, refused: Refused) -> None:
    text = GOOD.replace("a.jpg", "é.jpg").encode("latin-1")
    error = refused(put("a.xml", text), "cvat", "not well-formed", 4)
    assert "encoding" in str(error.hint)


def test_names_that_the_labels_do_not_have(put: Put, refused: Refused) -> None:
    meta = task(label("f", "skeleton"), label("nose", parent="f"))
    path = put("a.xml", document(image(skeleton(point("nase"), label="f")), meta=meta))
    refused(path, "cvat", "no point is called 'nase'", 8)


def test_repeated_ids_and_photos_are_said(put: Put) -> None:
    notes: list[str] = []
    two = list(read(put("a.xml", document(image(), image())), on_note=notes.append))
    assert len(two) == 2
    assert [note.partition(": ")[2] for note in notes] == [
        "1 images repeat another's id", "1 photos are named more than once",
    ]  # fmt: skip


def face(count: int = 5, **given: Any) -> Face:
    return Face(np.arange(2.0 * count).reshape(-1, 2) + 0.125, **given)


def test_what_is_written(tmp_path: Path) -> None:
    hidden = face(scheme="mtfl5", box=np.array([1, 2, 3, 4.5]), attributes={"a": 1, "b": "<x>"},
                  visibility=np.array([2, 1, 0, 2, 2], dtype=np.uint8), source="auto")  # fmt: skip
    images = [AnnotatedImage("s/é.jpg", (hidden, face(3)), 64, 48, split="val")]
    report = write(images, tmp_path / "o.xml", "cvat")
    labels = tmp_path / "o.cvat-labels.json"
    assert report.files == (tmp_path / "o.xml", labels)
    assert (report.lost, report.remarks) == ((), ())
    root = ElementTree.parse(tmp_path / "o.xml").getroot()
    (photo,) = root.iter("image")
    assert photo.attrib == {
        "id": "0", "name": "s/é.jpg", "subset": "val", "width": "64", "height": "48",
    }  # fmt: skip
    first, second = photo.iter("skeleton")
    rows = [(p.get("outside"), p.get("occluded"), p.get("points")) for p in first.iter("points")]
    assert rows[:3] == [
        ("0", "0", "0.125,1.125"),
        ("0", "1", "2.125,3.125"),
        ("1", "0", "4.12,5.12"),
    ]
    assert (first.get("source"), first.get("group_id"), second.get("label")) == (
        "auto",
        "1",
        "face",
    )
    assert {a.get("name"): a.text for a in first.iter("attribute")} == {"a": "1", "b": "<x>"}
    (box,) = photo.iter("box")
    assert [box.get(k) for k in ("xtl", "ytl", "xbr", "ybr", "group_id")] == [
        "1",
        "2",
        "4",
        "6.5",
        "1",
    ]


def test_the_labels_beside_are_those_of_the_file(tmp_path: Path) -> None:
    """CVAT takes a shape only when the task has its label, and a skeleton's sub-labels all."""
    faces = (face(scheme="mtfl5", attributes={"x": 1}), face(7), face(9, box=np.ones(4)))
    write([AnnotatedImage("a.jpg", faces)], tmp_path / "o.xml", "cvat")
    rows = json.loads((tmp_path / "o.cvat-labels.json").read_text(encoding="utf-8"))
    by_name = {row["name"]: row for row in rows}
    assert len(by_name) == len(rows)
    root = ElementTree.parse(tmp_path / "o.xml").getroot()
    for shape in root.iter("skeleton"):
        row = by_name[str(shape.get("label"))]
        subs = [sub["name"] for sub in row["sublabels"]]
        assert [p.get("label") for p in shape.iter("points")] == subs
        assert {a.get("name") for a in shape.iter("attribute")} <= {
            a["name"] for a in row["attributes"]
        }
        svg = ElementTree.fromstring(f"<svg>{row['svg']}</svg>")
        nodes = [node.get("data-label-name") for node in svg.iter("circle")]
        assert nodes == subs
        places = [float(str(node.get(key))) for node in svg.iter("circle") for key in ("cx", "cy")]
        assert min(places) >= 0 and max(places) <= 100
        ends = [int(str(e.get(f"data-node-{k}"))) for e in svg.iter("line") for k in ("from", "to")]
        assert all(1 <= end <= len(subs) for end in ends)
    assert by_name["face-9 box"]["type"] == "rectangle"
    declared = {label.findtext("name") for label in root.iter("label")}
    assert set(by_name) <= declared


def test_labels_are_not_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "o.cvat-labels.json").write_text("mine")
    with pytest.raises(OutputError, match=r"o\.cvat-labels\.json: exists already"):
        write([AnnotatedImage("a.jpg", (face(),))], tmp_path / "o.xml", "cvat")
    assert [path.name for path in tmp_path.iterdir()] == ["o.cvat-labels.json"]


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"confidence": np.ones(5)}, "the confidence"),
        ({"score": 0.5}, "the score"),
        ({"attributes": {"scheme": 1}}, "attributes of faces (scheme)"),
        ({"attributes": {" ": 1}}, "attributes of faces ( )"),
        ({"attributes": {"x": {1: 2}}}, "attributes of faces (x)"),
        ({"attributes": {"x": float("inf")}}, "attributes of faces (x)"),
    ],
)
def test_losses(tmp_path: Path, given: dict[str, Any], lost: str) -> None:
    images = [AnnotatedImage("a.jpg", (face(**given),))]
    assert losses(images, "cvat") == [f"{lost}: 1 face, first in a.jpg"]
    report = write(images, tmp_path / "o.xml", "cvat")
    assert report.lost == (f"{lost}: 1 face, first in a.jpg",)
    assert len(only(tmp_path / "o.xml").faces) == 1


def test_the_photos_attributes_are_a_loss() -> None:
    assert losses([AnnotatedImage("a.jpg", attributes={"x": 1})], "cvat") == [
        "the photo's attributes: 1 photo, first a.jpg"
    ]


def test_the_size_is_taken_from_the_photo(tmp_path: Path, checkout: Path) -> None:
    photos = checkout / "examples/photos"
    write([AnnotatedImage("astronaut.jpg", root=str(photos))], tmp_path / "o.xml", "cvat")
    found = only(tmp_path / "o.xml")
    assert found.width and found.height


def test_sniffing_says_why_not(put: Put, tmp_path: Path) -> None:
    put("a.xml", "<annotations><shape/></annotations>")
    assert sniff(tmp_path)["cvat"].reason.startswith("<annotations> with neither")
    put("a.xml", GOOD)
    assert [name for name, verdict in sniff(tmp_path).items() if verdict.yes] == ["cvat"]
