"""A small U-Net, trained from scratch: what adapting a pretrained encoder has to beat.

Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015, with batch
normalisation and padded convolutions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SmallUNet(nn.Module):
    """Images [n, 3, h, w] -> logits [n, classes, h, w]; sides are multiples of `multiple`; 482,737 parameters by default."""

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 128), classes: int = 1) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(_two_convs(*pair) for pair in ((3, widths[0]), *pairs))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, wide, 2, 2) for wide, deep in reversed(pairs))
        self.merge = nn.ModuleList(_two_convs(2 * wide, wide) for wide, _ in reversed(pairs))
        self.out = nn.Conv2d(widths[0], classes, 1)
        self.pool = nn.MaxPool2d(2)
        self.multiple = 2 ** (len(widths) - 1)
        # The first convolution has few inputs, the last few outputs: nothing can be gained there.
        self.keep_dense = ("down.0.0", "out")

    def forward(self, image: Tensor) -> Tensor:
        maps = [self.down[0](image)]
        for block in self.down[1:]:
            maps.append(block(self.pool(maps[-1])))
        x = maps.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat((up(x), maps.pop()), 1))
        return self.out(x)


def _two_convs(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
