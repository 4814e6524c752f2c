"""Patch embedding whose weights are made from wavelengths, after DOFA, before a plain vision transformer.

Xiong et al., Neural Plasticity-Inspired Multimodal Foundation Model for Earth Observation, arXiv 2403.15356: a small
transformer reads the wavelengths of the given bands and writes one kernel for each and one bias. Written from the paper's
description and trained from scratch; its published weights do not fit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from benchmarks.models.hyperspectral.encoder import Block, PatchEncoder, grid_of

LONGEST_PERIOD = 10_000.0


class DOFA(nn.Module):
    """Cubes [n, c, h, w] with any bands at wavelengths [c] -> logits [n, classes, h, w]; sides are multiples of `multiple`."""

    def __init__(self, classes: int, window: int, dim: int = 64, depth: int = 3, heads: int = 4, patch: int = 2,
                 drop: float = 0.1, wave_dim: int = 64) -> None:  # fmt: skip
        super().__init__()
        self.embed = DynamicEmbedding(dim, patch, wave_dim)
        self.encoder = PatchEncoder(dim, depth, heads, patch, grid_of(window, patch), classes, drop)
        self.multiple = patch
        self.keep_dense = ("encoder.head",)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        return self.encoder(self.embed(cube, wavelengths))

    def embedding(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        """[n, dim, h / patch, w / patch], which the head reads."""
        return self.encoder.embedding(self.embed(cube, wavelengths))


class DynamicEmbedding(nn.Module):
    """[n, c, h, w] -> [n, dim, h / patch, w / patch] by kernels that a transformer over the bands makes of their wavelengths.

    The kernels of c bands are divided by the root of c, so that patches keep their scale whatever the number of bands.
    """

    def __init__(self, dim: int, patch: int, wave_dim: int) -> None:
        super().__init__()
        if wave_dim % 4:
            raise ValueError(f"wave_dim={wave_dim} must be a multiple of 4")
        self.dim, self.patch, self.wave_dim = dim, patch, wave_dim
        self.fc1, self.fc2 = nn.Linear(wave_dim, wave_dim), nn.Linear(wave_dim, wave_dim)
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, wave_dim))
        self.block, self.norm = Block(wave_dim, 4), nn.LayerNorm(wave_dim)
        self.kernel, self.bias = nn.Linear(wave_dim, dim * patch**2), nn.Linear(wave_dim, dim)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        waves = sin_cos(wavelengths.to(self.query), self.wave_dim)
        waves = waves + self.fc2(torch.relu(self.fc1(waves)))
        made = self.norm(self.block(torch.cat((self.query, waves[None]), 1)))[0]
        kernel = self.kernel(made[1:]).reshape(-1, self.dim, self.patch, self.patch).transpose(0, 1)
        return conv2d(cube, kernel / math.sqrt(len(wavelengths)), self.bias(made[0]), stride=self.patch)


def sin_cos(wavelengths: Tensor, dim: int) -> Tensor:
    """Sines and cosines of wavelengths [c] in nanometres at `dim` / 2 periods, [c, dim]."""
    steps = torch.arange(dim // 2, device=wavelengths.device, dtype=wavelengths.dtype)
    angle = wavelengths[:, None] * LONGEST_PERIOD ** (-2 * steps / dim)
    return torch.cat((angle.sin(), angle.cos()), 1)
