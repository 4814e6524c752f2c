"""Principal component pursuit: the image as a low-rank matrix and a sparse one, without training.

min ||L||_* + lambda ||S||_1 with L + S = D (Candes, Li, Ma and Wright, Robust Principal Component Analysis?, JACM 2011), by
the inexact augmented Lagrangian of Lin, Chen and Ma (arXiv 1009.5055), for a batch of images at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from benchmarks.models.sparse_object.filters import relative

LONG = 2
"""How many times longer than wide a matrix is whose Gram matrix is decomposed in its place."""


class Pursuit(NamedTuple):
    """L and S, [n, h, w] in double precision, and for each image the rank of L, iterations and the relative duality gap.

    The gap bounds by how much the sum that is minimised lies above its smallest value, as a share of itself. It is that of L
    and D - L, which add up to D exactly.
    """

    lowrank: torch.Tensor
    sparse: torch.Tensor
    rank: torch.Tensor
    iterations: torch.Tensor
    gap: torch.Tensor


class PCP(nn.Module):
    """Images [n, 1, h, w] -> what is positive of S, divided by the largest value of its image.

    `weight` is lambda times the root of the longer side (1 as in the papers). The penalty grows by `growth` a step from 1.25
    over the largest singular value until D - L - S is below `tolerance` of D in the Frobenius norm. A fast growth ends
    before the optimum is reached; the gap tells by how much.
    """

    def __init__(
        self, weight: float = 1.0, growth: float = 1.5, tolerance: float = 1e-6, max_iterations: int = 500
    ) -> None:
        super().__init__()
        if not (weight > 0 and growth > 1 and tolerance > 0 and max_iterations > 0):
            raise ValueError("weight, tolerance and max_iterations must be positive, growth above 1")
        self.weight, self.growth, self.tolerance, self.max_iterations = weight, growth, tolerance, max_iterations

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Probability [n, h, w], and of each image rank, iterations and gap."""
        found = self.pursue(image[:, 0])
        soft = relative(found.sparse[:, None])[:, 0].to(image.dtype)
        return {"probability": soft, "rank": found.rank, "iterations": found.iterations, "gap": found.gap}

    def pursue(self, data: torch.Tensor) -> Pursuit:
        """The parts of matrices [n, h, w]; each image stops by itself."""
        data = data.to(torch.float64)
        weight = self.weight / max(data.shape[1:]) ** 0.5
        norm = torch.linalg.matrix_norm(data, 2)
        size = torch.linalg.matrix_norm(data)
        largest = data.abs().amax((1, 2))
        # An image of zeros is its own answer; any scale will do for it.
        safe = torch.where(norm > 0, norm, 1)
        dual = data / torch.maximum(safe, largest / weight)[:, None, None]
        penalty = 1.25 / safe
        lowrank, sparse = torch.zeros_like(data), torch.zeros_like(data)
        rank, iterations = (torch.zeros(len(data), dtype=torch.int64, device=data.device) for _ in range(2))
        active = torch.arange(len(data), device=data.device)
        for _ in range(self.max_iterations):
            mu = penalty[active, None, None]
            target = data[active] + dual[active] / mu
            sparse[active] = shrink(target - lowrank[active], weight / mu)
            lowrank[active], rank[active] = shrink_spectrum(target - sparse[active], 1 / mu[:, 0])
            iterations[active] += 1
            rest = data[active] - lowrank[active] - sparse[active]
            dual[active] += mu * rest
            penalty[active] *= self.growth
            active = active[torch.linalg.matrix_norm(rest) > self.tolerance * size[active]]
            if not len(active):
                break
        return Pursuit(lowrank, sparse, rank, iterations, duality_gap(data, lowrank, dual, weight))


def shrink(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """Every entry moved towards zero by so much, and no further."""
    return x.sign() * (x.abs() - by).clamp(min=0)


def shrink_spectrum(x: torch.Tensor, by: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices [n, h, w] with their singular values moved towards zero by `by` [n, 1], and how many values remain, [n].

    Of long matrices the smaller Gram matrix is decomposed, which takes half the time. Singular values below 1e-8 of the
    largest drown in rounding there, so that nothing beyond that can be asked of their pursuit.
    """
    height, width = x.shape[1:]
    if max(height, width) < LONG * min(height, width):
        left, values, right = torch.linalg.svd(x, full_matrices=False)
        kept = (values - by).clamp(min=0)
        return (left * kept[:, None]) @ right, (kept > 0).sum(1)
    if height < width:
        shrunk, count = shrink_spectrum(x.mT, by)
        return shrunk.mT, count
    squares, vectors = torch.linalg.eigh(x.mT @ x)
    values = squares.clamp(min=0).sqrt()
    share = torch.where(values > by, 1 - by / values, 0)
    return x @ ((vectors * share[:, None]) @ vectors.mT), (share > 0).sum(1)


def duality_gap(data: torch.Tensor, lowrank: torch.Tensor, dual: torch.Tensor, weight: float) -> torch.Tensor:
    """(P - Q) / P, [n]: P of L and D - L, and Q = <Y, D> of the multiplier Y, made feasible.

    Feasible is a Y of spectral norm up to 1 and of entries up to `weight`; <Y, D> is then at most the smallest P. Entries are
    cut off first and all divided by the norm after that: divided by both excesses alone, Y bounds several times worse.
    """
    primal = torch.linalg.matrix_norm(lowrank, "nuc") + weight * (data - lowrank).abs().sum((1, 2))
    cut = dual.clamp(-weight, weight)
    below = (cut * data).sum((1, 2)) / torch.linalg.matrix_norm(cut, 2).clamp(min=1)
    return torch.where(primal > 0, (primal - below) / torch.where(primal > 0, primal, 1), 0)
