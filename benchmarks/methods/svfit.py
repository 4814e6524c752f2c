"""SVFit: the leading singular values of each weight train, and nothing else.

Sun et al., SVFit: Parameter-Efficient Fine-Tuning of Large Pre-Trained Models Using Singular Values, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach, pairs_of
from benchmarks.models.lowrank.spectral import TopValuesUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class SVFit(Attach):
    """One number for each of `rank` singular values."""

    rank: Annotated[int, Meta(ge=1)] = 4

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank, whole=True)
        return TopValuesUpdate(weight, pairs_of(weight), self.rank)
