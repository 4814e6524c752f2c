"""Real hyperspectral cubes in the layouts of their MATLAB files: tuned on Samson and Moffett, tested on the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, TrainingData
from benchmarks.datasets.degradations import Degradation
from benchmarks.datasets.matlab import read_mat
from benchmarks.datasets.readers.cube_tiles import Scene, split_of
from benchmarks.errors import BenchmarkError, unknown

VERSION = 1
CUBES = {
    "samson": ("Samson.mat", "Y"),
    "moffett": ("moffett.mat", "Y"),
    "reno": ("Reno150-150-100.mat", "C"),
    "jasper": ("Jasper.mat", "Y"),
    "pavia": ("Pavia.mat", "data"),
    "simu_indian": ("simu_indian.mat", "Ori_H"),
}
"""File and variable of each cube: [h, w, c], or Y [c, pixels] of a square scene whose pixels go down its columns or rows."""
TUNING = ("samson", "moffett")
"""What settings may be chosen on; nothing is trained on cubes."""


def read(
    files: Mapping[str, Path],
    *,
    test: str = "reno,jasper,pavia",
    degradation: str = "gaussian",
    sigma: float = 50.0,
    rate: float = 0.8,
    sigma_after: float = 0.0,
    crop: int = 64,
    tile: int = 16,
    seed: int = 0,
) -> tuple[Fold, ...]:
    """One fold; `train` and `val` are both the tuning cubes, `test` those that are named.

    `crop` takes the top left square of so many pixels of each cube, 0 the whole. See `Degradation` for the rest. Every cube
    is brought to the range from 0 to 1 by its smallest and largest value, which are never those of single bands, and noise is
    added to the crop.
    """
    names = [name.strip() for name in test.split(",")]
    for name in names:
        if name not in CUBES or name in TUNING:
            raise unknown("cube for data.test:", name, CUBES.keys() - set(TUNING))
    if min(crop, tile - 1) < 0:
        raise BenchmarkError(f"data.crop={crop} data.tile={tile} is not valid. Type data.crop=64 data.tile=16.")
    spoil = Degradation(degradation, sigma, rate, sigma_after, seed)

    def scene(name: str) -> Scene:
        file, key = CUBES[name]
        clean = trimmed(normalised(load(files[file], key)), crop, spoil.factor)
        return Scene(name, name, clean, spoil.apply(clean))

    tuning = split_of([scene(name) for name in TUNING], tile)
    tested = split_of([scene(name) for name in names], tile)
    schema = {"bands": tested.columns["clean"].shape[1], "factor": spoil.factor}
    return (Fold("all", TrainingData(tuning, tuning, schema), tested),)


def load(path: Path, key: str) -> np.ndarray:
    """A cube float64 [h, w, c] of a MATLAB file; raises BenchmarkError for a file that has none of that name."""
    content = read_mat(path)
    try:
        values = np.asarray(content[key], np.float64)
    except (KeyError, ValueError) as error:
        held = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise BenchmarkError(f"{path} must hold numbers in a variable {key}; it holds {held}.") from error
    if values.ndim == 2:
        shape = tuple(int(content[side].item()) for side in ("lines", "cols"))
        if shape[0] * shape[1] != values.shape[1]:
            raise BenchmarkError(
                f"{path}: {key} has {values.shape[1]} pixels, and lines x cols are {shape[0]} x {shape[1]}."
            )
        values = values.reshape(-1, *shape).transpose(1, 2, 0)
    if values.ndim != 3 or not np.isfinite(values).all():
        raise BenchmarkError(f"{path}: {key} must be a cube of finite numbers; its shape is {values.shape}.")
    return values


def normalised(cube: np.ndarray) -> np.ndarray:
    """A cube brought to the range from 0 to 1 as a whole, float32; a constant one is refused."""
    low, high = cube.min(), cube.max()
    if high == low:
        raise BenchmarkError(f"A cube holds the value {low} alone, so that there is nothing to restore.")
    return ((cube - low) / (high - low)).astype(np.float32)


def trimmed(cube: np.ndarray, crop: int, factor: int) -> np.ndarray:
    """The top left square of `crop` pixels (0: all), whose sides are multiples of `factor`."""
    height, width = (min(size, crop or size) // factor * factor for size in cube.shape[:2])
    return cube[:height, :width]
