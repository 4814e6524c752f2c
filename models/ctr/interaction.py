"""Feature interactions of click-through networks."""

from __future__ import annotations

import torch


def bi_interaction(embeddings: torch.Tensor) -> torch.Tensor:
    """Sum of the element-wise products of all pairs of fields: [b, F, d] -> [b, d], in O(F d).

    Half of (square of the sum minus sum of the squares) (He and Chua, Neural Factorization Machines, SIGIR 2017,
    section 3.1).
    """
    return 0.5 * (embeddings.sum(dim=1).square() - embeddings.square().sum(dim=1))


def fm_interaction(embeddings: torch.Tensor) -> torch.Tensor:
    """Sum of the inner products of all pairs of fields: [b, F, d] -> [b], in O(F d).

    Rendle, Factorization Machines, ICDM 2010, section III.B.
    """
    return bi_interaction(embeddings).sum(dim=1)
