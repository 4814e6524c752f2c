"""Layer normalisation of images over their channels, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm


class LayerNorm2d(nn.Module):
    """[n, c, h, w] -> [n, c, h, w]: the channels of every pixel to mean zero and variance one, scaled and moved.

    The channels of a pixel lie side by side in the answer, as in an input with that memory format; any other input is copied
    once. Statistics are in float32 whatever the type: autocast casts the input, and the kernel adds up in float32.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1)
        return layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)
