"""Columns of spectral windows that are read and standardised when a batch is made, and what standardises them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.datasets.bands import BandSet
from benchmarks.errors import BenchmarkError

IGNORED = 255
"""The label of pixels that no metric counts and no loss sees."""
SPREAD = 2.0
"""Standard deviations on either side of the mean that become the range from 0 to 1."""
MIDDLE = 0.5
"""What pixels without data become: the mean of their band."""
AT_ONCE = 32
"""Windows that are held at a time while statistics are gathered."""


class CubeSource(Protocol):
    """Where windows come from: scenes in memory, or raster files."""

    def windows(self, places: np.ndarray, side: int, bands: np.ndarray | None = None) -> np.ndarray:
        """Windows at `places` [k, 3] (scene, top, left), float32 [k, c, side, side], NaN where there are no data.

        `bands` are the wanted ones, all unless given. What lies beyond a scene's edge has no data.
        """


@dataclass(frozen=True)
class Scenes:
    """Scenes in memory: cubes float32 [m, c, h, w], NaN where there are no data."""

    cubes: np.ndarray

    def windows(self, places: np.ndarray, side: int, bands: np.ndarray | None = None) -> np.ndarray:
        bands = np.arange(self.cubes.shape[1]) if bands is None else bands
        made = np.full((len(places), len(bands), side, side), np.nan, np.float32)
        for row, (scene, top, left) in enumerate(places):
            part = self.cubes[scene][bands, top : top + side, left : left + side]
            made[row, :, : part.shape[1], : part.shape[2]] = part
        return made


@dataclass(frozen=True)
class Scaled:
    """A set of bands with the mean and the standard deviation [k] of each, by which networks see it."""

    bands: BandSet
    mean: np.ndarray
    std: np.ndarray

    def standardised(self, raw: np.ndarray) -> np.ndarray:
        """Values of these bands [n, k, h, w] from 0, two deviations below the mean, to 1, two above; beyond they are cut.

        Pixels without data, and bands without any spread, are 0.5.
        """
        shape = (-1, *(1,) * (raw.ndim - 2))
        mean, std = (part.reshape(shape).astype(np.float32) for part in (self.mean, self.std))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (raw - (mean - SPREAD * std)) / (2 * SPREAD * std)
        return np.where(np.isfinite(share), share.clip(0, 1), np.float32(MIDDLE)).astype(np.float32)


def scaled(source: CubeSource, places: np.ndarray, side: int, sets: Sequence[BandSet]) -> list[Scaled]:
    """Mean and standard deviation of every band of every set over the pixels with data in windows at `places`.

    They need no labels. Of weighted sums they are those of the sums. Raises BenchmarkError where a band has no data at all.
    """
    totals = [np.zeros((3, len(bands))) for bands in sets]
    for start in range(0, len(places), AT_ONCE):
        raw = source.windows(places[start : start + AT_ONCE], side)
        for bands, total in zip(sets, totals, strict=True):
            values = bands.take(raw).astype(np.float64)
            seen = np.isfinite(values)
            values = np.where(seen, values, 0.0)
            total += np.stack([part.sum((0, 2, 3)) for part in (seen, values, values**2)])
    made = []
    for bands, (count, first, second) in zip(sets, totals, strict=True):
        if (empty := np.flatnonzero(count == 0)).size:
            shown = ", ".join(f"{nm:g}" for nm in bands.wavelengths[empty][:6])
            raise BenchmarkError(
                f"Bands at {shown} nm ({empty.size} of {len(bands)}) have no data in any training pixel: nodata everywhere. "
                "Leave these bands out of the files, or mark them by a band tag bbl=0."
            )
        mean = first / count
        made.append(Scaled(bands, mean, np.sqrt(np.maximum(second / count - mean**2, 0.0))))
    return made


class CubeColumn:
    """Standardised windows as a column of a split: float32 [n, width, side, side], read when rows are asked for.

    Row i is the window at `places[i]` (scene, top, left) as the set of bands `which[i]` sees it. Sets that have fewer bands
    than the widest one leave zeros behind theirs; the column `bands` of a split tells how many there are.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, source: CubeSource, places: np.ndarray, side: int, sets: Sequence[Scaled], which: np.ndarray
    ) -> None:
        self.source, self.places, self.side, self.sets, self.which = source, places, side, list(sets), which
        self.shape = (len(places), max(len(one.bands) for one in sets), side, side)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        index = np.arange(len(self))[rows]
        made = np.zeros((len(index), *self.shape[1:]), np.float32)
        for number in np.unique(self.which[index]):
            one, own = self.sets[number], np.flatnonzero(self.which[index] == number)
            places = self.places[index[own]]
            if one.bands.weights is None:
                raw = self.source.windows(places, self.side, one.bands.rows)
            else:
                raw = one.bands.take(self.source.windows(places, self.side))
            made[own, : len(one.bands)] = one.standardised(raw)
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)
