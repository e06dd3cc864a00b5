"""Overlays show points where they are, on small and large photos, and never fail on odd faces."""

from __future__ import annotations

import numpy as np
import pytest

from tufa_cli.annotation import Face
from tufa_cli.errors import OutputError
from tufa_cli.images.drawing import (
    GROUP_COLOURS,
    draw_faces,
    overlay_name,
    point_colours,
    write_picture,
)
from tufa_cli.images.reading import read_rgb
from tufa_cli.schemes import builtin_plane, get_scheme, scheme_names

SCHEME = get_scheme("wflw98")
SCHEMES = {"wflw98": SCHEME}


def face_at(x, y, scale, **more):
    points = builtin_plane()["wflw98"] * scale + (x, y)
    return Face(points, scheme="wflw98", box=np.array([x, y, scale, scale]), **more)


def changed(before, after):
    return np.argwhere((before != after).any(axis=2))[:, ::-1]


def test_the_photo_itself_is_not_touched_and_the_drawing_lies_on_the_face():
    photo = np.full((700, 800, 3), 128, np.uint8)
    drawn = draw_faces(photo, [face_at(300, 200, 250)], SCHEMES)
    assert (photo == 128).all() and drawn.shape == photo.shape
    where = changed(photo, drawn)
    np.testing.assert_allclose(where.min(axis=0), (300, 200), atol=3)
    np.testing.assert_allclose(where.max(axis=0), (550, 450), atol=3)


def test_every_point_has_its_groups_colour_in_the_middle():
    photo = np.full((1200, 1200, 3), 128, np.uint8)
    face = face_at(100, 100, 1000)
    drawn = draw_faces(photo, [face], SCHEMES)
    for point, colour in zip(face.points_px, point_colours(SCHEME, 98), strict=True):
        x, y = np.round(point).astype(int)
        assert np.abs(drawn[y, x].astype(int) - colour).max() < 12


@pytest.mark.parametrize("side, zoom", [(100, 4), (200, 3), (479, 2), (480, 1), (3000, 1)])
def test_small_photos_come_back_enlarged(side, zoom):
    drawn = draw_faces(np.zeros((side, side + 7, 3), np.uint8), [], SCHEMES)
    assert drawn.shape == (side * zoom, (side + 7) * zoom, 3)


def test_points_move_with_the_enlarged_photo():
    photo = np.full((240, 240, 3), 128, np.uint8)
    point = Face(np.array([[100.0, 60.0]]))
    drawn = draw_faces(photo, [point], {})
    where = changed(np.full_like(drawn, 128), drawn)
    np.testing.assert_allclose(where.mean(axis=0), (200.5, 120.5), atol=0.2)


def test_dots_of_98_points_stay_apart_on_a_small_face():
    photo = np.zeros((480, 480, 3), np.uint8)
    drawn = draw_faces(photo, [face_at(10, 10, 110)], SCHEMES, boxes=False)
    assert (drawn.any(axis=2)).mean() < 0.03


@pytest.mark.parametrize(
    "face",
    [
        Face(np.full((98, 2), np.nan), scheme="wflw98"),
        Face(np.full((98, 2), 1e12), scheme="wflw98"),
        Face(np.random.default_rng(0).normal(0, 1e6, (98, 2)), scheme="wflw98"),
        Face(np.zeros((98, 2)), scheme="wflw98", box=np.array([np.nan, 0, 1, 1])),
        Face(np.zeros((0, 2))),
        Face(np.array([[-50.0, 700.0]]), scheme="nobody knows it"),
        Face(np.zeros((5, 2)), scheme="wflw98"),
    ],
    ids=["unlabelled", "infinitely far", "far", "odd box", "empty", "unknown", "other count"],
)
def test_odd_faces_do_not_stop_the_drawing(face):
    assert draw_faces(np.zeros((500, 500, 3), np.uint8), [face], SCHEMES).shape == (500, 500, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 3)])
def test_slivers_can_be_drawn_on(shape):
    drawn = draw_faces(np.zeros((*shape, 3), np.uint8), [face_at(0, 0, 2)], SCHEMES)
    assert max(drawn.shape) <= max(5000, 4 * max(shape))


def test_every_group_of_the_shipped_schemes_has_a_colour():
    groups = {group for name in scheme_names() for group in get_scheme(name).groups}
    assert groups <= set(GROUP_COLOURS)
    assert len(set(GROUP_COLOURS.values())) == len(GROUP_COLOURS)


def test_overlays_have_names_of_pictures():
    names = ["a.jpg", "sub/b.PNG", "c.gif", "d"]
    assert [overlay_name(n) for n in names] == ["a.jpg", "sub/b.PNG", "c.gif.jpg", "d.jpg"]


def test_pictures_are_written_whole_and_not_replaced_unasked(tmp_path, astronaut):
    path = tmp_path / "new" / "out.png"
    write_picture(path, astronaut)
    np.testing.assert_array_equal(read_rgb(path), astronaut)
    with pytest.raises(OutputError, match="exists already"):
        write_picture(path, astronaut)
    write_picture(path, astronaut[:10], overwrite=True)
    assert read_rgb(path).shape == (10, 512, 3)


def test_a_picture_too_long_for_its_format_says_so(tmp_path):
    with pytest.raises(OutputError, match="cannot be encoded"):
        write_picture(tmp_path / "long.jpg", np.zeros((1, 70_000, 3), np.uint8))
    assert not list(tmp_path.iterdir())
