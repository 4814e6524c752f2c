"""The subspace of a cube's spectra, and three of its bands whose spectra span it.

Pang et al., HIR-Diff, CVPR 2024; Gu and Eisenstat, Efficient Algorithms for Computing a Strong Rank-Revealing QR
Factorization, SIAM J. Sci. Comput. 17, 1996 (algorithm 4). Where all rows are kept the second part of their test is empty, and
what remains is that no entry of inv(R11) R12 is larger than a bound.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import qr
from torch import Tensor

from benchmarks.errors import BenchmarkError

BOUND = 1.2
BLOCK = 8192
"""Pixels whose inner products are summed in the cube's own precision; sums of blocks are in double precision."""
CHOICES = ("rrqr", "equispaced")


def inner_products(cube: Tensor) -> Tensor:
    """Of the bands of a cube [c, h, w] over its pixels, float64 [c, c]."""
    inner = torch.zeros(len(cube), len(cube), dtype=torch.float64, device=cube.device)
    for part in cube.flatten(1).split(BLOCK, 1):
        inner += part @ part.T
    return inner


def principal(cube: Tensor, rank: int, inner: Tensor | None = None) -> Tensor:
    """The first right singular vectors [c, rank] of a cube [c, h, w] as a matrix of pixels and bands.

    They are eigenvectors of the c x c matrix of inner products, which takes one pass over the cube and no decomposition of
    it; a tile is told those of its whole scene, `inner`. Raises BenchmarkError for a rank beyond the bands.
    """
    if not 1 <= rank <= len(cube):
        raise BenchmarkError(
            f"method.rank={rank} is not valid for a cube of {len(cube)} bands: it is from 1 to as many."
        )
    inner = inner_products(cube) if inner is None else inner
    _, vectors = torch.linalg.eigh(inner)
    vectors = vectors[:, -rank:].flip(1)
    signs = torch.sign(vectors.gather(0, vectors.abs().argmax(0, keepdim=True)))
    return vectors * signs


def select_bands(vectors: np.ndarray, bound: float = BOUND) -> list[int]:
    """As many rows of [c, k] as it has columns, such that all rows are combinations of them with weights up to `bound`.

    Column pivoting begins; while a weight is larger, the first such pair (columns outermost) is exchanged, each exchange
    enlarging the volume by more than the bound.
    """
    count = vectors.shape[1]
    order = qr(vectors.T, mode="r", pivoting=True)[-1].tolist()
    chosen, others = order[:count], order[count:]
    while others:
        weights = np.abs(np.linalg.solve(vectors[chosen].T, vectors[others].T))
        column, row = np.unravel_index(int((bound < weights.T).argmax()), weights.T.shape)
        if weights[row, column] <= bound:
            break
        others.insert(0, others.pop(column))
        chosen.append(chosen.pop(row))
        chosen[-1], others[0] = others[0], chosen[-1]
    return sorted(chosen)


def equispaced(count: int, bands: int) -> list[int]:
    """Bands at equal distances, the ablation of their choice."""
    return [bands * index // (count + 1) for index in range(1, count + 1)]


def coefficients(
    cube: Tensor, rank: int = 3, choice: str = "rrqr", bound: float = BOUND, inner: Tensor | None = None
) -> tuple[Tensor, list[int]]:
    """E [c, rank] of the cube's dtype and the chosen bands: rows of E at these are the unit matrix, and by `rrqr` no entry is
    larger than `bound`, so that a reduced image is the cube at these bands."""
    vectors = principal(cube, rank, inner)
    bands = select_bands(vectors.cpu().numpy(), bound) if choice == "rrqr" else equispaced(rank, len(cube))
    solved = torch.linalg.solve(vectors[bands].T, vectors.T).T
    return solved.to(cube.dtype), bands


def truncated(cube: Tensor, rank: int, inner: Tensor | None = None) -> Tensor:
    """The best approximation of that rank of a cube [c, h, w], or its part of that of a scene."""
    vectors = principal(cube, rank, inner).to(cube.dtype)
    return torch.einsum("ck,khw->chw", vectors, torch.einsum("ck,chw->khw", vectors, cube))
