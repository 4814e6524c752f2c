"""Filters against SciPy, and principal component pursuit against what is provable of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter, white_tophat

from benchmarks.models.sparse_object.filters import MaxMedian, TopHat, ellipse
from benchmarks.models.sparse_object.pcp import PCP

ELLIPSE_5 = ["00100", "11111", "11111", "11111", "00100"]
"""OpenCV's element of that name and size."""


def images(count: int = 3, height: int = 21, width: int = 17) -> np.ndarray:
    return np.random.default_rng(0).random((count, height, width)).astype(np.float32)


def answer(solver, data: np.ndarray) -> np.ndarray:
    return solver.answer(torch.from_numpy(data)[:, None])["probability"].numpy()


def relative(data: np.ndarray) -> np.ndarray:
    return data.clip(0) / data.clip(0).max((1, 2), keepdims=True)


def test_the_ellipse_is_that_of_opencv() -> None:
    assert ["".join(map(str, row)) for row in ellipse(5).int().tolist()] == ELLIPSE_5
    assert ellipse(1).tolist() == [[True]]
    assert torch.equal(ellipse(9), ellipse(9).flip(0).flip(1))


@pytest.mark.parametrize("size", [3, 5, 9])
def test_top_hat_is_that_of_scipy(size: int) -> None:
    data = images()
    footprint = ellipse(size).numpy()
    half = size // 2
    # SciPy mirrors images at their edges; padded with what no erosion and no dilation takes, it does as OpenCV.
    eroded = np.stack([erode(image, footprint) for image in data])
    opened = -np.stack([erode(-image, footprint) for image in eroded])
    np.testing.assert_allclose(answer(TopHat(size), data), relative(data - opened), atol=1e-6)
    inside = (slice(None), slice(2 * half, -2 * half or None), slice(2 * half, -2 * half or None))
    expected = np.stack([white_tophat(image, footprint=footprint) for image in data])
    np.testing.assert_allclose((data - opened)[inside], expected[inside], atol=1e-6)


def erode(image: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    half = len(footprint) // 2
    around = np.pad(image, half, constant_values=np.inf)
    shifted = [around[y : y + image.shape[0], x : x + image.shape[1]] for y, x in np.argwhere(footprint)]
    return np.min(shifted, 0)


@pytest.mark.parametrize("size", [3, 5])
def test_max_median_is_made_of_four_medians(size: int) -> None:
    data = images()
    line = np.arange(size)
    footprints = np.zeros((4, size, size), bool)
    footprints[0, size // 2] = footprints[1, :, size // 2] = footprints[2, line, line] = True
    footprints[3, line, line[::-1]] = True
    medians = [[median_filter(image, footprint=f, mode="nearest") for f in footprints] for image in data]
    expected = relative(data - np.stack([np.max(found, 0) for found in medians]))
    np.testing.assert_allclose(answer(MaxMedian(size), data), expected, atol=1e-6)


def test_even_sizes_are_refused_and_an_even_image_has_no_objects() -> None:
    for kind in (TopHat, MaxMedian):
        with pytest.raises(ValueError, match="odd"):
            kind(4)
        assert not answer(kind(), np.full((1, 9, 9), 0.4, np.float32)).any()
    assert not answer(PCP(), np.zeros((1, 9, 9), np.float32)).any()


def low_rank_and_sparse(rows: int = 80, columns: int = 60, rank: int = 4, share: float = 0.05):
    random = np.random.default_rng(3)
    lowrank = random.normal(size=(rows, rank)) @ random.normal(size=(rank, columns)) / rank
    sparse = np.where(random.random((rows, columns)) < share, random.normal(0, 10, (rows, columns)), 0)
    return torch.from_numpy(lowrank), torch.from_numpy(sparse)


def test_pursuit_recovers_what_is_exactly_low_rank_and_sparse() -> None:
    lowrank, sparse = low_rank_and_sparse()
    found = PCP(tolerance=1e-10).pursue((lowrank + sparse)[None])
    assert torch.linalg.norm(found.lowrank[0] - lowrank) < 1e-8 * torch.linalg.norm(lowrank)
    assert torch.linalg.norm(found.sparse[0] - sparse) < 1e-8 * torch.linalg.norm(sparse)
    assert found.rank.tolist() == [4]
    assert 0 <= found.gap.item() < 1e-3


def test_the_gap_bounds_the_distance_from_the_optimum_and_slower_growth_closes_it() -> None:
    random = np.random.default_rng(4)
    lowrank, sparse = low_rank_and_sparse(30, 24, 3)
    noisy = (lowrank + sparse + torch.from_numpy(random.normal(0, 0.1, lowrank.shape)))[None]
    weight = 1 / 30**0.5

    def objective(low: torch.Tensor) -> float:
        return (torch.linalg.matrix_norm(low, "nuc") + weight * (noisy - low).abs().sum((1, 2))).item()

    fast, slow = PCP(growth=1.5).pursue(noisy), PCP(growth=1.01, tolerance=1e-9, max_iterations=5000).pursue(noisy)
    assert slow.gap.item() < fast.gap.item()
    best = objective(slow.lowrank)
    assert objective(fast.lowrank) * (1 - fast.gap.item()) <= best <= objective(fast.lowrank)
    assert objective(slow.lowrank + 0.01 * slow.sparse) > best * (1 - slow.gap.item())


def test_a_batch_is_solved_as_its_images_are() -> None:
    lowrank, sparse = low_rank_and_sparse(20, 20, 2)
    batch = torch.stack([lowrank + sparse, 3 * lowrank, sparse])
    together = PCP().pursue(batch)
    for index, image in enumerate(batch):
        alone = PCP().pursue(image[None])
        torch.testing.assert_close(together.lowrank[index], alone.lowrank[0], atol=1e-9, rtol=1e-9)
        assert together.iterations[index] == alone.iterations[0]


def test_twice_the_image_has_twice_the_parts() -> None:
    lowrank, sparse = low_rank_and_sparse(20, 20, 2)
    once, twice = (PCP().pursue(factor * (lowrank + sparse)[None]) for factor in (1, 2))
    torch.testing.assert_close(2 * once.sparse, twice.sparse, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(once.gap, twice.gap, atol=1e-9, rtol=1e-6)
