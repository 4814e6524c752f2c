"""SALT: the large singular values of each weight are scaled and shifted, the block of the small ones gets a low-rank update.

Jha et al., SALT: Singular Value Adaptation with Low-Rank Transformation, BMVC 2025. A convolution is the linear layer that it
is on patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.methods.attach import Attach, pairs_of
from benchmarks.models.lowrank.spectral import Init, Relu, SaltUpdate
from benchmarks.models.lowrank.update import Update, matrix_shape


@dataclass(frozen=True)
class SALT(Attach):
    """`top` singular values (up to 1 as a share of all, at least one of them), and an update of `rank` of the others.

    `relu` and `init` as in SaltUpdate: `full` and `paper` are what was published, and do not start as the base.
    """

    top: Annotated[float, Meta(gt=0)] = 0.85
    rank: Annotated[int, Meta(ge=1)] = 8
    relu: Relu = "diag"
    init: Init = "identity"

    def update(self, name: str, weight: Tensor) -> Update:
        if self.top > 1 and not float(self.top).is_integer():
            raise BenchmarkError(
                f"method.top={self.top:g} is no number of singular values: above 1 it counts them, up to 1 it is their share. "
                f"Type method.top={int(self.top) + 1} or method.top=0.85."
            )
        k = min(matrix_shape(weight))
        top = max(1, int(self.top * k)) if self.top <= 1 else min(k, int(self.top))
        return SaltUpdate(weight, pairs_of(weight), top, self.rank, self.relu, self.init)
