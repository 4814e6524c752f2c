"""Feature interactions of click-through networks."""

from __future__ import annotations

import torch


def fm_interaction(embeddings: torch.Tensor) -> torch.Tensor:
    """Sum of the inner products of all pairs of fields: [b, F, d] -> [b], in O(F d).

    Half of (square of the sum minus sum of the squares), summed over d (Rendle, Factorization Machines, ICDM 2010,
    section III.B).
    """
    square_of_sum = embeddings.sum(dim=1).square()
    sum_of_squares = embeddings.square().sum(dim=1)
    return 0.5 * (square_of_sum - sum_of_squares).sum(dim=1)
