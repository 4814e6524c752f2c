"""LoHa and LoKr: updates of a higher rank than their factors, by the Hadamard and by the Kronecker product."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks.models.lowrank.update import Update


class HadamardUpdate(Update):
    """W + scale (up_1 down_1) * (up_2 down_2), entry by entry: up to rank^2 with the numbers of two low-rank updates.

    All are drawn as torch draws linear layers, but for `up_2` [out, rank], which is zero. Hyeon-Woo, Ye-Bin and Oh, FedPara:
    Low-Rank Hadamard Product for Communication-Efficient Federated Learning, ICLR 2022; as an adapter in Yeh et al. (LyCORIS).
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight)
        self.scale = scale
        self.up_1 = nn.Parameter(weight.new_empty(self.rows, rank))
        self.down_1 = nn.Parameter(weight.new_empty(rank, self.columns))
        self.up_2 = nn.Parameter(weight.new_zeros(self.rows, rank))
        self.down_2 = nn.Parameter(weight.new_empty(rank, self.columns))
        for factor in (self.up_1, self.down_1, self.down_2):
            nn.init.kaiming_uniform_(factor, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        product = (self.up_1 @ self.down_1) * (self.up_2 @ self.down_2)
        return weight + (self.scale * product).view(weight.shape)


class KroneckerUpdate(Update):
    """W + scale C (x) (up down), where the sizes of C [o_1, i_1] times those of the other factor [o_2, i_2] are those of W.

    Each number of channels is split into two as equal as may be, the larger one on the right, where a kernel's places stay
    too. `up` [o_2, rank] is zero; where one whole matrix `block` [o_2, i_2 * kernel] has no more numbers than `up` and `down`,
    it takes their place. Yeh et al., Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation,
    ICLR 2024.
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight)
        self.scale = scale
        (o_1, o_2), (i_1, i_2) = (near_square(size) for size in weight.shape[:2])
        columns = i_2 * math.prod(weight.shape[2:])
        self.C = nn.Parameter(weight.new_empty(o_1, i_1))
        nn.init.kaiming_uniform_(self.C, a=math.sqrt(5))
        self.whole = rank * (o_2 + columns) >= o_2 * columns
        if self.whole:
            self.block = nn.Parameter(weight.new_zeros(o_2, columns))
        else:
            self.up = nn.Parameter(weight.new_zeros(o_2, rank))
            self.down = nn.Parameter(weight.new_empty(rank, columns))
            nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        block = self.block if self.whole else self.up @ self.down
        return weight + (self.scale * torch.kron(self.C, block)).view(weight.shape)


def near_square(size: int) -> tuple[int, int]:
    """The two factors of a number that lie closest together, the smaller one first."""
    small = next(factor for factor in range(math.isqrt(size), 0, -1) if size % factor == 0)
    return small, size // small
