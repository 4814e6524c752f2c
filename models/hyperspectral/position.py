"""Where tokens are: positions in the image and wavelengths, added to tokens (sincos) or turning their queries and keys (rope).

LESS ViT, arXiv 2503.12843 (sine and cosine of metres and nanometres, added once) and arXiv 2605.18541 (SSRoPE: rotations
within attention, by image-relative positions and by wavelengths within a stated range). The CLS slots, at index 0 of either
axis, have no position. What depends on the grid alone is kept; what depends on wavelengths is a few operations on as many
numbers as there are bands, while to look it up by value would wait for the device.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from benchmarks.models.hyperspectral.tables import kept

ROTARY_BASE = 100.0
SINCOS_BASE = 10_000.0


class Rotation(NamedTuple):
    """Cosines and sines [b or 1, length, width] of a sequence whose first token, CLS, is not turned."""

    cos: Tensor
    sin: Tensor


class Places(NamedTuple):
    """What attention is told of its tokens: rotations along both axes, and bool [n, n] of positions that may see each other."""

    spectral: Rotation | None = None
    spatial: Rotation | None = None
    mask: Tensor | None = None


def rotate(x: Tensor, rotation: Rotation | None) -> Tensor:
    """x [b, heads, length, width], every pair (k, k + width / 2) of its last dimension turned by the angle of its place."""
    if rotation is None:
        return x
    cos, sin = rotation.cos[:, None], rotation.sin[:, None]
    first, second = x.chunk(2, -1)
    return (x * cos + torch.cat((-second, first), -1) * sin).to(x.dtype)


def spectral_rotation(wavelengths: Tensor, bounds: tuple[float, float], width: int) -> Rotation:
    """Of wavelengths [b, c] in nm: from -1 at the lower bound to 1 at the upper one, in turns of periods 1 to almost 100.

    `bounds` are those of the data's full set of bands and not of the bands at hand, so that a band is the same in any subset.
    """
    if width % 2:
        raise ValueError(f"spectral heads of {width} cannot be turned: with position=rope channel_dim is even")
    low, high = bounds
    coordinates = 2 * (wavelengths.to(torch.float32) - low) / (high - low) - 1
    periods = ROTARY_BASE ** (torch.arange(width // 2, device=wavelengths.device) * (2 / width))
    return _rotation(coordinates[..., None] / periods)


def spatial_rotation(grid: tuple[int, int], width: int, positions: Tensor | None, device: torch.device) -> Rotation:
    """Of a grid's patches, or of `positions` [b, n] among them, row by row: centres from -1 to 1 along both sides."""
    if width % 4:
        raise ValueError(
            f"spatial heads of {width} cannot be turned: with position=rope their width is a multiple of 4"
        )
    turns = _spatial_turns(grid, width).to(device)
    return _rotation(turns[None] if positions is None else turns[positions])


def _rotation(turns: Tensor) -> Rotation:
    """Of turns [b, length, width / 2], with a CLS token in front."""
    angles = pad(2 * math.pi * torch.cat((turns, turns), -1), (0, 0, 1, 0))
    return Rotation(angles.cos(), angles.sin())


@kept
def _spatial_turns(grid: tuple[int, int], width: int) -> Tensor:
    """[n, width / 2]: those of rows, then those of columns."""
    periods = ROTARY_BASE ** (torch.arange(width // 4) * (4 / width))
    rows, columns = (2 * (torch.arange(side) + 0.5) / side - 1 for side in grid)
    by_row, by_column = (place.reshape(-1, 1) / periods for place in torch.meshgrid(rows, columns, indexing="ij"))
    return torch.cat((by_row, by_column), -1)


def sincos_embedding(
    wavelengths: Tensor, grid: tuple[int, int], gsd: float, width: int, positions: Tensor | None = None
) -> Tensor:
    """[b or 1, c + 1, n + 1, width] of wavelengths [b, c] in nm and a grid's patches, or `positions` [b, n] among them.

    Half the sum of a part that all positions share and one that all bands share; CLS slots have zeros for their own part.
    A patch's coordinate is its index times `gsd`, metres a pixel, and not times the side of a patch.
    """
    if width % 4:
        raise ValueError(f"a width of {width} holds no sines and cosines of two coordinates: it is a multiple of 4")
    exact = torch.float32 if wavelengths.device.type == "mps" else torch.float64
    spectral = pad(_waves(wavelengths.to(exact), width).to(torch.float32), (0, 0, 1, 0))
    table = _spatial_waves(grid, gsd, width).to(wavelengths.device)
    spatial = pad(table[None] if positions is None else table[positions], (0, 0, 1, 0))
    return (spectral[:, :, None] + spatial[:, None]) / 2


@kept
def _spatial_waves(grid: tuple[int, int], gsd: float, width: int) -> Tensor:
    """[n, width]: those of columns, then those of rows, as in MAE's code."""
    rows, columns = (torch.arange(side, dtype=torch.float64) * gsd for side in grid)
    by_row, by_column = (place.reshape(-1) for place in torch.meshgrid(rows, columns, indexing="ij"))
    return torch.cat((_waves(by_column, width // 2), _waves(by_row, width // 2)), -1).to(torch.float32)


def _waves(values: Tensor, width: int) -> Tensor:
    """[..., width]: all sines, then all cosines."""
    steps = torch.arange(width // 2, dtype=values.dtype, device=values.device)
    angles = values[..., None] * SINCOS_BASE ** (-2 * steps / width)
    return torch.cat((angles.sin(), angles.cos()), -1)
