"""``tufa-cli annotate``: wrong words, odd photos, and everything else that can go wrong."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tufa_cli.formats import read


def test_a_missing_photo_of_a_list_is_a_failure_among_others(annotate, photos):
    ran = annotate("-", stdin=f"{photos / 'gone.jpg'}\n{photos / 'a.jpg'}\n".encode())
    assert ran.code == 3
    assert len(ran.json["images"]) == 1
    assert f"Failed: {photos / 'gone.jpg'}: no such file or folder" in ran.err


def test_a_missing_path_is_an_error(annotate, photos):
    ran = annotate(photos, photos / "gone.jpg")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"Error: {photos / 'gone.jpg'}: no such file or folder\n"


def test_a_scheme_file_with_two_mistakes_lists_both(annotate, photos, tmp_path, own_scheme):
    broken = own_scheme.replace("part: jaw", "part: jow").replace("name: mine", "nmae: mine")
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
def odd_photos(tmp_path, portrait):
    """One photo of each odd but good kind; all show the same face."""
    folder = tmp_path / "odd"
    folder.mkdir()
    pixels = portrait.pixels
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


def test_every_kind_of_photo_is_annotated(annotate, odd_photos, tmp_path, assert_on_the_face):
    out = tmp_path / "out.json"
    ran = annotate(odd_photos, "-o", out, "--largest", "--draw", tmp_path / "overlays")
    assert ran.code == 0, ran.err
    images = list(read(out))
    names = ["16bit.png", "cmyk.jpg", "moving.gif", "turned.jpg", "x.jpg/inside.webp"]
    assert [image.path for image in images] == names
    for image in images:
        assert_on_the_face(image.faces[0])
    assert (tmp_path / "overlays" / "moving.gif.jpg").is_file()


def test_a_panorama_of_12000_pixels(annotate, tmp_path, assert_on_the_face, portrait):
    wide = np.zeros((700, 12_000, 3), np.uint8)
    wide[100 : 100 + portrait.size, 9000 : 9000 + portrait.size] = portrait.pixels
    Image.fromarray(wide).save(tmp_path / "wide.jpg", quality=95)
    ran = annotate(tmp_path / "wide.jpg", "-o", tmp_path / "out.json", "--largest")
    assert ran.code == 0
    image = next(read(tmp_path / "out.json"))
    assert (image.width, image.height) == (12_000, 700)
    x0, y0, x1, y1 = portrait.face
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


def test_points_outside_the_photo_are_written_and_drawn(annotate, photos, tmp_path, portrait):
    """A face at the edge: the boxes come from a file, so that half of it lies outside."""
    boxes = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": portrait.size, "height": portrait.size}
        ],
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


def test_a_full_disk_leaves_nothing_half_written(annotate, photos, tmp_path, full_disk):
    full_disk()
    for args in (["-o", tmp_path / "new" / "out.json"], ["--draw", tmp_path / "new" / "overlays"]):
        ran = annotate(photos / "a.jpg", *args)
        assert (ran.code, ran.out) == (1, "")
        assert "cannot be written: No space left on device" in ran.err
        assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
