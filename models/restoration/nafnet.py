"""NAFNet (Chen et al., Simple Baselines for Image Restoration, ECCV 2022) with the authors' names of weights.

Two official layouts at width 32: SIDD (29,159,715 parameters) and GoPro (17,111,907). Nothing in it is an activation
function: halves of channels are multiplied with each other, and channels with a mixture of their means over the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.padding import padded
from benchmarks.models.restoration.layer_norm import LayerNorm2d


class SimpleGate(nn.Module):
    """[n, 2 c, h, w] -> [n, c, h, w]: the first half of the channels times the second."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class NAFBlock(nn.Module):
    """A spatial half with channel attention and a pointwise half, [n, c, h, w] -> [n, c, h, w]; when fresh, the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.norm1 = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, wide, 1)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.norm2 = LayerNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, wide, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.sg = SimpleGate()
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, inp: Tensor) -> Tensor:
        x = self.sg(self.conv2(self.conv1(self.norm1(inp))))
        y = inp + self.conv3(x * self.sca(x)) * self.beta
        return y + self.conv5(self.sg(self.conv4(self.norm2(y)))) * self.gamma


class NAFNet(nn.Module):
    """Images [n, channels, h, w] of 0 to 1 -> restored ones of the same size, not clipped.

    `encoder` and `decoder` are blocks a level, from fine to coarse and back; each level has twice the channels of the one
    above and half its height and width. Images are padded with zeros to what the levels halve, and answers cut again.
    Convolutions at both ends may be updated and compressed as all others: an adapter that left them out would leave out
    what matters most.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ()
    decoder_parameters: ClassVar[tuple[str, ...]] = ("ups.*", "decoders.*", "ending.*")

    def __init__(
        self,
        width: int = 32,
        encoder: Sequence[int] = (2, 2, 4, 8),
        middle: int = 12,
        decoder: Sequence[int] = (2, 2, 2, 2),
        channels: int = 3,
    ) -> None:
        super().__init__()
        if len(encoder) != len(decoder):
            raise BenchmarkError(
                f"model.encoder={list(encoder)} and model.decoder={list(decoder)} must have equally many levels."
            )
        self.multiple = 2 ** len(encoder)
        # In the order of the computation (the sides of the U aside), which is that of plans, tables and ties.
        self.intro = nn.Conv2d(channels, width, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for blocks in encoder:
            self.encoders.append(_blocks(blocks, width))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle_blks = _blocks(middle, width)
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        for blocks in decoder:
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(_blocks(blocks, width))
        self.ending = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        inp = padded(image, self.multiple, mode="constant").contiguous(memory_format=torch.channels_last)
        x = self.intro(inp)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = self.middle_blks(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(skips.pop() + up(x))  # in this order, since a sum has the memory format of its first term
        return (inp + self.ending(x))[:, :, : image.shape[2], : image.shape[3]]


def _blocks(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels) for _ in range(count)))
