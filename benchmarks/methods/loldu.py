"""LoLDU: pivots of an LU factorisation of each weight train between its frozen triangular factors.

Shi et al., LoLDU: Low-Rank Adaptation via Lower-Diag-Upper Decomposition for Parameter-Efficient Fine-Tuning, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.triangular import TriangularUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class LoLDU(Attach):
    """`rank` pivots and one scale a layer."""

    rank: Annotated[int, Meta(ge=1)] = 4

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank, whole=True)
        return TriangularUpdate(weight, self.rank)
