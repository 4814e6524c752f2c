"""LESS attention: low-rank attention over bands times positions, as a sum of Kronecker products of attention over either.

arXiv 2503.12843 (`form="v1"`: ranks share their values and are summed) and arXiv 2605.18541 with its code of July 2026
(`form="v2"`: values of their own, averaged). Tokens are [b, c, n, dim], CLS at index 0 of both axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.errors import unknown
from benchmarks.models.hyperspectral.position import Places, Rotation, rotate

FORMS = ("v1", "v2")


@dataclass(frozen=True)
class AttentionShape:
    """Sizes of an attention operator: `dim` = heads * channel_dim * spatial_dim, the last of which follows."""

    dim: int
    heads: int
    channel_dim: int
    rank: int = 1
    form: str = "v2"
    drop: float = 0.0
    attn_drop: float = 0.0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown("form of LESS attention:", self.form, FORMS)
        if min(self.heads, self.channel_dim, self.rank) < 1 or self.dim % (self.heads * self.channel_dim):
            raise ValueError(
                f"dim={self.dim} heads={self.heads} channel_dim={self.channel_dim} rank={self.rank}: all are 1 or more, and "
                "heads * channel_dim divides dim"
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def spatial_dim(self) -> int:
        return self.head_dim // self.channel_dim


class AttentionPool(nn.Module):
    """[m, length, width] -> [m, width]: the first token asks all of them."""

    def __init__(self, width: int, heads: int, drop: float, attn_drop: float) -> None:
        super().__init__()
        self.heads, self.attn_drop = heads, attn_drop
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        m, length, width = x.shape
        head = width // self.heads
        query = self.q(x[:, :1]).view(m, 1, self.heads, head).transpose(1, 2)
        key, value = self.kv(x).view(m, length, 2, self.heads, head).permute(2, 0, 3, 1, 4)
        pooled = scaled_dot_product_attention(query, key, value, dropout_p=self.attn_drop if self.training else 0.0)
        return self.drop(self.proj(pooled.reshape(m, width)))


class LowDimPool(nn.Module):
    """Tokens [b, c, n, dim] -> sequences of bands [b, c, heads * channel_dim] and of positions [b, n, heads * spatial_dim]."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.widths = (shape.heads * shape.channel_dim, shape.heads * shape.spatial_dim)
        # One product for both axes.
        self.down = nn.Linear(shape.dim, sum(self.widths))
        self.channel_norm, self.spatial_norm = (nn.LayerNorm(width, eps=1e-6) for width in self.widths)
        self.channel_pool, self.spatial_pool = (
            AttentionPool(width, shape.heads, shape.drop, shape.attn_drop) for width in self.widths
        )

    def reset(self) -> None:
        """The two projections begin as if they were apart."""
        for part in self.down.weight.split(self.widths):
            nn.init.xavier_uniform_(part)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        b, c, n, _ = tokens.shape
        by_channel, by_position = self.down(tokens).split(self.widths, -1)
        by_position = by_position.transpose(1, 2)
        bands = self.channel_pool(self.channel_norm(by_channel).flatten(0, 1)).view(b, c, -1)
        places = self.spatial_pool(self.spatial_norm(by_position).flatten(0, 1)).view(b, n, -1)
        return by_channel[:, :, 0] + bands, by_position[:, :, 0] + places


class Branch(nn.Module):
    """Attention along one axis, `rank` times: [b, length, heads * head] -> [b, heads, rank, length, head]."""

    def __init__(self, head: int, shape: AttentionShape) -> None:
        super().__init__()
        width = shape.heads * head
        self.heads, self.rank, self.head, self.attn_drop = shape.heads, shape.rank, head, shape.attn_drop
        self.values = 1 if shape.form == "v1" else shape.rank
        self.qk = nn.Linear(width, 2 * width * shape.rank)
        self.v = nn.Linear(width, width * self.values)

    def forward(self, x: Tensor, rotation: Rotation | None, mask: Tensor | None = None, first: bool = False) -> Tensor:
        """With `first` only the first token's answer, of length 1."""
        b, length, _ = x.shape
        query, key = self.qk(x).view(b, length, 2, self.heads * self.rank, self.head).permute(2, 0, 3, 1, 4)
        value = self.v(x).view(b, length, self.heads, self.values, self.head).permute(0, 2, 3, 1, 4)
        value = value.expand(-1, -1, self.rank, -1, -1).flatten(1, 2)
        # The first token is never turned.
        query, key = query[:, :, :1] if first else rotate(query, rotation), rotate(key, rotation)
        mixed = scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self.attn_drop if self.training else 0.0
        )
        return mixed.unflatten(1, (self.heads, self.rank))


def rank_sum(channel: Tensor, spatial: Tensor) -> Tensor:
    """Sum over ranks of the products of [b, h, r, c, k] and [b, h, r, n, s]: [b, h, c, k, n, s].

    One batched product; nothing of ranks times tokens is held.
    """
    b, h, r, c, k = channel.shape
    n, s = spatial.shape[3:]
    left = channel.permute(0, 1, 3, 4, 2).reshape(b * h, c * k, r)
    return torch.bmm(left, spatial.reshape(b * h, r, n * s)).view(b, h, c, k, n, s)


def kronecker_sum(channel: Tensor, spatial: Tensor) -> Tensor:
    """The sum over ranks as tokens [b, c, n, h * k * s], heads outermost and positions innermost."""
    return rank_sum(channel, spatial).permute(0, 2, 4, 1, 3, 5).flatten(3)


class LessAttention(nn.Module):
    """Tokens [b, c, n, dim] -> [b, c, n, dim]; of row 0 alone, [b, 1, n, dim], where `first_row` says so."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.shape = shape
        self.widths = (shape.channel_dim, shape.spatial_dim)
        """Of the rotations along bands and along positions."""
        self.pool = LowDimPool(shape)
        self.channel_norm, self.spatial_norm = (nn.LayerNorm(width, eps=1e-6) for width in self.pool.widths)
        self.channel, self.spatial = Branch(shape.channel_dim, shape), Branch(shape.spatial_dim, shape)
        self.proj = nn.Linear(shape.dim, shape.dim)
        self.drop = nn.Dropout(shape.drop)

    def factors(self, tokens: Tensor, places: Places, first_row: bool = False) -> tuple[Tensor, Tensor]:
        """What ranks are made of: [b, heads, rank, c, channel_dim] and [b, heads, rank, n, spatial_dim]."""
        bands, positions = self.pool(tokens)
        channel = self.channel(self.channel_norm(bands), places.spectral, first=first_row)
        return channel, self.spatial(self.spatial_norm(positions), places.spatial, places.mask)

    def forward(self, tokens: Tensor, places: Places, first_row: bool = False) -> Tensor:
        channel, spatial = self.factors(tokens, places, first_row)
        if self.shape.form == "v2" and self.shape.rank > 1:
            channel = channel / self.shape.rank
        return self.drop(self.proj(kronecker_sum(channel, spatial)))
