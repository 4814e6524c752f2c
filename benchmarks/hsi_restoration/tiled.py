"""Scenes in tiles: columns that are read when a tile is asked for, and reduced images that are blended where tiles overlap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.datasets.bundle import Columns, Split
from benchmarks.datasets.rasters import opened
from benchmarks.datasets.tiling import tile_starts, tile_weights
from benchmarks.hsi_restoration.surveyed import Survey, read_window

SIDE, OVERLAP = 256, 32
"""Pixels of a tile as it was seen, and how many it shares with the next one."""


class Tiles(Split):
    """A split whose batches are one tile each: what a batch of cubes takes grows with their bands."""

    def batches(self, size: int, order: np.ndarray | None = None, steps: int | None = None) -> Iterator[Columns]:
        for batch in super().batches(1, order, steps):
            yield {**batch, "inner": batch["inner"].copy()}  # of a view of the one matrix of all tiles


class TileColumn:
    """Tiles of a raster on the scale of its survey, read when rows are asked for: float32 [n, c, h, w], entries without data at
    the means of their bands; or, with `observed`, bool [n, c, h, w], which entries were measured. Those of empty pixels are
    no gaps."""

    def __init__(self, path: Path, known: Survey, places: np.ndarray, side: tuple[int, int], observed: bool) -> None:
        self.path, self.known, self.places, self.side, self.observed = path, known, places, side, observed
        self.shape = (len(places), len(known.mean), *side)
        self.dtype = np.dtype(bool if observed else np.float32)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = self.places[rows]
        made = np.empty((len(places), *self.shape[1:]), self.dtype)
        for tile, place in zip(made, places.tolist(), strict=True):
            tile[:] = self._tile(*place)
        return made

    def _tile(self, top: int, left: int) -> np.ndarray:
        from rasterio.windows import Window

        height, width = self.side
        with opened(self.path) as file:
            values, seen = read_window(file, Window(left, top, width, height))
        if self.observed:
            return seen | self.known.empty[top : top + height, left : left + width]
        low, high = self.known.low, self.known.high
        made = np.empty(values.shape, np.float32)
        for band, mean in enumerate(self.known.mean):  # a band at a time in double precision
            made[band] = (np.where(seen[band], values[band], mean) - low) / (high - low)
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def tiles_of(path: Path, known: Survey, factor: int) -> Split:
    """The tiles of a scene that have data, as samples; no pixel is read before a tile is asked for.

    Columns are those of a cube (`noisy`, `sigma`, `factor`, `place`, `observed` where the scene lacks entries), and what tiles
    must know of the scene: `inner` float64 [n, c, c] and `lacking` [n] (see `Surroundings`).
    """
    shape = known.empty.shape
    side = (min(SIDE, shape[0]), min(SIDE, shape[1]))
    tops, lefts = (tile_starts(size, part, max(1, part - OVERLAP)) for size, part in zip(shape, side, strict=True))
    places = np.array(
        [(top, left) for top in tops for left in lefts if not known.empty[top : top + side[0], left : left + side[1]].all()]
    )  # fmt: skip
    count = len(places)
    columns = {
        "noisy": cast(Any, TileColumn(path, known, places, side, False)),
        "sigma": np.full(count, known.sigma, np.float32),
        "factor": np.full(count, factor, np.int64),
        "place": factor * places,
        "inner": np.broadcast_to(known.inner, (count, *known.inner.shape)),
        "lacking": np.full(count, known.lacking, np.float32),
    }
    if known.lacking > 0:
        columns["observed"] = cast(Any, TileColumn(path, known, places, side, True))
    names = np.array([f"{path.stem}_{top}_{left}" for top, left in places])
    return Tiles(columns, names, names)


def blended(tiles: np.ndarray, places: np.ndarray, shape: tuple[int, int], overlap: int) -> np.ndarray:
    """Tiles [n, k, h, w] at `places` [n, 2] as one image float32 [k, *shape], zero where there is none.

    Towards other tiles the weight of a tile falls as a squared cosine over `overlap` pixels, so that the weights of two add up
    to one.
    """
    side = tiles.shape[2:]
    image, total = np.zeros((tiles.shape[1], *shape), np.float32), np.zeros(shape, np.float32)
    for tile, place in zip(tiles, places.astype(int).tolist(), strict=True):
        down, across = (
            tile_weights(*each, overlap) for each in zip(place, side, shape, strict=True)
        )  # fmt: skip
        weight = down[:, None] * across
        where = np.s_[place[0] : place[0] + side[0], place[1] : place[1] + side[1]]
        image[(slice(None), *where)] += weight * tile
        total[where] += weight
    for rows in range(0, shape[0], SIDE):  # no second image for a division
        image[:, rows : rows + SIDE] /= np.maximum(total[rows : rows + SIDE], np.finfo(np.float32).tiny)
    return image
