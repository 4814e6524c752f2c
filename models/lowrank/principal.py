"""PiSSA and OLoRA: a low-rank update that starts from a part of the weight itself."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.factors import as_float64
from benchmarks.models.lowrank.spectrum import Pairs
from benchmarks.models.lowrank.update import Layer, Update, acts_on_patches, applied, lift, project, tokens


class SplitUpdate(Update):
    """W - up_0 down_0 + up down, where the trained factors start as up_0 [out, r] and down_0 [r, in * kernel].

    What is frozen is the rest of the weight. The start is saved with the update, because other libraries may find it otherwise.
    """

    up_start: torch.Tensor
    down_start: torch.Tensor

    def __init__(self, weight: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> None:
        super().__init__(weight)
        self.register_buffer("up_start", up)
        self.register_buffer("down_start", down)
        self.up = nn.Parameter(up.clone())
        self.down = nn.Parameter(down.clone())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.up @ self.down - self.up_start @ self.down_start).view(weight.shape)

    def output(self, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """As for a low-rank update, with twice the factors of which half train."""
        size, thin, n = self.rows * self.columns, len(self.down) * (self.rows + self.columns), tokens(layer, x)
        if not acts_on_patches(layer) or 5 * n * thin > n * size + 4 * len(self.down) * size:
            return None
        answer = applied(layer, weight, x) - lift(layer, project(layer, x, self.down_start), self.up_start)
        return answer + lift(layer, project(layer, x, self.down), self.up)


class PrincipalUpdate(SplitUpdate):
    """up_0 = U_r S_r^(1/2) and down_0 = S_r^(1/2) V_r^T of the leading singular triplets; the rest of the spectrum stays.

    Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language Models, NeurIPS 2024.
    """

    def __init__(self, weight: torch.Tensor, pairs: Pairs, rank: int) -> None:
        root = pairs.s[:rank].sqrt()
        super().__init__(weight, pairs.U[:, :rank] * root, root[:, None] * pairs.Vt[:rank])


class OrthonormalUpdate(SplitUpdate):
    """up_0 and down_0 are the first columns of Q and rows of R, W = Q R with orthonormal columns of Q.

    Büyükakyüz, OLoRA: Orthonormal Low-Rank Adaptation of Large Language Models, 2024.
    """

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        Q, R = torch.linalg.qr(as_float64(weight).flatten(1))
        super().__init__(weight, Q[:, :rank].to(weight).contiguous(), R[:rank].to(weight).contiguous())
