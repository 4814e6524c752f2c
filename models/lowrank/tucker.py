"""FLoRA: the update of a kernel is a small Tucker core between factors, one for each of the kernel's dimensions."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks.models.lowrank.update import Update


class TuckerUpdate(Update):
    """W + scale G x_1 A_1 x_2 A_2 ..., with as many factors as W has dimensions (2 of a linear layer, 4 of a convolution).

    Factors [n_d, min(rank, n_d)] are drawn as torch draws linear layers, the core G is zero, so that an update that was not
    trained changes nothing. Si et al., Maintaining Structural Integrity in Parameter Spaces for Parameter Efficient
    Fine-tuning (FLoRA), ICLR 2025.
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight)
        self.scale = scale
        ranks = [min(rank, size) for size in weight.shape]
        self.core = nn.Parameter(weight.new_zeros(ranks))
        self.factors = nn.ParameterList(weight.new_empty(n, r) for n, r in zip(weight.shape, ranks, strict=True))
        for factor in self.factors:
            nn.init.kaiming_uniform_(factor, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        update = self.core
        for factor in self.factors:
            # The leading dimension is multiplied and moves to the end; after all of them the order is that of W again.
            update = torch.tensordot(update, factor, dims=([0], [1]))
        return weight + self.scale * update
