"""DoRA: the direction of each output's weights gets a low-rank update, its magnitude a number of its own."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.update import LowRankUpdate


class MagnitudeUpdate(LowRankUpdate):
    """`magnitude` * V / |V| with V = W + scale up down, where |V| is the norm of each row and passes no gradient.

    `magnitude` [out] starts as the norms of W. A row of zeros has no direction and keeps what it is updated to.
    Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024 (the norm detached as in section 4.3).
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight, rank, scale)
        self.magnitude = nn.Parameter(_norms(weight.flatten(1)))
        self.register_buffer("flat", weight.flatten(1).norm(dim=1) == 0, persistent=False)

    flat: torch.Tensor

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        V = super().forward(weight)
        norms = _norms(V.detach().flatten(1))
        # As soon as a row of zeros is updated at all, its norm would make an update of any size one of size 1.
        ratio = self.magnitude / torch.where(self.flat, torch.ones_like(norms), norms)
        return V * ratio.view(-1, *[1] * (weight.ndim - 1))

    def output(self, layer: nn.Module, weight: torch.Tensor, x: torch.Tensor) -> None:
        """The norms need the whole weight in any case."""
        return

    def parts(self) -> None:
        """The file knows no norms."""
        return


def _norms(matrix: torch.Tensor) -> torch.Tensor:
    """Of each row; 1 for rows of zeros."""
    norms = matrix.norm(dim=1)
    return torch.where(norms > 0, norms, torch.ones_like(norms))
