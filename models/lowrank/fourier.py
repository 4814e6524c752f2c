"""FourierFT: some coefficients of the update's Fourier transform train."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.random_bases import shared
from benchmarks.models.lowrank.update import Update, at_least_single


class SparseUpdate(Update):
    """W + what a transform makes of a matrix of zeros but for `values` [n], which train, at random `places` [n].

    The values start at zero, so that an update that was not trained changes nothing; layers of one shape have the same places.
    A number of coefficients beyond all there are means all.
    """

    places: torch.Tensor

    def __init__(self, weight: torch.Tensor, coefficients: int, shape: tuple[int, int]) -> None:
        super().__init__(weight)
        self.shape = shape
        places = torch.randperm(shape[0] * shape[1], generator=shared())[:coefficients]
        self.register_buffer("places", places.to(weight.device))
        self.values = nn.Parameter(weight.new_zeros(len(places)))

    def spectrum(self) -> torch.Tensor:
        """The matrix of coefficients, in 32 bits or more."""
        values = at_least_single(self.values)
        zeros = values.new_zeros(self.shape[0] * self.shape[1])
        return zeros.index_copy(0, self.places, values).view(self.shape)


class FourierUpdate(SparseUpdate):
    """W + scale Re(IDFT2(F)) with a sparse F.

    Gao et al., Parameter-Efficient Fine-Tuning with Discrete Fourier Transform, ICML 2024, where values are drawn from
    N(0, 1), so that training does not start from the base.
    """

    def __init__(self, weight: torch.Tensor, coefficients: int, scale: float) -> None:
        super().__init__(weight, coefficients, (len(weight), weight[0].numel()))
        self.scale = scale

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        update = self.scale * torch.fft.ifft2(self.spectrum()).real
        return weight + update.to(weight.dtype).view(weight.shape)
