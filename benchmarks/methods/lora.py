"""LoRA: low-rank updates of linear layers and convolutions are trained, the weights themselves stay as they are.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022. A convolution is the linear layer that it is on
patches, so that `rank` is the rank of its update as such a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.update import LowRankUpdate, Update, require_rank


@dataclass(frozen=True)
class LoRA(Attach):
    """Updates (alpha / rank) up down; without `alpha` they count once."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return LowRankUpdate(weight, self.rank, (self.alpha or self.rank) / self.rank)
