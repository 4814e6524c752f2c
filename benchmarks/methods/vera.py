"""VeRA: two scales train around a pair of random matrices that all layers share.

Kopiczko, Blankevoort and Asano, VeRA: Vector-based Random Matrix Adaptation, ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank.random_bases import RandomProjectionUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class VeRA(Attach):
    """One number for each output and for each of `rank` random directions, of which there may be more than inputs."""

    rank: Annotated[int, Meta(ge=1)] = 64

    def update(self, name: str, weight: Tensor) -> Update:
        return RandomProjectionUpdate(weight, self.rank)
