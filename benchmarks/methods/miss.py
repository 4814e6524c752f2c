"""MiSS: columns of each weight share shards of one update.

Kang and Yin, MiSS: Revisiting the Trade-off in LoRA with an Efficient Shard-Sharing Structure, ICLR 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.shards import ShardUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class MiSS(Attach):
    """`rank` numbers for each output, repeated over its inputs."""

    rank: Annotated[int, Meta(ge=1)] = 4

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return ShardUpdate(weight, self.rank)
