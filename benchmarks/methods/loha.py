"""LoHa: updates are Hadamard products of two low-rank matrices.

Hyeon-Woo, Ye-Bin and Oh, FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning, ICLR 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.products import HadamardUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class LoHa(Attach):
    """Products of two matrices of `rank`, so that their own rank is up to its square; they count alpha / rank times, or once."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return HadamardUpdate(weight, self.rank, (self.alpha or self.rank) / self.rank)
