"""Files with all that a tool's format has: what does not come back out was said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from format_cases import FILES
from format_full import FULL, NAMES

from tufa_cli.formats import losses, read, write

NAMED = "the names of the points (T_k0, T_k1, T_k2 and 2 more)"
CLASS = "that faces are called 'T_class' is not kept"
POINTS = "points have attributes of their own, which are not kept"
TURNED = "1 rectangles are turned: the upright ones around them are taken"
COCO_HEAD = "what the file says of itself (info, licenses, supercategories) is not kept"
#: What a format's own reader leaves out: a word of the file -> what is said of it. The names of
#: the points and the class are left out by all but dlib.
LEFT_OUT = {
    "coco": {
        "T_info": COCO_HEAD,
        "T_license": COCO_HEAD,
        "T_super": COCO_HEAD,
    },
    "cvat": {
        "T_task": "what <meta> says of the task is not kept",
        "T_owner": "what <meta> says of the task is not kept",
        "T_id": "1 images have a task_id, which is not kept",
        "T_tag": "1 <tag> are no landmarks",
        "T_box": "1 rectangles have a label of their own, which is not kept",
    },
    "datumaro": {
        "T_info": "what the file says of itself (info) is not kept",
        "T_caption": "1 annotations are neither points nor boxes",
    },
    "dlib": {
        "T_name": "what the file says of itself (name) is not kept",
        "T_comment": "what the file says of itself (comment) is not kept",
        "T_ignored": "1 ignored boxes have more than a place, which is not kept",
    },
    "label-studio": {
        "T_data": "1 tasks have other data than the photo, which is not kept",
        "T_mail": "1 annotations say whose they are and when made, which is not kept",
        "T_other": "1 further annotations of the same task are not read",
        "T_point": f"1 {POINTS}",
    },
    "labelme": {
        "T_pixels": "1 files hold the photo itself, which is not kept",
        "T_point": f"2 {POINTS}",
        "T_pointflag": f"2 {POINTS}",
    },
    "supervisely": {
        "T_login": "1 objects say who made them and when, which is not kept",
        "T_when": "1 objects say who made them and when, which is not kept",
        "T_object": "1 objects have a description, which is not kept",
        "T_box": "1 rectangles have a label of their own, which is not kept",
        "T_mask": "1 objects of other kinds belong to no face",
    },
    "via": {
        "T_project": "the project's settings and its list of attributes are not kept",
        "T_attribute": "the project's settings and its list of attributes are not kept",
        "T_point": f"5 {POINTS}",
        "T_face": "faces have names instead of numbers, which are not kept",
    },
}
#: What is said of things that have no word.
BESIDE = {
    "cvat": ("1 shapes have an order in depth", TURNED, "1 boxes are hidden, which is not kept"),
    "datumaro": ("1 shapes have an order in depth", "the lines between the points"),
    "coco": ("the lines between the points",),
    "label-studio": (TURNED,),
}


@pytest.mark.parametrize("name", FULL)
def test_what_does_not_come_back_out_was_said(name: str, tmp_path: Path) -> None:
    for place, text in FULL[name].items():
        path = tmp_path / "in" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    notes: list[str] = []
    images = list(read(tmp_path / "in", name, on_note=notes.append))
    assert losses(images, name) == []
    report = write(images, tmp_path / "out" / FILES[name], name)
    written = " ".join(path.read_text() for path in report.files)
    words = set(re.findall(r"T_\w+", " ".join(FULL[name].values())))
    expected = dict(LEFT_OUT[name])
    if name != "dlib":
        expected |= dict.fromkeys(NAMES, NAMED) | {"T_class": CLASS}
    assert {word for word in words if word not in written} == set(expected)
    said = "\n".join(notes)
    assert [text for text in (*expected.values(), *BESIDE.get(name, ())) if text not in said] == []


@pytest.mark.parametrize("name", FULL)
def test_a_file_of_ours_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    """What is written here is read without a word, so that a note means something."""
    for place, text in FULL["dlib"].items():
        (tmp_path / place).write_text(text)
    images = list(read(tmp_path, "dlib"))
    write(images, tmp_path / "out" / FILES[name], name)
    notes: list[str] = []
    assert list(read(tmp_path / "out" / FILES[name], name, on_note=notes.append))
    assert notes == []


@pytest.mark.parametrize("name", ["coco", "cvat", "datumaro", "supervisely"])
def test_one_of_several_classes_is_an_attribute(name: str, tmp_path: Path) -> None:
    """Where a file lists several kinds of faces, the kind tells one face from another."""
    more = {
        "coco": ('"categories": [', '"categories": [{"id": 1, "name": "T_b", "keypoints": ["x"]},'),
        "cvat": ("<labels>", "<labels><label><name>T_b</name><type>skeleton</type></label>"),
        "datumaro": (
            '"points": {"items": [',
            '"points": {"items": [{"label_id": 1, "labels": ["x"]},',
        ),
        "supervisely": (
            '"classes": [',
            '"classes": [{"title": "T_b", "geometry_config": {"nodes": {"n": {"label": "x"}}}},',
        ),
    }
    for place, text in FULL[name].items():
        text = text.replace('[{"name": "T_class"}]', '[{"name": "T_class"}, {"name": "T_b"}]')
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text.replace(*more[name]))
    notes: list[str] = []
    (image,) = read(tmp_path, name, on_note=notes.append)
    assert image.faces[0].attributes["class"] == "T_class"
    assert not any("called" in note for note in notes)
