"""Diffusion posterior sampling, on the reduced image of the same rank-3 model as HIR-Diff.

Chung et al., Diffusion Posterior Sampling for General Noisy Inverse Problems, ICLR 2023 (algorithm 1): an ancestral step of the
prior, less `zeta` times the gradient by the sample of the squared residual, divided by the residual's norm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.guidance import REFERENCE, Guidance
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.reduced_sampler import ReducedSampler
from benchmarks.models.hsi_restoration.sampler import Prior
from benchmarks.models.hsi_restoration.schedules import LEVELS, SCHEDULES, signal_shares, visited


class DPS(ReducedSampler):
    """`zeta` is the step of the authors for images of 256 x 256. Since their gradient has one length for all sizes, pixels of a
    smaller image would be moved farther: it is multiplied by the root of the share of pixels."""

    def __init__(
        self,
        prior: Mapping[str, Any],
        steps: int = 100,
        schedule: str = "exp",
        decay: float = 8.0,
        zeta: float = 1.0,
        bands: str = "rrqr",
        seed: int = 0,
    ) -> None:
        super().__init__(prior, bands, seed)
        self.allowed("schedule", schedule, SCHEDULES)
        if not 1 <= steps <= LEVELS or zeta < 0:
            raise ValueError(f"steps must be from 1 to {LEVELS} and zeta 0 or more")
        self.shares = [float(each) for each in signal_shares(schedule, decay)[visited(steps)]]
        self.zeta = zeta

    def alike(self, observations: Sequence[Observation]) -> list[Restoration]:
        generator = self.generator()
        spectra = [self.spectra(each) for each in observations]
        guidances = [Guidance(each, E, 1.0, 0.0, "full") for each, (E, _) in zip(observations, spectra, strict=True)]
        height, width = observations[0].shape[1:]
        step = self.zeta * (height * width / REFERENCE) ** 0.5
        reduced = descend(self.prior, guidances, self.shares, lambda: self.draw(generator, observations), step)
        return self.composed(reduced, spectra)


def descend(
    prior: Prior, guidances: Sequence[Guidance], shares: Sequence[float], draw: Callable[[], Tensor], step: float
) -> Tensor:
    """The reduced images [n, k, h, w], from 0 to 1, after the levels `shares`, from noise to signal."""
    x = draw()
    for share, later in zip(shares, [*shares[1:], 1.0], strict=True):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            # A view, since counters of operations put hooks on what enters a module, which a leaf does not take here.
            eps = prior(x.view_as(x), x.new_full((len(x),), share**0.5))
            clean = ((x - (1 - share) ** 0.5 * eps) / share**0.5).clamp(-1, 1)
            squares = torch.stack(
                [each.residual(image) for each, image in zip(guidances, (clean + 1) / 2, strict=True)]
            )
            # Samples of a batch do not see each other, so that one gradient holds those of all.
            gradient = torch.autograd.grad(squares.sum(), x)[0]
        ratio = share / later
        mean = later**0.5 * (1 - ratio) * clean + ratio**0.5 * (1 - later) * x
        spread = ((1 - ratio) * (1 - later) / (1 - share)) ** 0.5
        length = squares.detach().sqrt().clamp(min=torch.finfo(x.dtype).tiny)[:, None, None, None]
        x = (mean / (1 - share) + spread * draw() - step * gradient / length).detach()
    return (x + 1) / 2
