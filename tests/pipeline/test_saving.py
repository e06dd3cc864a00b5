"""The output of a run: never half written, never replaced unasked, gone on with on request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.errors import OutputError, TufaError
from tufa_cli.formats import read
from tufa_cli.pipeline import saving
from tufa_cli.pipeline.saving import Output, check_one_file_per_photo
from tufa_cli.schemes import builtin_plane, get_scheme

WFLW = get_scheme("wflw98")
OF_FORMAT = {"coco": "out.json", "pts": "out", "wflw": "out.txt"}


def image(name, faces=1):
    points = builtin_plane()["wflw98"] * 100 + 0.123456789
    face = Face(
        points,
        scheme="wflw98",
        confidence=np.linspace(0, 1, 98),
        box=np.array([1.0, 2, 3, 4]),
        score=0.7,
        source="auto",
    )
    return AnnotatedImage(name, (face,) * faces, 640, 480)


def names_in(path, format="coco"):
    return [image.path for image in read(path, format=format)]


def filled(path, format, root, names):
    output = Output(path, format, WFLW, root)
    for name in names:
        output.add(image(name))
    assert output.save()
    return output


@pytest.mark.parametrize("format", OF_FORMAT)
def test_what_was_added_is_read_back(tmp_path, format):
    path = tmp_path / OF_FORMAT[format]
    filled(path, format, tmp_path, ["a.jpg", "sub/b.jpg"])
    back = list(read(path, format=format))
    assert [Path(image.path).with_suffix("").as_posix() for image in back] == ["a", "sub/b"]
    np.testing.assert_allclose(back[1].faces[0].points_px, image("").faces[0].points_px, atol=1e-6)


@pytest.mark.parametrize("format", OF_FORMAT)
def test_an_output_that_is_there_is_not_replaced_unasked(tmp_path, format):
    path = tmp_path / OF_FORMAT[format]
    filled(path, format, tmp_path, ["a.jpg"])
    with pytest.raises(OutputError, match="exists already") as caught:
        Output(path, format, WFLW, tmp_path)
    assert "--resume" in caught.value.hint and "--overwrite" in caught.value.hint
    other = Output(path, format, WFLW, tmp_path, overwrite=True)
    assert other.done == frozenset()
    other.add(image("a.jpg"))
    assert other.save()


@pytest.mark.parametrize("format", OF_FORMAT)
def test_a_run_goes_on_where_the_output_ends(tmp_path, format):
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/b.png", "c.jpg"):
        (tmp_path / name).write_bytes(b"")
    path = tmp_path / OF_FORMAT[format]
    filled(path, format, tmp_path, ["a.jpg", "sub/b.png"])
    output = Output(path, format, WFLW, tmp_path, resume=True)
    assert output.done == {"a.jpg", "sub/b.png"}
    output.add(image("c.jpg", faces=2))
    output.save()
    again = Output(path, format, WFLW, tmp_path, resume=True)
    assert again.done == {"a.jpg", "sub/b.png", "c.jpg"}


def test_resuming_keeps_everything_that_coco_holds(tmp_path):
    path = tmp_path / "out.json"
    filled(path, "coco", tmp_path, ["a.jpg"])
    before = path.read_bytes()
    output = Output(path, "coco", WFLW, tmp_path, resume=True)
    output.add(image("b.jpg"))
    output.save()
    reference = tmp_path / "at_once.json"
    filled(reference, "coco", tmp_path, ["a.jpg", "b.jpg"])
    assert path.read_bytes() == reference.read_bytes() != before


def test_resuming_without_an_output_starts_one(tmp_path):
    output = Output(tmp_path / "new" / "out.json", "coco", WFLW, tmp_path, resume=True)
    output.add(image("a.jpg"))
    assert output.save() and names_in(tmp_path / "new" / "out.json") == ["a.jpg"]


def test_another_schemes_output_is_not_gone_on_with(tmp_path):
    path = tmp_path / "out.json"
    filled(path, "coco", tmp_path, ["a.jpg"])
    with pytest.raises(OutputError, match="holds wflw98, not ibug68"):
        Output(path, "coco", get_scheme("ibug68"), tmp_path, resume=True)


def test_an_output_that_cannot_be_read_is_not_gone_on_with(tmp_path):
    path = tmp_path / "out.json"
    path.write_text('{"images": [')
    with pytest.raises(TufaError, match=r"out\.json.*not valid JSON"):
        Output(path, "coco", WFLW, tmp_path, resume=True)
    assert path.read_text() == '{"images": ['


def test_a_scheme_that_the_format_cannot_hold_is_refused_at_once(tmp_path):
    with pytest.raises(OutputError, match="'wflw' holds 98 points, ibug68 has 68"):
        Output(tmp_path / "out.txt", "wflw", get_scheme("ibug68"), tmp_path)


@pytest.mark.parametrize("format, wrote", [("coco", True), ("pts", False), ("wflw", False)])
def test_photos_without_a_face_are_kept_where_the_format_can(tmp_path, format, wrote):
    path = tmp_path / OF_FORMAT[format]
    output = Output(path, format, WFLW, tmp_path)
    output.add(image("a.jpg", faces=0))
    assert output.save() is wrote
    assert path.exists() is wrote


def test_an_empty_output_writes_nothing(tmp_path):
    assert not Output(tmp_path / "out.json", "coco", WFLW, tmp_path).save()
    assert not list(tmp_path.iterdir())


def test_a_long_run_is_saved_on_the_way(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: clock[0])
    path = tmp_path / "out.json"
    output = Output(path, "coco", WFLW, tmp_path)
    output.add(image("a.jpg"))
    assert not path.exists()
    clock[0] = 61.0
    output.add(image("b.jpg"))
    assert names_in(path) == ["a.jpg", "b.jpg"]
    clock[0] = 100.0
    output.add(image("c.jpg"))
    assert names_in(path) == ["a.jpg", "b.jpg"]


def test_a_full_disk_leaves_the_last_whole_output(tmp_path, full_disk):
    path = tmp_path / "out.json"
    output = filled(path, "coco", tmp_path, ["a.jpg"])
    before = path.read_bytes()

    output.add(image("b.jpg"))
    full_disk()
    with pytest.raises(OutputError, match=r"out\.json: cannot be written: No space left on device"):
        output.save()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]
    assert path.read_bytes() == before


def test_a_file_where_a_folder_must_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    output = Output(tmp_path / "file" / "out.json", "coco", WFLW, tmp_path)
    output.add(image("a.jpg"))
    with pytest.raises(OutputError, match="cannot be written"):
        output.save()


def test_two_photos_of_one_name_do_not_fit_one_file_per_face():
    names = ["x/a.jpg", "x/a.png", "y/a.jpg"]
    check_one_file_per_photo("coco", names)
    check_one_file_per_photo("pts", [names[0], names[2]])
    with pytest.raises(OutputError, match="'pts': 1 names belong to several photos, such as x/a"):
        check_one_file_per_photo("pts", names)


def test_points_outside_the_photo_survive_in_every_format(tmp_path):
    far = Face(builtin_plane()["wflw98"] * 100 - 500, scheme="wflw98", box=np.array([1.0, 2, 3, 4]))
    for format, name in OF_FORMAT.items():
        output = Output(tmp_path / name, format, WFLW, tmp_path)
        output.add(replace(image("a.jpg"), faces=(far,)))
        output.save()
        extra = {"negatives": "keep"} if format == "pts" else {}
        back = next(iter(read(tmp_path / name, format=format, **extra)))
        np.testing.assert_allclose(back.faces[0].points_px, far.points_px, atol=1e-6)
        assert Output(tmp_path / name, format, WFLW, tmp_path, resume=True).done
