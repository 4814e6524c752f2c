"""DPS and DiffPIR against plain renderings and deepinv, and their exact data step against a dense solver."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.hsi_restoration.build import build
from benchmarks.models.hsi_restoration.diffpir import DiffPIR, alternate
from benchmarks.models.hsi_restoration.dps import DPS
from benchmarks.models.hsi_restoration.observation import Observation
from benchmarks.models.hsi_restoration.operators import lowered
from benchmarks.models.hsi_restoration.proximal import Proximal
from benchmarks.models.hsi_restoration.reduced_sampler import ReducedSampler
from benchmarks.models.hsi_restoration.schedules import signal_shares, visited
from benchmarks.models.hsi_restoration.subspace import coefficients

PRIOR = {"base": 8, "mults": (1, 2), "groups": 4, "middle_attention": True}
BANDS, HEIGHT, WIDTH = 7, 8, 12


def clean_cube(seed: int = 0) -> torch.Tensor:
    y, x = np.mgrid[:HEIGHT, :WIDTH] / 5
    maps = np.stack([np.sin(2 * x), np.cos(y), (x > 1).astype(float)])
    cube = np.tensordot(np.random.default_rng(seed).uniform(0.1, 1, (BANDS, 3)), maps, 1)
    return torch.from_numpy((cube - cube.min()) / (cube.max() - cube.min())).float()


def seen(kind: str, sigma: float = 0.1, seed: int = 0) -> Observation:
    clean, generator = clean_cube(), torch.Generator().manual_seed(seed)
    if kind == "sr":
        clean = lowered(clean, 2)
    noisy = clean + sigma * torch.randn(clean.shape, generator=generator)
    observed = None
    if kind in ("mask", "gaps"):
        bands = 1 if kind == "mask" else BANDS
        observed = (torch.rand(bands, HEIGHT, WIDTH, generator=generator) > 0.4).expand(BANDS, -1, -1)
        noisy = noisy * observed
    return Observation(noisy, observed, sigma, 2 if kind == "sr" else 1)


def solver(kind: type[ReducedSampler], **settings: object) -> ReducedSampler:
    torch.manual_seed(0)
    return kind(PRIOR, **{"steps": 4, **settings}).eval()  # type: ignore[arg-type]


def answer(network: ReducedSampler, *observations: Observation) -> list[torch.Tensor]:
    with torch.no_grad():
        return [each.cube for each in network.restore(list(observations))]


@pytest.mark.parametrize("kind", ["denoise", "mask", "gaps", "sr"])
@pytest.mark.parametrize("weight", [1e-3, 2.0])
def test_the_data_step_is_that_of_a_dense_solver(kind: str, weight: float) -> None:
    given = seen(kind)
    E = torch.rand(BANDS, 3, generator=torch.Generator().manual_seed(1))
    start = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))

    def observe(flat: torch.Tensor) -> torch.Tensor:
        cube = torch.einsum("ck,khw->chw", E.double(), flat.reshape(3, HEIGHT, WIDTH))
        if kind == "sr":
            return lowered(cube, 2).flatten()
        return (cube if given.observed is None else cube * given.observed).flatten()

    operator = torch.func.jacrev(observe)(torch.zeros(start.numel(), dtype=torch.float64))
    left = operator.T @ operator + weight * torch.eye(start.numel(), dtype=torch.float64)
    right = operator.T @ given.noisy.flatten().double() + weight * start.flatten().double()
    expected = torch.linalg.solve(left, right).reshape(start.shape).float()
    torch.testing.assert_close(Proximal(given, E)(start, weight), expected, atol=1e-4, rtol=1e-4)


def test_steps_of_dps_are_those_of_a_plain_rendering() -> None:
    """Algorithm 1 with variances of DDPM, betas of the visited levels, and the gradient of the norm itself."""
    given, network = seen("denoise"), solver(DPS, zeta=2.0)
    E, _ = coefficients(given.noisy)
    kept = [float(each) for each in signal_shares("exp", 8.0)[visited(4)]]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, HEIGHT, WIDTH, generator=generator)
    for share, later in zip(kept, [*kept[1:], 1.0], strict=True):
        x = x.detach().requires_grad_()
        eps = network.prior(x, torch.tensor([share**0.5]))
        x0 = ((x - math.sqrt(1 - share) * eps) / math.sqrt(share)).clamp(-1, 1)
        norm = (given.noisy - torch.einsum("ck,khw->chw", E, (x0[0] + 1) / 2)).norm()
        alpha = share / later
        mean = math.sqrt(later) * (1 - alpha) / (1 - share) * x0 + math.sqrt(alpha) * (1 - later) / (1 - share) * x
        fresh = math.sqrt((1 - later) / (1 - share) * (1 - alpha)) * torch.randn(x.shape, generator=generator)
        # The squared norm over the norm has twice the gradient of the norm.
        step = 2.0 * math.sqrt(HEIGHT * WIDTH / 256**2) * 2 * torch.autograd.grad(norm, x)[0]
        x = mean + fresh - step
    expected = torch.einsum("ck,khw->chw", E, (x.detach()[0] + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(answer(network, given)[0], expected, atol=2e-4, rtol=1e-3)


def test_diffpir_answers_as_deepinv_does() -> None:
    """On levels of theirs, without fresh noise on the way, with a denoiser that is no network."""
    dinv = pytest.importorskip("deepinv", reason="the package deepinv, an oracle of this test, is not installed")
    image, sigma = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), 0.1
    denoised: Callable[..., torch.Tensor] = lambda x, level: x / (1 + level) + 0.1  # noqa: E731
    theirs = dinv.sampling.DiffPIR(denoised, dinv.optim.data_fidelity.L2(), sigma=sigma, max_iter=6, zeta=0.0)
    physics = dinv.physics.Denoising(dinv.physics.GaussianNoise(sigma))
    torch.manual_seed(0)
    expected = theirs(image, physics)
    levels = [theirs.sigmas[at] for at in theirs.seq.tolist()]
    steps = [int(theirs.find_nearest(theirs.reduced_alpha_cumprod, level)) for level in levels]
    shares = [float(theirs.sqrt_alphas_cumprod[step]) ** 2 for step in steps]

    def prior(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        root = float(level)
        spread = (1 - root**2) ** 0.5
        clean = 2 * denoised(x / (2 * root) + 0.5, spread / root / 2) - 1
        return (x - root * clean) / spread

    def data(reduced: torch.Tensor, weight: float) -> torch.Tensor:
        return (image[0] + 2 * weight * reduced) / (1 + 2 * weight)  # half of the squared distance is theirs

    # They end before the last answer of the network, which is the sample at the last level here.
    ended: list[torch.Tensor] = []

    def observed(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        ended.append(x)
        return prior(x, level)

    torch.manual_seed(0)
    first = (levels[0] ** 2 - 4 * sigma**2).sqrt() * torch.randn_like(image)
    begun = ((2 * image - 1 + first) * theirs.sqrt_alphas_cumprod[-1] - shares[0] ** 0.5 * (2 * image - 1)) / (
        1 - shares[0]
    ) ** 0.5
    alternate(observed, [data], image, [sigma], shares, lambda: begun, 7.0, 0.0)
    torch.testing.assert_close(ended[-1] / 2 + 0.5, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [DPS, DiffPIR])
def test_rivals_restore_every_kind_of_degradation_as_if_alone(kind: type[ReducedSampler]) -> None:
    network, given = solver(kind), [seen(each) for each in ("denoise", "mask", "gaps", "sr")]
    given.append(seen("denoise", 0.3, seed=1))
    together = answer(network, *given)
    for made, each in zip(together, given, strict=True):
        assert made.shape == (BANDS, HEIGHT, WIDTH)
        assert 0 <= float(made.min()) <= float(made.max()) <= 1
        torch.testing.assert_close(made, answer(network, each)[0], atol=1e-4, rtol=0)
    assert not torch.equal(answer(solver(kind, seed=1), given[0])[0], together[0])


def test_without_noise_diffpir_keeps_what_was_measured() -> None:
    clean = clean_cube()
    E, _ = coefficients(clean)
    expected = torch.einsum("ck,kd,dhw->chw", E, torch.linalg.pinv(E), clean).clamp(0, 1)
    made = answer(solver(DiffPIR, weight=0.01, steps=8), Observation(clean, sigma=0.0))[0]
    torch.testing.assert_close(made, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", ["dps", "diffpir"])
def test_settings_of_rivals_are_refused_in_words(name: str) -> None:
    with pytest.raises(BenchmarkError, match=r"Unknown method\.schedule 'expo'"):
        build(name, prior=PRIOR, schedule="expo")
    with pytest.raises(ValueError, match="steps must be from 1 to 1000"):
        build(name, prior=PRIOR, steps=0)
