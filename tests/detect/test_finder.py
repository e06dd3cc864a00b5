"""The face finder: size, file, bad input, turned faces; the shipped weights on real faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from networks import with_norms

from tufa_cli.detect import DEFAULT_DETECTOR, make_detector
from tufa_cli.detect.base import BoxPlane, Detections
from tufa_cli.detect.crops import crop_from_box, crop_of, roll_of
from tufa_cli.detect.finder import FinderDetector, decode, search_sizes
from tufa_cli.detect.finder_net import (
    STRIDES,
    Cells,
    FinderNet,
    cell_middles,
    fused,
    multiply_adds,
)
from tufa_cli.detect.finder_weights import FinderWeights, load_finder, save_finder
from tufa_cli.detect.weights_path import builtin_finder_path
from tufa_cli.errors import InputError, TufaError
from tufa_cli.geometry.crop import DEFAULT_WINDOW
from tufa_cli.schemes import builtin_plane

PLANE = BoxPlane(0.08, -0.2, 0.82, 1.1)
shipped = pytest.mark.skipif(builtin_finder_path() is None, reason="no finder weights here")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = FinderNet()
    return with_norms(model)


@pytest.fixture(scope="module")
def untrained(network):
    """A detector that sees faces everywhere: the worst case for what comes after the network."""
    model = FinderNet()
    model.load_state_dict(network.state_dict())
    torch.nn.init.zeros_(model.out.bias)
    return FinderDetector(FinderWeights(model, PLANE))


@pytest.fixture(scope="module")
def finder():
    return make_detector("finder")


def test_the_network_stays_small(network):
    assert multiply_adds(network) <= 150e6
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) <= 1.5e6


def test_there_are_as_many_cells_as_outputs(network):
    cells = network(torch.zeros(2, 3, 64, 96))
    middles = cell_middles(64, 96)
    assert cells.logits.shape == (2, len(middles)) and cells.points.shape[2:] == (5, 2)
    assert len(middles) == sum(64 * 96 // stride**2 for stride in STRIDES)
    assert middles[0].tolist() == [3.5, 3.5, 8] and middles[-1].tolist() == [79.5, 47.5, 32]


def test_folding_the_norms_in_changes_nothing(network):
    pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        for plain, folded in zip(network(pixels), fused(network)(pixels), strict=True):
            torch.testing.assert_close(plain, folded, rtol=1e-3, atol=1e-3)


def test_cells_become_boxes_and_points_of_the_picture():
    middles = cell_middles(64, 64)
    logits = torch.full((1, len(middles)), -9.0)
    logits[0, 9] = 3.0  # stride 8, second row, second column: its middle is (11.5, 11.5)
    edges = torch.zeros(1, len(middles), 4) + torch.tensor([4.0, 5.0, 6.0, 7.0])
    points = torch.ones(1, len(middles), 5, 2)
    boxes, scores, five = decode(Cells(logits, edges, points), 64, 64, 0.5)
    np.testing.assert_allclose(boxes, [[7.5, 6.5, 10, 12]])
    np.testing.assert_allclose(five, np.full((1, 5, 2), 12.5))
    assert scores == pytest.approx([1 / (1 + np.exp(-3))])


def test_weights_are_read_as_they_were_written(tmp_path, network):
    path = tmp_path / "finder.pt"
    save_finder(path, FinderWeights(network, PLANE, 0.4, {"name": "mine"}))
    loaded = load_finder(path)
    assert loaded.box_plane == PLANE and loaded.min_score == 0.4 and loaded.meta["name"] == "mine"
    pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(
            network(pixels).logits, loaded.model(pixels).logits, rtol=0.05, atol=0.05
        )
    assert make_detector("finder", path).box_plane == PLANE
    assert path.stat().st_size < 1.5e6


@pytest.mark.parametrize("content", [b"", b"not a network", None])
def test_what_is_no_weights_file_is_told(tmp_path, content):
    path = tmp_path / "x.pt"
    if content is None:
        torch.save({"format": "tufa-finder", "version": 1, "state": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError):
        load_finder(path)
    with pytest.raises(InputError, match="cannot read"):
        load_finder(tmp_path / "gone.pt")


def test_the_default_is_what_the_package_has():
    assert ("lbp" if builtin_finder_path() is None else "finder") == DEFAULT_DETECTOR
    if builtin_finder_path() is None:
        with pytest.raises(TufaError, match="ships no network") as caught:
            make_detector("finder")
        assert "lbp" in caught.value.hint


NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
BAD = {
    "1x1": np.zeros((1, 1, 3), np.uint8),
    "8x8": np.full((8, 8, 3), 9, np.uint8),
    "sliver": np.full((3000, 9, 3), 90, np.uint8),
    "black": np.zeros((480, 640, 3), np.uint8),
    "noise": NOISE,
    "panorama": np.zeros((700, 12_000, 3), np.uint8),
    "huge": np.zeros((6000, 12_000, 3), np.uint8),
}


@pytest.mark.parametrize("name", BAD)
def test_any_picture_gives_boxes_inside_reason(untrained, name):
    found = untrained.detect(BAD[name])
    count = len(found)
    assert found.boxes.shape == (count, 4)
    assert not count or found.points.shape == (count, 5, 2)
    assert np.isfinite(found.boxes).all() and (found.boxes[:, 2:] > 0).all()
    assert count <= 1000 and (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize(
    "shape, most",
    [((100, 150), 4 * 15_000), ((480, 640), 480 * 640), ((6000, 12_000), 1.1 * 1024 * 768),
     ((700, 12_000), 4.4 * 1024 * 768), ((9, 12_000), 4.4 * 1024 * 768)],
)  # fmt: skip
def test_photos_are_searched_at_bounded_sizes(shape, most):
    sizes = search_sizes(np.zeros((*shape, 3), np.uint8))
    assert 1 <= len(sizes) <= 2
    for picture, ratio in sizes:
        assert picture.shape[0] * picture.shape[1] <= most
        np.testing.assert_allclose(ratio * shape[::-1], picture.shape[1::-1])


def turned(points, angle, middle=(200.0, 150.0)):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (np.asarray(points) - middle) @ turn.T + middle


@pytest.mark.parametrize("degrees", [0, 20, -30, 90, -90, 150, 180])
def test_the_crop_of_a_turned_face_shows_it_upright(degrees):
    """Box and points of a face turned about its box's middle give the upright face's crop."""
    angle = np.deg2rad(degrees)
    scale, shift = 120.0, np.array([140.0, 100.0])
    x, y, w, h = PLANE
    box = np.array([*(shift + scale * np.array([x, y])), scale * w, scale * h])
    middle = box[:2] + box[2:] / 2
    five = shift + scale * builtin_plane()["mtfl5"]
    rolled = turned(five, angle, middle)
    assert np.cos(roll_of(rolled) - angle) == pytest.approx(1, abs=1e-9)
    upright = crop_from_box(box, PLANE, DEFAULT_WINDOW).to_crop(five)
    found = Detections(box[None], np.ones(1), rolled[None])
    np.testing.assert_allclose(
        crop_of(found, 0, PLANE, DEFAULT_WINDOW).to_crop(rolled), upright, atol=1e-9
    )


def test_without_points_the_crop_is_upright():
    found = Detections(np.array([[10.0, 20, 30, 40]]), np.ones(1))
    plain = crop_from_box([10, 20, 30, 40], PLANE, DEFAULT_WINDOW)
    np.testing.assert_array_equal(crop_of(found, 0, PLANE, DEFAULT_WINDOW).matrix, plain.matrix)
    assert roll_of(np.full((5, 2), np.nan)) == 0.0 and roll_of(np.ones((5, 2))) == 0.0


#: Eye centres, nose tip and mouth corners on skimage.data.astronaut(), by eye, to about 2 px.
FIVE_PX = np.array([[204.0, 105.0], [247.0, 105.0], [228.0, 130.0], [209.0, 148.0], [244.0, 148.0]])


@shipped
@pytest.mark.parametrize("degrees", [0, 30, -30, 60, -60, 90, -90])
def test_a_turned_head_is_found_with_its_five_points(finder, astronaut, degrees):
    middle = (228.0, 128.0)
    matrix = cv2.getRotationMatrix2D(middle, -degrees, 1.0)
    photo = cv2.warpAffine(astronaut, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    points = FIVE_PX @ matrix[:, :2].T + matrix[:, 2]
    found = finder.detect(photo)
    found = found.take(np.flatnonzero(found.scores >= finder.min_score))
    errors = np.linalg.norm(found.points - points, axis=-1).mean(axis=1)
    assert errors.min() < 12
    roll = roll_of(found.points[errors.argmin()])
    assert np.cos(roll - np.deg2rad(degrees)) > np.cos(np.deg2rad(20))


@shipped
def test_forty_faces_in_one_photo(finder, astronaut):
    face = cv2.resize(astronaut[20:240, 120:340], (110, 110), interpolation=cv2.INTER_AREA)
    photo = np.tile(face, (5, 8, 1))
    found = finder.detect(photo)
    boxes = found.boxes[found.scores >= finder.min_score]
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    cells = {(int(x // 110), int(y // 110)) for x, y in middles}
    assert len(cells & {(x, y) for x in range(8) for y in range(5)}) == 40


@shipped
def test_a_face_of_a_dozen_pixels_and_one_larger_than_the_photo_break_nothing(finder, astronaut):
    tiny = cv2.resize(astronaut, (64, 64), interpolation=cv2.INTER_AREA)
    for photo in (tiny, astronaut[90:160, 190:260], astronaut[60:190, 190:270]):
        found = finder.detect(photo)
        assert np.isfinite(found.boxes).all()


@shipped
def test_grey_photos_and_faces_at_the_border(finder, astronaut):
    grey = np.repeat(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)
    for photo in (grey, astronaut[:, 190:]):
        assert finder.detect(photo).scores[0] >= finder.min_score
