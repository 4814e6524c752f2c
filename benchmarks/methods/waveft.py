"""WaveFT: some coefficients of each update's wavelet transform train, all others are zero.

Bilican et al., Exploring Sparsity for Parameter Efficient Fine Tuning Using Wavelets, 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.update import Update
from benchmarks.models.lowrank.wavelet import SparseWaveletUpdate


@dataclass(frozen=True)
class WaveFT(Attach):
    """At most `coefficients` numbers a layer, at random places; the update counts `scale` times."""

    coefficients: Annotated[int, Meta(ge=1)] = 1000
    scale: Annotated[float, Meta(gt=0)] = 25.0

    def update(self, name: str, weight: Tensor) -> Update:
        return SparseWaveletUpdate(weight, self.coefficients, self.scale)
