"""The subspace and its bands: facts of real cubes to two decimals, and what is provable of any matrix."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.degradations import Degradation
from benchmarks.datasets.readers.hsi_cubes import CUBES, load, normalised
from benchmarks.errors import BenchmarkError
from benchmarks.models.hsi_restoration.subspace import (
    BOUND,
    coefficients,
    equispaced,
    principal,
    select_bands,
    truncated,
)

MIRROR = os.environ.get("BENCH_MIRROR")
RANKS = (1, 2, 3, 4, 5, 8, 10)
CEILINGS = {
    "reno": (28.45, 40.19, 45.70, 48.15, 49.52, 52.93, 54.82),
    "jasper": (24.65, 34.15, 38.92, 42.68, 44.46, 47.61, 48.69),
    "samson": (28.52, 42.21, 47.13, 49.44, 51.94, 55.99, 57.22),
    "pavia": (34.61, 42.99, 46.22, 48.25, 49.21, 50.44, 51.44),
    "moffett": (27.25, 39.74, 42.59, 45.07, 46.57, 50.50, 52.14),
    "simu_indian": (17.51, 24.67, 26.91, 29.65, 32.20, 41.35, 46.20),
}
"""MPSNR of truncated decompositions of the clean cubes."""
BANDS = {
    "reno": {0: ([11, 60, 81], 45.70), 30: ([11, 60, 81], 45.28), 50: ([11, 60, 82], 44.39), 70: ([11, 64, 82], 42.94)},
    "jasper": {
        0: ([18, 72, 144], 38.92),
        30: ([18, 74, 144], 38.74),
        50: ([18, 74, 144], 38.43),
        70: ([18, 74, 144], 37.97),
    },
    "samson": {
        0: ([45, 86, 145], 47.13),
        30: ([39, 87, 145], 45.37),
        50: ([39, 96, 113], 42.72),
        70: ([10, 89, 145], 40.96),
    },
    "pavia": {0: ([4, 36, 77], 46.22), 30: ([7, 37, 76], 44.77), 50: ([32, 62, 98], 43.00), 70: ([36, 62, 98], 41.61)},
}
"""Bands and ceiling of the subspace by the level of noise, as the official functions give them."""


@pytest.fixture(scope="module")
def cubes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    if not MIRROR or not Path(MIRROR).is_dir():
        pytest.skip("BENCH_MIRROR names no folder, and this test needs files that may not be redistributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setenv("BENCH_MIRROR", str(Path(MIRROR).resolve()))
        files = {**fetch(load_card("hsi_cubes"), progress=False), **fetch(load_card("sim_indian"), progress=False)}
    return {name: normalised(load(files[file], key)) for name, (file, key) in CUBES.items()}


def tensor(cube: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(cube.transpose(2, 0, 1)))


def mpsnr(error: torch.Tensor) -> float:
    return float((-10 * torch.log10(error.double().square().mean((1, 2)))).mean())


@pytest.mark.parametrize("name", CEILINGS)
def test_ceilings_of_real_cubes_by_rank(cubes: dict[str, np.ndarray], name: str) -> None:
    clean = tensor(cubes[name]).double()
    found = [mpsnr(truncated(clean, rank) - clean) for rank in RANKS]
    assert found == pytest.approx(CEILINGS[name], abs=0.0051)


@pytest.mark.parametrize(("name", "sigma"), [(name, sigma) for name, levels in BANDS.items() for sigma in levels])
def test_bands_and_ceilings_of_the_subspace_of_noisy_cubes(cubes: dict[str, np.ndarray], name: str, sigma: int) -> None:
    noisy = tensor(Degradation("gaussian", float(sigma)).apply(cubes[name]).noisy)
    clean = tensor(cubes[name]).double()
    E, bands = coefficients(noisy)
    expected, ceiling = BANDS[name][sigma]
    assert bands == expected
    basis = torch.linalg.qr(E.double())[0]
    projected = torch.einsum("ck,dk,dhw->chw", basis, basis, clean)
    assert mpsnr(projected - clean) == pytest.approx(ceiling, abs=0.0051)
    assert float(E.abs().max()) <= BOUND + 1e-6


def test_principal_spectra_are_those_of_a_decomposition_and_do_not_depend_on_signs() -> None:
    cube = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 12, 11)))
    right = torch.linalg.svd(cube.flatten(1).T, full_matrices=False)[2][:3]
    ours = principal(cube, 3)
    torch.testing.assert_close(ours @ ours.T, right.T @ right, atol=1e-10, rtol=0)
    torch.testing.assert_close(truncated(cube, 9), cube, atol=1e-10, rtol=0)
    with pytest.raises(BenchmarkError, match=r"method\.rank=10"):
        principal(cube, 10)


@pytest.mark.parametrize("bound", [1.01, 1.2, 2.0])
def test_chosen_bands_express_all_others_within_the_bound(bound: float) -> None:
    random = np.random.default_rng(1)
    for _ in range(40):
        vectors = np.linalg.qr(random.normal(size=(30, 3)))[0]
        chosen = select_bands(vectors, bound)
        weights = vectors @ np.linalg.inv(vectors[chosen])
        assert np.abs(weights).max() <= bound + 1e-9
        np.testing.assert_allclose(weights[chosen], np.eye(3), atol=1e-9)


def test_exchanges_reach_a_volume_that_no_exchange_of_one_band_enlarges_by_more() -> None:
    random = np.random.default_rng(2)
    exchanged = 0
    for _ in range(60):
        vectors = random.normal(size=(12, 3))
        chosen = select_bands(vectors, 1.01)
        volume = abs(np.linalg.det(vectors[chosen]))
        for place, other in itertools.product(range(3), set(range(12)) - set(chosen)):
            swapped = [*chosen[:place], other, *chosen[place + 1 :]]
            assert abs(np.linalg.det(vectors[swapped])) <= 1.01 * volume + 1e-9
        exchanged += chosen != select_bands(vectors, 10.0)
    assert exchanged  # the loop was needed at all


def test_a_reduced_image_is_the_cube_at_its_bands_and_noise_changes_them() -> None:
    random = np.random.default_rng(3)
    exact = torch.from_numpy(np.einsum("ck,khw->chw", random.uniform(size=(10, 3)), random.uniform(size=(3, 8, 8))))
    E, bands = coefficients(exact)
    torch.testing.assert_close(torch.einsum("ck,khw->chw", E, exact[bands]), exact, atol=1e-9, rtol=0)
    one, two = (coefficients(exact + 0.2 * torch.randn(exact.shape, generator=torch.Generator().manual_seed(seed)))[0]
                for seed in (0, 1))  # fmt: skip
    assert not torch.allclose(one, two)
    assert equispaced(3, 100) == [25, 50, 75]
    E, bands = coefficients(exact, choice="equispaced")
    torch.testing.assert_close(torch.einsum("ck,khw->chw", E, exact[bands]), exact, atol=1e-8, rtol=0)
