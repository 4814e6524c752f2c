"""One answer for every pixel: the floor of segmentation."""

from __future__ import annotations

from torch import Tensor, nn

CERTAIN = 30.0
"""A logit whose probability is one, or zero, in single precision up to 1e-13."""


class Constant(nn.Module):
    """Images [n, 3, h, w] -> the same logits at every pixel, [n, classes, h, w]: all is `foreground`, or nothing.

    Of several classes, all is the first.
    """

    multiple = 1

    def __init__(self, foreground: bool, classes: int = 1) -> None:
        super().__init__()
        self.logits = [CERTAIN if foreground else -CERTAIN] + (classes - 1) * [-CERTAIN]

    def forward(self, image: Tensor) -> Tensor:
        logits = image.new_tensor(self.logits)[:, None, None]
        return logits.expand(len(image), -1, *image.shape[2:])
