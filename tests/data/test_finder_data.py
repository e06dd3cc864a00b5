"""Photos to a store, a store to scenes, scenes to what the cells should say."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data import finder_layers as layers
from tufa_cli.data import finder_scenes as scenes
from tufa_cli.data.finder_scenes import HardRegion, SceneConfig, SceneMaker, Scenes, collate_scenes
from tufa_cli.data.finder_store import (
    HEAD,
    FinderFaces,
    FinderPhotos,
    Labelling,
    merge_faces,
    write_store,
)
from tufa_cli.data.finder_targets import targets_of
from tufa_cli.detect.finder_net import cell_middles
from tufa_cli.errors import InputError, TufaError
from tufa_cli.schemes import anchors_for, builtin_plane
from tufa_cli.schemes.load import parse_scheme

NOBODY = np.zeros((0, 5))
CONFIG = SceneConfig(size=96, crowds=("crowd",), largest=90)


def labelled(scheme="ibug68", scale=60.0, shift=(20.0, 30.0)):
    return Face(builtin_plane()[scheme] * scale + shift, scheme=scheme)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three photos of noise: a crowd with two faces, a single face, a single uncertain one."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    images = []
    for name, boxes in (
        ("crowd", [[20, 20, 30, 40], [100, 50, 40, 50]]),
        ("one", None),
        ("two", None),
    ):
        cv2.imwrite(
            str(folder / f"{name}.png"), rng.integers(0, 256, (160, 200, 3)).astype(np.uint8)
        )
        faces = [Face(np.zeros((0, 2)), box=np.array(b, float)) for b in boxes or []]
        images.append(AnnotatedImage(f"{name}.png", tuple(faces or [labelled()]), root=str(folder)))
    images[2] = AnnotatedImage("two.png", (), root=str(folder))
    gone = AnnotatedImage("gone.png", (), root=str(folder))
    teacher = {"two.png": np.array([[50.0, 50, 40, 50, 0.4]])}
    out = folder / "finder.h5"
    report = write_store(
        [("crowd", images[:1]), ("single", [*images, gone])],
        out,
        lambda image: teacher.get(image.path, NOBODY),
    )
    assert (report.photos, report.faces, report.ignored) == (3, 3, 1)
    assert [name for name, _ in report.failed] == ["gone.png"]
    return out


def test_a_store_gives_back_pixels_and_faces_and_names_no_photo(store):
    photos = pickle.loads(pickle.dumps(FinderPhotos(store)))
    assert len(photos) == 3 and sorted(photos.names) == ["crowd", "single"]
    picture = cv2.imread(str(store.parent / "crowd.png"))[..., ::-1]
    np.testing.assert_array_equal(photos.pixels(0), picture)
    np.testing.assert_array_equal(photos.pixels(0, 10, 30), picture[10:30])
    np.testing.assert_allclose(photos.faces(0).boxes, [[20, 20, 30, 40], [100, 50, 40, 50]])
    assert photos.faces(1).points.shape == (1, 5, 2) and not photos.faces(2).sure.any()
    assert b"crowd.png" not in store.read_bytes()


def test_what_is_no_store_is_told(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"no")
    with pytest.raises(InputError):
        FinderPhotos(tmp_path / "x.h5")
    with pytest.raises(TufaError, match="no photo"):
        write_store([("a", [])], tmp_path / "y.h5", lambda image: NOBODY)
    assert not (tmp_path / "y.h5").exists()


def test_labels_and_teacher_become_one_list():
    """Own box first, then the teacher's on the same place; faint and unlabelled ones after."""
    face = labelled()
    image = AnnotatedImage("a", (face, Face(np.zeros((0, 2)), box=np.array([200.0, 0, 20, 20]))))
    teacher = np.array(
        [[24, 22, 52, 66, 0.9], [199, 1, 20, 20, 0.9], [300, 0, 30, 30, 0.7], [400, 0, 30, 30, 0.4]]
    )
    faces = merge_faces(image, teacher, Labelling())
    assert faces.boxes[:, 0].tolist() == [24, 200, 300, 400]
    assert faces.sure.tolist() == [True, True, True, False]
    np.testing.assert_allclose(faces.points[0, 3], face.points_px[48], atol=1e-6)
    assert np.isnan(faces.points[1:]).all()
    alone = merge_faces(image, NOBODY, Labelling())
    assert alone.sure[0] and alone.boxes[0, 1] < face.points_px[:, 1].min()


def test_labels_in_a_scheme_of_the_users_own(own_scheme):
    """They give a box and the points they tell; without the scheme's file, a region to ignore."""
    mine = parse_scheme(own_scheme, "mine")
    image = AnnotatedImage("a", (Face(anchors_for(mine, builtin_plane()) * 100, scheme="mine"),))
    known = merge_faces(image, NOBODY, Labelling(layouts={"mine": mine}))
    x, y, w, h = HEAD
    np.testing.assert_allclose(known.boxes[0], np.array([x, y, w, h]) * 100, atol=1e-6)
    assert np.isfinite(known.points[0]).all(axis=1).tolist() == [False, False, True, False, False]
    assert merge_faces(image, NOBODY, Labelling()).sure.tolist() == [False]


def test_a_large_face_is_shrunk_with_its_labels(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((300, 400, 3), np.uint8))
    face = Face(np.zeros((0, 2)), box=np.array([99.5, 49.5, 200, 200]))
    image = AnnotatedImage("a.png", (face,), root=str(tmp_path))
    write_store([("x", [image])], tmp_path / "s.h5", lambda i: NOBODY, Labelling(largest_face=100))
    photos = FinderPhotos(tmp_path / "s.h5")
    assert photos.pixels(0).shape == (150, 200, 3)
    np.testing.assert_allclose(photos.faces(0).boxes, [[49.5, 24.5, 100, 100]])


def test_a_scene_is_decided_by_its_number(store):
    maker = SceneMaker(FinderPhotos(store), CONFIG, [HardRegion(0, 5, 5, 30, 30)])
    first, again = (Scenes(maker, 3)[7] for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    assert (first[0] != Scenes(maker, 4)[7][0]).any()


def test_batches_number_the_cells_through_all_scenes(store):
    items = [Scenes(SceneMaker(FinderPhotos(store), CONFIG), 0)[i] for i in range(12)]
    batch = collate_scenes(items)
    assert batch.pictures.shape == (12, 96, 96, 3)
    assert len(batch.targets.index) > 0
    assert (batch.targets.labels.flatten()[batch.targets.index] == 1).all()
    assert int((batch.targets.labels == 1).sum()) == len(batch.targets.index)


def test_a_mirrored_batch_is_the_batch_of_mirrored_scenes():
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    five = np.array([[[40.0, 45], [60, 46], [49, 55], [42, 66], [57, 65]]])
    faces = FinderFaces(np.array([[31.0, 30, 40, 50]]), np.ones(1, bool), five)
    plain = collate_scenes([(picture, targets_of(faces, 96))] * 2)
    other = layers.mirrored_faces(faces, 96)
    wanted = collate_scenes([(picture[:, ::-1].copy(), targets_of(other, 96))] * 2)
    made = scenes.mirrored_batch(plain)
    assert (made.pictures == wanted.pictures).all()
    assert (made.targets.labels == wanted.targets.labels).all()
    order = made.targets.index.argsort()
    for mine, theirs in zip(made.targets[1:], wanted.targets[1:], strict=True):
        np.testing.assert_allclose(mine[order], theirs, atol=1e-4)


@pytest.mark.parametrize("degrees", [0, 33, 90, 180])
@pytest.mark.parametrize("scale", [0.3, 1.0, 1.7])
def test_points_move_with_the_pixels(degrees, scale):
    """A white dot drawn into a scene lies where its point was moved to."""
    photo = np.zeros((120, 160, 3), np.uint8)
    cv2.circle(photo, (90, 50), 8, (255, 255, 255), -1)
    points = np.full((1, 5, 2), (90.0, 50.0))
    faces = FinderFaces(np.array([[70.0, 30, 40, 40]]), np.ones(1, bool), points)
    matrix = layers.similarity(
        scale, np.deg2rad(degrees), np.array([80.0, 60]), np.array([75.0, 75])
    )
    picture = np.zeros((150, 150, 3), np.uint8)
    layers.draw_layer(picture, photo, matrix)
    moved = layers.moved_faces(faces, matrix)
    ys, xs = np.nonzero(picture[..., 0] > 127)
    np.testing.assert_allclose([xs.mean(), ys.mean()], moved.points[0, 0], atol=0.6)
    middle = moved.boxes[0, :2] + moved.boxes[0, 2:] / 2
    np.testing.assert_allclose(middle, moved.points[0, 0], atol=1e-6)
    np.testing.assert_allclose(moved.boxes[0, 2:], 40 * scale)


def test_a_mirrored_face_keeps_its_left_eye_on_the_left():
    five = np.array([[[10.0, 5], [20, 5], [15, 9], [11, 12], [19, 12]]])
    faces = FinderFaces(np.array([[8.0, 0, 14, 16]]), np.ones(1, bool), five)
    mirrored = layers.mirrored_faces(faces, 100)
    assert mirrored.points[0, 0, 0] < mirrored.points[0, 1, 0]
    np.testing.assert_allclose(mirrored.points[0, 0], (79, 5))
    np.testing.assert_allclose(mirrored.boxes, [[77, 0, 14, 16]])


def test_what_is_covered_is_gone_and_half_covered_is_ignored():
    boxes = np.array([[0.0, 0, 10, 10], [35, 0, 10, 10], [80, 0, 10, 10]])
    faces = FinderFaces(boxes, np.ones(3, bool), np.zeros((3, 5, 2)))
    covered = np.zeros((96, 96), np.uint8)
    covered[:, :40] = 1
    left = layers.uncovered_faces(faces, covered)
    assert left.boxes[:, 0].tolist() == [35, 80] and left.sure.tolist() == [False, True]


def faces_at(*boxes, sure=True):
    count = len(boxes)
    return FinderFaces(np.array(boxes, float), np.full(count, sure), np.full((count, 5, 2), np.nan))


@pytest.mark.parametrize("side", [9, 20, 40, 70, 120, 250])
def test_every_face_has_cells_near_its_middle_that_tell_its_box(side):
    box = [150 - side / 2, 160 - side / 2, side, side]
    targets = targets_of(faces_at(box), 320)
    middles = cell_middles(320, 320)[targets.index, :2].numpy()
    assert len(middles) >= 1
    low = middles - targets.edges[:, :2].numpy()
    np.testing.assert_allclose(low, np.tile(box[:2], (len(low), 1)), atol=1e-3)
    assert not targets.known.any() and targets.sizes[0] == pytest.approx(side)
    assert np.abs(middles - (150, 160)).max() <= max(0.25 * side, 48, 8)


def test_regions_to_ignore_are_no_background_and_no_face():
    targets = targets_of(faces_at([100, 100, 60, 60], sure=False), 320)
    assert not len(targets.index)
    left_out = cell_middles(320, 320)[targets.labels[0] == -1, :2]
    assert len(left_out) > 30 and ((left_out >= 100) & (left_out <= 160)).all()


def test_a_small_face_before_a_large_one_keeps_its_cells():
    targets = targets_of(faces_at([100, 100, 100, 100], [145, 145, 12, 12]), 320)
    assert {12.0, 100.0} == set(targets.sizes.tolist())


def test_teacher_boxes_are_read_and_mistakes_named(tmp_path):
    from tufa_cli.training.finder_sources import read_boxes

    path = tmp_path / "boxes.jsonl"
    path.write_text(json.dumps({"photo": "a/b.jpg", "boxes": [[1, 2, 3, 4, 0.5]]}) + "\n\n")
    np.testing.assert_allclose(read_boxes(path)["a/b.jpg"], [[1, 2, 3, 4, 0.5]])
    path.write_text('{"photo": "a"}\n')
    with pytest.raises(InputError, match="boxes x y w h score"):
        read_boxes(path)


def test_a_face_that_fades_in_covers_its_place_and_brings_no_neighbour(store):
    photos = FinderPhotos(store)
    maker = SceneMaker(photos, CONFIG)
    box = photos.faces(0).boxes[0]
    below = scenes.Scene(
        np.zeros((96, 96, 3), np.uint8),
        FinderFaces(box[None] + [2.0, 1, 0, 0], np.array([True]), np.full((1, 5, 2), np.nan)),
    )
    matrix = layers.similarity(1.0, 0.0, box[:2] + box[2:] / 2, np.array([48.0, 48]))
    moved = layers.moved_faces(below.faces, matrix)
    made = maker._lay_soft(
        scenes.Scene(below.picture, moved), 0, matrix, box, np.random.default_rng(1)
    )
    # Its own face, neither the one that it hides nor the photo's other face; noise in the middle,
    # nothing at the border.
    assert made.faces.sure.tolist() == [True]
    np.testing.assert_allclose(made.faces.boxes[0], [33, 28, 30, 40], atol=1e-6)
    assert made.picture[40:56, 40:56].std() > 50 and not made.picture[:, 0].any()


@pytest.mark.parametrize("changes", [{"soft": 1.0, "mosaic": 1.0}, {"decoys": 1.0}])
def test_scenes_with_all_kinds_of_layers_repeat_themselves(store, changes):
    maker = SceneMaker(FinderPhotos(store), replace(CONFIG, **changes))
    for number in range(20):
        first, second = (maker.make(np.random.default_rng([3, number])) for _ in range(2))
        assert np.array_equal(first.picture, second.picture)
        boxes = first.faces.boxes[first.faces.sure]
        middles = boxes[:, :2] + boxes[:, 2:] / 2
        assert ((middles > 0) & (middles < 96)).all()
