"""Simulated cubes of a few materials, and simulated photographs for a prior: smoke runs only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, TrainingData
from benchmarks.datasets.degradations import Degradation
from benchmarks.datasets.readers.cube_tiles import Scene, split_of
from benchmarks.datasets.readers.hsi_cubes import normalised
from benchmarks.datasets.readers.rgb_photos import photo_split
from benchmarks.errors import BenchmarkError

VERSION = 1
MATERIALS = 5
PHOTOS = 8


def read(
    files: Mapping[str, Path],
    *,
    cubes: int = 2,
    size: int = 32,
    bands: int = 16,
    degradation: str = "gaussian",
    sigma: float = 50.0,
    rate: float = 0.8,
    sigma_after: float = 0.0,
    tile: int = 16,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """One fold: `train` are photographs, `val` is one cube, `test` so many `cubes`, all of `size` x `size` pixels.

    The cubes have different numbers of bands, the first `bands`, each next two fewer.
    """
    if min(cubes, 1) < 1 or size < 8 or size % 4 or bands - 2 * cubes < 4:
        raise BenchmarkError(
            f"sim_cube needs a size of 8 or more that 4 divides and 4 bands or more in its last cube; given: data.cubes={cubes} "
            f"data.size={size} data.bands={bands}. Type data.cubes=2 data.size=32 data.bands=16."
        )
    spoil = Degradation(degradation, sigma, rate, sigma_after, seed)
    made = np.random.default_rng([seed, 1]).spawn(cubes + 1 + PHOTOS)

    def scene(number: int) -> Scene:
        clean = simulate(size, bands - 2 * number, made[number])
        return Scene(f"cube{number}", f"cube{number}", clean, spoil.apply(clean))

    photos = {f"photo{number}": photograph(size, made[cubes + 1 + number]) for number in range(PHOTOS)}
    val, test = split_of([scene(cubes)], tile), split_of([scene(number) for number in range(cubes)], tile)
    schema = {"bands": bands, "factor": spoil.factor, "photos": list(photos)}
    return (Fold("all", TrainingData(photo_split(photos, size), val, schema), test),)


def simulate(size: int, bands: int, random: np.random.Generator) -> np.ndarray:
    """A cube float32 [size, size, bands]: smooth spectra of a few materials, mixed by smooth maps, so that no rank is exact."""
    from scipy.ndimage import gaussian_filter, gaussian_filter1d

    spectra = gaussian_filter1d(random.uniform(0, 1, (MATERIALS, bands)), bands / 10, axis=1)
    maps = np.stack(
        [gaussian_filter(random.normal(size=(size, size)), size / 12, mode="wrap") for _ in range(MATERIALS)]
    )
    shares = np.exp(6 * maps / maps.std())
    return normalised(np.tensordot(shares / shares.sum(0), spectra, ([0], [0])))


def photograph(size: int, random: np.random.Generator) -> np.ndarray:
    """An image uint8 [size, size, 3] of smooth colours and a few rectangles."""
    from scipy.ndimage import gaussian_filter

    base = gaussian_filter(random.normal(size=(size, size)), size / 8, mode="wrap")
    image = 0.5 + 0.2 * (base / base.std())[..., None] * random.uniform(0.5, 1, 3)
    for _ in range(4):
        row, column = random.integers(0, size - size // 4, 2)
        image[row : row + size // 4, column : column + size // 4] = random.uniform(0, 1, 3)
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)
