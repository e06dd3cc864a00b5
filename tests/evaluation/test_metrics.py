"""The measures against numbers worked out by hand and against independent ways of computing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tufa_cli.evaluation import metrics
from tufa_cli.schemes import Scheme
from tufa_cli.schemes.parts import Meaning
from tufa_cli.schemes.plane import FACE_BOX_SIDE

NAN, INF = np.nan, np.inf


def scheme_of(count, normaliser):
    """A scheme that only counts points: what they mean does not matter to the measures."""
    return Scheme(
        name="test",
        title="test",
        source="made up",
        meanings=tuple(Meaning("left_eye_outer", i / 100) for i in range(count)),
        names=tuple(map(str, range(count))),
        flip=tuple(range(count)),
        skeleton=(),
        normaliser=normaliser,
    )


PAIR = scheme_of(3, (0, 1))
BOX = scheme_of(3, None)
LABELS = np.array([[0.0, 0], [30, 40], [10, 0]])  # the pair is 50 px apart
PLANE = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]])

FOUR = scheme_of(4, (0, 1))
FOUR_PLANE = np.vstack([PLANE, [0.5, 0.1]])
THREE_OF_FOUR = np.vstack([LABELS, [NAN, NAN]])
FOUR_FOUND = np.vstack([np.add(LABELS, (2.5, 0)), [1000, 1000]])


def errors_of(scheme, labels, predicted):
    return metrics.face_errors(scheme, PLANE, labels, predicted)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ([[0, 0], [0, 0], [0, 0]], 0.0),
        ([[5, 0], [0, 5], [3, 4]], 0.1),  # 5 px each of 50 px
        ([[0, 0], [0, 0], [0, 15]], 0.1),  # 15 px on one of three points
    ],
)
def test_nme_of_a_face_by_hand(shift, expected):
    errors = errors_of(PAIR, [LABELS], [LABELS + shift])
    assert errors.nme == pytest.approx([expected])


def test_points_without_a_label_are_left_out_of_the_mean():
    errors = metrics.face_errors(FOUR, FOUR_PLANE, [THREE_OF_FOUR], [FOUR_FOUND])
    assert errors.nme == pytest.approx([0.05])
    assert np.isnan(errors.points[0, 3])


@pytest.mark.parametrize("gone", [0, 1])
def test_a_face_whose_pair_is_not_labelled_is_skipped_and_counted(gone):
    without = LABELS.copy()
    without[gone] = NAN
    errors = errors_of(PAIR, [without, LABELS], [LABELS, LABELS + 1])
    assert (len(errors.nme), errors.skipped, errors.rows.tolist()) == (1, 1, [1])


def test_a_pair_on_one_spot_is_skipped_rather_than_divided_by_zero():
    labels = LABELS.copy()
    labels[1] = labels[0]
    assert errors_of(PAIR, [labels], [LABELS]).skipped == 1


def test_a_missed_face_fails_but_is_not_in_the_mean():
    errors = errors_of(PAIR, [LABELS, LABELS], [None, np.add(LABELS, [[5, 0], [0, 0], [0, 0]])])
    assert errors.missed.tolist() == [True, False]
    assert metrics.mean_nme(errors.nme) == pytest.approx(0.1 / 3)
    assert metrics.failure_rate(errors.nme) == 0.5
    assert metrics.auc(errors.nme) == pytest.approx((1 - 1 / 3) / 2)


def test_a_prediction_that_is_not_a_place_counts_as_missed():
    predicted = LABELS.copy()
    predicted[2] = NAN
    assert errors_of(PAIR, [LABELS], [predicted]).missed.tolist() == [True]
    found = FOUR_FOUND.copy()
    found[3] = NAN  # nobody asks for that point
    errors = metrics.face_errors(FOUR, FOUR_PLANE, [THREE_OF_FOUR], [found])
    assert errors.missed.tolist() == [False]


def test_the_box_normaliser_is_the_side_of_the_planes_face_box_on_the_photo():
    labels = PLANE * 240 + (17, -5)
    assert metrics.normaliser_distance(BOX, PLANE, labels) == pytest.approx(240 * FACE_BOX_SIDE)
    errors = errors_of(BOX, [labels], [np.add(labels, [20, 0])])
    assert errors.nme == pytest.approx([0.1])  # 20 px of 240 / 1.2 px


@pytest.mark.parametrize("labels", [np.full((3, 2), NAN), -PLANE * 100])
def test_labels_that_fix_no_box_are_skipped(labels):
    assert np.isnan(metrics.normaliser_distance(BOX, PLANE, labels))


@pytest.mark.parametrize("scheme", [PAIR, BOX])
def test_two_labelled_points_are_too_few_for_a_crop_and_skipped(scheme):
    labels = np.array([[0.0, 0], [30, 40], [NAN, NAN]])
    assert errors_of(scheme, [labels], [LABELS]).skipped == 1


def test_no_faces_give_no_figures():
    errors = errors_of(PAIR, [], [])
    assert errors.points.shape == (0, 3)
    assert metrics.mean_nme(errors.nme) is None
    assert metrics.failure_rate(errors.nme) is None
    assert metrics.auc(errors.nme) is None
    assert metrics.bootstrap_interval(errors.nme) is None


@pytest.mark.parametrize(
    ("nme", "rate", "area"),
    [
        ([0.0], 0.0, 1.0),
        ([0.1], 0.0, 0.0),  # exactly at the threshold is not a failure
        ([0.1001], 1.0, 0.0),
        ([INF], 1.0, 0.0),
        ([0.02, 0.05, 0.2, INF], 0.5, (0.8 + 0.5) / 4),
    ],
)
def test_failure_rate_and_auc_by_hand(nme, rate, area):
    assert metrics.failure_rate(nme) == pytest.approx(rate)
    assert metrics.auc(nme) == pytest.approx(area)


def test_ced_is_a_step_function_over_all_faces():
    x, y = metrics.ced([0.05, 0.02, 0.05, INF])
    assert x.tolist() == [0.02, 0.05]
    assert y.tolist() == [0.25, 0.75]


NMES = arrays(
    np.float64, st.integers(1, 30), elements=st.one_of(st.floats(0, 0.3), st.just(float("inf")))
)


@given(NMES)
def test_auc_equals_a_numeric_integral_of_the_ced(nme):
    x, y = metrics.ced(nme)
    grid = (np.arange(20000) + 0.5) * 0.1 / 20000
    steps = np.concatenate([[0.0], y])[np.searchsorted(x, grid, side="right")]
    assert metrics.auc(nme) == pytest.approx(steps.mean(), abs=1e-4)


POINTS = arrays(np.float64, (4, 3, 2), elements=st.floats(-50, 50))


@given(POINTS, st.floats(0.1, 20), st.permutations([0, 1, 2]))
def test_measures_do_not_change_with_scale_shift_or_the_order_of_points(steps, scale, order):
    labels = [LABELS] * 4
    predicted = list(LABELS + steps)
    plain = errors_of(PAIR, labels, predicted).nme
    moved = errors_of(
        PAIR, [p * scale + (7, -9) for p in labels], [p * scale + (7, -9) for p in predicted]
    ).nme
    assert moved == pytest.approx(plain, rel=1e-6, abs=1e-9)
    pair = (order.index(0), order.index(1))
    shuffled = metrics.face_errors(
        scheme_of(3, pair), PLANE[order], [p[order] for p in labels], [p[order] for p in predicted]
    ).nme
    assert shuffled == pytest.approx(plain, rel=1e-9)


def test_the_bootstrap_interval_covers_what_the_central_limit_says_and_repeats():
    nme = np.random.default_rng(1).gamma(4, 0.01, 400)
    low, high = metrics.bootstrap_interval(nme, seed=3)
    half = 1.96 * nme.std() / np.sqrt(len(nme))
    assert low == pytest.approx(nme.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(nme.mean() + half, abs=0.1 * half)
    assert metrics.bootstrap_interval(nme, seed=3) == (low, high)
    assert metrics.bootstrap_interval(np.append(nme, INF), seed=3) == (low, high)


FACE = np.array([[0.0, 0], [100, 0], [50, 100]])


@pytest.mark.parametrize(
    ("labels", "predicted", "expected"),
    [
        ([0, 300], [300, 0], [1, 0]),
        ([0, 300], [301], [None, 0]),
        ([0, 300], [], [None, None]),
        ([0], [300], [None]),  # far away is another face
        ([0], [49], [0]),
        ([0], [51], [None]),  # half a side apart on average is the limit
        ([0, 30], [28, 45], [0, 1]),  # greedy would give 28 to the second and miss the first
        ([0, 1], [0, 900], [0, None]),  # one prediction never serves two faces
        ([], [0], []),
    ],
)
def test_matching_by_shift_of_a_face_100_px_wide(labels, predicted, expected):
    def faces(shifts):
        return np.array([np.add(FACE, (shift, 0)) for shift in shifts]).reshape(-1, 3, 2)

    got = metrics.match_faces(faces(labels), faces(predicted), np.full(len(labels), 100.0))
    assert got == expected


def test_matching_leaves_unlabelled_points_out_and_knows_faces_without_a_size():
    labels = np.array([FACE, FACE + 500])
    labels[0, 1] = NAN
    predicted = np.array([FACE + 501, FACE + 1])
    predicted[1, 1] = 9999
    assert metrics.match_faces(labels, predicted, [NAN, 100]) == [1, 0]


def test_matching_by_brute_force():
    from itertools import permutations

    rng = np.random.default_rng(0)
    for _ in range(50):
        labels = FACE + rng.normal(0, 15, (4, 1, 2))
        predicted = FACE + rng.normal(0, 15, (4, 1, 2))
        cost = np.linalg.norm(labels[:, None] - predicted[None], axis=-1).mean(-1)
        if cost.max() > 50:
            continue
        best = min(permutations(range(4)), key=lambda p: sum(cost[range(4), p]))
        assert metrics.match_faces(labels, predicted, np.full(4, 100.0)) == list(best)
