"""OLoRA: a low-rank update starts from the first columns and rows of a QR factorisation of each weight.

Büyükakyüz, OLoRA: Orthonormal Low-Rank Adaptation of Large Language Models, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.principal import OrthonormalUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class OLoRA(Attach):
    """Factors of `rank` columns of Q and rows of R train; they count once."""

    rank: Annotated[int, Meta(ge=1)] = 4

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return OrthonormalUpdate(weight, self.rank)
