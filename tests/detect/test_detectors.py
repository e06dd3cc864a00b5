"""Every detector keeps the protocol and finds (or looks up) real faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect import DEFAULT_DETECTOR, DETECTORS, make_detector
from tufa_cli.detect.from_file import BoxesDetector
from tufa_cli.detect.haar import haar_available
from tufa_cli.errors import InputError, TufaError, UnknownNameError
from tufa_cli.formats import write
from tufa_cli.geometry.boxes import iou
from tufa_cli.schemes import builtin_plane
from tufa_cli.schemes.plane import FACE_BOX

#: Eye centres, nose tip and mouth corners on skimage.data.astronaut(), by eye, to about 2 px.
FIVE_PX = np.array([[204.0, 105.0], [247.0, 105.0], [228.0, 130.0], [209.0, 148.0], [244.0, 148.0]])


def face_box_of(detector, box):
    """The plane's face box on the photo, when ``box`` covers the detector's box_plane."""
    x, y, w, h = detector.box_plane
    scale = np.sqrt(box[2] * box[3] / (w * h))
    low = box[:2] + box[2:] / 2 - scale * np.array([x + w / 2, y + h / 2])
    return [*(low + scale * np.array(FACE_BOX[:2])), scale * FACE_BOX[2], scale * FACE_BOX[2]]


def expected_face_box(shift=0):
    anchors = builtin_plane()["mtfl5"]
    scale = np.ptp(FIVE_PX[:2, 0]) / np.ptp(anchors[:2, 0])
    low = FIVE_PX.mean(axis=0) - scale * anchors.mean(axis=0) + np.array([shift, 0])
    return [*(low + scale * np.array(FACE_BOX[:2])), scale * FACE_BOX[2], scale * FACE_BOX[2]]


@pytest.fixture(scope="session")
def yunet_file(shared):
    return shared / "models" / "yunet_n_640_640.onnx"


@pytest.fixture(params=["lbp", "haar", "yunet"])
def detector(request):
    if request.param == "haar" and not haar_available():
        pytest.skip(f"OpenCV {cv2.__version__} has no Haar cascades")
    weights = request.getfixturevalue("yunet_file") if request.param == "yunet" else None
    return make_detector(request.param, weights)


def test_a_real_face_is_found_where_it_is(detector, astronaut):
    found = detector.detect(astronaut)
    assert len(found) >= 1
    assert (np.diff(found.scores) <= 0).all() and found.scores[0] >= 0.5
    assert iou(face_box_of(detector, found.boxes[0]), expected_face_box())[0, 0] > 0.5


@pytest.mark.parametrize("factor", [0.5, 2.0, 5.0])
def test_the_size_of_the_photo_does_not_matter(detector, astronaut, factor):
    photo = cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    found = detector.detect(photo)
    boxes = [face_box_of(detector, box) for box in found.boxes[found.scores >= 0.5]]
    assert iou(np.array(expected_face_box()) * factor, boxes).max() > 0.5


def test_two_faces_far_apart_are_both_found(detector, astronaut):
    photo = np.hstack([astronaut, astronaut])
    found = detector.detect(photo)
    boxes = [face_box_of(detector, box) for box in found.boxes]
    for shift in (0, 512):
        assert iou(expected_face_box(shift), boxes).max() > 0.5


def test_a_face_in_a_panorama_is_found(detector, astronaut):
    photo = np.zeros((512, 12_000, 3), np.uint8)
    photo[:, 9000:9512] = astronaut
    found = detector.detect(photo)
    assert len(found)
    boxes = [face_box_of(detector, box) for box in found.boxes]
    assert iou(expected_face_box(9000), boxes).max() > 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (23, 23), (24, 24), (3000, 2), (40, 25)])
def test_tiny_pictures_and_slivers_have_no_face(detector, shape):
    found = detector.detect(np.full((*shape, 3), 90, np.uint8))
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,)


def test_flat_grey_and_noise_have_no_sure_face(detector):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    for photo in (np.full((300, 400, 3), 128, np.uint8), noise):
        assert not (detector.detect(photo).scores > 0.7).any()


def test_a_detector_sees_the_same_twice(detector, astronaut):
    first, second = detector.detect(astronaut), detector.detect(astronaut)
    np.testing.assert_array_equal(first.boxes, second.boxes)


def test_yunet_gives_five_points_image_left_first(yunet_file, astronaut):
    points = make_detector("yunet", yunet_file).detect(astronaut).points
    np.testing.assert_allclose(points[0], FIVE_PX, atol=6)


def test_yunets_file_is_asked_for_and_checked(tmp_path):
    with pytest.raises(TufaError) as caught:
        make_detector("yunet")
    assert "--detector-weights" in caught.value.hint
    with pytest.raises(InputError, match="no such file"):
        make_detector("yunet", tmp_path / "gone.onnx")
    (tmp_path / "words.onnx").write_text("not a network")
    with pytest.raises(InputError, match="not a YuNet network"):
        make_detector("yunet", tmp_path / "words.onnx")


def test_haar_says_what_to_do_where_opencv_has_none():
    if haar_available():
        pytest.skip("this OpenCV has Haar cascades")
    with pytest.raises(TufaError, match="no Haar cascades") as caught:
        make_detector("haar")
    assert "lbp" in caught.value.hint


def test_an_unknown_detector_offers_near_names():
    with pytest.raises(UnknownNameError, match="unknown detector 'yuent': did you mean yunet"):
        make_detector("yuent")


def test_the_default_needs_no_file():
    assert make_detector().name == DEFAULT_DETECTOR
    assert DEFAULT_DETECTOR in DETECTORS


@pytest.mark.parametrize(
    "shape, box", [((100, 60), [-0.5, 19.5, 60, 60]), ((7, 7), [-0.5, -0.5, 7, 7])]
)
def test_the_whole_image_is_its_middle_square(shape, box):
    found = make_detector("whole-image").detect(np.zeros((*shape, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [box])
    assert found.scores.tolist() == [1.0]


PHOTO = np.zeros((300, 300, 3), np.uint8)


def on_face_box(scheme, x, y, side):
    """A face of ``scheme`` whose plane's face box is the given square."""
    scale = side / FACE_BOX[2]
    return builtin_plane()[scheme] * scale + (np.array([x, y]) - scale * np.array(FACE_BOX[:2]))


@pytest.mark.parametrize("scheme", ["wflw98", "ibug68", "mtfl5", "scut86", "aflw19"])
def test_labelled_points_of_any_scheme_give_the_same_box(scheme):
    face = Face(on_face_box(scheme, 40, 50, 120), scheme=scheme, box=np.array([0, 0, 9, 9]))
    found = BoxesDetector([AnnotatedImage("a.jpg", (face,))]).detect(PHOTO, "a.jpg")
    np.testing.assert_allclose(found.boxes, [[40, 50, 120, 120]], atol=1e-6)


def test_a_box_is_taken_where_points_do_not_help():
    box = np.array([10.0, 20, 30, 40])
    few = np.full((98, 2), np.nan)
    few[:2] = 5.0
    faces = [
        Face(few, scheme="wflw98", box=box, score=0.3),
        Face(np.zeros((0, 2)), box=box + 1, score=0.9),
        Face(on_face_box("mtfl5", 0, 0, 50)[::-1], scheme="mtfl5", box=box + 2, score=0.5),
        Face(np.zeros((3, 2)), scheme="nobody knows it", box=None),  # no area: left out
    ]
    found = BoxesDetector([AnnotatedImage("a.jpg", tuple(faces))]).detect(PHOTO, "a.jpg")
    np.testing.assert_allclose(found.boxes, [box + 1, box + 2, box])
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.3])


def test_photos_are_looked_up_by_path_and_by_a_name_that_occurs_once():
    face = Face(np.zeros((0, 2)), box=np.array([0.0, 0, 1, 1]))
    other = Face(np.zeros((0, 2)), box=np.array([5.0, 5, 1, 1]))
    images = [("x/a.jpg", face), ("y/a.jpg", other), ("x/b.jpg", other)]
    finder = BoxesDetector([AnnotatedImage(path, (f,)) for path, f in images])
    assert finder.detect(PHOTO, "y/a.jpg").boxes[0, 0] == 5
    assert finder.detect(PHOTO, "elsewhere/b.jpg").boxes[0, 0] == 5
    assert len(finder.detect(PHOTO, "elsewhere/a.jpg")) == 0
    assert len(finder.detect(PHOTO)) == 0


def test_boxes_are_read_from_a_file_of_any_format(tmp_path):
    face = Face(on_face_box("ibug68", 10, 20, 90), scheme="ibug68")
    write([AnnotatedImage("a.jpg", (face,), 300, 300)], tmp_path / "labels.json", "coco")
    found = make_detector("boxes", boxes=tmp_path / "labels.json").detect(PHOTO, "a.jpg")
    np.testing.assert_allclose(found.boxes, [[10, 20, 90, 90]], atol=1e-4)


def test_boxes_need_a_file_with_faces(tmp_path):
    with pytest.raises(TufaError, match="needs annotations"):
        make_detector("boxes")
    with pytest.raises(InputError, match="no such file"):
        make_detector("boxes", boxes=tmp_path / "gone.json")
    with pytest.raises(TufaError, match="no face with a box or points"):
        BoxesDetector([AnnotatedImage("a.jpg")])
