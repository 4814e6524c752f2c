"""Restormer (Zamir et al., CVPR 2022) with the authors' names of weights; 26,126,644 parameters at the official size.

Attention is between channels, not pixels, so that its cost grows with the image as that of a convolution does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, normalize

from benchmarks.errors import BenchmarkError
from benchmarks.models.padding import padded

LEVELS = 4
EPS = 1e-5


class ChannelNorm(nn.Module):
    """Over the last dimension; without a bias values are divided by their deviation, and their mean stays."""

    def __init__(self, channels: int, with_bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if with_bias else None

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is not None:
            return layer_norm(x, self.weight.shape, self.weight, self.bias, EPS)
        scale = torch.rsqrt(x.float().var(-1, keepdim=True, unbiased=False) + EPS)
        return x * scale.to(x.dtype) * self.weight


class LayerNorm(nn.Module):
    """`ChannelNorm` of every pixel of images [n, c, h, w]."""

    def __init__(self, channels: int, with_bias: bool) -> None:
        super().__init__()
        self.body = ChannelNorm(channels, with_bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Transposed attention: the channels of a head attend to each other by their products over all pixels."""

    def __init__(self, channels: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        mixed = self.qkv_dwconv(self.qkv(x))
        query, key, value = mixed.reshape(n, 3, self.heads, channels // self.heads, height * width).unbind(1)
        weights = (normalize(query, dim=-1) @ normalize(key, dim=-1).mT * self.temperature).softmax(dim=-1)
        return self.project_out((weights @ value).reshape(n, channels, height, width))


class FeedForward(nn.Module):
    """Two depthwise branches, one of which gates the other."""

    def __init__(self, channels: int, expansion: float, bias: bool) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(gelu(gate) * value)


class TransformerBlock(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a shortcut."""

    def __init__(self, channels: int, heads: int, expansion: float, bias: bool, norm_bias: bool) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels, norm_bias)
        self.attn = Attention(channels, heads, bias)
        self.norm2 = LayerNorm(channels, norm_bias)
        self.ffn = FeedForward(channels, expansion, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class Resized(nn.Module):
    """A convolution and a rearrangement of pixels: half the size with twice the channels, or the other way round."""

    def __init__(self, channels: int, up: bool) -> None:
        super().__init__()
        out = 2 * channels if up else channels // 2
        shuffle = nn.PixelShuffle(2) if up else nn.PixelUnshuffle(2)
        self.body = nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), shuffle)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PatchEmbed(nn.Module):
    """Pixels with their neighbours to features."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class Restormer(nn.Module):
    """Images [n, 3, h, w] of 0 to 1 -> restored ones of the same size, not clipped.

    `blocks` and `heads` are of the four levels from fine to coarse, `refinement` blocks follow at full size. `norm_bias` is
    off in the authors' denoisers of Gaussian noise. Images are padded by their edges to multiples of 8, and answers cut.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ()
    decoder_parameters: ClassVar[tuple[str, ...]] = ("up*", "reduce_chan_*", "decoder_*", "refinement.*", "output.*")

    def __init__(
        self,
        width: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        bias: bool = False,
        norm_bias: bool = True,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if len(blocks) != LEVELS or len(heads) != LEVELS:
            raise BenchmarkError(
                f"model.blocks={list(blocks)} and model.heads={list(heads)} must have {LEVELS} entries each, one a level."
            )
        if any(width * 2**level % count for level, count in enumerate(heads)):
            widths = [width * 2**level for level in range(LEVELS)]
            raise BenchmarkError(f"model.heads={list(heads)} must divide the widths of the levels, {widths}.")

        def stack(count: int, level: int, head: int) -> nn.Sequential:
            return nn.Sequential(
                *(TransformerBlock(width * 2**level, heads[head], expansion, bias, norm_bias) for _ in range(count))
            )

        self.multiple = 2 ** (LEVELS - 1)
        self.patch_embed = PatchEmbed(channels, width)
        self.encoder_level1 = stack(blocks[0], 0, 0)
        self.down1_2 = Resized(width, up=False)
        self.encoder_level2 = stack(blocks[1], 1, 1)
        self.down2_3 = Resized(2 * width, up=False)
        self.encoder_level3 = stack(blocks[2], 2, 2)
        self.down3_4 = Resized(4 * width, up=False)
        self.latent = stack(blocks[3], 3, 3)
        self.up4_3 = Resized(8 * width, up=True)
        self.reduce_chan_level3 = nn.Conv2d(8 * width, 4 * width, 1, bias=bias)
        self.decoder_level3 = stack(blocks[2], 2, 2)
        self.up3_2 = Resized(4 * width, up=True)
        self.reduce_chan_level2 = nn.Conv2d(4 * width, 2 * width, 1, bias=bias)
        self.decoder_level2 = stack(blocks[1], 1, 1)
        self.up2_1 = Resized(2 * width, up=True)
        # At full size features are not reduced: they have the width of the second level and the heads of the first.
        self.decoder_level1 = stack(blocks[0], 1, 0)
        self.refinement = stack(refinement, 1, 0)
        self.output = nn.Conv2d(2 * width, channels, 3, padding=1, bias=bias)

    def forward(self, image: Tensor) -> Tensor:
        inp = padded(image, self.multiple)
        fine = self.encoder_level1(self.patch_embed(inp))
        middle = self.encoder_level2(self.down1_2(fine))
        coarse = self.encoder_level3(self.down2_3(middle))
        x = self.latent(self.down3_4(coarse))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat((self.up4_3(x), coarse), 1)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat((self.up3_2(x), middle), 1)))
        x = self.decoder_level1(torch.cat((self.up2_1(x), fine), 1))
        restored = inp + self.output(self.refinement(x))
        return restored[:, :, : image.shape[2], : image.shape[3]]
