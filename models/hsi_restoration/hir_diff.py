"""HIR-Diff: a cube as E A, E from the observation, and the reduced image A drawn by a diffusion prior under guidance.

Pang et al., HIR-Diff: Unsupervised Hyperspectral Image Restoration Via Improved Diffusion Models, CVPR 2024. The authors'
code keeps the step with the best PSNR against the clean cube; here the last sample is the answer, and what the best would have
been is known to the metrics alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.guidance import Guidance
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.one_step import least_squares
from benchmarks.models.hsi_restoration.reduced_sampler import ReducedSampler
from benchmarks.models.hsi_restoration.sampler import ANSWERS, CONDITIONINGS, Plan, answered, sample
from benchmarks.models.hsi_restoration.schedules import LEVELS, SCHEDULES, signal_shares, visited, visited_from

PUBLISHED = {"denoise": (16.0, 10.0, 8.0), "sr": (500.0, 12.0, 8.0), "inpaint": (8.0, 6.0, 5.0)}
"""eta1, eta2 and the decay of the exponential schedule in the authors' README, one data set each (Houston, WDC, Salinas)."""
OTHER_SCHEDULES = (20.0, 1.0)
"""eta1 and eta2 with the linear or the cosine schedule there."""
STARTS = ("noise", "observation")
DENOISERS = ("prior", "zero")


class HIRDiff(ReducedSampler):
    """Restores cubes of any shape; those of equal height and width go through the network together.

    `prior` are the settings of the U-Net. Of `eta1`, `eta2` and `decay`, None takes what the authors published for the kind of
    degradation. With `start=observation` sampling begins at `start_noise` times the level of the noise in the least-squares
    reduced image. Of several `samples` the mean is the answer, and their deviation goes with it. `denoiser=zero` says that there
    is no noise, so that what is left is the guidance.
    """

    def __init__(
        self,
        prior: Mapping[str, Any],
        steps: int = 20,
        schedule: str = "exp",
        decay: float | None = None,
        eta1: float | None = None,
        eta2: float | None = None,
        bands: str = "rrqr",
        conditioning: str = "sqrt_abar",
        start: str = "noise",
        start_noise: float = 1.0,
        answer: str = "last",
        data_term: str = "subspace",
        denoiser: str = "prior",
        samples: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(prior, bands, seed)
        for key, given, choices in (
            ("schedule", schedule, SCHEDULES), ("conditioning", conditioning, CONDITIONINGS), ("start", start, STARTS),
            ("answer", answer, ANSWERS), ("data_term", data_term, ("subspace", "full")), ("denoiser", denoiser, DENOISERS),
        ):  # fmt: skip
            self.allowed(key, given, choices)
        if not 1 <= steps <= LEVELS or samples < 1 or start_noise < 1:
            raise ValueError(f"steps must be from 1 to {LEVELS}, samples and start_noise 1 or more")
        self.steps, self.schedule, self.decay, self.etas = steps, schedule, decay, (eta1, eta2)
        self.conditioning, self.start, self.start_noise, self.answer = conditioning, start, start_noise, answer
        self.data_term, self.denoiser, self.samples = data_term, denoiser, samples

    def settings_for(self, kind: str) -> tuple[float, float, float]:
        """eta1, eta2 and decay for a kind of degradation."""
        *etas, decay = PUBLISHED[kind]
        if self.schedule != "exp":
            etas = list(OTHER_SCHEDULES)
        first, second = (own if given is None else given for own, given in zip(etas, self.etas, strict=True))
        return first, second, decay if self.decay is None else self.decay

    def alike(self, observations: Sequence[Observation]) -> list[Restoration]:
        if self.start == "observation" and len(observations) > 1:  # each begins at the level of its own noise
            return [made for each in observations for made in self.alike([each])]
        eta1, eta2, decay = self.settings_for(observations[0].kind)
        guidances, chosen = [], []
        for observation in observations:
            E, bands = self.spectra(observation)
            guidances.append(Guidance(observation, E, eta1, eta2, self.data_term))
            chosen.append(bands)
        shares = signal_shares(self.schedule, decay)
        starts, plan = self._begin(observations, guidances, shares)
        repeated = [guidance for guidance in guidances for _ in range(self.samples)]
        steps = sample(self._noise_in, repeated, starts, plan)
        deviations = [observation.noise for observation in observations for _ in range(self.samples)]
        reduced = answered(steps, self.answer, repeated, deviations).unflatten(0, (len(observations), self.samples))
        steps = steps.unflatten(1, (len(observations), self.samples)).mean(2)
        if (lacking := self.steps - len(steps)) > 0:  # little noise begins so near the end that there are fewer levels
            steps = torch.cat([steps[:1].expand(lacking, *steps.shape[1:]), steps])
        return [
            self._made(guidance, bands, reduced[index], steps[:, index])
            for index, (guidance, bands) in enumerate(zip(guidances, chosen, strict=True))
        ]

    def _begin(
        self, observations: Sequence[Observation], guidances: Sequence[Guidance], shares: Any
    ) -> tuple[Tensor, Plan]:
        """Samples at the first level [n * samples, 3, h, w], and the levels from there."""
        noises = self.draw(self.generator(), observations, self.samples)
        if self.start == "noise":
            plan = Plan([float(shares[index]) for index in visited(self.steps)], self.conditioning)
            return noises, plan
        begun = [
            least_squares(filled(observation), guidance.coefficients, observation.noise)
            for observation, guidance in zip(observations, guidances, strict=True)
        ]
        spread = 2 * self.start_noise * max(deviation for _, deviation in begun)
        indices = visited_from(1 / (1 + spread**2), shares, self.steps)
        share = float(shares[indices[0]])
        starts = []
        for (reduced, deviation), noise in zip(begun, noises.split(self.samples), strict=True):
            # The noise that is there already counts; what the level has more of is added.
            lacking = max(0.0, 1 - share - share * (2 * deviation) ** 2) ** 0.5
            starts.append(share**0.5 * (2 * reduced - 1) + lacking * noise)
        return torch.cat(starts), Plan([float(shares[index]) for index in indices], self.conditioning)

    def _noise_in(self, image: Tensor, level: Tensor) -> Tensor:
        return self.prior(image, level) if self.denoiser == "prior" else 0 * image

    def _made(self, guidance: Guidance, bands: tuple[int, ...], reduced: Tensor, steps: Tensor) -> Restoration:
        """The restoration of one cube from its samples [m, 3, h, w] and the mean of their steps [s, 3, h, w]."""
        cubes = torch.stack([guidance.expand(each).clamp(0, 1) for each in reduced])
        spread = cubes.std(0).mean(0) if len(cubes) > 1 else None
        return Restoration(cubes.mean(0), guidance.coefficients, bands, reduced.mean(0), steps, spread)
