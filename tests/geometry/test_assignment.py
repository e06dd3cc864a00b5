"""Pairs of smallest total cost, none beyond the limit."""

from itertools import permutations

import numpy as np
import pytest

from tufa_cli.geometry.assignment import pairs_within

NAN = np.nan


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ([[1, 2], [2, 9]], [(0, 1), (1, 0)]),
        ([[1, 2], [2, 2.5]], [(0, 0), (1, 1)]),
        ([[1, 5], [1.5, 9]], [(0, 0)]),
        ([[NAN, 1], [NAN, NAN]], [(0, 1)]),
        ([[3, 3]], [(0, 0)]),  # at the limit
        ([[3.1]], []),
        ([[0, 3], [3, 4]], [(0, 1), (1, 0)]),  # two pairs rather than the one that costs nothing
        (np.zeros((0, 3)), []),
        (np.zeros((3, 0)), []),
    ],
)
def test_pairs_within_a_limit_of_three(cost, expected):
    assert pairs_within(cost, 3) == expected


def test_many_against_brute_force():
    for seed in range(30):
        cost = np.random.default_rng(seed).uniform(0, 1, (4, 5))
        pairs = pairs_within(cost, 1)
        best = min(sum(cost[range(4), p]) for p in map(list, permutations(range(5), 4)))
        assert sum(cost[pair] for pair in pairs) == pytest.approx(best)
