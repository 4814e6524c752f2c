"""Convolutions along the spectrum of each pixel alone, which takes any number of bands and no notice of neighbours.

After Hu et al., Deep Convolutional Neural Networks for Hyperspectral Image Classification, Journal of Sensors 2015, with the
wavelength as a second input and a mean over what the last layer leaves of the spectrum.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SpectralCNN(nn.Module):
    """Cubes [n, c, h, w] and wavelengths [c] -> logits [n, classes, h, w].

    Every layer takes `kernel` bands at a time and leaves every second one.
    """

    multiple = 1

    def __init__(self, classes: int, wavelength_range: tuple[float, float], widths: Sequence[int] = (32, 64, 64),
                 kernel: int = 5) -> None:  # fmt: skip
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel={kernel} must be odd")
        self.low, self.high = wavelength_range
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((2, *widths)):
            layers += [
                nn.Conv2d(before, after, (kernel, 1), (2, 1), (kernel // 2, 0), bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv1d(widths[-1], classes, 1)
        self.keep_dense = ("layers.0",)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        wavelengths, order = wavelengths.to(cube).sort(stable=True)
        place = 2 * (wavelengths - self.low) / (self.high - self.low) - 1
        values = (2 * cube[:, order] - 1).flatten(2)
        both = torch.stack((values, place[None, :, None].expand_as(values)), 1)
        return self.head(self.layers(both).mean(2)).unflatten(2, cube.shape[2:])
