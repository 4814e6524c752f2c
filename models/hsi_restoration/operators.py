"""Linear operators between a clean cube and what is seen of it. They act on bands alike, so on reduced images as well."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

BLUR_STD, BLUR_REACH = math.sqrt(16 / (8 * math.log(2))), 4


def lowered(images: Tensor, factor: int) -> Tensor:
    """Images [..., h, w] blurred by a 9 x 9 Gaussian with zeros around them, then made smaller by MATLAB's bicubic imresize."""
    down, across = (shrinking(size, factor, images.dtype, images.device) for size in images.shape[-2:])
    return down @ images @ across.T


def raised(images: Tensor, factor: int) -> Tensor:
    """Images [..., h, w] made larger by MATLAB's bicubic imresize (no antialiasing where resolution rises)."""
    down, across = (_growing(size, factor, images.dtype, images.device) for size in images.shape[-2:])
    return down @ images @ across.T


@cache
def shrinking(size: int, factor: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One direction of `lowered`, [size / factor, size]."""
    return (bicubic_matrix(size, 1 / factor) @ blur_matrix(size)).to(device, dtype)


@cache
def _growing(size: int, factor: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return bicubic_matrix(size, float(factor)).to(device, dtype)


def blur_matrix(size: int) -> Tensor:
    """One direction of the blur, float64 [size, size]; what it takes from beyond the edges is zero."""
    offset = torch.arange(size, dtype=torch.float64)[:, None] - torch.arange(size, dtype=torch.float64)
    taps = torch.exp(-0.5 * (torch.arange(-BLUR_REACH, BLUR_REACH + 1, dtype=torch.float64) / BLUR_STD) ** 2)
    return torch.where(offset.abs() <= BLUR_REACH, torch.exp(-0.5 * (offset / BLUR_STD) ** 2), 0.0) / taps.sum()


def bicubic_matrix(size: int, scale: float) -> Tensor:
    """One direction of imresize, float64 [ceil(size * scale), size]: Keys' cubic of a = -0.5, stretched where resolution falls,
    weights that sum to one, and edges mirrored with the edge pixel itself."""
    stretch = min(scale, 1.0)
    rows = math.ceil(size * scale - 1e-9)
    centre = (torch.arange(rows, dtype=torch.float64) + 0.5) / scale - 0.5
    reach = 2 / stretch
    first = torch.floor(centre - reach).long()
    taken = first[:, None] + torch.arange(math.ceil(2 * reach) + 2)
    weights = keys_cubic(stretch * (centre[:, None] - taken))
    weights = weights / weights.sum(1, keepdim=True)
    folded = taken % (2 * size)
    folded = torch.where(folded < size, folded, 2 * size - 1 - folded)
    return torch.zeros(rows, size, dtype=torch.float64).scatter_add_(1, folded, weights)


def keys_cubic(x: Tensor) -> Tensor:
    """The cubic convolution kernel of a = -0.5 (Keys 1981)."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))
