"""Rivals of LESS attention on the same tokens: full attention, additive fusion, and attention along one axis after the other.

Each takes tokens [b, c, n, dim] with CLS at index 0 of both axes and answers tokens of that shape, or row 0 alone. `widths`
are those of the rotations along bands and along positions that it wants (see position.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.models.hyperspectral.less_attention import AttentionShape, LessAttention
from benchmarks.models.hyperspectral.position import Places, Rotation, rotate

FUSION_SCALE = 0.1323
"""Of the lifted factors' first weights, so that the sum of two begins with the deviation of LESS's product (ViT-S)."""


class FullAttention(nn.Module):
    """Every token asks every other: the cost is quadratic in bands times positions.

    The first half of a head is turned by positions, the second by wavelengths.
    """

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.shape = shape
        self.widths = (shape.head_dim - shape.head_dim // 2, shape.head_dim // 2)
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim)
        self.proj = nn.Linear(shape.dim, shape.dim)
        self.drop = nn.Dropout(shape.drop)

    def turned(self, x: Tensor, places: Places) -> Tensor:
        """Queries or keys [b, h, c, n, head], turned along both axes, as one sequence [b, h, c * n, head]."""
        b, h, c, n, _ = x.shape
        if places.spatial is None or places.spectral is None:
            return x.flatten(2, 3)
        spectral, spatial = self.widths
        by_position, by_band = x.split((spatial, spectral), -1)
        by_position = rotate(by_position.reshape(b, h * c, n, spatial), places.spatial).reshape(b, h, c, n, spatial)
        by_band = by_band.transpose(2, 3).reshape(b, h * n, c, spectral)
        by_band = rotate(by_band, places.spectral).reshape(b, h, n, c, spectral).transpose(2, 3)
        return torch.cat((by_position, by_band), -1).flatten(2, 3)

    def forward(self, tokens: Tensor, places: Places, first_row: bool = False) -> Tensor:
        b, c, n, dim = tokens.shape
        parts = self.qkv(tokens).view(b, c, n, 3, self.shape.heads, self.shape.head_dim)
        query, key, value = parts.permute(3, 0, 4, 1, 2, 5)
        query, key = self.turned(query, places), self.turned(key, places)
        rows = 1 if first_row else c
        mask = places.mask
        mixed = scaled_dot_product_attention(
            query[:, :, : rows * n],
            key,
            value.flatten(2, 3),
            attn_mask=None if mask is None else mask.repeat(rows, c),
            dropout_p=self.shape.attn_drop if self.training else 0.0,
        )
        return self.drop(self.proj(mixed.transpose(1, 2).reshape(b, rows, n, dim)))


class AdditiveAttention(LessAttention):
    """The sequences and branches of LESS, whose answers are lifted to the width of a head and added in place of multiplied."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__(shape)
        self.lift_channel = nn.Linear(shape.channel_dim, shape.head_dim)
        self.lift_spatial = nn.Linear(shape.spatial_dim, shape.head_dim)

    def reset(self) -> None:
        with torch.no_grad():
            for layer in (self.lift_channel, self.lift_spatial):
                layer.weight.mul_(FUSION_SCALE)

    def forward(self, tokens: Tensor, places: Places, first_row: bool = False) -> Tensor:
        channel, spatial = (factor.mean(2) for factor in self.factors(tokens, places, first_row))
        bands, positions = self.lift_channel(channel), self.lift_spatial(spatial)
        fused = bands.transpose(1, 2)[:, :, None] + positions.transpose(1, 2)[:, None]
        return self.drop(self.proj(fused.flatten(3)))


class AxisAttention(nn.Module):
    """Attention of sequences [b, m, length, dim] within themselves; with `first` of their first tokens alone."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.shape = shape
        self.qkv = nn.Linear(shape.dim, 3 * shape.dim)
        self.proj = nn.Linear(shape.dim, shape.dim)
        self.drop = nn.Dropout(shape.drop)

    def forward(self, x: Tensor, rotation: Rotation | None, mask: Tensor | None = None, first: bool = False) -> Tensor:
        b, m, length, dim = x.shape
        heads, head = self.shape.heads, self.shape.head_dim
        parts = self.qkv(x).view(b, m, length, 3, heads, head).permute(3, 0, 1, 4, 2, 5)
        query, key = (
            rotate(part.reshape(b, m * heads, length, head), rotation).reshape(b * m, heads, length, head)
            for part in parts[:2]
        )
        mixed = scaled_dot_product_attention(
            query[:, :, :1] if first else query,
            key,
            parts[2].reshape(b * m, heads, length, head),
            attn_mask=mask,
            dropout_p=self.shape.attn_drop if self.training else 0.0,
        )
        return self.drop(self.proj(mixed.transpose(1, 2).reshape(b, m, -1, dim)))


class AxialAttention(nn.Module):
    """Attention along positions and then, of what came out, along bands; both are added to the tokens."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.widths = (shape.head_dim, shape.head_dim)
        self.spatial, self.spectral = AxisAttention(shape), AxisAttention(shape)
        self.norm = nn.LayerNorm(shape.dim, eps=1e-6)

    def forward(self, tokens: Tensor, places: Places, first_row: bool = False) -> Tensor:
        along = self.spatial(tokens, places.spatial, places.mask)
        between = self.norm(tokens + along).transpose(1, 2)
        across = self.spectral(between, places.spectral, first=first_row).transpose(1, 2)
        return (along[:, :1] if first_row else along) + across


OPERATORS: dict[str, type[nn.Module]] = {
    "less": LessAttention,
    "full": FullAttention,
    "additive": AdditiveAttention,
    "axial": AxialAttention,
}
