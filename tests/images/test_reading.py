"""Photos of every kind come out as the same upright RGB, and bad ones say why not."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from tufa_cli.errors import InputError
from tufa_cli.images.reading import PHOTO_SUFFIXES, list_photos, read_rgb


@pytest.fixture
def picture(astronaut):
    """(300, 200, 3): not square, not symmetric."""
    return astronaut[:300, 120:320]


def save(pixels, path, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def damaged(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp"])
def test_lossless_files_come_back_exactly(tmp_path, picture, suffix):
    options = {"lossless": True} if suffix == ".webp" else {}
    path = save(picture, tmp_path / f"photo{suffix}", **options)
    got = read_rgb(path)
    assert got.dtype == np.uint8 and got.flags.c_contiguous
    np.testing.assert_array_equal(got, picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright_by_their_exif_tag(tmp_path, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(picture, tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(path), ImageOps.exif_transpose(Image.open(path)))


def test_an_odd_exif_tag_leaves_the_photo_as_it_is(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 77
    path = save(picture, tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(path), picture)


@pytest.mark.parametrize("colour", [True, False], ids=["rgb", "grey"])
def test_a_16_bit_png_is_scaled_down(tmp_path, picture, colour):
    shown = picture if colour else picture[..., 1]
    path = tmp_path / "deep.png"
    deep = shown.astype(np.uint16) * 257
    assert cv2.imwrite(str(path), deep[..., ::-1] if colour else deep)
    assert read_rgb(path).shape == picture.shape
    expected = picture if colour else np.repeat(shown[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_rgb(path), expected)


def test_a_cmyk_jpeg_shows_the_same_colours(tmp_path, picture):
    path = tmp_path / "press.jpg"
    Image.fromarray(picture).convert("CMYK").save(path, quality=95)
    assert Image.open(path).mode == "CMYK"
    assert np.abs(read_rgb(path).astype(int) - picture).mean() < 3


def test_transparent_parts_are_laid_over_white(tmp_path, picture):
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:50], alpha[50:100] = 0, 128
    path = save(np.dstack([picture, alpha]), tmp_path / "cut.png")
    got = read_rgb(path)
    assert (got[:50] == 255).all()
    assert np.abs(got[50:100].astype(int) - (picture[50:100].astype(int) + 255) / 2).max() <= 2
    np.testing.assert_array_equal(got[100:], picture[100:])


def test_grey_and_palette_pictures_become_rgb(tmp_path, picture):
    grey = read_rgb(save(picture[..., 0], tmp_path / "grey.png"))
    np.testing.assert_array_equal(grey, np.repeat(picture[..., :1], 3, axis=2))
    Image.fromarray(picture).quantize(200).save(tmp_path / "palette.png")
    got = read_rgb(tmp_path / "palette.png")
    assert np.abs(got.astype(int) - picture).mean() < 8


def test_one_bit_pictures_are_black_and_white(tmp_path):
    bits = np.eye(8, dtype=bool)
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "bits.png")[..., 0], bits * 255)


def test_an_animation_gives_its_first_frame(tmp_path, picture):
    frames = [Image.fromarray(np.full((40, 30, 3), value, np.uint8)) for value in (200, 20, 90)]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert Image.open(path).n_frames == 3
    assert (read_rgb(path) == 200).all()


def test_one_pixel_is_a_photo(tmp_path):
    path = save(np.array([[[1, 2, 3]]], np.uint8), tmp_path / "dot.png")
    np.testing.assert_array_equal(read_rgb(path), [[[1, 2, 3]]])


def test_a_panorama_takes_no_more_than_a_few_times_its_pixels(tmp_path, python):
    path = save(np.zeros((1500, 12_000, 3), np.uint8), tmp_path / "wide.jpg")
    code = (
        "import resource, sys\n"
        "from tufa_cli.images.reading import read_rgb\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "print(read_rgb(sys.argv[1]).shape, (peak() - before) * 1024)"
    )
    if sys.platform == "darwin":
        pytest.skip("ru_maxrss is in other units here")
    shape, used = python(["-c", code, path]).stdout.strip().rsplit(" ", 1)
    assert shape == "(1500, 12000, 3)"
    assert int(used) < 14 * 1500 * 12_000


def test_a_bomb_of_pixels_is_refused_before_it_is_decoded(tmp_path, picture, monkeypatch):
    path = save(picture, tmp_path / "photo.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    with pytest.raises(InputError, match="larger than"):
        read_rgb(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".tif"])
def test_a_truncated_file_says_so(tmp_path, picture, suffix):
    path = save(picture, tmp_path / f"half{suffix}")
    damaged(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=f"half{suffix}: the picture is truncated"):
        read_rgb(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tif", ".bmp"])
def test_damage_anywhere_is_an_input_error_or_a_picture(tmp_path, picture, suffix):
    path = save(picture, tmp_path / f"bad{suffix}")
    good = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(40):
        data = bytearray(good[: rng.integers(1, len(good))] if rng.random() < 0.5 else good)
        for place in rng.integers(0, min(len(data), 400), 5):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            assert read_rgb(path).ndim == 3
        except InputError as error:
            assert "\n" not in error.message


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "the file is empty"),
        (b"these are words, not pixels\n" * 50, "not a picture that can be read"),
        (b"%PDF-1.7 of no use here", "not a picture that can be read"),
    ],
    ids=["empty", "text", "pdf"],
)
def test_files_that_are_no_pictures_say_why(tmp_path, content, reason):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_rgb(path)
    assert caught.value.message == f"{path}: {reason}"


def test_what_is_not_a_file_says_what_it_is(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in [
        ("x.jpg", "is a folder, not a photo"),
        ("nowhere.jpg", "a link to nowhere"),
        ("pipe.jpg", "is not an ordinary file"),
        ("missing.jpg", "no such file"),
        ("nul\0.jpg", "not the name of a file"),
    ]:
        with pytest.raises(InputError, match=reason):
            read_rgb(tmp_path / name)


def test_no_permission_is_the_reason_given(tmp_path, picture, monkeypatch):
    path = save(picture, tmp_path / "secret.png")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: say what the system would

        def refuse(self, *args, **kwargs):
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="cannot be opened: Permission denied"):
        read_rgb(path)


def test_heic_has_a_hint(tmp_path):
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(InputError) as caught:
        read_rgb(tmp_path / "phone.heic")
    assert caught.value.hint == "save HEIC photos as JPEG first"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    for name in ("b.JPG", "a.png", "sub/c.webp", "sub/deep/d.tif", "x.jpg/inside.gif"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"not looked at")
    for name in ("notes.txt", "sub/labels.json", "._a.png", "no_ending"):
        (root / name).write_bytes(b"")
    return root


def test_a_folder_gives_its_photos_sorted_and_counts_the_rest(folder):
    listing = list_photos([folder])
    names = [listing.relative(photo) for photo in listing]
    assert names == ["a.png", "b.JPG", "sub/c.webp", "sub/deep/d.tif", "x.jpg/inside.gif"]
    assert (listing.skipped, listing.failures, listing.root) == (4, (), folder)


def test_without_recursion_only_the_folder_itself(folder):
    assert [photo.name for photo in list_photos([folder], recursive=False)] == ["a.png", "b.JPG"]


def test_hidden_folders_are_left_out(folder):
    (folder / ".cache").mkdir()
    (folder / ".cache" / "thumb.jpg").write_bytes(b"")
    assert len(list_photos([folder])) == 5


def test_single_files_are_taken_whatever_their_ending_and_none_twice(folder):
    paths = [folder / "notes.txt", folder / "sub", folder / "sub" / "c.webp"]
    listing = list_photos(paths)
    assert [listing.relative(photo) for photo in listing] == [
        "notes.txt",
        "sub/c.webp",
        "sub/deep/d.tif",
    ]


def test_photos_of_two_folders_keep_their_folders_in_the_name(folder):
    listing = list_photos([folder / "sub" / "deep", folder / "x.jpg"])
    assert [listing.relative(p) for p in listing] == ["sub/deep/d.tif", "x.jpg/inside.gif"]


def test_relative_paths_work_from_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    listing = list_photos(["sub", "a.png"])
    assert [listing.relative(photo) for photo in listing] == [
        "sub/c.webp",
        "sub/deep/d.tif",
        "a.png",
    ]


def test_a_missing_path_is_an_error_or_a_failure(folder):
    gone = folder / "gone.jpg"
    with pytest.raises(InputError, match=r"gone\.jpg: no such file or folder"):
        list_photos([folder, gone])
    listing = list_photos([folder / "a.png", gone], keep_going=True)
    assert listing.photos == (folder / "a.png",)
    assert listing.failures == ((gone, "no such file or folder"),)


def test_pipes_and_sockets_are_other_files_and_broken_links_are_photos(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        where = os.path.relpath(tmp_path / "s.jpg")  # socket paths are short
        if len(where) < 100:
            listener.bind(where)
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    listing = list_photos([tmp_path])
    assert [photo.name for photo in listing] == ["nowhere.jpg"]


def test_an_empty_folder_has_no_photos(tmp_path):
    listing = list_photos([tmp_path])
    assert (len(listing), listing.skipped) == (0, 0)


def test_every_ending_is_lower_case_and_starts_with_a_dot():
    assert all(s == s.lower() and s.startswith(".") for s in PHOTO_SUFFIXES)
