"""The range of values that a noisy cube is brought to the scale from 0 to 1 by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.models.hsi_restoration.observation import estimated_sigma
from benchmarks.models.hsi_restoration.subspace import truncated

LITTLE = 0.01
"""Share of the range below which noise takes no room."""
RANK = 3


def signal_range(cube: np.ndarray, seen: np.ndarray | None = None) -> tuple[float, float]:
    """The smallest and largest value of a cube [c, h, w] as they would be without its noise (see `without_noise`), of which
    entries that are not `seen` have none."""
    least, most = float(cube.min()), float(cube.max())
    if min(cube.shape[1:]) < 2:
        return least, most
    tensor = torch.from_numpy(np.ascontiguousarray(cube, np.float64))

    def extremes() -> tuple[float, float]:
        copy = truncated(tensor, min(RANK, len(cube)))
        return float(copy.min()), float(copy.max())

    noise = estimated_sigma(tensor, None if seen is None else torch.from_numpy(seen))
    return without_noise(least, most, float(noise.mean()), cube.size, extremes)


def without_noise(
    least: float, most: float, noise: float, entries: int, extremes: Callable[[], tuple[float, float]]
) -> tuple[float, float]:
    """The range of so many `entries` from `least` to `most` less what noise of a deviation adds to it.

    Weights of guidance belong to a clean cube on a scale from 0 to 1, and noise can double the range of a noisy one. The
    extremes of noise are taken off, but not beyond those of a rank-3 copy, `extremes`; noise below a hundredth of the range
    takes no room.
    """
    from scipy.stats import norm

    if noise < LITTLE * (most - least):
        return least, most
    reach = noise * float(norm.isf(1 / entries))
    smallest, largest = extremes()
    low, high = max(least, min(least + reach, smallest)), min(most, max(most - reach, largest))
    return (low, high) if low < high else (least, most)
