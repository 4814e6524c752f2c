"""FLoRA: the update of each kernel is a Tucker core between factors, one for each dimension of the kernel.

Si et al., Maintaining Structural Integrity in Parameter Spaces for Parameter Efficient Fine-tuning, ICLR 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.tucker import TuckerUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class FLoRA(Attach):
    """A core of `rank` in each dimension, or of the whole dimension where that is smaller; the update counts `scale` times."""

    rank: Annotated[int, Meta(ge=1)] = 4
    scale: Annotated[float, Meta(gt=0)] = 1.0

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return TuckerUpdate(weight, self.rank, self.scale)
