"""WaveFT and WaRA: updates that are sparse, or of low rank, in the domain of a wavelet transform."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.models.lowrank.fourier import SparseUpdate
from benchmarks.models.lowrank.update import FactoredUpdate

HAAR = (math.sqrt(0.5), math.sqrt(0.5))
DAUBECHIES_2 = tuple((a + b * math.sqrt(3)) / (4 * math.sqrt(2)) for a, b in ((1, 1), (3, 1), (3, -1), (1, -1)))


class SparseWaveletUpdate(SparseUpdate):
    """W + scale times the inverse Haar transform, one level in both directions, of a sparse matrix.

    Bilican et al., Exploring Sparsity for Parameter Efficient Fine Tuning Using Wavelets (WaveFT), 2025. A size that is odd is
    made even, and what goes beyond it cut off.
    """

    def __init__(self, weight: torch.Tensor, coefficients: int, scale: float) -> None:
        super().__init__(weight, coefficients, (even(len(weight)), even(weight[0].numel())))
        self.scale = scale

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        update = self.scale * synthesis(synthesis(self.spectrum(), HAAR, 0), HAAR, 1)
        return weight + update[: self.rows, : self.columns].to(weight.dtype).reshape(weight.shape)


class LowRankWaveletUpdate(FactoredUpdate):
    """W + scale S_o^T blockdiag(up down, up down) S_i with wavelet transforms S of outputs and inputs.

    One pair of factors, `up` [out / 2, rank], which is zero, and `down` [rank, in * kernel / 2], acts on averages and on
    details. Heidari et al., WaRA: Wavelet Low Rank Adaptation, 2025, as the figure of its first version has it: inputs are
    transformed, share a low-rank adapter in all subbands, and are transformed back; the part of that along the tokens cancels.
    With the Haar wavelet all of it would (the update is up down (x) I_2), so this is the next longer one of Daubechies.
    """

    def __init__(self, weight: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__(weight, 2 * rank)
        self.scale = scale
        self.up = nn.Parameter(weight.new_zeros(even(self.rows) // 2, rank))
        self.down = nn.Parameter(weight.new_empty(rank, even(self.columns) // 2))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        up = synthesis(torch.block_diag(self.up, self.up), DAUBECHIES_2, 0)[: self.rows]
        down = synthesis(torch.block_diag(self.down, self.down), DAUBECHIES_2, 1)[:, : self.columns]
        return self.scale * up, down


def synthesis(coefficients: torch.Tensor, low: Sequence[float], dim: int) -> torch.Tensor:
    """The inverse of one level of the orthonormal transform with the low-pass filter `low`, periodic, along `dim` >= 0.

    The first half along it are averages, the second details; its size is even.
    """
    high = [(-1) ** k * value for k, value in enumerate(reversed(low))]
    averages, details = coefficients.chunk(2, dim)
    phases = [
        sum(
            low[2 * lag + phase] * averages.roll(lag, dim) + high[2 * lag + phase] * details.roll(lag, dim)
            for lag in range(len(low) // 2)
        )
        for phase in (0, 1)
    ]
    return torch.stack(phases, dim + 1).flatten(dim, dim + 1)


def even(size: int) -> int:
    """The next even number."""
    return size + size % 2
