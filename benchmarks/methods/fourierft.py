"""FourierFT: some coefficients of each update's Fourier transform train, all others are zero.

Gao et al., Parameter-Efficient Fine-Tuning with Discrete Fourier Transform, ICML 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.fourier import FourierUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class FourierFT(Attach):
    """At most `coefficients` numbers a layer, at random places; the update counts `scale` times."""

    coefficients: Annotated[int, Meta(ge=1)] = 1000
    scale: Annotated[float, Meta(gt=0)] = 300.0

    def update(self, name: str, weight: Tensor) -> Update:
        return FourierUpdate(weight, self.coefficients, self.scale)
