"""Packing: what goes in comes out, once, whatever interrupts."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import skimage.data
from skimage.io import imsave

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data import pack as pack_module
from tufa_cli.data.augment import NONE, AugmentConfig
from tufa_cli.data.pack import PackOptions, pack
from tufa_cli.data.packed import Draw, MixedSampler, PackedFaces, collate, group_shares
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.schemes import builtin_plane, get_scheme

FACE_PX = np.array([[198.0, 118.0], [248.0, 116.0], [224.0, 146.0], [205.0, 166.0], [246.0, 165.0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos")
    for number in range(5):
        imsave(path / f"p{number}.png", np.roll(skimage.data.astronaut(), number, axis=1))
    return path


def photos(folder, count=5, scheme="mtfl5"):
    points = [FACE_PX + np.array([number, 0]) for number in range(count)]
    if scheme == "cofw29":
        plane = builtin_plane()
        points = [plane["cofw29"] * 120 + (165 + n, 70) for n in range(count)]
    return [
        AnnotatedImage(f"p{n}.png", (Face(p, scheme=scheme),), root=str(folder))
        for n, p in enumerate(points)
    ]


def run(images, out, source="here", **options):
    return list(pack(images, out, builtin_plane(), PackOptions(source=source), **options))[-1]


def test_points_and_pixels_come_back(folder, tmp_path):
    out = tmp_path / "a.h5"
    report = run(photos(folder), out)
    assert (report.rows, report.photos, report.failed) == (5, 5, [])
    faces = PackedFaces([out], 128)
    with h5py.File(out) as file:
        matrix = file["crop_to_px"][2]
    _, points_crop = faces.stored(2)
    back = points_crop @ matrix[:, :2].T + matrix[:, 2]
    assert back == pytest.approx(FACE_PX + np.array([2, 0]))
    # The eye's dark pupil lies where the label says, in the training crop too.
    sample = faces[Draw(2, (0,))]
    assert sample["points"] == pytest.approx(points_crop)
    x, y = (sample["points"][0] * 128 - 0.5).round().astype(int)
    original = skimage.data.astronaut()[118, 198].astype(int)
    assert np.abs(sample["image"][:, y, x].astype(int) - original).max() < 60


def test_one_photo_may_carry_several_schemes(folder, tmp_path):
    out = tmp_path / "a.h5"
    run(photos(folder), out)
    run(photos(folder, scheme="cofw29"), out, append=True)
    faces = PackedFaces([out], 64)
    assert faces.schemes == ["cofw29", "mtfl5"]
    batch = collate([faces[Draw(0, (0,))], faces[Draw(5, (0,))]])
    assert batch.points_crop.shape == (2, 29, 2)
    assert batch.valid.sum(dim=1).tolist() == [5, 29]


def test_the_same_face_twice_is_an_error(folder, tmp_path):
    out = tmp_path / "a.h5"
    with pytest.raises(TufaError, match="packed twice"):
        run([*photos(folder, 2), *photos(folder, 1)], out)
    run(photos(folder), tmp_path / "b.h5")
    with pytest.raises(TufaError, match="packed twice"):
        run(photos(folder, 1), tmp_path / "b.h5", append=True)
    run(photos(folder, 1), tmp_path / "b.h5", source="elsewhere", append=True)


def test_a_killed_pack_goes_on_and_is_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_module, "_PART_ROWS", 2)
    run(photos(folder), tmp_path / "whole.h5")
    out = tmp_path / "cut.h5"
    steps = pack(photos(folder), out, builtin_plane(), PackOptions(source="here"))
    next(steps)
    steps.close()
    assert not out.exists()
    report = run(photos(folder), out)
    assert (report.resumed, report.rows) == (2, 5)
    with h5py.File(out) as a, h5py.File(tmp_path / "whole.h5") as b:
        assert sorted(a) == sorted(b)
        for name in a:
            assert np.array_equal(a[name][:], b[name][:], equal_nan=name == "points")
    assert not out.with_name("cut.h5.parts").exists()


def test_bad_photos_are_listed_and_the_rest_packed(folder, tmp_path):
    images = photos(folder, 3)
    flipped = FACE_PX * (1, -1) + (0, 300)
    bad = [
        AnnotatedImage("none.png", (Face(FACE_PX, scheme="mtfl5"),), root=str(folder)),
        AnnotatedImage("p3.png", (Face(flipped, scheme="mtfl5"),), root=str(folder)),
        AnnotatedImage("p4.png", (Face(FACE_PX[:4], scheme="mtfl5"),), root=str(folder)),
    ]
    report = run([*images, *bad], tmp_path / "a.h5")
    assert report.rows == 3
    assert [name.split(",")[0] for name, _ in report.failed] == ["none.png", "p3.png", "p4.png"]


def test_nothing_to_pack_leaves_nothing(folder, tmp_path):
    with pytest.raises(TufaError, match="no face"):
        run([AnnotatedImage("p0.png", (), root=str(folder))], tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_pack_is_not_overwritten_unasked(folder, tmp_path):
    run(photos(folder, 1), tmp_path / "a.h5")
    with pytest.raises(OutputError, match="exists"):
        run(photos(folder, 1), tmp_path / "a.h5")
    run(photos(folder, 2), tmp_path / "a.h5", overwrite=True)
    assert len(PackedFaces([tmp_path / "a.h5"], 64)) == 2


def test_photo_names_stay_out(folder, tmp_path):
    run(photos(folder), tmp_path / "a.h5")
    assert b"p0.png" not in (tmp_path / "a.h5").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not hdf5"])
def test_not_a_pack(tmp_path, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(InputError):
        PackedFaces([path], 64)


def test_mirrored_samples_follow_the_flip_table(folder, tmp_path):
    run(photos(folder), tmp_path / "a.h5")
    plain = PackedFaces([tmp_path / "a.h5"], 64, NONE)
    mirror = AugmentConfig(*[1.0 if name == "flip" else 0 for name in NONE.__dict__])
    mirrored = PackedFaces([tmp_path / "a.h5"], 64, mirror)
    one, two = plain[Draw(0, (0,))], mirrored[Draw(0, (0,))]
    flip = get_scheme("mtfl5").flip_index
    assert two["points"] == pytest.approx((one["points"] * (-1, 1) + (1, 0))[flip])
    assert np.abs(two["image"][:, :, ::-1].astype(int) - one["image"]).max() <= 2


def test_augmented_points_stay_on_their_pixels(folder, tmp_path):
    """However a face is turned, the picture under a point stays the same colour."""
    run(photos(folder), tmp_path / "a.h5")
    moving = AugmentConfig(colour=0, gray=0, blur=0, noise=0, jpeg=0, occlusion=0, subset=0)
    plain, moved = (PackedFaces([tmp_path / "a.h5"], 200, c) for c in (NONE, moving))

    def colours(sample):
        at = (sample["points"] * 200 - 0.5).round().astype(int)
        smooth = [sample["image"][:, y - 2 : y + 3, x - 2 : x + 3].mean((1, 2)) for x, y in at]
        return np.array(smooth)

    still = colours(plain[Draw(0, (0,))])
    flip = get_scheme("mtfl5").flip_index
    for seed in range(8):
        found = colours(moved[Draw(0, (seed,))])
        gap = min(np.abs(found - still).mean(), np.abs(found - still[flip]).mean())
        assert gap < 25


def test_sampler_is_a_function_of_seed_and_step(folder, tmp_path):
    run(photos(folder), tmp_path / "a.h5")
    run(photos(folder, scheme="cofw29"), tmp_path / "a.h5", append=True, source="b")
    faces = PackedFaces([tmp_path / "a.h5"], 64)
    groups, share = group_shares(faces, faces.rows("train"), 1.0, {"b": 3.0})
    assert share.tolist() == pytest.approx([0.75, 0.25])
    whole = list(MixedSampler(groups, share, 4, 0, 10, 7, AugmentConfig()))
    rest = list(MixedSampler(groups, share, 4, 6, 10, 7, AugmentConfig()))
    assert whole[6:] == rest
    drawn = [draw.row for batch in whole for draw in batch if draw.row < 5]
    assert sorted(drawn[:5]) == [0, 1, 2, 3, 4]  # every face once before any comes again
