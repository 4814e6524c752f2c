"""The contrast prior of RPCANet++ (DCPM): how a pixel differs from what a wide kernel sees around it."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.conv import LowRankConv2d
from benchmarks.models.sparse_object.blocks import Norm, conv3

KERNEL = 17


class ChannelAttention(nn.Module):
    """A weight in (0, 1) for every channel of x [n, c, h, w], out of its mean: [n, c, 1, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.avg_channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            Norm(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            Norm(channels),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.avg_channel(x)


class Contrast(nn.Module):
    """theta (W1 x) - W x, where W is 17 x 17, W1 (1 x 1) its sum over places, and theta a weight of each channel.

    On an image without contrast and with theta = 1 it is zero away from the edges. W1 is summed anew at every call and
    shares the gradient of W.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, KERNEL, padding=KERNEL // 2, bias=False)
        self.attn = ChannelAttention(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centre = nn.functional.conv2d(x, kernel_sum(self.conv))
        return self.attn(x) * centre - self.conv(x)


def kernel_sum(conv: nn.Module) -> torch.Tensor:
    """The weights of a convolution, or of one in its place, summed over places: [out, in, 1, 1]."""
    if isinstance(conv, LowRankConv2d):
        return conv.kernel().sum((2, 3), keepdim=True)
    assert isinstance(conv, nn.Conv2d)
    return conv.weight.sum((2, 3), keepdim=True)


def contrast_prior(channels: int) -> nn.Sequential:
    """[n, 1, h, w] -> [n, 1, h, w]; statistics of the attention need two images or more, or stay (see `Norm`)."""
    return nn.Sequential(
        conv3(1, channels),
        nn.ReLU(inplace=True),
        Contrast(channels),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.1, inplace=True),
        conv3(channels, 1),
    )
