"""Speed of hyperspectral restoration: the subspace of a cube, a step of guidance, a batch of cubes.

Ratios of calls that take turns in one process, so that what else the machine does meets both sides alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmarks.models.hsi_restoration.guidance import Guidance
from benchmarks.models.hsi_restoration.hir_diff import HIRDiff
from benchmarks.models.hsi_restoration.observation import Observation
from benchmarks.models.hsi_restoration.subspace import coefficients, principal

BANDS, SIDE = 191, 256
TINY = {"base": 16, "mults": (1, 2, 2), "middle_attention": True}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cube(side: int = SIDE, bands: int = BANDS) -> torch.Tensor:
    return torch.rand(bands, side, side, generator=torch.Generator().manual_seed(0))


def ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int) -> float:
    """Median processor time of `slow` over that of `fast`, in turns after a call of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for which, call in enumerate((slow, fast)):
            started = time.process_time()
            call()
            if turn:
                times[which].append(time.process_time() - started)
    return float(np.median(times[0]) / np.median(times[1]))


def test_the_subspace_takes_a_fifth_of_a_thin_decomposition(benchmark) -> None:
    seen = cube()
    flat = seen.flatten(1).T.contiguous()
    found = ratio(lambda: torch.linalg.svd(flat, full_matrices=False), lambda: principal(seen, 3), 3)
    benchmark.extra_info["ratio"] = found
    benchmark.pedantic(coefficients, (seen,), rounds=3)
    assert found >= 5


def test_guidance_in_the_subspace_takes_a_third_of_that_of_the_whole_cube(benchmark) -> None:
    seen = Observation(cube())
    E, _ = coefficients(seen.noisy)
    small, full = (Guidance(seen, E, 16.0, 0.0, form) for form in ("subspace", "full"))
    reduced = torch.rand(3, SIDE, SIDE)
    found = ratio(lambda: full.gradient(reduced), lambda: small.gradient(reduced), 7)
    benchmark.extra_info["ratio"] = found
    benchmark(small.gradient, reduced)
    assert found >= 3


def test_a_batch_of_four_crops_is_no_slower_than_four_runs(benchmark) -> None:
    crops = [Observation(cube(32, 100) + 0.01 * number, sigma=0.1) for number in range(4)]
    network = HIRDiff(TINY, steps=5).eval()
    found = ratio(lambda: [network.restore([crop]) for crop in crops], lambda: network.restore(crops), 5)
    benchmark.extra_info["ratio"] = found
    benchmark.pedantic(network.restore, (crops,), rounds=3)
    assert found >= 0.95
