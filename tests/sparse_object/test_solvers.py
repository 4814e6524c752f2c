"""Filters against SciPy, and principal component pursuit against what is provable of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter, white_tophat

from benchmarks.datasets.open import open_bundle
from benchmarks.models.sparse_object.filters import MaxMedian, TopHat, ellipse
from benchmarks.models.sparse_object.ipi import IPI, merged, patch_image, places
from benchmarks.models.sparse_object.pcp import PCP, shrink_spectrum
from benchmarks.sparse_object.targets import by_centroid

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


def test_patches_are_columns_and_cover_the_image() -> None:
    rows, columns = places(21, 8, 3), places(17, 8, 3)
    assert (rows, columns) == ([0, 3, 6, 9, 12, 13], [0, 3, 6, 9])
    data = images()
    matrix = patch_image(torch.from_numpy(data), 8, rows, columns)
    assert matrix.shape == (3, 64, 24)
    third = data[1, rows[2] : rows[2] + 8, columns[1] : columns[1] + 8]
    np.testing.assert_array_equal(matrix[1, :, 2 * len(columns) + 1], third.ravel())


@pytest.mark.parametrize("merge", ["median", "mean"])
def test_patches_are_put_together_as_pixel_by_pixel(merge: str) -> None:
    rows, columns = places(12, 5, 2), places(10, 5, 2)
    patches = torch.from_numpy(np.random.default_rng(5).normal(size=(2, 25, len(rows) * len(columns))))
    found = merged(patches, (12, 10), 5, rows, columns, merge).numpy()
    for image, y, x in np.ndindex(2, 12, 10):
        said = [
            patches[image, (y - top) * 5 + x - left, i * len(columns) + j].item()
            for i, top in enumerate(rows)
            for j, left in enumerate(columns)
            if 0 <= y - top < 5 and 0 <= x - left < 5
        ]
        assert found[image, y, x] == pytest.approx(np.median(said) if merge == "median" else np.mean(said))


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (24, 20)])
def test_a_spectrum_is_shrunk_as_by_its_decomposition(shape: tuple[int, int]) -> None:
    data = torch.from_numpy(np.random.default_rng(6).normal(size=(2, *shape)))
    by = torch.tensor([[5.0], [100.0]], dtype=torch.float64)
    left, values, right = torch.linalg.svd(data, full_matrices=False)
    kept = (values - by).clamp(min=0)
    found, rank = shrink_spectrum(data, by)
    torch.testing.assert_close(found, (left * kept[:, None]) @ right, atol=1e-10, rtol=1e-9)
    assert rank.tolist() == (kept > 0).sum(1).tolist()
    assert rank[1] == 0


def planted(size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A background all of whose patches are mixtures of four, and a target of 2 x 2 pixels."""
    y, x = np.mgrid[:size, :size] / size
    background = 0.4 + 0.2 * np.sin(5 * x + 3 * y) + 0.2 * y
    target = np.zeros_like(background)
    target[40:42, 60:62] = [[0.5, 0.4], [0.3, 0.5]]
    return background, target


def test_patch_image_recovers_a_planted_target_and_nothing_else() -> None:
    background, target = planted()
    image = torch.from_numpy(background + target)[None, None]
    found = IPI(patch=24, step=6, tolerance=1e-9).answer(image)
    np.testing.assert_allclose(found["probability"][0], target / 0.5, atol=1e-5)
    assert found["rank"].item() == np.linalg.matrix_rank(
        patch_image(torch.from_numpy(background)[None], 24, places(96, 24, 6), places(96, 24, 6))[0], 1e-8
    )
    assert 0 <= found["gap"].item() < 1e-3


def test_patches_larger_than_the_image_are_halved_and_steps_beyond_a_patch_refused() -> None:
    assert answer(IPI(), images(1, 9, 7)).shape == (1, 9, 7)
    assert not answer(IPI(), np.zeros((1, 1, 1), np.float32)).any()
    with pytest.raises(ValueError, match="at most patch"):
        IPI(patch=5, step=6)
    with pytest.raises(ValueError, match="median"):
        IPI(merge="mode")


def test_patch_image_finds_real_targets(mirror: Path) -> None:
    fold = open_bundle("sirst", progress=False).folds[0]
    rows = slice(0, 1)
    image = torch.from_numpy(fold.test.columns["image"][rows])[:, None] / 255
    soft = IPI().answer(image)["probability"].numpy()
    found = [by_centroid(one > 0.5, mask) for one, mask in zip(soft, fold.test.columns["mask"][rows], strict=True)]
    assert sum(each.hits for each in found) == sum(each.targets for each in found) > 0
