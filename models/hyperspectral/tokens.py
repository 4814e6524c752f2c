"""A cube's tokens: every band is cut into patches that pass through the same network, so that no weight depends on the bands.

LESS ViT, arXiv 2503.12843. Row 0 of the grid of tokens, one for every position, is what all bands have in common; column 0,
one for every band, what all positions have.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CLS_STD = 0.02


def patches_of(cube: Tensor, patch: int) -> Tensor:
    """[b, c, h, w] -> [b, c, n, patch * patch], patches and their pixels row by row."""
    b, c, height, width = cube.shape
    if height % patch or width % patch:
        raise ValueError(f"{height} x {width} pixels are no whole patches of {patch} x {patch}")
    cut = cube.reshape(b, c, height // patch, patch, width // patch, patch)
    return cut.transpose(3, 4).reshape(b, c, -1, patch * patch)


class PatchEmbed(nn.Module):
    """Pixels of a patch [..., patch * patch] -> [..., dim], by a hidden layer of 2 dim."""

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(patch * patch, 2 * dim)
        self.fc2 = nn.Linear(2 * dim, dim)
        self.act = nn.ReLU()

    def reset(self) -> None:
        """Biases begin as those of convolutions do, which these layers are in the authors' code."""
        for layer in (self.fc1, self.fc2):
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


def by_group(x: Tensor, is_radar: Tensor, optical: nn.Module, radar: nn.Module | None) -> Tensor:
    """[b, c, n, k] -> [b, c, n, m]: `radar` of the bands that are, bool [b or 1, c], and `optical` of all others.

    Each sees its own bands only, so that weights that are not finite spoil nothing where they are not used, and one that sees
    none has gradients of zero.
    """
    if radar is None:
        return optical(x)
    chosen = is_radar.expand(x.shape[:2])
    first, second = optical(x[~chosen]), radar(x[chosen])
    y = first.new_empty(*x.shape[:3], first.shape[-1])
    y[~chosen], y[chosen] = first, second
    return y


class Tokens(nn.Module):
    """Patches [b, c, n, patch * patch] -> tokens [b, c + 1, n + 1, dim].

    Bands whose wavelength is among `radar` (which stand for channels that have none, in nm) are embedded by weights of their
    own.
    """

    radar_wavelengths: Tensor

    def __init__(self, dim: int, patch: int, radar: Sequence[float] = ()) -> None:
        super().__init__()
        self.dim = dim
        self.optical = PatchEmbed(dim, patch)
        self.radar = PatchEmbed(dim, patch) if radar else None
        self.register_buffer("radar_wavelengths", torch.tensor(list(radar), dtype=torch.float32), persistent=False)
        self.channel_cls, self.spatial_cls, self.global_cls = (
            nn.Parameter(CLS_STD * torch.randn(dim)) for _ in range(3)
        )

    def is_radar(self, wavelengths: Tensor) -> Tensor:
        """bool of the shape of `wavelengths`."""
        return torch.isin(wavelengths.to(torch.float32), self.radar_wavelengths)

    def embed(self, patches: Tensor, wavelengths: Tensor) -> Tensor:
        """[b, c, n, dim] of patches and wavelengths [b or 1, c], without CLS tokens."""
        return by_group(patches, self.is_radar(wavelengths), self.optical, self.radar)

    def forward(self, patches: Tensor, wavelengths: Tensor) -> Tensor:
        b, c, n, _ = patches.shape
        row = torch.cat((self.global_cls[None], self.channel_cls.expand(n, -1))).expand(b, 1, -1, -1)
        column = self.spatial_cls.expand(b, c, 1, -1)
        return torch.cat((row, torch.cat((column, self.embed(patches, wavelengths)), 2)), 1)
