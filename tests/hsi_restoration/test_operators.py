"""Blur, bicubic resampling, schedules and total variation against independent renderings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.datasets import degradations
from benchmarks.models.hsi_restoration.operators import bicubic_matrix, blur_matrix, lowered, raised
from benchmarks.models.hsi_restoration.schedules import signal_shares, visited, visited_from
from benchmarks.models.hsi_restoration.total_variation import denoise_tv, gradient


@pytest.mark.parametrize("factor", [2, 4])
def test_the_operator_is_what_the_data_were_made_with(factor: int) -> None:
    clean = np.random.default_rng(0).random((24, 36, 3)).astype(np.float32)
    ours = lowered(torch.from_numpy(clean.transpose(2, 0, 1).astype(np.float64)), factor).numpy()
    np.testing.assert_allclose(ours.transpose(1, 2, 0), degradations.lowered(clean, factor), atol=1e-6)
    assert ours.shape == (3, 24 // factor, 36 // factor)


def test_blur_is_a_convolution_with_zeros_around() -> None:
    image = torch.randn(1, 1, 20, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    taps = torch.exp(-0.5 * (torch.arange(-4, 5, dtype=torch.float64) / (16 / (8 * np.log(2))) ** 0.5) ** 2)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    expected = torch.nn.functional.conv2d(image, kernel[None, None], padding=4)
    torch.testing.assert_close((blur_matrix(20) @ image[0, 0] @ blur_matrix(17).T)[None, None], expected)


def test_bicubic_weights_are_those_of_imresize() -> None:
    half, double = bicubic_matrix(16, 0.5), bicubic_matrix(8, 2.0)
    np.testing.assert_allclose(half[3, 3:11] * 256, [-3, -9, 29, 111, 111, 29, -9, -3], atol=1e-12)
    np.testing.assert_allclose(double[5, 1:5] * 128, [-9, 111, 29, -3], atol=1e-12)
    # Edges are mirrored with the edge pixel: the first output takes what lies beyond from the first pixels again.
    np.testing.assert_allclose(half[0, :5] * 256, [111 + 29, 111 - 9, 29 - 3, -9, -3], atol=1e-12)
    for matrix in (half, double, bicubic_matrix(15, 0.25)):
        torch.testing.assert_close(matrix.sum(1), torch.ones(len(matrix), dtype=torch.float64))
    assert bicubic_matrix(15, 0.25).shape == (4, 15)
    flat = torch.full((2, 5, 6), 0.3)
    torch.testing.assert_close(raised(flat, 4), torch.full((2, 20, 24), 0.3))


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (8.0, (0.998, 0.982, 0.865, 0.551, 0.009)),
        (5.0, (0.983, 0.924, 0.719, 0.397, 0.006)),
        (16.0, (1.0, 1.0, 0.982, 0.798, 0.017)),
    ],
)
def test_the_exponential_schedule_has_its_published_values(decay: float, expected: tuple[float, ...]) -> None:
    shares = signal_shares("exp", decay)
    assert [round(float(shares[t - 1]), 3) for t in (250, 500, 750, 900, 999)] == list(expected)
    assert shares[-1] == pytest.approx(1e-3, rel=1e-6)
    closed = 1e-3 + 0.999 * (1 - np.exp(-decay * (1 - np.arange(1, 1001) / 1000))) / (1 - np.exp(-decay))
    np.testing.assert_allclose(shares, closed, rtol=1e-9)


def test_twenty_steps_visit_the_levels_that_the_sheet_lists() -> None:
    indices = visited(20)
    assert indices.tolist() == list(range(950, -1, -50))
    shares = signal_shares("exp", 8.0)[indices]
    np.testing.assert_allclose(shares[:4], [0.325, 0.548, 0.697, 0.797], atol=6e-4)
    np.testing.assert_allclose(shares[-3:], [0.9996, 0.9998, 0.999997], atol=6e-5)
    counts = [
        int((signal_shares(*schedule)[indices] > 0.9).sum())
        for schedule in (("exp", 8.0), ("exp", 5.0), ("linear",), ("cosine",))
    ]
    assert counts == [15, 12, 3, 5]
    assert [len(visited(steps)) for steps in (30, 8, 7, 1000)] == [31, 8, 8, 1000]
    cosine = signal_shares("cosine")
    assert cosine[499] == pytest.approx(0.5)
    assert (np.diff(cosine) < 0).all()
    assert cosine[-1] == pytest.approx(cosine[-2] * 1e-3)  # the last beta is cut at 0.999


def test_levels_from_a_share_begin_with_no_more_signal() -> None:
    shares = signal_shares("exp", 8.0)
    for share in (0.99, 0.7, 0.3, 1e-6):
        indices = visited_from(share, shares, 8)
        assert indices[-1] == 0
        assert (np.diff(indices) < 0).all()
        assert shares[indices[0]] <= max(share, shares[-1])
        assert indices[0] in (0, 999) or shares[indices[0] - 1] > share


def test_total_variation_is_that_of_scikit_image() -> None:
    restoration = pytest.importorskip("skimage.restoration", reason="scikit-image is not installed")
    image = np.random.default_rng(0).random((23, 31))
    for weight in (0.05, 0.3):
        expected = restoration.denoise_tv_chambolle(image, weight=weight)
        np.testing.assert_allclose(denoise_tv(torch.from_numpy(image), weight).numpy(), expected, atol=1e-10)


def test_total_variation_lowers_its_own_objective_and_keeps_the_mean() -> None:
    image = torch.rand(16, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def objective(u: torch.Tensor) -> float:
        return float(0.5 * (u - image).square().sum() + 0.2 * gradient(u).square().sum(0).sqrt().sum())

    found = denoise_tv(image, 0.2, tolerance=1e-9, max_iterations=2000)
    assert objective(found) < objective(image)
    assert float(found.mean()) == pytest.approx(float(image.mean()))
    noise = torch.randn(image.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert all(objective(found) <= objective(found + step * noise) for step in (1e-2, -1e-2))
