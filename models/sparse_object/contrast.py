"""The contrast prior of RPCANet++ (DCPM): how a pixel differs from what a wide kernel sees around it."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks import errors
from benchmarks.models.fft_conv import FFTConv2d
from benchmarks.models.lowrank.conv import LowRankConv2d
from benchmarks.models.lowrank.svd import svd_conv
from benchmarks.models.sparse_object.blocks import Norm, conv3
from benchmarks.models.wide_conv import WideConv2d

KERNEL = 17
DCPM = ("direct", "fft", "lowrank")
"""How the wide kernel is applied. The first two are one function with one state dict."""


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
    shares the gradient of W. `dcpm=lowrank` has W of `rank` channels and a mixture of these.
    """

    def __init__(self, channels: int, dcpm: str = "direct", rank: int = 8) -> None:
        super().__init__()
        self.conv = wide_conv(channels, dcpm, rank)
        self.attn = ChannelAttention(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous() if x.device.type == "cpu" else x  # see `channels_last`
        centre = nn.functional.conv2d(x, kernel_sum(self.conv))
        return self.attn(x) * centre - self.conv(x)


def channels_last(network: nn.Module) -> nn.Module:
    """The network with the channels of a pixel side by side, in which a CPU computes most convolutions sooner.

    Wide kernels keep channels first: a CPU has the gradient of their weights in that order alone, and elsewhere takes a loop
    for it that lasts over a hundred times as long.
    """
    network.to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, Contrast):
            module.conv.to(memory_format=torch.contiguous_format)
    return network


def wide_conv(channels: int, dcpm: str, rank: int) -> nn.Module:
    """The 17 x 17 convolution in one of the ways of DCPM; `rank` counts for `lowrank` alone, from 1 to `channels`."""
    if dcpm not in DCPM:
        raise errors.unknown("dcpm", dcpm, DCPM)
    if dcpm == "direct":
        return WideConv2d(channels, channels, KERNEL, padding=KERNEL // 2, bias=False)
    if dcpm == "fft":
        return FFTConv2d(channels, channels, KERNEL, bias=False)
    if not 1 <= rank <= channels:
        raise errors.BenchmarkError(
            f"dcpm_rank={rank} is not possible with channels={channels}: give a rank from 1 to {channels}, "
            f"as model.dcpm_rank={max(1, channels // 4)}."
        )
    return LowRankConv2d(channels, channels, rank, (KERNEL, KERNEL), padding=(KERNEL // 2,) * 2, bias=False)


def kernel_sum(conv: nn.Module) -> torch.Tensor:
    """The weights of a convolution, or of one in its place, summed over places: [out, in, 1, 1]."""
    if isinstance(conv, LowRankConv2d):
        return conv.kernel().sum((2, 3), keepdim=True)
    assert isinstance(conv, nn.Conv2d)
    return conv.weight.sum((2, 3), keepdim=True)


def contrast_prior(channels: int, dcpm: str = "direct", rank: int = 8) -> nn.Sequential:
    """[n, 1, h, w] -> [n, 1, h, w]; statistics of the attention need two images or more, or stay (see `Norm`)."""
    return nn.Sequential(
        conv3(1, channels),
        nn.ReLU(inplace=True),
        Contrast(channels, dcpm, rank),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.1, inplace=True),
        conv3(channels, 1),
    )


def factorised(state: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict as published -> that of `network`, whose low-rank contrast kernels become the SVD of the dense ones."""
    made = dict(state)
    for name, module in network.named_modules():
        weight = state.get(f"{name}.conv.weight")
        if isinstance(module, Contrast) and isinstance(module.conv, LowRankConv2d) and weight is not None:
            if weight.shape != module.conv.kernel().shape:
                continue
            dense = nn.Conv2d(weight.shape[1], weight.shape[0], KERNEL, padding=KERNEL // 2, bias=False)
            dense.weight = nn.Parameter(made.pop(f"{name}.conv.weight").to(torch.float32))
            small = svd_conv(dense).truncate(module.conv.up.in_channels)
            made |= {f"{name}.conv.{key}": value for key, value in small.state_dict().items()}
    return made
