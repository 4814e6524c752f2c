"""ACM: what deep features know of the whole image and shallow ones of a pixel, each weighing the other.

Dai, Wu, Zhou and Barnard, Asymmetric Contextual Modulation for Infrared Small Target Detection, WACV 2021. Of the paper's
two hosts this is the U-Net with the residual network of 20 layers (three blocks a stage), with the stem that divides the
image by four first: the form of the authors' later release, which tables of the field give 0.398 M parameters.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate

from benchmarks.models.padding import padded
from benchmarks.models.sparse_object.blocks import Norm, narrow

STEM = 4
"""By how much the stem divides height and width."""
REDUCTION = 4
"""By how much the contexts narrow their channels."""


class Modulation(nn.Module):
    """Shallow X and deep Y [n, c, h, w] -> G(Y) X + L(X) Y, then a 3 x 3 convolution, BN and ReLU.

    G, a weight of each channel, sees the mean of Y over all places; L, a weight of each channel and place, sees that place of
    X. Both are sigmoid(BN(W2 relu(BN(W1 .)))). A constant factor of the sum, as released code has, is lost in the BN behind.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.top_down = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_context(channels))
        self.bottom_up = nn.Sequential(*_context(channels))
        self.after = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), Norm(channels), nn.ReLU(inplace=True))

    def forward(self, shallow: torch.Tensor, deep: torch.Tensor) -> torch.Tensor:
        return self.after(self.top_down(deep) * shallow + self.bottom_up(shallow) * deep)


class Block(nn.Module):
    """A basic residual block, relu(F(x) + x); where it halves the image or changes channels, x passes a 1 x 1 convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(in_channels, channels, stride), nn.ReLU(inplace=True), *_conv(channels, channels)
        )
        same = stride == 1 and in_channels == channels
        self.skip = nn.Sequential() if same else nn.Sequential(*_conv(in_channels, channels, stride, kernel=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.skip(x))


class ACM(nn.Module):
    """Images [n, 1, h, w] of any size -> logits [n, 1, h, w] of objects, and None: nothing is reconstructed.

    Stages have `channels`, twice and four times as many; each, and each step back up, has `blocks` residual blocks. Logits of
    a quarter of the size are enlarged bilinearly. 397,823 parameters by default.
    """

    def __init__(self, channels: int = 16, blocks: int = 3) -> None:
        super().__init__()
        if channels < REDUCTION or channels % REDUCTION or blocks < 1:
            raise ValueError(f"channels must be a multiple of {REDUCTION}, blocks 1 or more")
        half, (low, middle, high) = channels // 2, (channels, 2 * channels, 4 * channels)
        self.stem = nn.Sequential(
            Norm(1),
            *_conv(1, half, stride=2),
            nn.ReLU(inplace=True),
            *_conv(half, half),
            nn.ReLU(inplace=True),
            *_conv(half, low),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.down = nn.ModuleList(
            [_stage(low, low, blocks), _stage(low, middle, blocks, stride=2), _stage(middle, high, blocks, stride=2)]
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 4, stride=2, padding=1)
            for deep, shallow in ((high, middle), (middle, low))
        )
        self.modulate = nn.ModuleList(Modulation(width) for width in (middle, low))
        self.up = nn.ModuleList(_stage(width, width, blocks) for width in (middle, low))
        self.head = nn.Sequential(
            *_conv(low, low // 4), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.Conv2d(low // 4, 1, 1)
        )
        self.keep_dense = (*narrow(self), "modulate.*.top_down.*", "modulate.*.bottom_up.*", "head.*")

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, None]:
        height, width = image.shape[2:]
        x = self.stem(padded(image, 4 * STEM))
        shallow: list[torch.Tensor] = []
        for stage in self.down:
            x = stage(x)
            shallow.append(x)
        for beside, enlarge, modulate, up in zip(shallow[-2::-1], self.enlarge, self.modulate, self.up, strict=True):
            x = up(modulate(beside, enlarge(x)))
        logits = interpolate(self.head(x), scale_factor=float(STEM), mode="bilinear")
        return logits[:, :, :height, :width], None

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The probability [n, h, w] of an object at every pixel."""
        return {"probability": torch.sigmoid(self(image)[0].to(torch.float32))[:, 0]}


def _conv(in_channels: int, channels: int, stride: int = 1, kernel: int = 3) -> tuple[nn.Module, ...]:
    """A convolution that keeps the size (but for its stride), and BN."""
    conv = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)
    return conv, Norm(channels)


def _context(channels: int) -> tuple[nn.Module, ...]:
    inner = channels // REDUCTION
    return (
        nn.Conv2d(channels, inner, 1),
        Norm(inner),
        nn.ReLU(inplace=True),
        nn.Conv2d(inner, channels, 1),
        Norm(channels),
        nn.Sigmoid(),
    )


def _stage(in_channels: int, channels: int, blocks: int, stride: int = 1) -> nn.Sequential:
    first = Block(in_channels, channels, stride)
    return nn.Sequential(first, *(Block(channels, channels) for _ in range(blocks - 1)))
