"""Photos to results: order, batches, failures, memory, prompts."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from tufa_cli.detect.base import BoxPlane, Detections
from tufa_cli.errors import TufaError
from tufa_cli.geometry.crop import Window
from tufa_cli.images.drawing import write_picture
from tufa_cli.images.reading import list_photos
from tufa_cli.model.build import build_model
from tufa_cli.model.config import ModelConfig
from tufa_cli.model.predict import Predictor
from tufa_cli.model.weights import Weights
from tufa_cli.pipeline import annotate as module
from tufa_cli.pipeline.annotate import AnnotateOptions, Annotator
from tufa_cli.schemes import builtin_plane, get_scheme
from tufa_cli.schemes.load import parse_scheme

SCHEME = get_scheme("mtfl5")
TINY = ModelConfig(
    input_size=32, width=16, heads=2, ffn=16, channels=(8, 8, 8), blocks=(1, 1, 1), decoder_layers=1
)


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(3)
    return Weights(build_model(TINY), builtin_plane(), {}, {"name": "tiny"})


class Finds:
    """A detector that finds the given boxes, with falling scores, in every photo."""

    name = "finds"
    box_plane = BoxPlane(0.0, 0.0, 1.0, 1.0)
    min_score = 0.5
    min_confidence = 0.0

    def __init__(self, *boxes):
        self.boxes = np.array(boxes, dtype=float).reshape(-1, 4)
        self.names = []

    def detect(self, image, photo=None):
        self.names.append(photo)
        scores = 0.9 - 0.1 * np.arange(len(self.boxes))
        return Detections(self.boxes, scores)


class CropCentre:
    """A predictor that puts all points in the crop's middle; fails on large batches if told to."""

    def __init__(self, fits=1000, error=None):
        self.fits, self.error, self.sizes = fits, error, []

    def predict(self, crops, prompts_plane):
        if len(crops) > self.fits:
            raise self.error or RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        self.sizes.append(len(crops))
        shape = (len(crops), len(prompts_plane))
        return np.full((*shape, 2), 0.5), np.full(shape, 0.25)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Seven photos, one broken."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(7):
        pixels = np.roll(skimage.data.astronaut(), 9 * i, axis=1)
        write_picture(folder / f"sub{i % 2}" / f"{i}.png", pixels)
    broken = folder / "sub1" / "3.png"
    broken.write_bytes(broken.read_bytes()[:5000])
    return list_photos([folder])


def run(photos, detector, predictor, weights, **options):
    annotator = Annotator(detector, predictor, weights, SCHEME, AnnotateOptions(**options))
    return list(annotator.run(photos, photos.root, photos.relative))


BOXES = ([150, 60, 100, 110], [10.5, 300, 60, 60])


def test_results_come_in_order_with_what_is_known_of_each(photos, weights):
    detector = Finds(*BOXES)
    results = run(photos, detector, CropCentre(), weights, batch_size=3)
    assert [result.photo for result in results] == list(photos)
    assert detector.names == [n for n in map(photos.relative, photos) if n != "sub1/3.png"]
    for result in results:
        if photos.relative(result.photo) == "sub1/3.png":
            assert result.image is None
            assert result.failure == "the picture is truncated: the file ends too early"
            continue
        image = result.image
        assert result.failure is None and result.pixels is None
        assert (image.path, image.root) == (photos.relative(result.photo), str(photos.root))
        assert (image.width, image.height) == (512, 512)
        assert [face.score for face in image.faces] == pytest.approx([0.9, 0.8])
        for face, box in zip(image.faces, BOXES, strict=True):
            assert (face.scheme, face.source) == ("mtfl5", "auto")
            np.testing.assert_array_equal(face.box, box)
            np.testing.assert_array_equal(face.confidence, np.full(5, 0.25))
            window, scale = weights.window, np.sqrt(box[2] * box[3])
            middle = window.to_plane([0.5, 0.5]) - 0.5
            expected = np.array(box[:2]) + np.array(box[2:]) / 2 + scale * middle
            np.testing.assert_allclose(face.points_px, np.tile(expected, (5, 1)))


def test_batches_are_filled_over_several_photos(photos, weights):
    predictor = CropCentre()
    run(photos, Finds(*BOXES), predictor, weights, batch_size=4)
    assert predictor.sizes == [4, 4, 4]


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_network_gives_the_same_whatever_the_batch(photos, weights, batch_size):
    predictor = Predictor(weights, "cpu")
    alone = run(photos, Finds(*BOXES), predictor, weights, batch_size=2)
    batched = run(photos, Finds(*BOXES), predictor, weights, batch_size=batch_size)
    for a, b in zip(alone, batched, strict=True):
        for face, other in zip(
            a.image.faces if a.image else (), b.image.faces if b.image else (), strict=True
        ):
            # 1e-4 crop pixels: the crops are about 130 photo pixels wide and 32 pixels of their own
            np.testing.assert_allclose(face.points_px, other.points_px, atol=1e-4)
            np.testing.assert_allclose(face.confidence, other.confidence, atol=1e-4)


def test_a_photo_without_a_face_is_a_result_without_faces(photos, weights):
    results = run(photos, Finds(), CropCentre(), weights)
    assert [result.image.faces for result in results if result.image] == [()] * 6


@pytest.mark.parametrize(
    "options, kept",
    [
        ({"min_score": 0.85}, [0]),
        ({"min_face": 61}, [0]),
        ({"min_face": 60}, [0, 1]),
        ({"largest": True}, [0]),
        ({"min_score": 0.95}, []),
    ],
)
def test_options_choose_among_the_faces(photos, weights, options, kept):
    result = run(photos, Finds(*BOXES), CropCentre(), weights, **options)[0]
    assert [face.box.tolist() for face in result.image.faces] == [BOXES[i] for i in kept]


def test_the_largest_is_by_size_and_not_by_score(photos, weights):
    result = run(photos, Finds(*BOXES[::-1]), CropCentre(), weights, largest=True)[0]
    assert [face.score for face in result.image.faces] == pytest.approx([0.8])


def test_a_find_that_the_network_does_not_believe_in_is_a_false_alarm(photos, weights):
    class Doubts(CropCentre):
        def predict(self, crops, prompts_plane):
            points, confidence = super().predict(crops, prompts_plane)
            confidence[::2] = 0.75  # the first of every two, in batches of even size
            return points, confidence

    def scores(detector, **options):
        results = run(photos, detector, Doubts(), weights, batch_size=4, **options)
        return {tuple(np.round([f.score for f in r.image.faces], 1)) for r in results if r.image}

    assert scores(Finds(*BOXES)) == {(0.9, 0.8)}
    assert scores(Finds(*BOXES), min_confidence=0.3) == {(0.9,)}
    assert scores(Finds(*BOXES), min_confidence=0.8) == {()}
    # The believed face is the smaller one; --largest chooses among those that are left.
    assert scores(Finds(*BOXES[::-1]), min_confidence=0.3, largest=True) == {(0.9,)}
    doubtful = Finds(*BOXES)
    doubtful.min_confidence = 0.3
    assert scores(doubtful) == {(0.9,)}
    assert scores(doubtful, min_confidence=0) == {(0.9, 0.8)}


def test_the_detector_says_which_score_is_enough(photos, weights):
    strict = Finds(*BOXES)
    strict.min_score = 0.85
    assert len(run(photos, strict, CropCentre(), weights)[0].image.faces) == 1
    assert len(run(photos, strict, CropCentre(), weights, min_score=0)[0].image.faces) == 2


def test_boxes_without_an_area_are_no_faces(photos, weights):
    odd = ([0, 0, 0, 5], [0, 0, np.nan, 5], [3, 3, -4, 4])
    results = run(photos, Finds(*odd), CropCentre(), weights, min_score=0)
    assert all(not result.image.faces for result in results if result.image)


def test_points_outside_the_photo_stay_outside(photos, weights):
    result = run(photos, Finds([-300, -300, 100, 100]), CropCentre(), weights)[0]
    assert (result.image.faces[0].points_px < -200).all()


def test_pixels_are_kept_on_request(photos, weights, astronaut):
    results = run(photos, Finds(*BOXES), CropCentre(), weights, keep_pixels=True)
    np.testing.assert_array_equal(results[0].pixels, astronaut)


@pytest.mark.parametrize("error", [None, MemoryError()], ids=["torch", "numpy"])
def test_a_batch_that_does_not_fit_is_halved(photos, weights, error):
    predictor = CropCentre(fits=3, error=error)
    results = run(photos, Finds(*BOXES), predictor, weights, batch_size=12)
    assert max(predictor.sizes) == 3 and sum(predictor.sizes) == 12
    assert [len(result.image.faces) for result in results if result.image] == [2] * 6


def test_no_memory_for_one_face_is_an_error_with_a_hint(photos, weights):
    with pytest.raises(TufaError, match="not enough memory for a single face") as caught:
        run(photos, Finds(*BOXES), CropCentre(fits=0), weights)
    assert "--device cpu" in caught.value.hint


def test_other_errors_of_the_network_are_not_swallowed(photos, weights):
    with pytest.raises(RuntimeError, match="shapes"):
        run(photos, Finds(*BOXES), CropCentre(0, RuntimeError("shapes do not fit")), weights)


@pytest.mark.parametrize("error", [MemoryError(), cv2.error("bad size")], ids=["memory", "opencv"])
def test_a_photo_that_the_detector_cannot_take_is_a_failure(photos, weights, error):
    class Fails(Finds):
        def detect(self, image, photo=None):
            if photo == "sub0/2.png":
                raise error
            return super().detect(image, photo)

    results = run(photos, Fails(*BOXES), CropCentre(), weights)
    failed = [photos.relative(result.photo) for result in results if result.failure]
    assert failed == ["sub0/2.png", "sub1/3.png"]


def test_names_that_cannot_be_written_are_failures(tmp_path, weights, astronaut):
    for name in ("line\nbreak.png", "latin\udce9.png", "good.png"):
        write_picture(tmp_path / name, astronaut)
    results = run(list_photos([tmp_path]), Finds(*BOXES), CropCentre(), weights)
    failures = {result.photo.name: result.failure for result in results}
    assert failures.pop("good.png") is None
    assert list(failures.values()) == ["a name that cannot be written: rename the file"] * 2


def test_photos_do_not_pile_up_in_memory(photos, weights, monkeypatch):
    """Photos without a face never fill a batch; their pixels are let go all the same."""
    monkeypatch.setattr(module, "_MOST_BYTES", 2 * 512 * 512 * 3)
    options = AnnotateOptions(keep_pixels=True)
    annotator = Annotator(Finds(), CropCentre(), weights, SCHEME, options)
    read = []

    def name_of(photo):
        read.append(photo)
        return photos.relative(photo)

    results = annotator.run(photos, photos.root, name_of)
    next(results)
    assert len(read) == 2


def test_a_scheme_nobody_trained_is_placed_by_meaning(weights, own_scheme):
    scheme = parse_scheme(own_scheme, "mine.yaml")
    prompts = Annotator(Finds(), CropCentre(), weights, scheme).query.prompts_plane
    assert prompts.shape == (4, 2)
    np.testing.assert_allclose(prompts[:3], builtin_plane()["wflw98"][[8, 16, 24]], atol=0.05)


def test_a_scheme_without_a_place_on_the_plane_is_an_error(weights, own_scheme):
    text = own_scheme.replace("{part: nose_tip}", "{part: left_ear}\n  - {part: right_ear}")
    plane = replace(weights.plane, anchors={"wflw98": builtin_plane()["wflw98"]})
    with pytest.raises(TufaError, match="no place for left_ear"):
        Annotator(
            Finds(), CropCentre(), replace(weights, plane=plane), parse_scheme(text, "mine.yaml")
        )


def test_the_window_of_the_weights_decides_the_crop(photos, weights):
    wide = replace(weights.plane, window=Window(-0.5, -0.5, 2.0))
    other = replace(weights, plane=wide)
    image = run(photos, Finds([100, 100, 50, 50]), CropCentre(), other)[0].image
    np.testing.assert_allclose(image.faces[0].points_px, np.full((5, 2), 125.0))
