"""Labelled photos to figures: crops, batches, matching, failures and subsets."""

import cv2
import numpy as np
import pytest
import torch

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.detect.base import BoxPlane, Detections
from tufa_cli.errors import TufaError
from tufa_cli.evaluation.jitter import Jitter
from tufa_cli.evaluation.metrics import normaliser_distance
from tufa_cli.geometry.crop import oracle_crop
from tufa_cli.images.reading import read_rgb
from tufa_cli.images.warp import warp_crop
from tufa_cli.model.build import build_model
from tufa_cli.model.config import model_config
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import Weights
from tufa_cli.pipeline.evaluate import Plan, faces_of_scheme, make_report, measure
from tufa_cli.schemes import builtin_plane, get_scheme

SCHEME = get_scheme("mtfl5")
PLANE = builtin_plane()
ANCHORS = PLANE["mtfl5"]
TINY = {"input_size": 32, "width": 16, "heads": 2, "ffn": 16, "channels": [8, 8, 8]}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    model = build_model(model_config("nano", {**TINY, "decoder_layers": 1}))
    with torch.no_grad():  # a fresh head takes no step, so that nothing could go wrong
        for parameter in model.heads.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.03)
    return Weights(model, PLANE)


def face_at(x, y, side, noise=0.0, seed=0):
    """A label: the plane's anchors on the photo, each moved by up to ``noise`` sides."""
    rng = np.random.default_rng(seed)
    moved = ANCHORS + rng.uniform(-noise, noise, ANCHORS.shape)
    return Face(moved * side + (x, y), scheme="mtfl5")


@pytest.fixture
def photos(tmp_path):
    """Five faces on three photos in two folders."""
    labels = {
        "a/one.png": [face_at(30, 20, 100, 0.05, 1)],
        "a/two.png": [face_at(5, 5, 60, 0.05, 2), face_at(110, 60, 70, 0.05, 3)],
        "b/three.png": [face_at(10, 30, 90, 0.05, 4), face_at(120, 0, 60, 0.05, 5)],
    }
    images = []
    for number, (path, faces) in enumerate(labels.items()):
        noise = np.random.default_rng(number).integers(0, 255, (160, 200, 3), dtype=np.uint8)
        (tmp_path / path).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / path), cv2.GaussianBlur(noise, (0, 0), 4))
        images.append(AnnotatedImage(path, tuple(faces), root=str(tmp_path)))
    return images


class Finds:
    """A detector that finds the boxes it was told, whatever the photo shows."""

    name = "told"
    box_plane = BoxPlane(0.1, 0.1, 0.8, 0.8)
    min_score = 0.0

    def __init__(self, *faces):
        self.boxes = [(x + 0.1 * s, y + 0.1 * s, 0.8 * s, 0.8 * s) for x, y, s in faces]

    def detect(self, image, photo=None):
        boxes = np.asarray(self.boxes, float).reshape(-1, 4)
        return Detections(boxes, np.ones(len(boxes)))


def run(images, plan, **options):
    measured = list(measure(images, plan, Predictor(plan.weights, "cpu")))
    return make_report(measured, plan, **options)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_figures_are_those_of_predicting_face_by_face(photos, weights, batch_size):
    predictor = Predictor(weights, "cpu")
    expected = []
    for image in photos:
        pixels = read_rgb(f"{image.root}/{image.path}")
        for face in image.faces:
            crop = oracle_crop(ANCHORS, face.points_px, weights.window)
            points, _ = predictor.predict(warp_crop(pixels, crop, 32)[None], ANCHORS)
            distance = np.linalg.norm(crop.to_image(points[0]) - face.points_px, axis=1).mean()
            expected.append(distance / normaliser_distance(SCHEME, ANCHORS, face.points_px))
    report = run(photos, Plan(SCHEME, weights, batch_size=batch_size))
    assert report.total.faces == 5
    assert report.total.nme_percent == pytest.approx(100 * np.mean(expected), rel=1e-4)


def test_the_mean_shape_is_perfect_on_a_face_that_is_the_mean_shape(photos, weights):
    images = [AnnotatedImage(photos[0].path, (face_at(30, 20, 100),), root=photos[0].root)]
    report = run(images, Plan(SCHEME, weights), baseline=True)
    assert report.baseline.nme_percent == pytest.approx(0, abs=1e-3)
    assert report.baseline.auc == pytest.approx(1, abs=1e-4)
    assert report.total.nme_percent > 1


def test_a_disturbed_box_disturbs_the_mean_shape_by_as_much(photos, weights):
    images = [AnnotatedImage(photos[0].path, (face_at(30, 20, 100),), root=photos[0].root)]
    jitter = Jitter(seed=5)
    report = run(images, Plan(SCHEME, weights, "jitter", jitter), baseline=True)
    labels = images[0].faces[0].points_px
    crop = oracle_crop(ANCHORS, labels, weights.window)
    moved = jitter.apply(crop, images[0].path, 0).to_image(weights.window.to_crop(ANCHORS))
    distance = np.linalg.norm(moved - labels, axis=1).mean()
    eyes = np.linalg.norm(labels[0] - labels[1])
    assert report.baseline.nme_percent == pytest.approx(100 * distance / eyes)
    assert report.box == "jitter"
    assert "0.05" in report.box_detail and "seed 5" in report.box_detail


def test_found_faces_are_matched_and_the_others_missed(photos, weights):
    two = [photos[1]]
    plan = Plan(SCHEME, weights, "detector", detector=Finds((112, 61, 70), (400, 400, 50)))
    report = run(two, plan, baseline=True)
    assert (report.total.faces, report.total.missed) == (2, 1)
    assert report.total.failure_rate_percent >= 50
    oracle = run(two, Plan(SCHEME, weights), baseline=True)
    plan = Plan(SCHEME, weights, "detector", detector=Finds((110, 60, 70), (5, 5, 60)))
    both = run(two, plan, baseline=True)
    assert both.total.missed == 0
    assert both.baseline.nme_percent == pytest.approx(oracle.baseline.nme_percent, abs=3)
    plan = Plan(SCHEME, weights, "detector", detector=Finds())
    none = run(two, plan)
    assert (none.total.missed, none.total.nme_percent, none.total.auc) == (2, None, 0)


def test_boxes_without_an_area_find_nothing(photos, weights):
    plan = Plan(SCHEME, weights, "detector", detector=Finds((30, 20, 0)))
    assert run(photos[:1], plan).total.missed == 1


def test_a_face_that_no_upright_crop_fits_is_missed(photos, weights):
    upside_down = Face(200 - ANCHORS * 100, scheme="mtfl5")
    images = [AnnotatedImage(photos[0].path, (upside_down,), root=photos[0].root)]
    total = run(images, Plan(SCHEME, weights)).total
    assert (total.faces, total.missed, total.failure_rate_percent) == (1, 1, 100)


def test_a_photo_that_cannot_be_read_is_reported_and_the_rest_measured(photos, weights, tmp_path):
    (tmp_path / "a/two.png").write_bytes(b"no photo")
    plan = Plan(SCHEME, weights)
    measured = list(measure(photos, plan, Predictor(weights, "cpu")))
    assert [photo.path for photo in measured] == [image.path for image in photos]
    assert [bool(photo.failure) for photo in measured] == [False, True, False]
    report = make_report(measured, plan)
    assert (report.total.faces, report.unreadable) == (3, 1)
    with pytest.raises(TufaError, match="no face could be measured, 1 photos failed"):
        make_report(measured[1:2], plan)


def test_subsets_are_measured_by_themselves(photos, weights):
    plan = Plan(SCHEME, weights)
    members = [frozenset("xy"), frozenset("y"), frozenset()]
    report = run(photos, plan, subsets=members)
    assert {name: part.faces for name, part in report.subsets.items()} == {"x": 1, "y": 3}
    alone = run(photos[:1], plan).total
    assert report.subsets["x"].faces == alone.faces
    assert report.subsets["x"].nme_percent == pytest.approx(alone.nme_percent, rel=1e-4)


def test_the_report_says_which_anchors_were_asked(photos, weights):
    learned = Weights(weights.model, PLANE, {"mtfl5": ANCHORS + 0.1})
    plain = run(photos, Plan(SCHEME, weights))
    moved = run(photos, Plan(SCHEME, learned), baseline=True)
    assert (plain.anchors, moved.anchors) == ("plane", "learned")
    assert moved.total.nme_percent != plain.total.nme_percent
    # crops and the baseline come from the plane, whatever the network is asked with
    assert moved.baseline == run(photos, Plan(SCHEME, weights), baseline=True).baseline


def test_labels_of_another_scheme_are_left_out_and_counted():
    mine, other = face_at(0, 0, 9), Face(np.zeros((68, 2)), scheme="ibug68")
    alias, nameless = Face(ANCHORS, scheme="mtfl"), Face(ANCHORS)
    images = [AnnotatedImage("a", (mine, other)), AnnotatedImage("b", (alias, nameless))]
    kept, others = faces_of_scheme([*images, AnnotatedImage("c", (other,))], SCHEME)
    assert ([len(image.faces) for image in kept], others) == ([1, 2], 2)
    with pytest.raises(TufaError, match="the labels are ibug68, mtfl5 has 5 points"):
        faces_of_scheme([AnnotatedImage("c", (other,))], SCHEME)
    with pytest.raises(TufaError, match="no labelled faces found"):
        faces_of_scheme([], SCHEME)
