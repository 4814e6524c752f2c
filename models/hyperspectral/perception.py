"""Which patches may attend to which: those within a radius on the ground (LESS ViT, arXiv 2503.12843)."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.models.hyperspectral.tables import kept


def perception_mask(grid: tuple[int, int], patch: int, gsd: float, radius: float, cls: bool = True) -> Tensor:
    """bool [n, n] of a grid of n = height * width patches: true where their centres are at most `radius` metres apart.

    `gsd` is the ground sampling distance in metres a pixel. With `cls`, a first row and column that are all true come in
    front, [n + 1, n + 1].
    """
    if patch < 1 or gsd <= 0 or radius < 0:
        raise ValueError(f"patch={patch} gsd={gsd} radius={radius}: patch is 1 or more, gsd above 0, radius 0 or more")
    return _mask(grid, patch, gsd, radius, cls)


@kept
def _mask(grid: tuple[int, int], patch: int, gsd: float, radius: float, cls: bool) -> Tensor:
    places = torch.cartesian_prod(*(torch.arange(side, dtype=torch.float64) for side in grid))
    rows, columns = (places[:, None] - places[None]).unbind(-1)
    near = (rows**2 + columns**2).sqrt() * (patch * gsd) <= radius
    return torch.nn.functional.pad(near, (1, 0, 1, 0), value=True) if cls else near
