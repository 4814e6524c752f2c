"""How much of low rank there is in an image and of sparsity in another, whatever the scale of their values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class LowRankness(NamedTuple):
    """Of a matrix: `energy_rank`, the fewest singular values with 99 % of the squared sum; `effective_rank`, exp of the
    entropy of their shares (Roy and Vetterli 2007); and `nuclear`, their sum over the root of their squared sum."""

    energy_rank: int
    effective_rank: float
    nuclear: float


def low_rankness(image: np.ndarray, energy: float = 0.99) -> LowRankness:
    """The measures of a matrix [h, w]; zeros have rank 0. A factor of the image changes nothing."""
    return of_singular_values(np.linalg.svd(image.astype(np.float64), compute_uv=False), energy)


def of_singular_values(values: np.ndarray, energy: float = 0.99) -> LowRankness:
    """The measures of a matrix by its singular values in descending order."""
    if values[0] == 0:
        return LowRankness(0, 0.0, 0.0)
    values = values / values[0]
    squared = np.cumsum(values**2)
    shares = values[values > 0] / values.sum()
    return LowRankness(
        int(np.searchsorted(squared, energy * squared[-1])) + 1,
        float(np.exp(-(shares * np.log(shares)).sum())),
        float(values.sum() / np.sqrt(squared[-1])),
    )


def hoyer_sparsity(image: np.ndarray) -> float:
    """0 where all entries are of one size, 1 where a single one is not zero (Hoyer 2004); 0 for zeros."""
    sizes = np.abs(image.astype(np.float64)).ravel()
    norm = np.linalg.norm(sizes)
    if norm == 0 or sizes.size == 1:
        return 0.0
    root = np.sqrt(sizes.size)
    return float((root - sizes.sum() / norm) / (root - 1))
