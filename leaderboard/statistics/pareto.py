"""Which rows are worth having: the Pareto front of cost against quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pareto_front(
    costs: Sequence[float | None] | np.ndarray, qualities: Sequence[float | None] | np.ndarray
) -> np.ndarray:
    """Marks the rows that no other row dominates: bool [n], in O(n log n).

    A row is dominated by one that costs no more and is no worse, and better in one of the two; equal rows stay
    together. Less cost and more quality are better: negate a quality that is to be small. A row where either is None,
    NaN or infinite neither stands on the front nor dominates.
    """
    cost, quality = np.asarray(costs, dtype=np.float64), np.asarray(qualities, dtype=np.float64)
    if cost.shape != quality.shape or cost.ndim != 1:
        raise ValueError(f"{cost.shape} costs do not fit {quality.shape} qualities: one of each a row.")
    known = np.isfinite(cost) & np.isfinite(quality)
    front = np.zeros(cost.shape, dtype=bool)
    levels, level_of_row = np.unique(cost[known], return_inverse=True)
    best = np.full(len(levels), -np.inf)
    np.maximum.at(best, level_of_row, quality[known])
    best_of_cheaper = np.concatenate(([-np.inf], np.maximum.accumulate(best)))[: len(levels)]
    front[known] = (quality[known] == best[level_of_row]) & (quality[known] > best_of_cheaper[level_of_row])
    return front
