"""What needs no network: the degraded image as it is."""

from __future__ import annotations

from torch import Tensor, nn


class Degraded(nn.Module):
    """[n, 3, h, w] -> the same."""

    def forward(self, image: Tensor) -> Tensor:
        return image
