"""EnMAP over Potsdam: 18 tiles with land cover, every tile tested once, layouts of bands as LESS ViT has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bands import band_sets, every
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.cubes import IGNORED, Scenes
from benchmarks.datasets.rasters import RasterSource, read_header, read_labels
from benchmarks.datasets.readers.spectral_tiles import Tiles, Windows, spectral_fold
from benchmarks.datasets.sensor import sensor
from benchmarks.errors import BenchmarkError

VERSION = 1
CLASSES = ("roof", "pavement", "low vegetation", "tree", "soil", "water")
"""Labels 1 to 6; 0 is what nobody labelled."""
SIDE = 32
STEM = "enmap_potsdam_tile_"
SAME_BAND = 0.01
"""Nanometres by which a tag may differ from the sensor's table."""


def read(
    files: Mapping[str, Path], *, folds: int = 6, step: int = 5, window: int = 8, stride: int = 4, sensors: str = ""
) -> tuple[Fold, ...]:
    """Tiles in the order of their names are dealt to `folds`; the next fold's validate, all others train.

    Of every layout each `step`th band is kept: 24 of the 120 that training sees by default, all with 1. `sensors` are other
    sensors to be judged on, by spectral response. Bands 130 to 135 are dead and the two spectrometers overlap; the layouts
    leave out the former and are ordered by wavelength.
    """
    names = sorted(path.removeprefix("images/").removesuffix(".tif") for path in files if path.startswith("images/"))
    if not 3 <= folds <= len(names) or step < 1:
        raise BenchmarkError(
            f"data.folds={folds} data.step={step} is not valid: folds are 3 to {len(names)}, a step is 1 or more. "
            "Type data.folds=6 data.step=5."
        )
    headers = [read_header(files[f"images/{name}.tif"]) for name in names]
    labels = [read_labels(files[f"labels/{name}.tif"], header) for name, header in zip(names, headers, strict=True)]
    wavelengths = headers[0].wavelengths
    places = np.array([(scene, 0, 0) for scene in range(len(names))])
    tiles = Tiles(
        Scenes(RasterSource(headers).windows(places, SIDE)),
        wavelengths,
        [np.where(numbers == 0, IGNORED, numbers - 1).astype(np.uint8) for numbers in labels],
        CLASSES,
        places,
        np.array([name.removeprefix(STEM) for name in names]),
        SIDE,
        headers[0].gsd,
    )
    sets = band_sets(wavelengths, _layouts(wavelengths, step), sensors)
    dealt = np.arange(len(names)) % folds
    made = []
    for fold in range(folds):
        test, val = dealt == fold, dealt == (fold + 1) % folds
        parts = {"train": np.flatnonzero(~(test | val)), "val": np.flatnonzero(val), "test": np.flatnonzero(test)}
        made.append(spectral_fold(f"fold{fold}", tiles, sets, parts, Windows(window, stride)))
    return tuple(made)


def _layouts(wavelengths: np.ndarray, step: int) -> dict[str, np.ndarray]:
    """The published layouts as places among the bands of the files."""
    enmap = sensor("enmap")
    centre = np.array(enmap.centre)
    made = {}
    for name, rows in enmap.layouts.items():
        apart = np.abs(wavelengths[None] - centre[rows][:, None])
        if apart.min(1).max() > SAME_BAND:
            lost = centre[rows][apart.min(1).argmax()]
            raise BenchmarkError(f"The files lack EnMAP's band at {lost:g} nm, which layout '{name}' has.")
        made[name] = every(apart.argmin(1), wavelengths, step)
    return made
