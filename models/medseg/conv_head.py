"""A small convolutional head on an encoder's embedding, with a skip from its map at full resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

UP = 4
"""How much larger the answer is than the embedding."""
RARE = -2.0
"""The first logit: objects are a small share of an image."""


class ConvHead(nn.Module):
    """An embedding [n, dim, h, w] and a map [n, skip, 4h, 4w] -> logits [n, classes, 4h, 4w]; 75,265 parameters of 256 and 64."""

    def __init__(self, dim: int, skip: int, classes: int = 1) -> None:
        super().__init__()
        wide, thin = dim // 2, dim // 16
        self.reduce = nn.Conv2d(dim, wide, 1)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.expand = nn.Conv2d(wide, thin * UP**2, 1)
        self.upscale = nn.PixelShuffle(UP)
        self.norm = nn.GroupNorm(1, thin)
        self.skip = nn.Conv2d(skip, thin, 1)
        self.skip_norm = nn.GroupNorm(1, thin)
        self.fuse = nn.Conv2d(2 * thin, thin, 3, padding=1)
        self.refine = nn.Conv2d(thin, thin, 3, padding=1)
        self.out = nn.Conv2d(thin, classes, 1)
        self.act = nn.GELU()
        assert self.out.bias is not None
        nn.init.constant_(self.out.bias, RARE)

    def forward(self, embedding: Tensor, first: Tensor) -> Tensor:
        x = self.act(self.reduce(embedding))
        x = self.act(x + self.mix(x))
        x = self.norm(self.upscale(self.expand(x)))
        x = self.act(self.fuse(torch.cat((x, self.skip_norm(self.skip(first))), 1)))
        return self.out(self.act(x + self.refine(x)))
