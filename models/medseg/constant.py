"""One answer for every pixel: the floor of segmentation."""

from __future__ import annotations

from torch import Tensor, nn

CERTAIN = 30.0
"""A logit whose probability is one, or zero, in single precision up to 1e-13."""


class Constant(nn.Module):
    """Images [n, 3, h, w] -> the same logit at every pixel, [n, 1, h, w]: all is `foreground`, or nothing."""

    multiple = 1

    def __init__(self, foreground: bool) -> None:
        super().__init__()
        self.logit = CERTAIN if foreground else -CERTAIN

    def forward(self, image: Tensor) -> Tensor:
        return image.new_full((len(image), 1, *image.shape[2:]), self.logit)
