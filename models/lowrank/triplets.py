"""AdaLoRA: a low-rank update in the form of singular triplets."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.update import FactoredUpdate

STD = 0.02


class TripletUpdate(FactoredUpdate):
    """W + scale P diag(values) Q, with `up` P [out, rank] and `down` Q [rank, in * kernel] drawn and `values` [rank] zero.

    Zhang et al., AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, ICLR 2023. Of the paper this is the
    parametrisation. Its schedule, which takes triplets of little importance from some layers during training, and its penalty
    on factors that are not orthonormal need gradients of all layers between the steps and a term of the loss: they are not here.
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight, rank)
        self.scale = scale
        self.up = nn.Parameter(weight.new_empty(self.rows, rank))
        self.down = nn.Parameter(weight.new_empty(rank, self.columns))
        self.values = nn.Parameter(weight.new_zeros(rank))
        nn.init.normal_(self.up, std=STD)
        nn.init.normal_(self.down, std=STD)

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.scale * self.up * self.values, self.down
