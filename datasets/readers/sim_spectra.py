"""Simulated spectral scenes for smoke runs: patches of a few materials with smooth spectra, lit unevenly."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bands import band_sets, spread_layouts
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.cubes import IGNORED, Scenes
from benchmarks.datasets.readers.spectral_tiles import Tiles, Windows, spectral_fold
from benchmarks.errors import BenchmarkError

VERSION = 1
SHARES = (0.6, 0.8)
"""Where train ends and where val does."""
LEAST_TILES, LEAST_SIZE = 5, 8
MATERIALS = ("water", "grass", "soil", "roof", "road")
GSD = 30.0
"""Metres along a pixel, as EnMAP has them."""
NOISE = 0.05
LIKENESS = 0.2
"""By how much materials differ, in shares of a spectrum."""
UNLABELLED = 0.2
"""Share of pixels without a label."""
FEATURES = 6
"""Bumps of which a spectrum is made."""


def read(
    files: Mapping[str, Path], *, tiles: int = 20, size: int = 16, bands: int = 60, visible: int = 8, infrared: int = 6,
    window: int = 8, stride: int = 8, seed: int = 2021,
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold of so many `tiles` of `size` x `size` pixels with so many `bands` from 400 to 2500 nm, 60 / 20 / 20 %.

    Equal seeds give equal data.
    """
    if tiles < LEAST_TILES or size < LEAST_SIZE:
        raise BenchmarkError(
            f"sim_spectra needs at least {LEAST_TILES} tiles and a size of {LEAST_SIZE}; given: {tiles} and {size}. "
            "Type data.tiles=20 data.size=16."
        )
    wavelengths = np.linspace(400.0, 2500.0, bands)
    random = np.random.default_rng(seed)
    common = _spectrum(wavelengths, random)
    spectra = np.stack([common + LIKENESS * _spectrum(wavelengths, random) for _ in MATERIALS])
    scenes = [_scene(spectra, size, each) for each in random.spawn(tiles)]
    places = np.array([(number, 0, 0) for number in range(tiles)])
    names = np.array([f"{number:03d}" for number in range(tiles)])
    labels = [label for _, label in scenes]
    cubes = Scenes(np.stack([cube for cube, _ in scenes]))
    made = Tiles(cubes, wavelengths, labels, MATERIALS, places, names, size, GSD)
    ends = [0, *(round(share * tiles) for share in SHARES), tiles]
    parts = {
        part: np.arange(start, end)
        for part, (start, end) in zip(("train", "val", "test"), itertools.pairwise(ends), strict=True)
    }
    sets = band_sets(wavelengths, spread_layouts(wavelengths, visible, infrared))
    return (spectral_fold("all", made, sets, parts, Windows(window, stride)),)


def _spectrum(wavelengths: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A smooth spectrum [bands] of broad bumps."""
    centre, width = random.uniform(400, 2500, FEATURES), random.uniform(80, 500, FEATURES)
    bumps = np.exp(-0.5 * ((wavelengths - centre[:, None]) / width[:, None]) ** 2)
    return 0.1 + random.uniform(0, 0.4, FEATURES) @ bumps


def _scene(spectra: np.ndarray, size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A cube float32 [bands, size, size] of patches around random places and its labels uint8 [size, size]."""
    y, x = np.mgrid[:size, :size]
    seeds = random.uniform(0, size, (2 * len(spectra), 2))
    nearest = ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(2)
    material = random.integers(0, len(spectra), len(seeds))[nearest]
    light = random.uniform(0.8, 1.2) + random.normal(0, 0.02, (size, size))
    cube = np.moveaxis(spectra[material], 2, 0) * light + random.normal(0, NOISE, (spectra.shape[1], size, size))
    label = np.where(random.random((size, size)) < UNLABELLED, IGNORED, material)
    return cube.astype(np.float32), label.astype(np.uint8)
