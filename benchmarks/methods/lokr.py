"""LoKr: updates are Kronecker products of a small matrix and a low-rank one.

Yeh et al., Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation, ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.products import KroneckerUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class LoKr(Attach):
    """The right factor has `rank`, or is whole where that takes no more numbers; they count alpha / rank times, or once."""

    rank: Annotated[int, Meta(ge=1)] = 4
    alpha: Annotated[float, Meta(gt=0)] | None = None

    def update(self, name: str, weight: Tensor) -> Update:
        return KroneckerUpdate(weight, self.rank, (self.alpha or self.rank) / self.rank)
