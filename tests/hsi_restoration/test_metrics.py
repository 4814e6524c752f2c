"""Every metric against an independent rendering on whole cubes, though it is computed from tiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.datasets.degradations import Degradation
from benchmarks.datasets.readers.cube_tiles import Scene, split_of
from benchmarks.hsi_restoration.metrics import METRICS
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.inference import collect
from benchmarks.models.hsi_restoration.unet import UNet
from benchmarks.scoring import score
from benchmarks.solver import NetworkSolver

BY_NAME = {metric.name: metric for metric in METRICS}
BANDS, HEIGHT, WIDTH = 7, 21, 26


def clean_cube(seed: int = 0, bands: int = BANDS) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] / 20
    random = np.random.default_rng(seed)
    maps = np.stack([np.sin(3 * x + y), np.cos(2 * y), x * y, np.ones_like(x)], -1)
    cube = maps @ random.uniform(0.1, 1, (4, bands)) + 0.05 * random.random((HEIGHT, WIDTH, bands))
    return ((cube - cube.min()) / (cube.max() - cube.min())).astype(np.float32)


def restored_cube(clean: np.ndarray, seed: int = 1) -> np.ndarray:
    return (clean + 0.1 * np.random.default_rng(seed).normal(size=clean.shape)).clip(0, 1).astype(np.float32)


def samples_of(pairs: dict[str, tuple[np.ndarray, np.ndarray]], tile: int = 8, factor: int = 1) -> dict:
    """Kept samples of cubes and what was restored of them, as an evaluation has them."""
    split, answers = (
        split_of(
            [Scene(name, name, pair[i], Degradation("gaussian", 0.0).apply(pair[i])) for name, pair in pairs.items()],
            tile,
        )
        for i in (0, 1)
    )
    return {
        "id": split.ids, "unit": split.units, "group": split.groups, "condition": split.conditions,
        "clean": split.columns["clean"], "restored": answers.columns["clean"],
        "place": split.columns["place"].astype(np.float32), "factor": np.full(len(split), float(factor), np.float32),
    }  # fmt: skip


def value(name: str, samples: dict, weights: np.ndarray | None = None) -> float:
    return BY_NAME[name].statistic(samples).value(weights)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    clean = clean_cube()
    return clean, restored_cube(clean)


def test_psnr_of_bands_and_of_all(pair) -> None:
    clean, restored = (each.astype(np.float64) for each in pair)
    samples = samples_of({"a": pair})
    by_band = [10 * math.log10(1 / ((clean[..., b] - restored[..., b]) ** 2).mean()) for b in range(BANDS)]
    assert value("mpsnr", samples) == pytest.approx(np.mean(by_band), abs=1e-9)
    assert value("psnr", samples) == pytest.approx(10 * math.log10(1 / ((clean - restored) ** 2).mean()), abs=1e-9)


def test_structure_is_that_of_scikit_image(pair) -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    clean, restored = (each.astype(np.float64) for each in pair)
    expected = [metrics.structural_similarity(clean[..., b], restored[..., b], data_range=1) for b in range(BANDS)]
    assert value("mssim", samples_of({"a": pair})) == pytest.approx(np.mean(expected), abs=1e-9)


def test_structure_is_that_of_sums_over_windows(pair) -> None:
    clean, restored = (each[..., 2].astype(np.float64) for each in pair)
    found = []
    for row in range(HEIGHT - 6):
        for column in range(WIDTH - 6):
            x, y = (each[row : row + 7, column : column + 7].ravel() for each in (clean, restored))
            cov = np.cov(x, y)
            mean = x.mean(), y.mean()
            found.append(
                (2 * mean[0] * mean[1] + 1e-4) * (2 * cov[0, 1] + 9e-4)
                / ((mean[0] ** 2 + mean[1] ** 2 + 1e-4) * (cov[0, 0] + cov[1, 1] + 9e-4))
            )  # fmt: skip
    one = samples_of({"a": (pair[0][..., 2:3], pair[1][..., 2:3])})
    assert value("mssim", one) == pytest.approx(np.mean(found), abs=1e-6)


def test_spectral_angle_and_relative_error(pair) -> None:
    clean, restored = (each.astype(np.float64).reshape(-1, BANDS) for each in pair)
    samples = samples_of({"a": pair}, factor=4)
    cosine = (clean * restored).sum(1) / (np.linalg.norm(clean, axis=1) * np.linalg.norm(restored, axis=1) + 1e-8)
    assert value("sam", samples) == pytest.approx(np.degrees(np.arccos(cosine)).mean(), abs=1e-6)
    assert value("sam_hirdiff", samples) == pytest.approx(np.arccos(cosine).mean(), abs=1e-8)
    squares = ((clean - restored) ** 2).mean(0)
    assert value("ergas", samples) == pytest.approx(25 * np.sqrt((squares / clean.mean(0) ** 2).mean()))
    assert value("ergas_hirdiff", samples) == pytest.approx(100 * np.sqrt((squares / (restored.mean(0) + 1e-6)).mean()))


def test_angle_and_error_agree_with_torchmetrics(pair) -> None:
    image = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
    torch = pytest.importorskip("torch")
    clean, restored = (torch.from_numpy(each.astype(np.float64).transpose(2, 0, 1))[None] for each in pair)
    samples = samples_of({"a": pair})
    assert value("sam", samples) == pytest.approx(
        math.degrees(float(image.spectral_angle_mapper(restored, clean))), abs=1e-5
    )
    theirs = float(image.error_relative_global_dimensionless_synthesis(restored, clean, ratio=1))
    assert value("ergas", samples) == pytest.approx(theirs, rel=1e-5)


def test_a_weight_is_a_tile_drawn_as_often(pair) -> None:
    samples = samples_of({"a": pair})
    weights = np.random.default_rng(3).integers(0, 3, len(samples["id"])).astype(np.float64)
    clean, restored = (samples[name].astype(np.float64) for name in ("clean", "restored"))
    errors = np.repeat((clean - restored) ** 2, weights.astype(int), axis=0)
    expected = -10 * np.log10(np.nanmean(errors, (0, 2, 3)))
    assert value("mpsnr", samples, weights) == pytest.approx(expected.mean(), abs=1e-9)
    assert value("mssim", samples, np.ones(len(weights))) == pytest.approx(value("mssim", samples), abs=1e-12)


def test_cubes_count_alike_whatever_their_size_and_bands(pair) -> None:
    other = clean_cube(5, 4)[:13, :9]
    both = {"a": pair, "b": (other, restored_cube(other, 2))}
    apart = [value("mpsnr", samples_of({name: each})) for name, each in both.items()]
    assert value("mpsnr", samples_of(both)) == pytest.approx(np.mean(apart), abs=1e-9)
    quality = {row.condition: row.value for row in score(METRICS[:1], samples_of(both), "test", "tiles").quality}
    assert [quality["a"], quality["b"]] == pytest.approx(apart)
    assert quality[None] == pytest.approx(np.mean(apart))


def test_exact_answers_are_undefined_in_decibels_and_perfect_elsewhere(pair) -> None:
    samples = samples_of({"a": (pair[0], pair[0])})
    statistic = BY_NAME["mpsnr"].statistic(samples)
    assert math.isinf(statistic.value(None))
    assert statistic.reason == "some band is exactly that of the clean cube, and the logarithm of no error is infinite"
    assert value("sam", samples) == pytest.approx(0, abs=0.02)
    assert value("mssim", samples) == pytest.approx(1)
    assert value("ergas", samples) == 0


def test_a_scaled_spectrum_has_no_angle_where_the_unclamped_one_is_undefined() -> None:
    clean = clean_cube()
    samples = samples_of({"a": (clean, (0.9 * clean).astype(np.float32))})
    assert 0 <= value("sam", samples) < 0.05
    large = {**samples, "clean": 1e3 * samples["clean"], "restored": 1e3 * samples["restored"]}
    assert np.isfinite(value("sam", large))


def test_ceilings_are_truncated_decompositions_and_projections(pair) -> None:
    clean = pair[0].reshape(-1, BANDS).astype(np.float64)
    left, values, right = np.linalg.svd(clean, full_matrices=False)
    errors = ((left[:, :3] * values[:3]) @ right[:3] - clean) ** 2
    assert value("ceiling_3", samples_of({"a": pair})) == pytest.approx(
        (-10 * np.log10(errors.mean(0))).mean(), abs=1e-6
    )
    E = np.random.default_rng(4).normal(size=(BANDS, 2)).astype(np.float32)
    samples = samples_of({"a": pair})
    samples["coefficients"] = np.repeat(E[None], len(samples["id"]), 0)
    wide = E.astype(np.float64)
    errors = (clean @ np.linalg.pinv(wide).T @ wide.T - clean) ** 2
    assert value("span_ceiling", samples) == pytest.approx((-10 * np.log10(errors.mean(0))).mean(), abs=1e-6)
    lacking = BY_NAME["span_ceiling"].statistic(samples_of({"a": pair}))
    assert math.isnan(lacking.value(None))
    assert lacking.reason == "the method has no subspace"
    assert BY_NAME["ceiling_8"].statistic(samples_of({"a": pair})).reason == "a cube has fewer than 8 bands"


def test_the_oracle_is_the_best_step_and_apart_from_the_answer(pair) -> None:
    samples = samples_of({"a": pair})
    E = np.eye(BANDS, dtype=np.float32)
    samples["coefficients"] = np.repeat(E[None], len(samples["id"]), 0)
    worse = samples["restored"] + np.float32(0.2)
    better = (samples["restored"] + samples["clean"]) / 2
    samples["steps"] = np.stack([worse, better, samples["restored"]], 1)
    expected = value("mpsnr", {**samples, "restored": better.clip(0, 1)})
    assert value("oracle_mpsnr", samples) == pytest.approx(expected)
    assert value("oracle_mpsnr", samples) > value("mpsnr", samples)


def test_the_loss_of_a_prior_on_unseen_images_is_that_of_its_noise_before_any_clipping() -> None:
    random = np.random.default_rng(3)
    scenes = []
    for name, sigma in (("a", 25.0), ("b", 50.0)):
        clean = random.random((16, 16, 3)).astype(np.float32)
        scenes.append(Scene(name, f"sigma {sigma:g}", clean, Degradation("gaussian", sigma, seed=5).apply(clean)))
    torch.manual_seed(0)
    task, prior = HSIRestoration(), UNet(base=8, mults=(1, 2), groups=4).eval()
    samples = collect(NetworkSolver(task, prior, {}), split_of(scenes, 8), task, 8)
    losses = []
    for scene in scenes:
        clean, noisy = (
            torch.from_numpy(2 * each - 1).permute(2, 0, 1)[None] for each in (scene.clean, scene.seen.noisy)
        )
        spread = 2 * scene.seen.sigma
        share = 1 / (1 + spread**2)
        with torch.no_grad():
            said = prior(share**0.5 * noisy, torch.tensor([share**0.5]))
        losses.append(float((said - (noisy - clean) / spread).square().mean()))
    assert value("eps_loss", samples) == pytest.approx(np.mean(losses), rel=1e-4)
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    del samples["estimate"]
    assert BY_NAME["eps_loss"].statistic(samples).reason == "the method says no noise of the images themselves"
