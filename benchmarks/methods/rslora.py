"""rsLoRA: LoRA whose updates count alpha / sqrt(rank) times, so that a larger rank does not learn more slowly.

Kalajdzievski, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA, 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.update import LowRankUpdate, Update, require_rank


@dataclass(frozen=True)
class RankStabilisedLoRA(Attach):
    """Updates (alpha / sqrt(rank)) up down, with one alpha for all ranks."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] = 2.0

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return LowRankUpdate(weight, self.rank, self.alpha / math.sqrt(self.rank))
