"""Curves: what metrics.csv holds is drawn, at the end of a run and of one that is cut off."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tufa_cli.errors import TufaError
from tufa_cli.images.curves import Panel, _even, _ticks, curves_picture
from tufa_cli.images.plots import COLOURS
from tufa_cli.training.loop import train
from tufa_cli.training.metrics import draw_curves, read_metrics


def drawn(picture, colour, tolerance=80):
    """(n, 2) rows and columns of the pixels of a colour."""
    return np.argwhere(np.abs(picture.astype(int) - colour).max(axis=2) <= tolerance)


def test_a_falling_curve_falls_from_edge_to_edge():
    curves = {"one": [(step, 10 * 0.99**step) for step in range(0, 301, 3)], "two": [(0, 5.0)]}
    picture = curves_picture([Panel("loss", curves)])
    plot = drawn(picture[:, :760], COLOURS[0])
    left, right = plot[plot[:, 1].argmin()], plot[plot[:, 1].argmax()]
    assert left[1] < 80
    assert right[1] > 740
    assert right[0] - left[0] > 300
    # An exponential is a straight line on a log scale.
    middle = plot[np.abs(plot[:, 1] - (left[1] + right[1]) / 2) < 2][:, 0].mean()
    assert middle == pytest.approx((left[0] + right[0]) / 2, abs=6)
    assert len(drawn(picture, COLOURS[1])) > 20  # one value alone is a dot, and has its legend


@pytest.mark.parametrize("values", [[], [(1, float("nan"))], [(1, 0.0), (2, -1.0)], [(3, 2.0)]])
def test_odd_curves_are_drawn(values):
    assert curves_picture([Panel("a", {"x": values}), Panel("b", {})]).shape == (840, 1100, 3)


def test_many_curves_have_colours_of_their_own():
    curves = {f"c{i}": [(0, 1.0 + i), (10, 1.0 + i)] for i in range(14)}
    picture = curves_picture([Panel("x", curves)])[:, 100:700]
    column = {tuple(value) for value in picture[:, 311].tolist()} - {(255, 255, 255)}
    assert len(column) >= 14


def test_ticks_are_round_and_inside():
    assert _ticks(0.7, 30) == [1, 2, 5, 10, 20]
    assert _ticks(3.2, 4.1) == [3.2, 3.4, 3.6, 3.8, 4.0]
    assert _even(0, 6000) == [0, 1000, 2000, 3000, 4000, 5000, 6000]


def test_a_run_leaves_its_curves_and_losses_by_scheme(config, tmp_path):
    train(replace(config, steps=6), tmp_path / "run", stop_at=3)
    run = tmp_path / "run"
    assert cv2.imread(str(run / "curves.png")).shape[0] == 420  # not validated yet
    train(replace(config, steps=6), run, resume=True)
    assert cv2.imread(str(run / "curves.png")).shape[0] == 840
    found = read_metrics(run / "metrics.csv")
    whole, parts = found["loss"][-1], [found[f"loss {name}"][-1] for name in ("mtfl5", "cofw29")]
    assert min(parts)[1] < whole[1] < max(parts)[1]
    (run / "curves.png").unlink()
    draw_curves(run)  # from the file alone
    assert (run / "curves.png").exists()
    draw_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()


def test_a_run_that_ends_in_an_error_leaves_its_curves(config, tmp_path, monkeypatch):
    monkeypatch.setattr("tufa_cli.training.loop._TELL_EVERY", 1)
    config = replace(config, steps=6, lr=1e30, warmup=1, grad_clip=1e30, save_every=1)
    with pytest.raises(TufaError, match="not finite"):
        train(config, tmp_path / "run")
    assert (tmp_path / "run" / "curves.png").exists()
