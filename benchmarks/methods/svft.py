"""SVFT: a sparse matrix is added to the singular values of each weight, between its frozen singular vectors.

Lingam et al., SVFT: Parameter-Efficient Fine-Tuning with Singular Vectors, NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach, pairs_of
from benchmarks.models.lowrank.spectral import BandUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class SVFT(Attach):
    """The diagonal and `band` diagonals on each side of it; 0 is the paper's plain form."""

    band: Annotated[int, Meta(ge=0)] = 2

    def update(self, name: str, weight: Tensor) -> Update:
        return BandUpdate(weight, pairs_of(weight), self.band)
