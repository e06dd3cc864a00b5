"""Which of these belongs to which of those: pairs of smallest total distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment


def pairs_within(cost: ArrayLike, limit: float) -> list[tuple[int, int]]:
    """As many pairs (row, column) of cost at most ``limit`` as fit, of smallest total cost.

    cost: (N, M), not negative; NaN never pairs. No row or column is in two pairs.
    """
    costs: NDArray[np.float64] = np.asarray(cost, dtype=np.float64)
    if not costs.size:
        return []
    near = costs <= limit
    # Beyond the limit all pairs are equally wrong, and worse than any number of right ones.
    beyond = 2 * max(limit, 1e-9) * min(costs.shape) + 1
    rows, columns = linear_sum_assignment(np.where(near, costs, beyond))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if near[r, c]]
