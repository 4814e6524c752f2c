"""Guided DDIM without noise on the way (Song et al. 2021): reduced images are drawn by a prior and pulled to observations.

One step from level t to s: the network says the noise, x0 = clamp((x - sqrt(1 - abar_t) eps) / sqrt(abar_t)), and the next
sample is sqrt(abar_s) x0 + sqrt(1 - abar_s) eps less the gradient of the guidance by x, which goes through the network. Nothing
in here sees a clean cube: which step is taken is decided beforehand, or by the observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.guidance import Guidance

Prior = Callable[[Tensor, Tensor], Tensor]
"""Noisy images [n, 3, h, w] from -1 to 1 and levels [n] -> their noise."""
CONDITIONINGS = ("sqrt_abar", "abar")
ANSWERS = ("last", "discrepancy", "mean")
AVERAGED = 3
"""Steps that `answer=mean` averages, the last ones."""


@dataclass(frozen=True)
class Plan:
    """The levels that are visited and how: `shares` abar of each, from noise to signal.

    The network is told sqrt(abar), as it was trained, or abar, as the authors' sampler does.
    """

    shares: Sequence[float]
    conditioning: str = "sqrt_abar"

    def told(self, share: float) -> float:
        """The level that the network is told."""
        return share**0.5 if self.conditioning == "sqrt_abar" else share


def sample(prior: Prior, guidances: Sequence[Guidance], start: Tensor, plan: Plan) -> Tensor:
    """The reduced images after every step, [steps, n, k, h, w] on the scale from 0 to 1, not clamped.

    `start` [n, k, h, w] are samples at the first level. Samples of a batch do not see each other.
    """
    x, steps = start, []
    following = [*plan.shares[1:], 1.0]
    for share, later in zip(plan.shares, following, strict=True):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            # A view, since counters of operations put hooks on what enters a module, which a leaf does not take here.
            eps = prior(x.view_as(x), x.new_full((len(x),), plan.told(share)))
            clean = ((x - (1 - share) ** 0.5 * eps) / share**0.5).clamp(-1, 1)
            reduced = (clean + 1) / 2
            pull = torch.stack([each.gradient(image) for each, image in zip(guidances, reduced, strict=True)])
            # The chain rule in two parts: through the guidance alone, then through the network once for the whole batch.
            gradient = torch.autograd.grad(reduced, x, pull)[0]
        x = (later**0.5 * clean + (1 - later) ** 0.5 * eps - gradient).detach()
        steps.append((x + 1) / 2)
    return torch.stack(steps)


def answered(steps: Tensor, answer: str, guidances: Sequence[Guidance], deviations: Sequence[float]) -> Tensor:
    """What is taken of the steps [s, n, k, h, w]: [n, k, h, w].

    `discrepancy` takes, for each image, the step whose distance from the least-squares reduced image is nearest to what noise
    of a known deviation in the cube makes of it (Morozov's principle within the subspace, where the residual has k entries a
    pixel); `mean` averages the last steps.
    """
    if answer == "mean":
        return steps[-AVERAGED:].mean(0)
    if answer == "last":
        return steps[-1]
    chosen = []
    for index, (guidance, deviation) in enumerate(zip(guidances, deviations, strict=True)):
        gaps = torch.stack([(_residual(guidance, step[index]) - deviation**2).abs() for step in steps])
        chosen.append(steps[int(gaps.argmin()), index])
    return torch.stack(chosen)


def _residual(guidance: Guidance, reduced: Tensor) -> Tensor:
    """The mean squared residual within the subspace, on the scale of the noise of one entry of the cube."""
    E = guidance.coefficients
    difference = reduced - torch.einsum("kc,chw->khw", torch.linalg.pinv(E), filled(guidance.observation))
    return torch.einsum("khw,kl,lhw->hw", difference, E.T @ E, difference).mean() / E.shape[1]
