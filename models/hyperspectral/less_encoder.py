"""The encoder of LESS ViT: tokens of any bands at any positions, told where they are, through blocks of attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from benchmarks.errors import unknown
from benchmarks.models.hyperspectral.blocks import Blocks, initialise
from benchmarks.models.hyperspectral.less_attention import AttentionShape
from benchmarks.models.hyperspectral.perception import perception_mask
from benchmarks.models.hyperspectral.position import (
    Places,
    sincos_embedding,
    spatial_rotation,
    spectral_rotation,
)
from benchmarks.models.hyperspectral.tokens import Tokens

POSITIONS = ("sincos", "rope")


class Layout(NamedTuple):
    """What tokens are of: wavelengths [b or 1, c] in nm, the image's grid of patches, and which of them, [b or 1, n], or all."""

    wavelengths: Tensor
    grid: tuple[int, int]
    positions: Tensor | None = None


class Geometry(NamedTuple):
    """How places are told to attention: settings that an encoder shares with the decoder that follows it.

    `wavelength_range` is that of the data's full set of bands, in nm; `gsd` the ground sampling distance, in metres a pixel,
    None where nobody knows it and nothing asks.
    """

    position: str
    wavelength_range: tuple[float, float]
    patch: int
    gsd: float | None = 1.0
    perception_radius: float | None = None

    def check(self) -> None:
        """Raises BenchmarkError or ValueError for what cannot be."""
        if self.position not in POSITIONS:
            raise unknown("position of model less_vit:", self.position, POSITIONS)
        low, high = self.wavelength_range
        if not 0 < low < high:
            raise ValueError(f"wavelength_range={low}, {high} nm: the first is above 0 and below the second")
        if self.gsd is None and (self.position == "sincos" or self.perception_radius is not None):
            raise ValueError(
                f"position={self.position} perception_radius={self.perception_radius} needs metres, and the data do not say "
                "how many a pixel has. Type model.gsd=30, or what is right"
            )
        if self.patch < 1 or (self.gsd is not None and self.gsd <= 0) or (self.perception_radius or 0) < 0:
            raise ValueError(
                f"patch={self.patch} gsd={self.gsd} perception_radius={self.perception_radius}: patch is 1 or more, "
                "gsd above 0, perception_radius 0 or more or null"
            )

    def places(self, layout: Layout, widths: tuple[int, int], rotated: bool = True) -> Places:
        """What attention is told beside the tokens; without `rotated`, no position."""
        mask = self._mask(layout)
        if self.position != "rope" or not rotated:
            return Places(mask=mask)
        spectral = spectral_rotation(layout.wavelengths, self.wavelength_range, widths[0])
        spatial = spatial_rotation(layout.grid, widths[1], layout.positions, layout.wavelengths.device)
        return Places(spectral, spatial, mask)

    def embedding(self, layout: Layout, dim: int) -> Tensor | None:
        """What is added to tokens before the first block, [b or 1, c + 1, n + 1, dim], if anything is."""
        if self.position != "sincos":
            return None
        assert self.gsd is not None
        return sincos_embedding(layout.wavelengths, layout.grid, self.gsd, dim, layout.positions)

    def _mask(self, layout: Layout) -> Tensor | None:
        if self.perception_radius is None:
            return None
        assert self.gsd is not None
        mask = perception_mask(layout.grid, self.patch, self.gsd, self.perception_radius)
        mask = mask.to(layout.wavelengths.device)
        if layout.positions is None:
            return mask
        if len(layout.positions) > 1:
            raise ValueError(
                f"perception_radius={self.perception_radius} gives one mask of positions for all samples, but "
                f"{len(layout.positions)} choices of positions were given. Give one choice, [1, n], that all samples share."
            )
        kept = nn.functional.pad(layout.positions[0] + 1, (1, 0))  # CLS, at 0, is always there
        return mask[kept][:, kept]


class Encoder(nn.Module):
    """Patches [b, c, n, patch * patch] of a layout -> tokens [b, c + 1, n + 1, dim], CLS at index 0 of either axis."""

    def __init__(
        self,
        shape: AttentionShape,
        geometry: Geometry,
        depth: int,
        operator: str = "less",
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        radar: Sequence[float] = (),
    ) -> None:
        super().__init__()
        geometry.check()
        self.shape, self.geometry, self.operator = shape, geometry, operator
        self.layer_scale, self.drop_path = layer_scale, drop_path
        self.tokens = Tokens(shape.dim, geometry.patch, radar)
        self.blocks = Blocks(depth, shape, operator, layer_scale, drop_path)
        self.norm = nn.LayerNorm(shape.dim, eps=1e-6)
        if geometry.position == "rope":
            check_widths(self.blocks.widths)
        self.apply(initialise)

    def forward(self, patches: Tensor, layout: Layout, first_row: bool = False) -> Tensor:
        """With `first_row` only what all bands have in common, [b, 1, n + 1, dim]: the last block computes no more than that."""
        x = self.tokens(patches, layout.wavelengths)
        embedding = self.geometry.embedding(layout, self.shape.dim)
        if embedding is not None:
            x = x + embedding.to(x.dtype)
        return self.norm(self.blocks(x, self.geometry.places(layout, self.blocks.widths), first_row))


def check_widths(widths: tuple[int, int]) -> None:
    """Raises ValueError where rotations along bands and positions cannot have these widths."""
    if widths[0] % 2 or widths[1] % 4:
        raise ValueError(
            f"position=rope needs an even spectral width of heads and a spatial one that is a multiple of 4, not {widths[0]} and "
            f"{widths[1]}: change dim, heads or channel_dim"
        )
