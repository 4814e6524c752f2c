"""DoRA: a low-rank update gives the direction of each output's weights, a trained number its magnitude.

Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.magnitude import MagnitudeUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class DoRA(Attach):
    """Updates (alpha / rank) up down of the direction; without `alpha` they count once."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return MagnitudeUpdate(weight, self.rank, (self.alpha or self.rank) / self.rank)
