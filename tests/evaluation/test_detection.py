"""Recall, false alarms and average precision, on boxes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tufa_cli.evaluation.detection import (
    SearchedPhoto,
    assign,
    detection_report,
    wilson_interval,
)

SMALL, MIDDLE, LARGE = [0, 0, 20, 30], [100, 0, 50, 60], [200, 0, 120, 90]
NOWHERE = [500, 500, 60, 60]


def photo(truth, finds, confirmed=None):
    boxes = np.array([box for box, _ in finds], float).reshape(-1, 4)
    scores = np.array([score for _, score in finds], float)
    aside = np.zeros(len(finds), bool) if confirmed is None else np.array(confirmed)
    return SearchedPhoto(np.array(truth, float).reshape(-1, 4), boxes, scores, aside, 0.01)


def test_the_surest_find_takes_the_face_and_the_next_is_a_false_alarm():
    boxes = np.array([[0, 0, 20, 28], SMALL, NOWHERE], float)
    owner = assign(np.array([SMALL], float), boxes, np.array([0.5, 0.9, 0.7]), 0.4)
    assert owner.tolist() == [-1, 0, -1]


def test_each_size_has_its_own_figures():
    report = detection_report(
        [
            photo(
                [SMALL, MIDDLE, LARGE], [(MIDDLE, 0.9), (LARGE, 0.8), (NOWHERE, 0.7), (SMALL, 0.2)]
            )
        ],
        "x",
        0.5,
    ).to_dict()
    assert (report["photos"], report["faces"], report["recall"]) == (1, 3, 0.6667)
    assert report["false_alarms_per_photo"] == 1 and report["ms_per_photo"] == 10
    sizes = report["by_size"]
    assert {k: v["recall"] for k, v in sizes.items()} == {"lt48": 0, "48to96": 1, "ge96": 1}
    assert [sizes[k]["false_alarms"] for k in ("lt48", "48to96", "ge96")] == [0, 1, 0]


def test_average_precision_by_hand():
    """Hit, miss, hit of two faces: 1/2 * 1 + 1/2 * 2/3."""
    report = detection_report(
        [photo([SMALL, MIDDLE], [(SMALL, 0.9), (NOWHERE, 0.8), (MIDDLE, 0.7)])], "x", 0.5
    )
    assert report.total.average_precision == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert report.curve[0] == (0.9, 1.0, 0.5) and report.curve[-1][1:] == pytest.approx((2 / 3, 1))


def test_confirmed_finds_without_a_label_are_left_aside_but_not_doubles():
    finds = [(SMALL, 0.9), ([0, 0, 20, 28], 0.8), (NOWHERE, 0.7)]
    report = detection_report([photo([SMALL], finds, [True, True, True])], "x", 0.5)
    assert report.total.false_alarms == 1 and report.left_aside == 1


def test_photos_without_faces_or_finds_and_unreadable_ones():
    none = np.zeros((0, 4))
    broken = SearchedPhoto(none, none, none[:, 0], none[:, 0] > 0, failure="empty")
    report = detection_report([photo([], []), photo([], [(NOWHERE, 0.9)]), broken], "x", 0.5)
    data = report.to_dict()
    assert (data["photos"], data["faces"], data["recall"]) == (2, 0, None)
    assert data["false_alarms_per_photo"] == 0.5 and data["unreadable_photos"] == 1
    assert detection_report([], "x", 0.5).to_dict()["photos"] == 0


def test_wilson_interval():
    low, high = wilson_interval(98, 100)
    assert (low, high) == pytest.approx((0.9300, 0.9945), abs=1e-3)
    assert wilson_interval(5, 5)[1] == 1.0 and wilson_interval(0, 0) is None
