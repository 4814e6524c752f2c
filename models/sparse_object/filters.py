"""Filters that small bright targets pass and their surroundings do not."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import max_pool2d, pad, unfold


class TopHat(nn.Module):
    """White top-hat: an image [n, 1, h, w] less its opening by an ellipse of `size` pixels across.

    What is brighter than all surroundings of that shape remains. The answer is divided by the largest value of its image.
    """

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        _require_odd(size)
        self.size = size
        self.reaches: list[int] = ((ellipse(size).sum(1) - 1) // 2).tolist()

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the filter leaves, [n, h, w], from 0 to 1."""
        opened = self._largest(-self._largest(-image))
        return {"probability": relative(image - opened)[:, 0]}

    def _largest(self, image: torch.Tensor) -> torch.Tensor:
        """The largest value within the shape around each pixel; places outside of the image are never the largest."""
        half = self.size // 2
        around = pad(image, (half,) * 4, value=-torch.inf)
        rows = [
            max_pool2d(around[:, :, row : row + image.shape[2], half - reach : around.shape[3] - half + reach],
                       (1, 2 * reach + 1), stride=1)
            for row, reach in enumerate(self.reaches)
        ]  # fmt: skip
        return torch.stack(rows).amax(0)


class MaxMedian(nn.Module):
    """Max-median: an image [n, 1, h, w] less the largest of the four medians along lines of `size` pixels through a pixel.

    Lines are horizontal, vertical and diagonal (Deshpande et al., Max-mean and max-median filters for detection of small
    targets, SPIE 1999); edges are repeated outwards. The answer is divided by the largest value of its image.
    """

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        _require_odd(size)
        self.size = size

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the filter leaves, [n, h, w], from 0 to 1; darker places than all four medians are 0."""
        n, _, height, width = image.shape
        around = pad(image, (self.size // 2,) * 4, mode="replicate")
        patches = unfold(around, self.size).view(n, self.size, self.size, height, width)
        middle, steps = self.size // 2, torch.arange(self.size, device=image.device)
        lines = (patches[:, middle], patches[:, :, middle], patches[:, steps, steps], patches[:, steps, steps.flip(0)])
        background = torch.stack([line.median(1).values for line in lines]).amax(0)
        return {"probability": relative((image[:, 0] - background)[:, None])[:, 0]}


def ellipse(size: int) -> torch.Tensor:
    """The elliptic element of OpenCV, bool [size, size]: row r reaches round(c sqrt(1 - (r - c)^2 / c^2)) to either side."""
    middle = size // 2
    offset = torch.arange(size) - middle
    reach = (middle * (1 - (offset / max(middle, 1)).square()).clamp(min=0).sqrt()).round()
    return offset[None].abs() <= reach[:, None]


def relative(image: torch.Tensor) -> torch.Tensor:
    """What is positive of [n, 1, h, w], divided by the largest value of its image; zero where nothing is positive."""
    positive = image.clamp(min=0)
    largest = positive.amax((2, 3), keepdim=True)
    return positive / torch.where(largest > 0, largest, 1)


def _require_odd(size: int) -> None:
    if size < 1 or size % 2 == 0:
        raise ValueError("size must be odd and positive")
