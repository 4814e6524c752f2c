"""What samplers with a prior share: cubes of one shape go through the network together, and each has noise of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.errors import unknown
from benchmarks.models.hsi_restoration.fill import spanning
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.subspace import CHOICES, coefficients
from benchmarks.models.hsi_restoration.unet import UNet

RANK = 3
"""Images that a prior of colours takes."""


class ReducedSampler(nn.Module, ABC):
    """Draws the reduced image A of cubes E A, E from the observation, by a frozen U-Net of the settings `prior`."""

    def __init__(self, prior: Mapping[str, Any], bands: str = "rrqr", seed: int = 0) -> None:
        super().__init__()
        self.allowed("bands", bands, CHOICES)
        self.prior = UNet(**prior).requires_grad_(False)
        self.bands, self.seed = bands, seed

    @staticmethod
    def allowed(key: str, given: str, choices: Sequence[str]) -> None:
        """Raises BenchmarkError for a setting of the method that is not one of its choices."""
        if given not in choices:
            raise unknown(f"method.{key}", given, choices)

    def restore(self, observations: Sequence[Observation]) -> list[Restoration]:
        """Cubes of any shape; those of equal height, width and kind of degradation together."""
        together = defaultdict(list)
        for index, observation in enumerate(observations):
            together[observation.shape[1:], observation.kind].append(index)
        made: dict[int, Restoration] = {}
        for rows in together.values():
            made |= zip(rows, self.alike([observations[row] for row in rows]), strict=True)
        return [made[index] for index in range(len(observations))]

    @abstractmethod
    def alike(self, observations: Sequence[Observation]) -> list[Restoration]:
        """The restorations of cubes of one height, width and kind of degradation."""

    def spectra(self, observation: Observation) -> tuple[Tensor, tuple[int, ...]]:
        """E [c, 3] and the bands that reduced images are."""
        E, bands = coefficients(spanning(observation), RANK, self.bands, inner=observation.inner)
        return E, tuple(bands)

    @staticmethod
    def composed(reduced: Tensor, spectra: Sequence[tuple[Tensor, tuple[int, ...]]]) -> list[Restoration]:
        """The cubes E A of reduced images [n, 3, h, w], with what they are made of."""
        return [
            Restoration(torch.einsum("ck,khw->chw", E, image).clamp(0, 1), E, bands, image)
            for image, (E, bands) in zip(reduced, spectra, strict=True)
        ]

    def generator(self) -> torch.Generator:
        """The noise of one call of `alike`, the same on every device."""
        return torch.Generator().manual_seed(self.seed)

    @staticmethod
    def draw(generator: torch.Generator, observations: Sequence[Observation], count: int = 1) -> Tensor:
        """Standard normal images [n * count, 3, h, w].

        Every cube has the same ones, whatever else is in its batch. Tiles of a scene have those of a field that goes on from
        tile to tile, so that they agree where they overlap.
        """
        height, width = observations[0].shape[1:]
        field = torch.randn(count, RANK, height, width, generator=generator).to(observations[0].noisy)
        return torch.cat(
            [
                field if each.scene is None else field.roll([-at for at in each.scene.place], (2, 3))
                for each in observations
            ]
        )
