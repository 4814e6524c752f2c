"""Simulated infrared images for smoke runs: clouds and a horizon, small bright targets, and bright edges that are none."""

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
LEAST_IMAGES, LEAST_SIZE = 10, 16
TARGETS = (0, 3)
"""Fewest and most targets in an image: some have none, as in reality."""
WIDTHS = (0.7, 1.6)
"""Standard deviation of a target's spot in pixels; its mask is where the spot is above half its height."""
CONTRAST, NOISE = (40.0, 90.0), 3.0
"""Gray levels of a target above its surroundings, and the deviation of the sensor's noise."""


def read(files: Mapping[str, Path], *, images: int = 60, size: int = 64, seed: int = 2021) -> tuple[Fold, ...]:
    """One fold of so many `images` of `size` x `size`, 60 / 20 / 20 %. Equal seeds give equal data."""
    if images < LEAST_IMAGES or size < LEAST_SIZE:
        raise BenchmarkError(
            f"sim_infrared needs images of at least {LEAST_IMAGES} and size of at least {LEAST_SIZE}; given: {images} and "
            f"{size}. Type data.images=60 data.size=64."
        )
    made = [simulate(size, generator) for generator in np.random.default_rng(seed).spawn(images)]
    ids = np.arange(images)
    whole = Split(
        {"image": np.stack([image for image, _ in made]), "mask": np.stack([mask for _, mask in made])}, ids, ids
    )
    ends = [0, *(round(share * images) for share in SHARES), images]
    return fold_of(*(whole.take(slice(start, end)) for start, end in itertools.pairwise(ends)))


def simulate(size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image uint8 [size, size] and the mask of its targets."""
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[:size, :size].astype(np.float64)
    clouds = gaussian_filter(random.normal(size=(size, size)), size / 8, mode="wrap")
    image = 90 + 25 * clouds / np.abs(clouds).max() + 30 * random.random() * y / size
    horizon = size * random.uniform(0.5, 0.9) + 2 * np.sin(x / random.uniform(4, 9))
    image += np.where(y > horizon, 35.0, 0.0)
    mask = np.zeros((size, size), bool)
    for _ in range(random.integers(TARGETS[0], TARGETS[1] + 1)):
        row, column = random.uniform(3, size - 3, 2)
        spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * random.uniform(*WIDTHS) ** 2))
        image += random.uniform(*CONTRAST) * spot
        mask |= spot > 0.5 * spot.max()
    image += random.normal(0, NOISE, image.shape)
    return np.rint(image.clip(0, 255)).astype(np.uint8), mask
