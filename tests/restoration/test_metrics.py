"""Every metric against figures that were made elsewhere, another rendering, and what must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.datasets.readers.object_masks import read_colours
from benchmarks.restoration.metrics import METRICS, luminance
from benchmarks.restoration.similarity import similarity, volume_similarity
from benchmarks.scoring import score

BY_NAME = {metric.name: metric for metric in METRICS}


def pair(seed: int = 0, shape: tuple[int, int] = (40, 47), noise: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / 9
    clean = 120 + 90 * np.stack([np.sin(x + y), np.cos(2 * y), np.sin(x) * np.cos(y)], -1)
    dirty = clean + noise * random.normal(size=clean.shape)
    return clean.round().clip(0, 255).astype(np.uint8), dirty.round().clip(0, 255).astype(np.uint8)


def samples_of(pairs: list[tuple[np.ndarray, np.ndarray]], **columns: np.ndarray) -> dict[str, np.ndarray]:
    names = np.arange(len(pairs))
    clean, restored = (np.stack([each[place] for each in pairs]) for place in (0, 1))
    return {"id": names, "unit": names, "clean": clean, "restored": restored, **columns}


def value(name: str, samples: dict[str, np.ndarray], weights: np.ndarray | None = None) -> float:
    return BY_NAME[name].statistic(samples).value(weights)


def test_conventions_of_the_field_on_one_real_pair(mirror: Path) -> None:
    """Figures of BasicSR and KAIR (psnr, ssim), of deraining (psnr_y) and of NAFNet's code, which has single precision."""
    real = sorted((mirror / "polyu").glob("*_real.JPG"))[40]
    clean = real.with_name(real.name.replace("_real", "_mean"))
    cut = tuple(read_colours(path)[100:228, 120:280] for path in (clean, real))
    samples = samples_of([cut])
    assert value("psnr", samples) == pytest.approx(38.5685, abs=5e-5)
    assert value("psnr_y", samples) == pytest.approx(40.3667, abs=5e-5)
    assert value("ssim", samples) == pytest.approx(0.90079, abs=5e-6)
    assert value("ssim_nafnet", samples) == pytest.approx(0.98077, abs=5e-5)


def test_psnr_is_a_mean_of_images_over_all_their_pixels_and_colours() -> None:
    first, second = pair(0, noise=3.0), pair(1, noise=40.0)
    each = [
        20 * np.log10(255) - 10 * np.log10(np.mean((clean.astype(float) - dirty) ** 2))
        for clean, dirty in (first, second)
    ]
    samples = samples_of([first, second])
    assert value("psnr", samples) == pytest.approx(np.mean(each), abs=1e-9)
    assert value("psnr", samples, np.array([3.0, 1.0])) == pytest.approx((3 * each[0] + each[1]) / 4, abs=1e-9)
    pooled = np.mean([np.mean((clean.astype(float) - dirty) ** 2) for clean, dirty in (first, second)])
    assert abs(value("psnr", samples) - 10 * np.log10(255**2 / pooled)) > 3


def test_levels_have_a_range_of_255_however_dark_they_are() -> None:
    black = np.zeros((16, 16, 3), np.uint8)
    nearly = black.copy()
    nearly[0, 0, 0] = 1
    assert value("psnr", samples_of([(black, nearly)])) == pytest.approx(10 * np.log10(255**2 * 768), abs=1e-9)


def test_shares_are_cut_and_rounded_half_to_even() -> None:
    clean = np.array([0, 2, 2, 255], np.uint8).reshape(2, 2, 1).repeat(3, 2)
    shares = (np.array([-0.3, 1.5 / 255, 2.5 / 255, 7.0]).reshape(2, 2, 1).repeat(3, 2)).astype(np.float64)
    assert value("psnr", samples_of([(clean, shares)])) == 100
    assert value("psnr", samples_of([(clean, shares + 1.1 / 255)])) < 50


def test_an_image_without_error_counts_a_hundred_and_leaves_the_mean_finite() -> None:
    first, second = pair(0), pair(1)
    samples = samples_of([first, (second[0], second[0])])
    assert value("psnr", samples) == pytest.approx((value("psnr", samples_of([first])) + 100) / 2)
    perfect = samples_of([(first[0], first[0])], input_mse=np.array([4.0]))
    for name, metric in BY_NAME.items():
        if metric.perfect is not None:
            assert value(name, perfect) == pytest.approx(metric.perfect), name


@pytest.mark.parametrize("seed", range(3))
def test_ssim_is_that_of_gaussian_windows_within_the_image(seed: int) -> None:
    """As scikit-image has it with gaussian_weights, sigma 1.5 and population covariances: SciPy's filter, its edges cut off."""
    clean, dirty = (image.astype(float) for image in pair(seed))

    def mean(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, truncate=3.5)

    found = []
    for channel in range(3):
        x, y = clean[..., channel], dirty[..., channel]
        spread_x, spread_y, both = (
            mean(x * x) - mean(x) ** 2,
            mean(y * y) - mean(y) ** 2,
            mean(x * y) - mean(x) * mean(y),
        )
        top = (2 * mean(x) * mean(y) + 2.55**2) * (2 * both + 7.65**2)
        bottom = (mean(x) ** 2 + mean(y) ** 2 + 2.55**2) * (spread_x + spread_y + 7.65**2)
        found.append((top / bottom)[5:-5, 5:-5].mean())
    assert similarity(clean, dirty) == pytest.approx(np.mean(found), abs=1e-9)
    assert value("ssim", samples_of([pair(seed)])) == pytest.approx(np.mean(found), abs=1e-9)
    assert volume_similarity(clean, dirty) > similarity(clean, dirty)


def test_luminance_runs_from_16_to_235_and_is_above_colours() -> None:
    ends = luminance(np.array([[0, 0, 0], [255, 255, 255]], float))
    np.testing.assert_allclose(ends, [16, 235], atol=0.01)
    samples = samples_of([pair()])
    assert 1 < value("psnr_y", samples) - value("psnr", samples) < 7
    gray = tuple(image[..., :1].repeat(3, 2) for image in pair())
    assert value("psnr_y", samples_of([gray])) - value("psnr", samples_of([gray])) == pytest.approx(
        20 * np.log10(255 / 219), abs=1e-3
    )


def test_gain_is_told_from_the_degraded_images() -> None:
    first, second = pair(0), pair(1)
    before = np.array([100.0, 400.0])
    samples = samples_of([first, second], input_mse=before)
    seen = 10 * np.log10(255**2 / before)
    each = [value("psnr", samples_of([one])) for one in (first, second)]
    assert value("gain", samples) == pytest.approx(np.mean(each - seen))
    missing = BY_NAME["gain"].statistic(samples_of([first]))
    assert np.isnan(missing.value(None))
    assert "do not tell" in str(missing.reason)


def test_a_small_image_has_no_window_and_says_so() -> None:
    small = tuple(image[:10] for image in pair())
    found = BY_NAME["ssim"].statistic(samples_of([small]))
    assert np.isnan(found.value(None))
    assert "11 pixels" in str(found.reason)
    assert np.isfinite(value("psnr", samples_of([small])))


def test_scenes_are_resampled_within_degradations() -> None:
    pairs = [pair(seed, noise=noise) for noise in (5.0, 30.0) for seed in range(4)]
    units = np.array(["a", "a", "b", "b"] * 2)
    kinds = np.array(["noise"] * 4 + ["rain"] * 4)
    samples = {**samples_of(pairs, input_mse=np.full(8, 900.0)), "unit": units, "condition": kinds}
    rows = {(row.metric, row.condition): row for row in score(METRICS, samples, "test", "scenes").quality}
    assert rows["psnr", None].primary
    halves = [rows["psnr", kind].value for kind in ("noise", "rain")]
    assert rows["psnr", None].value == pytest.approx(np.mean(halves))
    assert rows["psnr", "noise"].value > rows["psnr", "rain"].value + 10
    assert "over scenes, 2 of them" in rows["psnr", "noise"].ci_kind
    assert rows["psnr", "noise"].ci_low <= rows["psnr", "noise"].value <= rows["psnr", "noise"].ci_high
