"""AdaLoRA's triplets: low-rank updates in the form of singular triplets, of one rank in all layers.

Zhang et al., AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, ICLR 2023, without the schedule that
moves ranks between layers and the penalty on factors that are not orthonormal (see TripletUpdate).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.triplets import TripletUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class AdaLoRA(Attach):
    """Updates (alpha / rank) P diag(values) Q; without `alpha` they count once."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return TripletUpdate(weight, self.rank, (self.alpha or self.rank) / self.rank)
