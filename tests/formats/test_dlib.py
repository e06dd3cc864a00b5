"""dlib's imglab XML: as imglab and others write it, by dlib's own rules, and broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import InputError, OutputError, TufaError, UnknownNameError
from tufa_cli.formats import choose_format, losses, read, sniff, write

Put = Callable[[str, str | bytes], Path]
Refused = Callable[..., InputError]

HEAD = (
    "<?xml version='1.0' encoding='ISO-8859-1'?>\n"
    "<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>\n"
    "<dataset>\n<name>imglab dataset</name>\n<comment>Created by imglab tool.</comment>\n<images>\n"
)
TAIL = "</images>\n</dataset>\n"
BOX = "    <box top='2' left='1' width='30' height='40'>\n"


def part(name: str, x: object = 1, y: object = 2) -> str:
    return f"      <part name='{name}' x='{x}' y='{y}'/>\n"


def photo(inner: str, name: str = "a.jpg", more: str = "") -> str:
    return f"  <image file='{name}'{more}>\n{inner}  </image>\n"


def whole(*images: str) -> str:
    return HEAD + "".join(images) + TAIL


FIVE = BOX + "".join(part(f"{i:02d}", 10 + i, 20 + i) for i in range(5)) + "    </box>\n"


def test_as_imglab_writes_it(put: Put, tmp_path: Path) -> None:
    second = BOX.replace(">", " gender='male' age='30' pose='-0.5' detection_score='1.5'>")
    second += "      <label>left &lt;eye&gt;</label>\n" + part("01", -3, 4) + "    </box>\n"
    skipped = BOX.replace(">", " ignore='1' difficult='1'/>").replace("top='2'", "top='7'")
    path = put(
        "d.xml",
        whole(photo(FIVE + second + skipped, more=" width='64' height='48'"), photo("", "b/c.png")),
    )
    assert choose_format(path) == choose_format(tmp_path) == "dlib"
    first, empty = read(path)
    assert (first.path, first.width, first.height, first.root) == ("a.jpg", 64, 48, str(tmp_path))
    assert (empty.path, empty.faces, empty.width) == ("b/c.png", (), None)
    one, two = first.faces
    assert one.points_px.tolist() == [[10 + i, 20 + i] for i in range(5)]
    assert one.box is not None and one.box.tolist() == [1, 2, 30, 40]
    assert (one.scheme, one.score, dict(one.attributes)) == (None, None, {})
    assert two.labelled.tolist() == [False, True, False, False, False]
    assert two.points_px[1].tolist() == [-3, 4]
    assert two.score == 1.5
    assert two.attributes == {"gender": "male", "age": 30, "pose": -0.5, "label": "left <eye>"}
    assert first.attributes == {"ignored_boxes": [[1, 7, 30, 40]]}


def test_ignored_boxes_may_be_faces(put: Put) -> None:
    path = put("d.xml", whole(photo(FIVE + FIVE.replace(">", " ignore='1'>", 1))))
    (image,) = read(path, settings={"ignored": "faces"})
    assert [face.attributes.get("ignore") for face in image.faces] == [None, True]
    assert not image.attributes
    with pytest.raises(UnknownNameError, match="did you mean faces"):
        list(read(path, settings={"ignored": "face"}))


@pytest.mark.parametrize(
    ("names", "scheme", "indices"),
    [
        (["00", "01", "02", "03", "04"], "mtfl5", [0, 1, 2, 3, 4]),
        (["4", "3", "2", "1", "0"], "mtfl5", [4, 3, 2, 1, 0]),
        (["1", "2", "3", "4", "5"], "mtfl5", [0, 1, 2, 3, 4]),  # nobody has a 0: they count from 1
        (["0", "4"], "mtfl5", [0, 4]),
        (["0", "2", "10"], None, [0, 2, 10]),
        (["nose", "eye", "mouth"], None, [2, 0, 1]),  # in the order of the alphabet, as dlib
        (["e", "d", "c", "b", "a"], "mtfl5", [4, 3, 2, 1, 0]),
        (["left_pupil", "nose_tip"], "mtfl5", [0, 2]),
    ],
)
def test_names_of_parts_are_the_order(
    put: Put, names: list[str], scheme: str | None, indices: list[int]
) -> None:
    inner = BOX + "".join(part(name, i, 0) for i, name in enumerate(names)) + "</box>"
    (image,) = read(put("d.xml", whole(photo(inner))), scheme=scheme)
    face = image.faces[0]
    assert face.scheme == scheme
    for place, index in enumerate(indices):
        assert face.points_px[index].tolist() == [place, 0]
    assert face.labelled.sum() == len(names)
    assert len(face.points_px) == (5 if scheme else max(indices) + 1)


def test_all_boxes_of_a_file_have_the_same_number_of_points(put: Put) -> None:
    """dlib makes one list of all parts of the file; a box lacks those it does not name."""
    first = BOX + part("0") + "</box>"
    last = BOX + part("3") + "</box>"
    images = list(read(put("d.xml", whole(photo(first), photo(last, "b.jpg")))))
    assert [len(image.faces[0].points_px) for image in images] == [4, 4]


def test_unpadded_names_are_said(put: Put) -> None:
    notes: list[str] = []
    inner = BOX + "".join(part(str(i)) for i in range(12)) + "</box>"
    (image,) = read(put("d.xml", whole(photo(inner))), on_note=notes.append)
    assert len(image.faces[0].points_px) == 12
    assert "dlib orders them as text" in notes[-1]


def test_other_schemes_are_left_out(put: Put) -> None:
    path = put("d.xml", whole(photo(FIVE)))
    with pytest.raises(TufaError, match="names has 2 names, ibug68 has 68 points"):
        list(read(path, scheme="ibug68", settings={"names": "a,b"}))
    with pytest.raises(InputError, match="line 8: no point is called '00'"):
        list(read(path, settings={"names": "a,b"}))
    with pytest.raises(UnknownNameError, match="did you mean names"):
        list(read(path, settings={"name": "a,b"}))
    wide = BOX + "".join(part(f"{i:02d}") for i in range(68)) + "</box>"
    with pytest.raises(InputError, match="no face has the 5 points of mtfl5"):
        list(read(put("w.xml", whole(photo(wide))), "dlib", scheme="mtfl5"))


def test_photos_beside_and_above(put: Put, tmp_path: Path) -> None:
    names = ["x/a.jpg", "../up/b.jpg", r"..\..\c.jpg", "/abs/d.jpg", "./e.jpg", "x/../f.jpg"]
    path = put("in/labels/d.xml", whole(*[photo(FIVE, name) for name in names]))
    images = list(read(path))
    assert [image.path for image in images] == [
        "x/a.jpg", "up/b.jpg", "c.jpg", "/abs/d.jpg", "e.jpg", "f.jpg",
    ]  # fmt: skip
    folder = tmp_path / "in/labels"
    assert [Path(str(image.root)).resolve() for image in images[:3]] == [
        folder, folder.parent, folder.parent.parent,
    ]  # fmt: skip
    (tmp_path / "photos").mkdir()
    (image, *_) = read(path, root=tmp_path / "photos")
    assert image.root == str(tmp_path / "photos")


@pytest.mark.parametrize("there", [None, "é.jpg", "Ã©.jpg"])
def test_bytes_that_are_not_what_the_first_line_says(put: Put, there: str | None) -> None:
    """dlib writes the bytes it has under a line that claims ISO-8859-1."""
    if there is not None:
        put(there, b"")
    (image,) = read(put("d.xml", whole(photo(FIVE, "é.jpg")).encode("utf-8")))
    assert image.path == (there or "é.jpg")


def test_latin_1_that_is_latin_1(put: Put) -> None:
    (image,) = read(put("d.xml", whole(photo(FIVE, "Müller.jpg")).encode("latin-1")))
    assert image.path == "Müller.jpg"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", ""),
        lambda text: text.replace("'", '"'),
    ],
)
def test_text_as_it_comes(put: Put, change: Callable[[str], str]) -> None:
    text = change(whole(photo(FIVE)).replace("encoding='ISO-8859-1'", ""))
    (image,) = read(put("d.xml", text))
    assert image.faces[0].points_px[4].tolist() == [14, 24]


GOOD = whole(photo(FIVE))
BOMB = GOOD.replace(
    "<dataset>", '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>\n<dataset>', 1
)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (b"", 1, "empty"),
        (b"\n \n", 1, "empty"),
        (GOOD[: GOOD.index("<part")], 9, "not valid XML: no element found"),
        (GOOD[: GOOD.index("x='12'")], 11, "not valid XML: unclosed token"),
        (GOOD.replace("    </box>", ""), 15, "mismatched tag"),
        (BOMB, 3, "document type"),
        (GOOD.replace("ISO-8859-1", "UTF-8").replace("a.jpg", "é.jpg").encode("latin-1"), 7,
         "not well-formed"),
        (GOOD.replace("ISO-8859-1", "klingon"), None, "unknown encoding"),
        (GOOD.replace("dataset>", "data>"), 3, "root is <data>, not <dataset>"),
        (GOOD.replace("file=", "path="), 7, "<image> has no file"),
        (GOOD.replace("'a.jpg'", "' '"), 7, "file is missing"),
        (GOOD.replace("<image ", "<image width='-3' "), 7, "width is not a size"),
        (GOOD.replace("<image ", "<image width='wide' "), 7, "width: 'wide' is not a number"),
        (GOOD.replace("top='2' ", ""), 8, "<box> has no top"),
        (GOOD.replace("width='30'", "width='-30'"), 8, "negative size"),
        (GOOD.replace("width='30'", "width='nan'"), 8, "width: 'nan' is not a finite"),
        (GOOD.replace("<box ", "<box ignore='maybe' "), 8, "ignore: 'maybe' is neither"),
        (GOOD.replace("<box ", "<box age='old' "), 8, "age: 'old' is not a number"),
        (GOOD.replace("<box ", "<box detection_score='inf' "), 8, "not a finite"),
        (GOOD.replace("x='12'", "x='1e30'"), 11, "too far out"),
        (GOOD.replace("x='12'", "x='twelve'"), 11, "'twelve' is not a number"),
        (GOOD.replace("x='12' ", ""), 11, "<part> has no x"),
        (GOOD.replace("name='02' ", ""), 11, "<part> has no name"),
        (GOOD.replace("name='02'", "name='01'"), 8, "two parts '01'"),
        (GOOD.replace("name='02'", "name='1'"), 8, "the point names 01, 1 are one number"),
    ],
)  # fmt: skip
def test_broken(
    put: Put, refused: Refused, text: str | bytes, line: int | None, problem: str
) -> None:
    path = put("d.xml", text)
    if line is None:
        with pytest.raises(InputError, match=problem):
            list(read(path, "dlib"))
        return
    error = refused(path, "dlib", problem, line)
    assert error.path == path


def test_a_bad_box_leaves_the_others(put: Put) -> None:
    bad = FIVE.replace("x='12'", "x='?'")
    path = put("d.xml", whole(photo(FIVE + bad + FIVE), photo(FIVE, "b.jpg")))
    failures: list[InputError] = []
    images = list(read(path, on_error=failures.append))
    assert [len(image.faces) for image in images] == [2, 1]
    assert [error.line for error in failures] == [18]


def test_fractions_and_repeated_photos_are_said(put: Put) -> None:
    notes: list[str] = []
    text = whole(photo(FIVE.replace("x='12'", "x='12.5'")), photo(FIVE))
    first, _ = read(put("d.xml", text), on_note=notes.append)
    assert first.faces[0].points_px[2].tolist() == [12.5, 22]
    assert any("1 parts have fractions" in note for note in notes)
    assert any("1 photos are named more than once" in note for note in notes)


def face(count: int = 5, **given: Any) -> Face:
    return Face(np.arange(2.0 * count).reshape(-1, 2), **given)


def test_what_is_written(tmp_path: Path) -> None:
    holed = face(scheme="mtfl5", box=np.array([1.4, 2.5, 30, 40]), score=0.5,
                 visibility=np.array([2, 0, 2, 2, 2], dtype=np.uint8),
                 attributes={"occluded": True, "age": 30, "label": "a < b"})  # fmt: skip
    report = write([AnnotatedImage("é & 'b'.jpg", (holed,), width=64)], tmp_path / "o.xml", "dlib")
    assert (tmp_path / "o.xml").read_text(encoding="utf-8") == (
        "<?xml version='1.0' encoding='UTF-8'?>\n<dataset>\n<name>face landmarks</name>\n"
        "<comment>5 points a face, scheme mtfl5</comment>\n<images>\n"
        "  <image file='é &amp; &apos;b&apos;.jpg' width='64'>\n"
        "    <box top='3' left='1' width='30' height='40' age='30' occluded='1' "
        "detection_score='0.5'>\n"
        "      <label>a &lt; b</label>\n"
        "      <part name='0' x='0' y='1'/>\n      <part name='2' x='4' y='5'/>\n"
        "      <part name='3' x='6' y='7'/>\n      <part name='4' x='8' y='9'/>\n"
        "    </box>\n  </image>\n</images>\n</dataset>\n"
    )
    assert report.lost == ("the box's fraction: 1 face, first in é & 'b'.jpg",)


@pytest.mark.parametrize("count", [1, 10, 11, 68, 98, 106, 194])
def test_by_dlibs_own_rules(tmp_path: Path, count: int) -> None:
    """Whole numbers, names each once, and the names' text order is the points' order."""
    rough = Face(np.random.default_rng(0).normal(100, 30, (count, 2)))
    path = tmp_path / "o.xml"
    report = write([AnnotatedImage("a.jpg", (rough,))], path, "dlib")
    assert report.remarks == ("1 faces without a box got the box of their points",)
    box = ElementTree.parse(path).getroot().find("images/image/box")
    assert box is not None
    corner = {name: int(value) for name, value in box.attrib.items()}
    parts = [(p.attrib["name"], int(p.attrib["x"]), int(p.attrib["y"])) for p in box.iter("part")]
    assert len({name for name, _, _ in parts}) == count
    in_order = np.array([place for _, *place in sorted(parts)])
    assert np.abs(in_order - rough.points_px).max() <= 0.5
    assert (in_order.min(axis=0) >= [corner["left"], corner["top"]]).all()
    last = [corner["left"] + corner["width"] - 1, corner["top"] + corner["height"] - 1]
    assert (in_order.max(axis=0) <= last).all()


def test_different_numbers_of_points_are_refused(tmp_path: Path) -> None:
    images = [AnnotatedImage("a.jpg", (face(5),)), AnnotatedImage("b.jpg", (face(7),))]
    with pytest.raises(OutputError, match=r"b\.jpg: a face of 7 points after faces of 5"):
        write(images, tmp_path / "new/o.xml", "dlib")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "lost"),
    [
        ({"attributes": {"gender": "x"}}, "attributes of faces (gender)"),
        ({"attributes": {"occluded": "yes"}}, "attributes of faces (occluded)"),
        ({"attributes": {"age": float("nan")}}, "attributes of faces (age)"),
        ({"attributes": {"label": " a"}}, "attributes of faces (label)"),
        ({"attributes": {"blur": 1}}, "attributes of faces (blur)"),
        ({"confidence": np.ones(5)}, "the confidence"),
        ({"source": "auto"}, "that a model made the points"),
        ({"visibility": np.array([1] * 5, dtype=np.uint8)},
         "which points are occluded"),
    ],
)  # fmt: skip
def test_losses(given: dict[str, Any], lost: str) -> None:
    assert losses([AnnotatedImage("a.jpg", (face(**given),))], "dlib") == [
        f"{lost}: 1 face, first in a.jpg"
    ]


def test_losses_of_a_fraction_and_of_a_photo() -> None:
    half = Face(np.array([[0.5, 1]]))
    image = AnnotatedImage("a.jpg", (half,), attributes={"ignored_boxes": [[1, 2, 3, 0.5]]})
    assert losses([image], "dlib") == [
        "the fraction of the points: 1 face, first in a.jpg",
        "the photo's attributes: 1 photo, first a.jpg",
    ]


def test_names_that_xml_cannot_hold(tmp_path: Path) -> None:
    for name in ("a\x01.jpg", " a.jpg", "a\nb.jpg", "a\ufffe.jpg"):
        with pytest.raises(OutputError, match="does not fit in XML"):
            write([AnnotatedImage(name, (face(),))], tmp_path / "o.xml", "dlib")
    assert not list(tmp_path.iterdir())


def test_sniffing_says_why_not(put: Put, tmp_path: Path) -> None:
    put("d.xml", "<dataset><video/></dataset>")
    assert sniff(tmp_path)["dlib"].reason == "a <dataset> without <images>"
    put("d.xml", "<annotation/>")
    assert "root is <annotation>" in sniff(tmp_path)["dlib"].reason


def test_a_symlink_that_leads_to_itself(tmp_path: Path, put: Put) -> None:
    put("good.xml", GOOD)
    (tmp_path / "loop.xml").symlink_to("loop.xml")
    (tmp_path / "round").symlink_to(tmp_path)
    assert len(list(read(tmp_path, "dlib"))) == 1
    with pytest.raises(InputError, match="cannot be read"):
        list(read(tmp_path / "loop.xml", "dlib"))
