"""Normalisations that LiteMedSAM is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of every pixel, [n, c, h, w]."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        by_pixel = layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return by_pixel.permute(0, 3, 1, 2)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by its pretrained statistics, also where the rest of the network is trained.

    Batches of one or two crops tell too little of a data set, and an adapter that changed them would store them.
    """

    def train(self, mode: bool = True) -> FrozenBatchNorm2d:
        super().train(False)
        return self
