"""One labelled scene split into a checkerboard of blocks that share no pixel with any training window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.bands import band_sets, spread_layouts
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.cubes import IGNORED, Scenes
from benchmarks.datasets.readers.spectral_tiles import Tiles, Windows, spectral_fold
from benchmarks.errors import BenchmarkError

EVERY_VAL = 4
"""Of the labelled blocks beside those of the test, each so-manyth validates."""


@dataclass(frozen=True)
class LabelledScene:
    """A cube float32 [c, h, w], NaN without data, with bands at `wavelengths` [c] in nanometres, and `numbers` [h, w]: 1 for
    the first of `classes`, 0 where nobody labelled. `gsd` is the side of a pixel in metres."""

    cube: np.ndarray
    numbers: np.ndarray
    classes: Sequence[str]
    wavelengths: np.ndarray
    gsd: float | None


@dataclass(frozen=True)
class Layouts:
    """What `bands.spread_layouts` and `bands.band_sets` are told."""

    visible: int
    infrared: int
    sensors: str
    boundary: float


def checkerboard_fold(scene: LabelledScene, block: int, windows: Windows, layouts: Layouts) -> Fold:
    """The black squares of a checkerboard of `block` pixels are test; of the white ones with labels each fourth validates.

    Of the four ways to choose these, the first one that leaves most of the tested classes in train is taken. Training windows
    lie within white blocks and `windows.margin` pixels from their edges, so that none shares a pixel with the test or comes
    nearer than that. Rows and columns beyond the last whole block are left out. Raises BenchmarkError where there are fewer
    than four blocks along a side.
    """
    rows, columns = (size // block if block > 0 else 0 for size in scene.numbers.shape)
    if min(rows, columns) < 4:
        raise BenchmarkError(
            f"data.block={block} is not valid: there must be four blocks or more along {min(scene.numbers.shape)} pixels. "
            "Type data.block=10."
        )
    y, x = (axis.ravel() for axis in np.indices((rows, columns)))
    tiles = Tiles(
        Scenes(scene.cube[None]),
        scene.wavelengths,
        [np.where(scene.numbers == 0, IGNORED, scene.numbers.astype(np.int64) - 1).astype(np.uint8)],
        scene.classes,
        np.stack([np.zeros_like(y), block * y, block * x], 1),
        np.array([f"{row:02d}_{column:02d}" for row, column in zip(y, x, strict=True)]),
        block,
        scene.gsd,
    )
    black = (y + x) % 2 == 1
    labels = tiles.labels_at(tiles.places, block)
    labelled = (labels != IGNORED).any((1, 2))
    test, white = np.flatnonzero(black & labelled), np.flatnonzero(~black & labelled)
    inner = labels[:, windows.margin : block - windows.margin, windows.margin : block - windows.margin]
    val = _validating(inner[white], set(np.unique(labels[test]).tolist()) - {IGNORED})
    parts = {"train": white[~val], "val": white[val], "test": test}
    named = spread_layouts(scene.wavelengths, layouts.visible, layouts.infrared, layouts.boundary)
    sets = band_sets(scene.wavelengths, named, layouts.sensors)
    return spectral_fold("all", tiles, sets, parts, windows)


def _validating(labels: np.ndarray, tested: set[int]) -> np.ndarray:
    """Which of the white blocks validate, by the labels [k, h, w] that training windows could see of them."""
    ways = [np.arange(len(labels)) % EVERY_VAL == first for first in range(EVERY_VAL)]
    return max(ways, key=lambda val: len(tested & set(np.unique(labels[~val]).tolist())))
