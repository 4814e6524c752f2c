"""MiSS: inputs that share a shard of the weight are summed, and get one update between them."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.update import Update


class ShardUpdate(Update):
    """W + D D D ... side by side: every `rank`-th column gets the same update, a column of `shard` D [out, rank].

    D starts at zero; the last repetition is cut off where it goes beyond W. Kang and Yin, MiSS: Revisiting the Trade-off in
    LoRA with an Efficient Shard-Sharing Structure, ICLR 2026.
    """

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__(weight)
        self.shard = nn.Parameter(weight.new_zeros(self.rows, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        times = -(-self.columns // self.shard.shape[1])
        return weight + self.shard.repeat(1, times)[:, : self.columns].reshape(weight.shape)
