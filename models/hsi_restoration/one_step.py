"""A prior as a denoiser: one answer of the network at the level of the noise, on bands or on the images of a subspace."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.sampler import Prior
from benchmarks.models.hsi_restoration.subspace import coefficients


def denoised(prior: Prior, observations: Sequence[Observation]) -> list[Restoration]:
    """Three bands are denoised as the image that they are; of more, the reduced image of least squares is."""
    return [_one(prior, observation) for observation in observations]


def _one(prior: Prior, observation: Observation) -> Restoration:
    cube = filled(observation)
    if len(cube) == 3:
        estimate = without_predicted(prior, cube, observation.noise)
        return Restoration(estimate.clamp(0, 1), estimate=estimate, deviation=observation.noise)
    E, bands = coefficients(cube, inner=observation.inner)
    reduced, deviation = least_squares(cube, E, observation.noise)
    reduced = without_predicted(prior, reduced, deviation).clamp(0, 1)
    return Restoration(torch.einsum("ck,khw->chw", E, reduced).clamp(0, 1), E, tuple(bands), reduced)


def least_squares(cube: Tensor, coefficients: Tensor, deviation: float) -> tuple[Tensor, float]:
    """The reduced image [k, h, w] nearest to a cube, and the deviation of its noise, the root of the mean over its images."""
    inner = torch.linalg.inv((coefficients.T @ coefficients).double())
    reduced = torch.einsum("kl,cl,chw->khw", inner.to(cube.dtype), coefficients, cube)
    return reduced, deviation * float(inner.diagonal().mean()) ** 0.5


def without_predicted(prior: Prior, image: Tensor, deviation: float) -> Tensor:
    """An image [3, h, w], about from 0 to 1 with noise of that deviation, less what the network takes for its noise."""
    spread = 2 * deviation  # on the network's scale from -1 to 1
    share = 1 / (1 + spread**2)
    noisy = 2 * image - 1
    eps = prior(share**0.5 * noisy[None], noisy.new_full((1,), share**0.5))[0]
    return (noisy - spread * eps + 1) / 2
