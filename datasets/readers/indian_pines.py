"""Indian Pines: fields seen by AVIRIS in 1992, split into a checkerboard of blocks that share no pixel with any window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bands import band_sets, spread_layouts
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.cubes import IGNORED, Scenes
from benchmarks.datasets.readers.spectral_tiles import Tiles, Windows, spectral_fold
from benchmarks.datasets.sensor import sensor
from benchmarks.errors import BenchmarkError

VERSION = 1
CLASSES = (
    "alfalfa", "corn, no till", "corn, minimum till", "corn", "grass, pasture", "grass, trees", "grass, mowed", "hay",
    "oats", "soybean, no till", "soybean, minimum till", "soybean, clean", "wheat", "woods", "buildings", "steel towers",
)  # fmt: skip
"""Labels 1 to 16; 0 is what nobody labelled."""
GSD = 20.0
"""Metres along a pixel."""
DROPPED = (range(104, 109), range(150, 164), range(220, 221))
"""Channels of the 220, from 1, in the water bands and at the end: what `corrected` leaves out."""
EVERY_VAL, FIRST_VAL = 4, 1
"""Of the labelled blocks beside those of the test, each so-manyth validates from this one on: of the four ways the one that
leaves all 16 classes in train and in test."""


def read(
    files: Mapping[str, Path], *, block: int = 10, margin: int = 1, window: int = 6, stride: int = 1, visible: int = 16,
    infrared: int = 8, sensors: str = "",
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold: of a checkerboard of `block` pixels the black squares are test, of the white ones each fourth validates.

    Training windows lie within white blocks, `margin` pixels from their edges, so that none shares a pixel with the test or
    comes nearer than that. Rows and columns beyond the last whole block are left out. Layouts are by rule: `visible` and
    `infrared` bands below and above 1000 nm for training, their numbers exchanged for `shifted` (see `spread_layouts`).
    """
    cube = np.load(files["indian_pines_corrected.npy"], allow_pickle=False).astype(np.float32)
    numbers = np.load(files["indian_pines_gt.npy"], allow_pickle=False)
    rows, columns = (size // block if block > 0 else 0 for size in numbers.shape)
    if min(rows, columns) < 4:
        raise BenchmarkError(
            f"data.block={block} is not valid: there must be four blocks or more along {numbers.shape[0]} pixels. "
            "Type data.block=10."
        )
    wavelengths = usual_wavelengths()
    y, x = (axis.ravel() for axis in np.indices((rows, columns)))
    tiles = Tiles(
        Scenes(np.moveaxis(cube, 2, 0)[None]),
        wavelengths,
        [np.where(numbers == 0, IGNORED, numbers.astype(np.int64) - 1).astype(np.uint8)],
        CLASSES,
        np.stack([np.zeros_like(y), block * y, block * x], 1),
        np.array([f"{row:02d}_{column:02d}" for row, column in zip(y, x, strict=True)]),
        block,
        GSD,
    )
    black = (y + x) % 2 == 1
    labelled = (tiles.labels_at(tiles.places, block) != IGNORED).any((1, 2))
    white = np.flatnonzero(~black & labelled)
    val = np.arange(len(white)) % EVERY_VAL == FIRST_VAL
    parts = {"train": white[~val], "val": white[val], "test": np.flatnonzero(black & labelled)}
    sets = band_sets(wavelengths, spread_layouts(wavelengths, visible, infrared), sensors)
    return (spectral_fold("all", tiles, sets, parts, Windows(window, stride, margin)),)


def usual_wavelengths() -> np.ndarray:
    """Centres [200] of the corrected cube's bands: the 1992 calibration without the channels that are left out by custom.

    The list that tensorly ships differs: it leaves out others, and two numbers in it are misprints.
    """
    lost = [channel - 1 for part in DROPPED for channel in part]
    return np.delete(np.array(sensor("aviris").centre), lost)
