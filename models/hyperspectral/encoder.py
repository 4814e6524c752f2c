"""A transformer over the patches of a window, and the head that gives every pixel its logits.

Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021; blocks normalise first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, interpolate, pixel_shuffle, scaled_dot_product_attention


class Block(nn.Module):
    """Self-attention and a perceptron, each on normalised tokens [n, t, dim] and added to them.

    A share of `drop` of attention weights, and of what is added, is dropped in training.
    """

    def __init__(self, dim: int, heads: int, drop: float = 0.0, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.heads, self.drop = heads, drop
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, int(mlp_ratio * dim)), nn.Linear(int(mlp_ratio * dim), dim)

    def forward(self, x: Tensor) -> Tensor:
        n, t, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v, dropout_p=self.drop if self.training else 0.0)
        x = x + self._dropped(self.proj(mixed.transpose(1, 2).reshape(n, t, dim)))
        return x + self._dropped(self.fc2(gelu(self.fc1(self.norm2(x)))))

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.drop, self.training)


class PatchEncoder(nn.Module):
    """Patches [n, dim, y, x] -> logits [n, classes, y * patch, x * patch].

    Learned positions are those of a training window of `grid` x `grid` patches, and are interpolated for other sizes.
    """

    def __init__(
        self, dim: int, depth: int, heads: int, patch: int, grid: int, classes: int, drop: float = 0.0
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim={dim} must be a multiple of heads={heads}")
        self.patch = patch
        self.position = nn.Parameter(0.02 * torch.randn(1, dim, grid, grid))
        self.blocks = nn.Sequential(*(Block(dim, heads, drop) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes * patch**2)

    def forward(self, patches: Tensor) -> Tensor:
        logits = self.head(self.embedding(patches).movedim(1, -1)).movedim(-1, 1)
        return pixel_shuffle(logits, self.patch)

    def embedding(self, patches: Tensor) -> Tensor:
        """What the head reads, [n, dim, y, x]."""
        y, x = patches.shape[2:]
        position: Tensor = self.position
        if position.shape[2:] != patches.shape[2:]:
            position = interpolate(position, size=(y, x), mode="bicubic", align_corners=False)
        tokens = self.blocks((patches + position).flatten(2).transpose(1, 2))
        return self.norm(tokens).transpose(1, 2).unflatten(2, (y, x))


def grid_of(window: int, patch: int) -> int:
    """Patches along a training window; raises ValueError where they do not divide it."""
    if patch < 1 or window % patch:
        raise ValueError(f"patch={patch} must divide the training window of {window} pixels")
    return window // patch
