"""S-SAM: all singular values of each weight are scaled and shifted, its singular vectors stay.

Paranjape et al., S-SAM: SVD-based Fine-tuning of Segment Anything Model for Medical Image Segmentation, MICCAI 2024; with
the shifts alone it is SVDiff (Han et al., ICCV 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmarks.methods.attach import Attach, pairs_of
from benchmarks.models.lowrank.spectral import SaltUpdate
from benchmarks.models.lowrank.update import Update, matrix_shape


@dataclass(frozen=True)
class SSAM(Attach):
    """Two numbers a singular value, kept from becoming negative."""

    def update(self, name: str, weight: Tensor) -> Update:
        return SaltUpdate(weight, pairs_of(weight), top=min(matrix_shape(weight)), rank=1)
