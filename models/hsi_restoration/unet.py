"""The U-Net of SR3 (Saharia et al. 2021) as the diffusion priors of remote sensing have it, with their names of weights.

At its official size (ddpm-cd: base 128, multipliers 1, 2, 4, 8, 8) it has 391,048,067 parameters in 362 tensors. Attention
sits where an image of `image_size` pixels has become `attention_at` pixels wide, whatever the size of the input, and in the
middle. Any height and width: images are padded to what the levels halve, and answers cut again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.models.padding import padded

SLOWEST = 1e4


class NoiseLevel(nn.Module):
    """Noise levels [n] -> sines and cosines of them [n, dim]; levels are not scaled."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, level: Tensor) -> Tensor:
        count = self.dim // 2
        frequency = torch.exp(-math.log(SLOWEST) * torch.arange(count, dtype=level.dtype, device=level.device) / count)
        angle = level[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], 1)


class Block(nn.Module):
    """Group normalisation, Swish, dropout, 3 x 3 convolution."""

    def __init__(self, in_channels: int, out_channels: int, groups: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.GroupNorm(groups, in_channels),
            nn.SiLU(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class LevelShift(nn.Module):
    """Adds a projection of the noise level's embedding to every pixel."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.noise_func = nn.Sequential(nn.Linear(dim, channels))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return x + self.noise_func(embedding)[:, :, None, None]


class Residual(nn.Module):
    """Two blocks with the noise level between them, beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, dim: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.noise_func = LevelShift(dim, out_channels)
        self.block1 = Block(in_channels, out_channels, groups)
        self.block2 = Block(out_channels, out_channels, groups, dropout)
        self.res_conv = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.block2(self.noise_func(self.block1(x), embedding)) + self.res_conv(x)


class Attention(nn.Module):
    """Self-attention of one head over all pixels; logits are scaled by the root of the channels."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part.flatten(2).mT for part in self.qkv(self.norm(x)).chunk(3, 1))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.mT.reshape(x.shape)) + x


class Stage(nn.Module):
    """A residual block, with attention behind it where there is one."""

    def __init__(
        self, in_channels: int, out_channels: int, dim: int, groups: int, dropout: float, attention: bool
    ) -> None:
        super().__init__()
        self.res_block = Residual(in_channels, out_channels, dim, groups, dropout)
        self.attn = Attention(out_channels, groups) if attention else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = self.res_block(x, embedding)
        return x if self.attn is None else self.attn(x)


class Down(nn.Module):
    """Half the resolution, by a convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Up(nn.Module):
    """Twice the resolution: nearest pixels, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(nn.Module):
    """Noisy images [n, 3, h, w] from -1 to 1 and levels [n] (the root of the signal's share) -> the noise in them."""

    def __init__(
        self,
        base: int = 16,
        mults: Sequence[int] = (1, 2, 2),
        res_blocks: int = 1,
        groups: int = 8,
        attention_at: Sequence[int] = (),
        middle_attention: bool = False,
        image_size: int = 256,
        dropout: float = 0.0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if base % groups or base % 2:
            raise ValueError(f"base {base} must be even and a multiple of groups {groups}")
        self.multiple = 2 ** (len(mults) - 1)
        self.noise_level_mlp = nn.Sequential(
            NoiseLevel(base), nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, base)
        )

        def stage(in_channels: int, out_channels: int, attention: bool) -> Stage:
            return Stage(in_channels, out_channels, base, groups, dropout, attention)

        sizes = [image_size // 2**level for level in range(len(mults))]
        widths = [base * mult for mult in mults]
        width, kept = base, [base]
        self.downs = nn.ModuleList([nn.Conv2d(channels, base, 3, padding=1)])
        for level, wanted in enumerate(widths):
            for _ in range(res_blocks):
                self.downs.append(stage(width, wanted, sizes[level] in attention_at))
                width = wanted
                kept.append(width)
            if level < len(mults) - 1:
                self.downs.append(Down(width))
                kept.append(width)
        self.mid = nn.ModuleList([stage(width, width, middle_attention), stage(width, width, False)])
        self.ups = nn.ModuleList()
        for level in reversed(range(len(mults))):
            for _ in range(res_blocks + 1):
                self.ups.append(stage(width + kept.pop(), widths[level], sizes[level] in attention_at))
                width = widths[level]
            if level > 0:
                self.ups.append(Up(width))
        self.final_conv = Block(width, channels, groups)

    def forward(self, image: Tensor, level: Tensor) -> Tensor:
        embedding = self.noise_level_mlp(level)
        x, kept = padded(image, self.multiple), []
        for layer in self.downs:
            x = layer(x, embedding) if isinstance(layer, Stage) else layer(x)
            kept.append(x)
        for layer in self.mid:
            x = layer(x, embedding)
        for layer in self.ups:
            x = layer(torch.cat([x, kept.pop()], 1), embedding) if isinstance(layer, Stage) else layer(x)
        return self.final_conv(x)[..., : image.shape[2], : image.shape[3]]
