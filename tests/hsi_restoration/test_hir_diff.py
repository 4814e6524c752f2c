"""The sampler against a plain rendering, what it must not know, and restorers on what users get wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.inference import collect
from benchmarks.models.hsi_restoration.build import build
from benchmarks.models.hsi_restoration.closed_form import SVDTV, Noisy, SVDTruncate
from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.guidance import Guidance
from benchmarks.models.hsi_restoration.hir_diff import HIRDiff
from benchmarks.models.hsi_restoration.observation import Observation, estimated_sigma
from benchmarks.models.hsi_restoration.one_step import denoised, least_squares, without_predicted
from benchmarks.models.hsi_restoration.sampler import sample
from benchmarks.models.hsi_restoration.schedules import signal_shares, visited
from benchmarks.models.hsi_restoration.subspace import coefficients
from benchmarks.solver import NetworkSolver

PRIOR = {"base": 8, "mults": (1, 2), "groups": 4, "middle_attention": True}


def clean_cube(bands: int = 9, height: int = 16, width: int = 20, seed: int = 0) -> torch.Tensor:
    y, x = np.mgrid[:height, :width] / 10
    maps = np.stack([np.sin(2 * x), np.cos(y), (x > 1).astype(float)])
    spectra = np.random.default_rng(seed).uniform(0.1, 1, (bands, 3))
    cube = np.tensordot(spectra, maps, 1)
    return torch.from_numpy((cube - cube.min()) / (cube.max() - cube.min())).float()


def noisy_cube(sigma: float = 0.1, seed: int = 0, **shape: int) -> Observation:
    clean = clean_cube(**shape)
    return Observation(
        clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)), sigma=sigma
    )


def sampler(**settings: object) -> HIRDiff:
    torch.manual_seed(0)
    return HIRDiff(PRIOR, **{"steps": 5, **settings}).eval()  # type: ignore[arg-type]


def answer(network: HIRDiff, *observations: Observation) -> list[torch.Tensor]:
    with torch.no_grad():
        return [each.cube for each in network.restore(list(observations))]


def test_samples_are_those_of_a_plain_rendering() -> None:
    """The official loop written out: one autograd graph from the noisy sample to the loss of the whole cube."""
    seen, network = noisy_cube(), sampler(conditioning="abar", data_term="full")
    E, _ = coefficients(seen.noisy)
    loss = Guidance(seen, E, 16.0, 10.0, "full")
    shares = signal_shares("exp", 8.0)[visited(5)]
    x = torch.randn(1, 1, 3, 16, 20, generator=torch.Generator().manual_seed(0))[0]
    for share, later in zip(shares, [*shares[1:], 1.0], strict=True):
        x = x.detach().requires_grad_()
        eps = network.prior(x, torch.tensor([float(share)], dtype=torch.float32))
        x0 = ((x - math.sqrt(1 - share) * eps) / math.sqrt(share)).clamp(-1, 1)
        gradient = torch.autograd.grad(loss.value((x0[0] + 1) / 2), x)[0]
        x = math.sqrt(later) * x0 + math.sqrt(1 - later) * eps - gradient
    expected = torch.einsum("ck,khw->chw", E, (x.detach()[0] + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(answer(network, seen)[0], expected, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("start", ["noise", "observation"])
def test_a_cube_is_restored_as_if_it_were_alone(start: str) -> None:
    network = sampler(start=start)
    quiet, loud = noisy_cube(0.02), noisy_cube(0.3, seed=1)
    alone = [answer(network, each)[0] for each in (quiet, loud)]
    for one, two in zip(answer(network, quiet, loud), alone, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["denoise", "sr", "inpaint"])
def test_both_forms_of_the_data_term_answer_the_same(kind: str) -> None:
    clean = clean_cube()
    seen = noisy_cube()
    if kind == "sr":
        seen = Observation(clean[:, ::2, ::2] + 0.02 * torch.randn(9, 8, 10), factor=2)
    if kind == "inpaint":
        observed = (torch.rand(1, 16, 20, generator=torch.Generator().manual_seed(1)) > 0.3).expand(9, -1, -1)
        seen = Observation(clean * observed, observed)
    # Two steps: an untrained prior amplifies the rounding of many.
    one, two = (answer(sampler(data_term=form, steps=2), seen)[0] for form in ("subspace", "full"))
    assert one.shape == (9, 16, 20)
    torch.testing.assert_close(one, two, atol=2e-3, rtol=0)


def test_sampling_begins_at_a_multiple_of_the_noise_that_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.models.hsi_restoration import hir_diff

    seen, clean, begun = noisy_cube(0.05), clean_cube(), []
    E, _ = coefficients(seen.noisy)
    nearest, deviation = least_squares(clean, E, 0.05)

    def kept(prior, guidances, start, plan):
        begun.append((start, plan.shares))
        return sample(prior, guidances, start, plan)

    monkeypatch.setattr(hir_diff, "sample", kept)
    for times in (1.0, 3.0):
        answer(sampler(start="observation", start_noise=times), seen)
        start, shares = begun.pop()
        assert len(shares) == 5
        spread = math.sqrt((1 - shares[0]) / shares[0])
        assert spread == pytest.approx(2 * times * deviation, rel=0.02)
        left = start[0] / math.sqrt(shares[0]) - (2 * nearest - 1)  # all noise: that of the cube, and what was added
        assert float(left.std()) == pytest.approx(spread, rel=0.05)


def test_cubes_of_a_batch_are_restored_as_they_are_alone() -> None:
    seen = [noisy_cube(), noisy_cube(bands=7, seed=1), noisy_cube(height=13, width=11)]
    network = sampler()
    together = answer(network, *seen)
    for each, alone in zip(together, [answer(network, one)[0] for one in seen], strict=True):
        torch.testing.assert_close(each, alone, atol=1e-4, rtol=0)


def test_seeds_differ_and_equal_ones_agree() -> None:
    seen = noisy_cube()
    assert torch.equal(answer(sampler(), seen)[0], answer(sampler(), seen)[0])
    assert not torch.equal(answer(sampler(), seen)[0], answer(sampler(seed=1), seen)[0])


def test_several_samples_are_averaged_and_their_spread_is_kept() -> None:
    seen = noisy_cube()
    (made,) = sampler(samples=3).restore([seen])
    assert made.spread is not None
    assert made.spread.shape == (16, 20)
    assert float(made.spread.min()) > 0
    assert sampler().restore([seen])[0].spread is None


def test_settings_of_the_sampler_change_what_they_say() -> None:
    seen = noisy_cube()
    plain = answer(sampler(), seen)[0]
    for settings in (
        {"conditioning": "abar"}, {"start": "observation"}, {"answer": "mean"}, {"bands": "equispaced"}, {"denoiser": "zero"},
        {"schedule": "linear"}, {"schedule": "cosine"}, {"decay": 5.0}, {"eta1": 4.0}, {"eta2": 0.0}, {"steps": 4},
    ):  # fmt: skip
        assert not torch.allclose(answer(sampler(**settings), seen)[0], plain, atol=1e-5), settings
    begun = [answer(sampler(start="observation", start_noise=times), seen)[0] for times in (1.0, 2.0)]
    assert not torch.allclose(*begun, atol=1e-5)
    assert sampler().settings_for("inpaint") == (8.0, 6.0, 5.0)
    assert sampler(schedule="linear", eta1=3.0).settings_for("denoise")[:2] == (3.0, 1.0)
    with pytest.raises(BenchmarkError, match=r"Unknown method\.schedule 'expo'\. Did you mean 'exp'"):
        sampler(schedule="expo")


def test_discrepancy_takes_a_step_by_the_noise_alone() -> None:
    seen = noisy_cube(0.15)
    (made,) = sampler(answer="discrepancy", steps=10).restore([seen])
    assert made.steps is not None
    assert made.coefficients is not None
    E = made.coefficients
    nearest = torch.einsum("kc,chw->khw", torch.linalg.pinv(E), seen.noisy)
    residuals = [torch.einsum("ck,khw->chw", E, step - nearest).square().sum() / (3 * 16 * 20) for step in made.steps]
    chosen = int(torch.tensor([abs(float(each) - 0.15**2) for each in residuals]).argmin())
    assert made.reduced is not None
    assert torch.equal(made.reduced, made.steps[chosen])


def test_small_images_stay_in_range_because_weights_follow_their_size() -> None:
    unscaled = 16.0 * 65536 / 32**2
    last = [
        float((2 * steps[-1] - 1).abs().max())
        for settings in ({}, {"eta1": unscaled})
        if (steps := sampler(steps=20, **settings).restore([noisy_cube(height=32, width=32)])[0].steps) is not None
    ]
    assert last[0] < 2 < last[1]


def batch_of(tiles: bool = True) -> dict[str, np.ndarray]:
    clean = clean_cube().numpy()
    noisy = clean + 0.1 * np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)
    return {
        "noisy": noisy[None], "clean": clean[None], "sigma": np.full(1, 0.1, np.float32), "factor": np.ones(1, np.int64),
        "place": np.zeros((1, 2), np.int64),
    }  # fmt: skip


def test_the_answer_is_the_same_with_the_truth_removed_or_wrong() -> None:
    from benchmarks.datasets.bundle import Split

    task, batch = HSIRestoration(), batch_of()
    solver = NetworkSolver(task, sampler(), {})
    alone = np.array(["x"])
    wrong = {**batch, "clean": np.zeros_like(batch["clean"])}
    without = {name: column for name, column in batch.items() if name != "clean"}
    answers = [collect(solver, Split(each, alone, alone), task, 8) for each in (batch, wrong, without)]
    for other in answers[1:]:
        assert np.array_equal(answers[0]["restored"], other["restored"])
        assert np.array_equal(answers[0]["steps"], other["steps"])


@pytest.mark.parametrize("kind", ["noisy", "svd_truncate", "svd_tv"])
def test_closed_forms_restore_every_kind_of_degradation(kind: str) -> None:
    clean, network = clean_cube(), build(kind)
    observed = torch.rand(clean.shape, generator=torch.Generator().manual_seed(0)) > 0.7
    for seen in (noisy_cube(), Observation(clean[:, ::4, ::4], factor=4), Observation(clean * observed, observed)):
        (made,) = network.restore([seen])
        assert made.cube.shape == clean.shape
        assert 0 <= float(made.cube.min()) <= float(made.cube.max()) <= 1


def test_truncation_and_variation_lower_the_error_of_a_smooth_cube() -> None:
    seen, clean = noisy_cube(0.15), clean_cube()
    errors = [
        float((network.restore([seen])[0].cube - clean).square().mean())
        for network in (Noisy(), SVDTruncate(3), SVDTV(3, 0.1))
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_package_is_asked_for_by_name_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for method, package in (("svd_bm3d", "bm3d"), ("bm4d", "bm4d")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(BenchmarkError, match=rf"pip install 'lowrank-benchmarks\[{package}\]'"):
            build(method)


def test_bm3d_takes_the_noise_out_of_the_images_of_the_subspace() -> None:
    pytest.importorskip("bm3d", reason="the extra bm3d is not installed")
    seen, clean = noisy_cube(0.15, height=32, width=32), clean_cube(height=32, width=32)
    better, plain = (build(name).restore([seen])[0].cube for name in ("svd_bm3d", "svd_truncate"))
    assert float((better - clean).square().mean()) < 0.5 * float((plain - clean).square().mean())


def test_bm4d_takes_the_noise_out_of_the_volume() -> None:
    pytest.importorskip("bm4d", reason="the extra bm4d is not installed")
    seen, clean = noisy_cube(0.15), clean_cube()
    (made,) = build("bm4d").restore([seen])
    assert made.coefficients is None
    assert float((made.cube - clean).square().mean()) < 0.2 * float((seen.noisy - clean).square().mean())
    assert torch.equal(build("bm4d").restore([Observation(clean, sigma=0.0)])[0].cube, clean)


def test_gaps_take_the_mean_of_what_is_near() -> None:
    noisy = torch.arange(3 * 9 * 9, dtype=torch.float32).reshape(3, 9, 9)
    observed = torch.ones(3, 9, 9, dtype=torch.bool)
    observed[1, 4, 4] = False
    observed[2, :6, :6] = False
    made = filled(Observation(noisy * observed, observed))
    near = noisy[1, 2:7, 2:7].flatten()
    assert float(made[1, 4, 4]) == pytest.approx(float((near.sum() - noisy[1, 4, 4]) / 24))
    assert float(made[2, 0, 0]) == pytest.approx(float(noisy[2][observed[2]].mean()))
    assert torch.equal(made[observed], noisy[observed])


def test_few_gaps_leave_a_cube_to_denoise_and_pull_nowhere() -> None:
    seen = noisy_cube()
    observed = torch.ones(seen.shape, dtype=torch.bool)
    observed[2, 3:5, 4] = False
    few = Observation(torch.where(observed, seen.noisy, 0.0), observed, 0.1)
    assert few.kind == "denoise"
    assert Observation(seen.noisy, torch.rand(seen.shape) > 0.2).kind == "inpaint"
    gone = torch.where(observed, seen.noisy, 0.9)
    one, two = (answer(sampler(), Observation(noisy, observed, 0.1))[0] for noisy in (few.noisy, gone))
    torch.testing.assert_close(one, two, atol=1e-4, rtol=0)
    assert not torch.allclose(answer(sampler(), Observation(gone, None, 0.1))[0], two, atol=1e-3)


def test_the_level_of_noise_is_estimated_where_it_is_not_known() -> None:
    clean = torch.zeros(4, 64, 64) + torch.linspace(0, 1, 64)
    noisy = clean + torch.tensor([0.05, 0.1, 0.2, 0.4])[:, None, None] * torch.randn(
        4, 64, 64, generator=torch.Generator().manual_seed(0)
    )
    np.testing.assert_allclose(estimated_sigma(noisy), [0.05, 0.1, 0.2, 0.4], rtol=0.08)
    assert Observation(noisy).noise == pytest.approx(0.1875, rel=0.08)
    assert Observation(noisy, sigma=0.3).noise == 0.3
    line = Observation(noisy[:, :1].contiguous())
    assert line.noise == 0


def test_cubes_of_little_noise_have_as_many_steps_to_show_as_others() -> None:
    made = [noisy_cube(sigma, seed) for seed, sigma in enumerate((0.004, 0.02, 0.3))]
    network = sampler(start="observation", steps=20)
    with torch.no_grad():
        steps = [each.steps for each in network.restore(made)]
    assert [len(each) for each in steps] == [20, 20, 20]
    assert torch.equal(steps[0][0], steps[0][1])


def test_a_perfect_prior_denoises_in_one_step() -> None:
    clean = clean_cube(bands=3)
    deviation = 0.2

    def perfect(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return (x - level * (2 * clean - 1)) / (1 - level**2).sqrt()

    noisy = clean + deviation * torch.randn(clean.shape)
    torch.testing.assert_close(without_predicted(perfect, noisy, deviation), clean, atol=1e-5, rtol=0)
    (made,) = denoised(perfect, [Observation(noisy, sigma=deviation)])
    torch.testing.assert_close(made.cube, clean, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cube: (cube[:2], None), r"3 bands or more; given: \(2, 16, 20\)"),
        (
            lambda cube: (cube.index_fill(0, torch.tensor([4]), 0.5), None),
            r"Band 4 \(counted from 0; 1 such\) holds one value",
        ),
        (
            lambda cube: (torch.where(cube == cube.max(), torch.nan, cube), None),
            r"no finite numbers, the first in band \d",
        ),
        (lambda cube: (cube, torch.ones(9, 16, 19, dtype=torch.bool)), r"mask of what was measured is \(9, 16, 19\)"),
    ],
)
def test_bad_cubes_are_refused_in_words(change, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        Observation(*change(clean_cube()))
