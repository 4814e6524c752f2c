"""PiSSA: a low-rank update that starts from the leading singular triplets of the weight itself."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.spectrum import Pairs
from benchmarks.models.lowrank.update import Layer, Update, acts_on_patches, applied, lift, project, tokens


class PrincipalUpdate(Update):
    """W - up_0 down_0 + up down, where up_0 = U_r S_r^(1/2) and down_0 = S_r^(1/2) V_r^T start the trained factors.

    What is frozen is the rest of the spectrum. Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation
    of Large Language Models, NeurIPS 2024.
    """

    up_start: torch.Tensor
    down_start: torch.Tensor

    def __init__(self, weight: torch.Tensor, pairs: Pairs, rank: int) -> None:
        super().__init__(weight)
        root = pairs.s[:rank].sqrt()
        self.register_buffer("up_start", pairs.U[:, :rank] * root)
        self.register_buffer("down_start", root[:, None] * pairs.Vt[:rank])
        self.up = nn.Parameter(self.up_start.clone())
        self.down = nn.Parameter(self.down_start.clone())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.up @ self.down - self.up_start @ self.down_start).view(weight.shape)

    def output(self, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """As for a low-rank update, with twice the factors of which half train."""
        size, thin, n = self.rows * self.columns, len(self.down) * (self.rows + self.columns), tokens(layer, x)
        if not acts_on_patches(layer) or 5 * n * thin > n * size + 4 * len(self.down) * size:
            return None
        answer = applied(layer, weight, x) - lift(layer, project(layer, x, self.down_start), self.up_start)
        return answer + lift(layer, project(layer, x, self.down), self.up)
