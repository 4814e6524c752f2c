"""LoLDU: the diagonal of an LU factorisation trains between its frozen triangular factors."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.factors import as_float64
from benchmarks.models.lowrank.update import Update


class TriangularUpdate(Update):
    """W + P L_r (scale diag(diagonal) - D_r) U_r, where W = P L D U with a unit lower L and a unit upper U.

    The first `rank` pivots [r] and one scale train; L_r are columns, U_r rows. The factors are saved with the update, because
    other libraries may break ties between pivots otherwise. Shi et al., LoLDU: Low-Rank Adaptation via Lower-Diag-Upper
    Decomposition for Parameter-Efficient Fine-Tuning, 2024.
    """

    lower: torch.Tensor
    pivots: torch.Tensor
    upper: torch.Tensor

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__(weight)
        P, L, U = torch.linalg.lu(as_float64(weight).flatten(1))
        D = U.diagonal()
        # A zero on the diagonal cannot be drawn out of its row; 1 in its place leaves the product as it is.
        D = torch.where(D == 0, torch.ones_like(D), D)
        self.register_buffer("lower", (P @ L[:, :rank]).to(weight))
        self.register_buffer("pivots", D[:rank].to(weight))
        self.register_buffer("upper", (U[:rank] / D[:rank, None]).to(weight))
        self.diagonal = nn.Parameter(self.pivots.clone())
        self.scale = nn.Parameter(weight.new_ones(1))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + ((self.lower * (self.scale * self.diagonal - self.pivots)) @ self.upper).view(weight.shape)
