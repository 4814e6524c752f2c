"""DiffPIR: a diffusion prior and exact data steps in turns, on the reduced image of the same rank-3 model as HIR-Diff.

Zhu et al., Denoising Diffusion Models for Plug-and-Play Image Restoration, CVPR workshops 2023 (algorithm 1). The data step has
a closed form on three images (see `proximal`), which it would have on no cube of hundreds of bands with a prior of colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.one_step import least_squares
from benchmarks.models.hsi_restoration.proximal import Proximal
from benchmarks.models.hsi_restoration.reduced_sampler import ReducedSampler
from benchmarks.models.hsi_restoration.sampler import Prior
from benchmarks.models.hsi_restoration.schedules import LEVELS, SCHEDULES, signal_shares, visited

LEAST_NOISE = 1e-3
"""Deviation that data steps take for the noise of a cube that has less."""


class DiffPIR(ReducedSampler):
    """`weight` is that of the prior against the data, their lambda; `zeta` is the share of fresh noise in each step."""

    def __init__(
        self,
        prior: Mapping[str, Any],
        steps: int = 20,
        schedule: str = "exp",
        decay: float = 8.0,
        weight: float = 7.0,
        zeta: float = 0.1,
        bands: str = "rrqr",
        seed: int = 0,
    ) -> None:
        super().__init__(prior, bands, seed)
        self.allowed("schedule", schedule, SCHEDULES)
        if not 1 <= steps <= LEVELS or weight <= 0 or not 0 <= zeta <= 1:
            raise ValueError(f"steps must be from 1 to {LEVELS}, weight above 0, zeta from 0 to 1")
        self.shares = [float(each) for each in signal_shares(schedule, decay)[visited(steps)]]
        self.weight, self.zeta = weight, zeta

    def alike(self, observations: Sequence[Observation]) -> list[Restoration]:
        generator = self.generator()
        spectra = [self.spectra(each) for each in observations]
        seen = torch.stack(
            [least_squares(filled(each), E, each.noise)[0] for each, (E, _) in zip(observations, spectra, strict=True)]
        )
        terms = [Proximal(each, E) for each, (E, _) in zip(observations, spectra, strict=True)]
        reduced = alternate(
            self.prior, terms, seen, [max(each.noise, LEAST_NOISE) for each in observations], self.shares,
            lambda: self.draw(generator, observations), self.weight, self.zeta,
        )  # fmt: skip
        return self.composed(reduced, spectra)


def alternate(
    prior: Prior,
    terms: Sequence[Callable[[Tensor, float], Tensor]],
    seen: Tensor,
    deviations: Sequence[float],
    shares: Sequence[float],
    draw: Callable[[], Tensor],
    weight: float,
    zeta: float,
) -> Tensor:
    """The reduced images [n, k, h, w], from 0 to 1, after the levels `shares`, from noise to signal.

    It begins with the images of least squares `seen` and noise. `terms` are the data steps, `deviations` those of the noise.
    """
    x = shares[0] ** 0.5 * (2 * seen - 1) + (1 - shares[0]) ** 0.5 * draw()
    reduced = seen
    for share, later in zip(shares, [*shares[1:], 1.0], strict=True):
        eps = prior(x, x.new_full((len(x),), share**0.5))
        clean = ((x - (1 - share) ** 0.5 * eps) / share**0.5).clamp(-1, 1)
        # As the authors have it, on the scale from -1 to 1, and the noise of the data on that from 0 to 1.
        level = ((1 - share) / share) ** 0.5
        reduced = torch.stack(
            [
                term(image, weight * (deviation / level) ** 2)
                for term, image, deviation in zip(terms, (clean + 1) / 2, deviations, strict=True)
            ]
        )
        agreed = 2 * reduced - 1
        left = (x - share**0.5 * agreed) / (1 - share) ** 0.5
        x = later**0.5 * agreed + (1 - later) ** 0.5 * ((1 - zeta) ** 0.5 * left + zeta**0.5 * draw())
    return reduced
