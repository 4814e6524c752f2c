"""A plain vision transformer with bands as channels: what spectral attention has to beat on bands it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.models.hyperspectral.encoder import PatchEncoder, grid_of
from benchmarks.models.hyperspectral.own_bands import BandRule, OwnBands


class ViT(nn.Module):
    """Cubes [n, c, h, w] and wavelengths [c] -> logits [n, classes, h, w]; sides are multiples of `multiple`.

    Its channels are the bands of training, filled by `band_rule` from a cube of others (see `OwnBands`).
    """

    def __init__(self, classes: int, window: int, wavelengths: Sequence[float], dim: int = 64, depth: int = 3, heads: int = 4,
                 patch: int = 2, drop: float = 0.1, band_rule: BandRule = "nearest") -> None:  # fmt: skip
        super().__init__()
        self.bands = OwnBands(wavelengths, band_rule)
        self.embed = nn.Conv2d(len(self.bands), dim, patch, patch)
        self.encoder = PatchEncoder(dim, depth, heads, patch, grid_of(window, patch), classes, drop)
        self.multiple = patch
        self.keep_dense = ("encoder.head",)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        return self.encoder(self.embed(self.bands(cube, wavelengths)))

    def embedding(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        """[n, dim, h / patch, w / patch], which the head reads."""
        return self.encoder.embedding(self.embed(self.bands(cube, wavelengths)))
