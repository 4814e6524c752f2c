"""One linear map from the spectrum of a pixel to its class: what logistic regression fits."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.models.hyperspectral.own_bands import BandRule, OwnBands


class SpectralLinear(nn.Module):
    """Cubes [n, c, h, w] and wavelengths [c] -> logits [n, classes, h, w], every pixel by itself."""

    multiple = 1
    keep_dense = ("linear",)

    def __init__(self, classes: int, wavelengths: Sequence[float], band_rule: BandRule = "nearest") -> None:
        super().__init__()
        self.bands = OwnBands(wavelengths, band_rule)
        self.linear = nn.Linear(len(self.bands), classes)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        return self.linear(self.bands(cube, wavelengths).movedim(1, -1)).movedim(-1, 1)
