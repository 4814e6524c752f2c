"""VeRA and RandLoRA: scales of random matrices train, the matrices themselves are shared by layers and stay."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks.models.lowrank.update import FactoredUpdate, matrix_shape

FIRST_SCALE = 0.1
"""Of the directions of VeRA at the start."""


class RandomProjectionUpdate(FactoredUpdate):
    """W + diag(b) B diag(d) A, where `b` [out] starts at zero and `d` [rank] at 0.1.

    A [rank, in * kernel] and B [out, rank] are uniform with the variance 2 / fan_in; a layer takes as many columns of the one
    and rows of the other as it has. The rank may be any: it costs one number. Kopiczko, Blankevoort and Asano, VeRA:
    Vector-based Random Matrix Adaptation, ICLR 2024.
    """

    A: torch.Tensor
    B: torch.Tensor

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__(weight, rank)
        self.register_buffer("A", (uniform(self.columns, rank) * math.sqrt(2 / self.columns)).T.contiguous().to(weight))
        self.register_buffer("B", (uniform(self.rows, rank, stream=1) * math.sqrt(2 / rank)).to(weight))
        self.b = nn.Parameter(weight.new_zeros(self.rows))
        self.d = nn.Parameter(weight.new_full((rank,), FIRST_SCALE))

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.b[:, None] * self.B * self.d, self.A


class RandomBasesUpdate(FactoredUpdate):
    """W + scale sum_j B_j diag(lambda_j) A diag(gamma_j), or its transpose where W is wider than high; `bases` terms.

    With k the smaller and m the larger of the sizes of W, A [r, k] and B_j [m, r] have r = k / bases, rounded up, so that the
    sum reaches the full rank k whatever `bases` is. `lambda` [bases, r] starts at zero, `gamma` [bases, k] at one over its
    larger size. Albert et al., RandLoRA: Full-rank Parameter-Efficient Fine-tuning of Large Models, ICLR 2025.
    """

    A: torch.Tensor
    B: torch.Tensor

    def __init__(self, weight: torch.Tensor, bases: int, scale: float) -> None:
        m, k = sorted(matrix_shape(weight), reverse=True)
        r = -(-k // bases)
        super().__init__(weight, bases * r)
        self.scale = scale
        self.register_buffer("A", uniform(k, r).T.contiguous().to(weight))
        self.register_buffer("B", uniform(m, bases * r, stream=1).to(weight))
        self.lambdas = nn.Parameter(weight.new_zeros(bases, r))
        self.gammas = nn.Parameter(weight.new_full((bases, k), 1 / max(bases, k)))

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        left = self.scale * self.B * self.lambdas.flatten()
        right = (self.A * self.gammas[:, None]).flatten(0, 1)
        return (left, right) if self.rows >= self.columns else (right.T, left.T)


def uniform(rows: int, columns: int, stream: int = 0) -> torch.Tensor:
    """Uniform numbers [rows, columns] of mean 0 and variance 1, the same in every layer of a run.

    They depend on the seed of the run and the `stream` alone, and those of fewer rows are the first of those of more.
    """
    return (2 * torch.rand(rows, columns, generator=shared(stream)) - 1) * math.sqrt(3)


def shared(stream: int = 0) -> torch.Generator:
    """A generator that starts alike for every layer of a run: the run's seed is the one that torch was last seeded with."""
    return torch.Generator().manual_seed((2 * torch.initial_seed() + stream) % 2**63)
