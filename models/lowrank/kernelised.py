"""SNELL: entries of the update are differences of distances, of which the large ones count."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.update import Update, at_least_single


class KernelUpdate(Update):
    """W + those of the entries K_ij = scale (|b_i - a_j| - |b'_i - a'_j|) that are among the largest.

    Points of outputs `b` [2, out, rank] and of inputs `a` [2, in * kernel, rank] train; of the entries the share `sparsity`
    with the smallest magnitudes is zero, anew in every step. Unlike in the paper both halves start alike, so that K is zero
    and training starts from the base. Shen et al., Expanding Sparse Tuning for Low Memory Usage (SNELL), NeurIPS 2024, whose
    rank is twice the one here; the official code also multiplies each entry by its own magnitude.
    """

    def __init__(self, weight: torch.Tensor, rank: int, sparsity: float, scale: float) -> None:
        super().__init__(weight)
        self.scale = scale
        self.survivors = max(1, round((1 - sparsity) * weight.numel()))
        self.outputs = nn.Parameter(_points(weight, self.rows, rank))
        self.inputs = nn.Parameter(_points(weight, self.columns, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        first, second = torch.cdist(at_least_single(self.outputs), at_least_single(self.inputs))
        entries = self.scale * (first - second)
        size = entries.detach().abs()
        least = size.flatten().topk(self.survivors, sorted=False).values.min()
        return weight + torch.where(size >= least, entries, 0).to(weight.dtype).view(weight.shape)


def _points(weight: torch.Tensor, n: int, rank: int) -> torch.Tensor:
    """Two equal sets of n points, as small as the official ones."""
    bound = (n * rank) ** -0.5
    return weight.new_empty(n, rank).uniform_(-bound, bound).repeat(2, 1, 1)
