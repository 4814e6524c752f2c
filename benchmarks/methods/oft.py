"""OFT: inputs are rotated in blocks, so that norms of each output's weights and angles between outputs stay.

Qiu et al., Controlling Text-to-Image Diffusion by Orthogonal Finetuning, NeurIPS 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.rotation import RotationUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class OFT(Attach):
    """Rotations of `block` inputs that lie side by side; the last block is what is left."""

    block: Annotated[int, Meta(ge=2)] = 4

    def update(self, name: str, weight: Tensor) -> Update:
        inputs = weight[0].numel()
        if inputs < 2:
            raise BenchmarkError(f"{name} has {inputs} input, which cannot be rotated. Type method=lora for example.")
        return RotationUpdate(weight, self.block)
