"""RandLoRA: scales of random bases train, whose sum has full rank.

Albert et al., RandLoRA: Full-rank Parameter-Efficient Fine-tuning of Large Models, ICLR 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.random_bases import RandomBasesUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class RandLoRA(Attach):
    """Two scalings for each of `bases` terms, which share the full rank; the update counts `scale` times."""

    bases: Annotated[int, Meta(ge=1)] = 4
    scale: Annotated[float, Meta(gt=0)] = 20.0

    def update(self, name: str, weight: Tensor) -> Update:
        return RandomBasesUpdate(weight, self.bases, self.scale)
