"""WaRA: inputs are transformed by wavelets, updated at low rank in all subbands alike, and transformed back.

Heidari et al., WaRA: Wavelet Low Rank Adaptation, 2025 (see LowRankWaveletUpdate for what of it this is).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.update import Update, require_rank
from benchmarks.models.lowrank.wavelet import LowRankWaveletUpdate


@dataclass(frozen=True)
class WaRA(Attach):
    """One pair of factors of `rank` for averages and details; they count alpha / rank times, or once."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return LowRankWaveletUpdate(weight, self.rank, (self.alpha or self.rank) / self.rank)
