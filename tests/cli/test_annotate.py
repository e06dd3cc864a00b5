"""``tufa-cli annotate``: every kind of input the issue names, the outputs, the exit codes."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from tufa_cli.cli import main
from tufa_cli.formats import read
from tufa_cli.images.reading import read_rgb
from tufa_cli.model.build import build_model
from tufa_cli.model.config import model_config
from tufa_cli.model.weights import Weights, save_weights
from tufa_cli.schemes import builtin_plane

TINY = {"input_size": 32, "width": 16, "heads": 2, "ffn": 16, "channels": [8, 8, 8]}
SIZE = 260
#: The face on ``portrait()``: eyes, nose and mouth lie in it.
FACE = (95, 85, 175, 165)


def portrait():
    """(260, 260, 3): a part of a photo in the public domain, small so that the search is quick."""
    return skimage.data.astronaut()[:SIZE, 90 : 90 + SIZE]


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    torch.manual_seed(0)
    model = build_model(model_config("nano", {**TINY, "decoder_layers": 1}))
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    save_weights(path, Weights(model, builtin_plane(), {}, {"name": "tiny"}))
    return path


@pytest.fixture
def annotate(weights_file, capfd, monkeypatch):
    """The command in this process (starting one takes a second or two)."""
    monkeypatch.setenv("TUFA_NO_PROGRESS", "1")

    def run(*args, scheme="wflw98", stdin=b"", min_confidence=0):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        words = ["annotate", *args, "--scheme", scheme, "--weights", weights_file]
        # A network that learned nothing believes in nothing.
        words += ["--device", "cpu", "--min-confidence", min_confidence]
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def photos(tmp_path):
    """Two photos with a face, one in a sub-folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    pixels = Image.fromarray(portrait())
    pixels.save(folder / "a.jpg", quality=95)
    pixels.save(folder / "sub" / "b.png")
    return folder


def assert_on_the_face(face, box=FACE):
    """The middle of the points lies on the face, and they spread about as far as it does."""
    low, high = np.reshape(box, (2, 2))
    middle = face.points_px.mean(axis=0)
    assert (low < middle).all() and (middle < high).all()
    assert 0.5 < np.ptp(face.points_px, axis=0).max() / (high - low).max() < 2.5


def test_a_folder_becomes_a_coco_file(annotate, photos, tmp_path):
    out = tmp_path / "out.json"
    ran = annotate(photos, "-o", out, "--largest")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.endswith(f"{out}: 2 faces in 2 photos\n")
    images = list(read(out, format="coco"))
    assert [image.path for image in images] == ["a.jpg", "sub/b.png"]
    for image in images:
        assert (image.width, image.height, len(image.faces)) == (SIZE, SIZE, 1)
        face = image.faces[0]
        assert (face.scheme, face.source, face.confidence.shape) == ("wflw98", "auto", (98,))
        assert 0.5 <= face.score <= 1 and ((face.confidence >= 0) & (face.confidence <= 1)).all()
        assert_on_the_face(face)


def test_without_an_output_the_json_goes_to_stdout(annotate, photos):
    ran = annotate(photos / "a.jpg", scheme="300w")
    assert ran.code == 0
    assert ran.json["images"][0]["file_name"] == "a.jpg"
    assert ran.json["categories"][0]["name"] == "ibug68"
    assert len(ran.json["annotations"][0]["keypoints"]) == 3 * 68
    assert len(ran.json["annotations"][0]["keypoint_scores"]) == 68


@pytest.mark.parametrize("format, name", [("pts", "labels"), ("wflw", "list.txt")])
def test_other_formats(annotate, photos, tmp_path, format, name):
    out = tmp_path / name
    ran = annotate(photos, "-o", out, "--to", format, "--largest")
    assert ran.code == 0 and "Not held by" in ran.err
    images = list(read(out, format=format, root=photos))
    assert [image.path for image in images] == ["a.jpg", "sub/b.png"]
    for image in images:
        assert_on_the_face(image.faces[0])


def test_a_list_of_photos_on_stdin(annotate, photos):
    names = f"{photos / 'sub' / 'b.png'}\n\n{photos / 'a.jpg'}\r\n".encode()
    ran = annotate("-", stdin=names)
    assert ran.code == 0
    assert [image["file_name"] for image in ran.json["images"]] == ["sub/b.png", "a.jpg"]


def test_a_missing_photo_of_a_list_is_a_failure_among_others(annotate, photos):
    ran = annotate("-", stdin=f"{photos / 'gone.jpg'}\n{photos / 'a.jpg'}\n".encode())
    assert ran.code == 3
    assert len(ran.json["images"]) == 1
    assert f"Failed: {photos / 'gone.jpg'}: no such file or folder" in ran.err


def test_a_missing_path_is_an_error(annotate, photos):
    ran = annotate(photos, photos / "gone.jpg")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Error: {photos / 'gone.jpg'}: no such file or folder\n"


def test_overlays_are_drawn_in_the_photos_sub_folders(annotate, photos, tmp_path):
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    draw = tmp_path / "overlays"
    ran = annotate(photos, "-o", tmp_path / "out.json", "--draw", draw)
    assert ran.code == 0
    for name in ("a.jpg", "sub/b.png"):
        drawn, photo = read_rgb(draw / name), read_rgb(photos / name)
        assert drawn.shape == (2 * SIZE, 2 * SIZE, 3)  # enlarged, to keep the points apart
        x0, y0, x1, y1 = FACE
        changed = np.abs(drawn[::2, ::2].astype(int) - photo).max(axis=2) > 80
        assert changed[y0:y1, x0:x1].mean() > 0.05 > 2 * changed[:, :60].mean()
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_overlays_never_replace_photos_or_each_other_unasked(annotate, photos, tmp_path):
    ran = annotate(photos, "--draw", photos, "--overwrite")
    assert ran.code == 1 and "would replace the photos" in ran.err
    inside = photos / "overlays"
    assert annotate(photos, "--draw", inside).code == 0
    ran = annotate(photos, "--draw", inside)
    assert ran.code == 1 and "exists already" in ran.err
    ran = annotate(photos, "--draw", inside, "--overwrite")
    assert [image["file_name"] for image in ran.json["images"]] == ["a.jpg", "sub/b.png"]


def test_an_output_is_not_replaced_unasked(annotate, photos, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("mine")
    ran = annotate(photos, "-o", out)
    assert ran.code == 1 and out.read_text() == "mine"
    assert "--resume" in ran.err and "--overwrite" in ran.err
    assert annotate(photos, "-o", out, "--overwrite").code == 0
    assert len(list(read(out))) == 2


def test_resume_annotates_only_what_is_missing(annotate, photos, tmp_path):
    out, at_once = tmp_path / "out.json", tmp_path / "at_once.json"
    assert annotate(photos, "-o", at_once).code == 0
    later = photos / "sub" / "b.png"
    hidden = later.rename(tmp_path / "b.png")
    assert annotate(photos, "-o", out).code == 0
    hidden.rename(later)
    ran = annotate(photos, "-o", out, "--resume", "--json")
    assert (ran.json["photos"], ran.json["photos_in_output"]) == (1, 2)
    assert out.read_bytes() == at_once.read_bytes()


def test_an_interrupted_run_keeps_what_it_has(annotate, photos, tmp_path, monkeypatch):
    from tufa_cli.pipeline import annotate as pipeline

    def read_then_stop(path):
        if path.name == "b.png":
            raise KeyboardInterrupt
        return read_rgb(path)

    monkeypatch.setattr(pipeline, "read_rgb", read_then_stop)
    out = tmp_path / "out.json"
    ran = annotate(photos, "-o", out, "--batch-size", 1)
    assert ran.code == 130
    assert f"{out}: 1 photo saved" in ran.err and "--resume" in ran.err
    assert [image.path for image in read(out)] == ["a.jpg"]


def test_a_dry_run_writes_nothing(annotate, photos, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    ran = annotate(photos, "-o", tmp_path / "out.json", "--draw", tmp_path / "d", "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith("2 photos to annotate with wflw98 (98 points)\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_json_report(annotate, photos, tmp_path):
    (photos / "notes.txt").write_text("")
    (photos / "bad.jpg").write_bytes(b"")
    out = tmp_path / "out.json"
    ran = annotate(photos, "-o", out, "--json", "--quiet", "--largest")
    assert ran.code == 3
    assert ran.json == {
        "output": str(out),
        "scheme": "wflw98",
        "detector": "lbp",
        "photos": 2,
        "faces": 2,
        "photos_without_face": 0,
        "photos_in_output": 2,
        "other_files": 1,
        "failed": [{"photo": str(photos / "bad.jpg"), "reason": "the file is empty"}],
    }
    assert ran.err == f"Failed: {photos / 'bad.jpg'}: the file is empty\n"


def test_options_choose_the_faces(annotate, photos):
    assert annotate(photos / "a.jpg", "--min-face", 500).json["annotations"] == []
    assert annotate(photos / "a.jpg", "--min-score", 0.99).json["annotations"] == []
    assert annotate(photos / "a.jpg", min_confidence=0.99).json["annotations"] == []
    both = Image.fromarray(np.hstack([portrait()] * 2))
    both.save(photos / "two.png")
    assert len(annotate(photos / "two.png").json["annotations"]) >= 2
    assert len(annotate(photos / "two.png", "--largest").json["annotations"]) == 1


def test_boxes_of_other_annotations_take_the_detectors_place(annotate, photos, tmp_path):
    boxes = tmp_path / "boxes.json"
    assert annotate(photos, "-o", boxes, "--largest", scheme="mtfl5").code == 0
    ran = annotate(photos, "--boxes", boxes)
    assert ran.code == 0
    assert len(ran.json["annotations"]) == 2
    points = np.reshape(ran.json["annotations"][0]["keypoints"], (98, 3))[:, :2]
    x0, y0, x1, y1 = FACE
    assert x0 < points[:, 0].mean() < x1 and y0 < points[:, 1].mean() < y1


def test_face_crops_need_no_search(annotate, photos):
    ran = annotate(photos / "a.jpg", "--detector", "whole-image")
    np.testing.assert_allclose(ran.json["annotations"][0]["bbox"], [-0.5, -0.5, SIZE, SIZE])


MINE = """
name: mine
source: made here
normaliser: plane_box
points:
  - {part: jaw, t: [0.25, 0.5, 0.75]}
  - {part: nose_tip}
"""


def test_a_scheme_file_nobody_trained(annotate, photos, tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    out = tmp_path / "out.json"
    ran = annotate(
        photos, "-o", out, "--largest", "--draw", tmp_path / "d", scheme=tmp_path / "mine.yaml"
    )
    assert ran.code == 0
    face = next(read(out)).faces[0]
    assert face.scheme == "mine" and face.points_px.shape == (4, 2)
    assert_on_the_face(face, (85, 100, 185, 185))
    assert annotate(photos, "-o", out, "--resume", scheme=tmp_path / "mine.yaml").code == 0


def test_a_scheme_file_with_two_mistakes_lists_both(annotate, photos, tmp_path):
    broken = MINE.replace("part: jaw", "part: jow").replace("name: mine", "nmae: mine")
    (tmp_path / "mine.yaml").write_text(broken)
    ran = annotate(photos, scheme=tmp_path / "mine.yaml")
    assert ran.code == 1
    assert "unknown part 'jow'" in ran.err and "unknown key 'nmae'" in ran.err


def test_an_unknown_scheme_offers_the_nearest(annotate, photos):
    ran = annotate(photos, scheme="wflw99")
    assert (ran.code, ran.out) == (1, "")
    assert "unknown scheme 'wflw99': did you mean wflw98" in ran.err


@pytest.mark.parametrize(
    "args, text",
    [
        (["--to", "pts"], "need an --output"),
        (["--json"], "need an --output"),
        (["--resume"], "need an --output"),
        (["-o", "x.json", "--resume", "--overwrite"], "exclude each other"),
        (["--boxes", "x.json", "--detector", "lbp"], "exclude each other"),
        (["--min-score", "2"], "--min-score"),
        (["--to", "pfs", "-o", "x"], "'pfs' is not one of"),
    ],
)
def test_wrong_usage_is_exit_2(annotate, photos, args, text):
    ran = annotate(photos, *args)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.err


@pytest.mark.parametrize(
    "args, text",
    [
        (["--detector", "yuent"], "unknown detector 'yuent': did you mean yunet?"),
        (["--detector", "yunet"], "--detector-weights"),
        (["--boxes", "gone.json"], "gone.json: no such file or folder"),
        (["--detector", "boxes"], "--boxes FILE"),
        (["-o", "out.txt", "--to", "wflw"], "holds 98 points, mtfl5 has 5"),
    ],
)
def test_what_is_missing_is_named(annotate, photos, args, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = annotate(photos, *args, scheme="mtfl5")
    assert (ran.code, ran.out) == (1, "")
    assert text in ran.err and ran.err.count("\n") <= 2


def test_weights_that_are_none_say_so(photos, run_cli, tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    ran = run_cli("annotate", photos, "--scheme", "wflw98", "--weights", tmp_path / "bad.pt")
    assert ran.code == 1 and "bad.pt: not a weights file" in ran.stderr


def test_an_empty_folder(annotate, tmp_path):
    (tmp_path / "empty").mkdir()
    ran = annotate(tmp_path / "empty", "-o", tmp_path / "out.json")
    assert ran.code == 1 and f"no photos in {tmp_path / 'empty'}\n" in ran.err
    assert not (tmp_path / "out.json").exists()


def test_a_folder_of_text_files(annotate, tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text("words")
    ran = annotate(tmp_path)
    assert ran.code == 1 and f"no photos in {tmp_path} (3 other files)\n" in ran.err


@pytest.fixture
def odd_photos(tmp_path):
    """One photo of each odd but good kind; all show the same face."""
    folder = tmp_path / "odd"
    folder.mkdir()
    pixels = portrait()
    picture = Image.fromarray(pixels)
    Image.fromarray(pixels[..., 1].astype(np.uint16) * 257).save(folder / "16bit.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    frames = [picture, Image.new("RGB", picture.size)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    picture.rotate(90).save(folder / "turned.jpg", exif=exif, quality=95)
    (folder / "x.jpg").mkdir()
    picture.save(folder / "x.jpg" / "inside.webp", quality=95)
    return folder


def test_every_kind_of_photo_is_annotated(annotate, odd_photos, tmp_path):
    out = tmp_path / "out.json"
    ran = annotate(odd_photos, "-o", out, "--largest", "--draw", tmp_path / "overlays")
    assert ran.code == 0, ran.err
    images = list(read(out))
    names = ["16bit.png", "cmyk.jpg", "moving.gif", "turned.jpg", "x.jpg/inside.webp"]
    assert [image.path for image in images] == names
    for image in images:
        assert_on_the_face(image.faces[0])
    assert (tmp_path / "overlays" / "moving.gif.jpg").is_file()


def test_a_panorama_of_12000_pixels(annotate, tmp_path):
    wide = np.zeros((700, 12_000, 3), np.uint8)
    wide[100 : 100 + SIZE, 9000 : 9000 + SIZE] = portrait()
    Image.fromarray(wide).save(tmp_path / "wide.jpg", quality=95)
    ran = annotate(tmp_path / "wide.jpg", "-o", tmp_path / "out.json", "--largest")
    assert ran.code == 0
    image = next(read(tmp_path / "out.json"))
    assert (image.width, image.height) == (12_000, 700)
    x0, y0, x1, y1 = FACE
    assert_on_the_face(image.faces[0], (x0 + 9000, y0 + 100, x1 + 9000, y1 + 100))


def test_bad_photos_are_listed_at_the_end_and_the_others_annotated(annotate, photos, tmp_path):
    good = (photos / "a.jpg").read_bytes()
    (photos / "half.jpg").write_bytes(good[: len(good) // 2])
    (photos / "words.png").write_text("not a picture")
    (photos / "nowhere.jpg").symlink_to("gone.jpg")
    ran = annotate(photos, "-o", tmp_path / "out.json")
    assert ran.code == 3
    assert ran.err.splitlines()[-3:] == [
        f"Failed: {photos / 'half.jpg'}: the picture is truncated: the file ends too early",
        f"Failed: {photos / 'nowhere.jpg'}: a link to nowhere",
        f"Failed: {photos / 'words.png'}: not a picture that can be read",
    ]
    assert [image.path for image in read(tmp_path / "out.json")] == ["a.jpg", "sub/b.png"]


def test_only_bad_photos_write_nothing(annotate, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"")
    ran = annotate(tmp_path / "bad.jpg", "-o", tmp_path / "out.json")
    assert ran.code == 3 and "nothing to write" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jpg"]


def test_a_photo_that_may_not_be_read(annotate, photos, tmp_path, monkeypatch):
    secret = photos / "sub" / "b.png"
    secret.chmod(0)
    if os.access(secret, os.R_OK):  # root reads everything: say what the system would
        real = Path.open

        def refuse(self, *args, **kwargs):
            if self.name == "b.png":
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Path, "open", refuse)
    ran = annotate(photos, "-o", tmp_path / "out.json")
    assert ran.code == 3
    assert f"Failed: {secret}: cannot be opened: Permission denied" in ran.err
    assert [image.path for image in read(tmp_path / "out.json")] == ["a.jpg"]


@pytest.mark.parametrize("size", [(1, 1), (64, 48)], ids=["one pixel", "grey"])
def test_photos_without_a_face_are_results_and_said(annotate, tmp_path, size):
    Image.new("RGB", size, "grey").save(tmp_path / "plain.png")
    out = tmp_path / "out.json"
    ran = annotate(tmp_path / "plain.png", "-o", out, "--draw", tmp_path / "overlays")
    assert ran.code == 0
    assert "0 faces in 1 photo\nNo faces found in any photo" in ran.err
    image = next(read(out))
    assert (image.path, image.width, image.height, image.faces) == ("plain.png", *size, ())


def test_no_face_and_a_format_without_a_place_for_that(annotate, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "plain.png")
    ran = annotate(tmp_path / "plain.png", "-o", tmp_path / "labels", "--to", "pts")
    assert ran.code == 0 and "nothing to write" in ran.err
    assert not (tmp_path / "labels").exists()


def test_points_outside_the_photo_are_written_and_drawn(annotate, photos, tmp_path):
    """A face at the edge: the boxes come from a file, so that half of it lies outside."""
    boxes = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": SIZE, "height": SIZE}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [-60, -60, 120, 120]}],
        "categories": [{"id": 1, "name": "face"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    ran = annotate(
        *(photos / "a.jpg", "-o", tmp_path / "out.json", "--draw", tmp_path / "overlays"),
        *("--boxes", tmp_path / "boxes.json"),
    )
    assert ran.code == 0
    points = next(read(tmp_path / "out.json")).faces[0].points_px
    assert (points < 0).any() and np.isfinite(points).all()


def test_a_full_disk_leaves_nothing_half_written(annotate, photos, tmp_path, monkeypatch):
    def full(self, data):
        with self.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for args in (["-o", tmp_path / "new" / "out.json"], ["--draw", tmp_path / "new" / "overlays"]):
        ran = annotate(photos / "a.jpg", *args)
        assert (ran.code, ran.out) == (1, "")
        assert "cannot be written: No space left on device" in ran.err
        assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


def test_the_real_command_writes_json_that_a_pipe_can_read(run_cli, photos, weights_file):
    ran = run_cli(
        *("annotate", ".", "--scheme", "cofw", "--weights", weights_file, "--threads", 1),
        cwd=photos,
    )
    assert ran.code == 0, ran.stderr
    assert [image["file_name"] for image in json.loads(ran.stdout)["images"]] == [
        "a.jpg",
        "sub/b.png",
    ]
    assert ran.stderr.endswith(" in 2 photos\n")
