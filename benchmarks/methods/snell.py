"""SNELL: updates are sparse, and made of distances between points of outputs and points of inputs.

Shen et al., Expanding Sparse Tuning for Low Memory Usage, NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.kernelised import KernelUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class SNELL(Attach):
    """Two points of `rank` dimensions for each output and input; the share `sparsity` of the entries is zero."""

    rank: Annotated[int, Meta(ge=1)] = 4
    sparsity: Annotated[float, Meta(ge=0, lt=1)] = 0.9
    scale: Annotated[float, Meta(gt=0)] = 0.1

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return KernelUpdate(weight, self.rank, self.sparsity, self.scale)
