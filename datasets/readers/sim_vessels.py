"""Simulated vessels for smoke runs: dark branching curves on an uneven bright ground."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.readers.object_masks import fold_of
from benchmarks.errors import BenchmarkError

VERSION = 1
SHARES = (0.6, 0.8)
"""Where train ends and where val does."""
LEAST_SUBJECTS, LEAST_SIZE = 5, 16
VESSELS = (2, 5)
"""Fewest and most stems in an image."""
NOISE = 4.0


def read(files: Mapping[str, Path], *, subjects: int = 15, size: int = 64, seed: int = 2021) -> tuple[Fold, ...]:
    """One fold of two images `size` x `size` of each of so many `subjects`, 60 / 20 / 20 %. Equal seeds give equal data."""
    if subjects < LEAST_SUBJECTS or size < LEAST_SIZE:
        raise BenchmarkError(
            f"sim_vessels needs at least {LEAST_SUBJECTS} subjects and a size of {LEAST_SIZE}; given: {subjects} and {size}. "
            "Type data.subjects=15 data.size=64."
        )
    made = [simulate(size, generator) for generator in np.random.default_rng(seed).spawn(2 * subjects)]
    units = np.arange(2 * subjects) // 2
    ids = np.array([f"{unit}{eye}" for unit, eye in zip(units, itertools.cycle("LR"), strict=False)])
    columns = {"image": np.stack([image for image, _ in made]), "mask": np.stack([mask for _, mask in made])}
    whole = Split(columns, ids, units)
    ends = [0, *(2 * round(share * subjects) for share in SHARES), 2 * subjects]
    return fold_of(*(whole.take(slice(start, end)) for start, end in itertools.pairwise(ends)))


def simulate(size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 [size, size] and the mask of its vessels."""
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[:size, :size].astype(np.float64)
    depth = np.zeros((size, size))
    for _ in range(random.integers(VESSELS[0], VESSELS[1] + 1)):
        place, angle = random.uniform(0.1, 0.9, 2) * size, random.uniform(0, 2 * np.pi)
        width = random.uniform(0.8, 2.0)
        for _ in range(2 * size):
            depth = np.maximum(depth, np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * width**2)))
            angle += random.normal(0, 0.15)
            place = place + 0.7 * np.array([np.sin(angle), np.cos(angle)])
            if not ((place > 0) & (place < size)).all():
                break
    ground = 150 + 30 * gaussian_filter(random.normal(size=(size, size)), size / 6, mode="wrap") * size / 3
    image = ground - random.uniform(40, 80) * depth + random.normal(0, NOISE, depth.shape)
    return np.rint(image.clip(0, 255)).astype(np.uint8), depth > 0.5
