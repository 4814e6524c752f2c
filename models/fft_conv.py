"""Convolutions by wide kernels as products of Fourier transforms, tile by tile (overlap-save)."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

TILE = 64
"""Side of the tiles that are transformed. A 17 x 17 kernel leaves 48 x 48 of each; larger tiles are hardly any faster, and
the spectrum grows with their area: 17 MB for 32 to 32 channels."""
AT_ONCE = 64
"""Tiles whose transforms are held at a time, about: 35 MB of 32 channels."""


class FFTConv2d(nn.Conv2d):
    """A convolution of an odd kernel with stride 1 that keeps height and width: nn.Conv2d in another way, up to rounding.

    In evaluation without gradients the spectrum of the kernel is kept until the weight changes, moves or trains again (a
    change through `weight.data` cannot be seen). What is held at a time does not depend on the size of the image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
    ) -> None:
        if kernel_size % 2 == 0 or not 1 <= kernel_size < TILE:
            raise ValueError(f"kernel_size must be odd and below {TILE}")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
        self._kept: tuple[Any, tuple[int, int], torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = overlap_save(x, self._spectrum(), self.kernel_size[0])
        return y if self.bias is None else y + self.bias[:, None, None].to(y.dtype)

    def train(self, mode: bool = True) -> FFTConv2d:
        if mode:
            self._kept = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def _spectrum(self) -> torch.Tensor:
        weight = self.weight
        learns = torch.is_grad_enabled() and weight.requires_grad
        if self.training or learns or weight.is_inference() or torch.compiler.is_compiling():
            return spectrum(weight)
        state = (weight._version, weight.data_ptr())
        if self._kept is None or self._kept[0]() is not weight or self._kept[1] != state:
            self._kept = (weakref.ref(weight), state, spectrum(weight.detach()))
        return self._kept[2]


def spectrum(weight: torch.Tensor) -> torch.Tensor:
    """Kernels [out, in, k, k] -> complex [places, in, out], a matrix for every frequency of a tile; half precision as float32.

    Convolutions of networks are correlations, hence the conjugate.
    """
    transformed = torch.fft.rfft2(_full(weight), (TILE, TILE)).conj()
    return transformed.permute(2, 3, 1, 0).flatten(0, 1).contiguous()


def overlap_save(x: torch.Tensor, kernels: torch.Tensor, kernel_size: int) -> torch.Tensor:
    """x [n, in, h, w] convolved with zeros around it by kernels of odd size, given as their `spectrum`: [n, out, h, w].

    Of every tile the part is kept that the circular convolution does not wrap into.
    """
    n, _, height, width = x.shape
    step, half = TILE - kernel_size + 1, kernel_size // 2
    down, across = -(-height // step), -(-width // step)
    around = pad(_full(x), (half, across * step - width + half, half, down * step - height + half))
    # A program that is exported takes any number of images, and holds no loop over it.
    images = 1 if torch.compiler.is_compiling() else n
    strips = list(_strips(down, max(1, AT_ONCE // (images * across))))
    made = [
        _tiles(around[:, :, first * step : last * step + kernel_size - 1], kernels, step, last - first, across)
        for first, last in strips
    ]
    whole = made[0] if len(made) == 1 else torch.cat(made, 2)
    return whole[:, :, :height, :width].to(x.dtype)


def _tiles(around: torch.Tensor, kernels: torch.Tensor, step: int, down: int, across: int) -> torch.Tensor:
    """[n, in, down * step + k - 1, across * step + k - 1] -> [n, out, down * step, across * step], channels last in memory."""
    n, half = around.shape[0], TILE // 2 + 1
    tiles = around.unfold(2, TILE, step).unfold(3, TILE, step)
    rows = torch.fft.rfft2(tiles).permute(4, 5, 0, 2, 3, 1).flatten(2, 4).flatten(0, 1)
    mixed = torch.bmm(rows, kernels).unflatten(0, (TILE, half)).unflatten(2, (n, down, across))
    tiles = torch.fft.irfft2(mixed.permute(2, 5, 3, 4, 0, 1), (TILE, TILE))[..., :step, :step]
    return tiles.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def _strips(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """First and last of so many rows at a time."""
    for first in range(0, rows, height):
        yield first, min(first + height, rows)


def _full(x: torch.Tensor) -> torch.Tensor:
    """In a type that transforms exist for on every device."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
