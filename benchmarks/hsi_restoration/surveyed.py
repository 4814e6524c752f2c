"""A scene too large to be held, surveyed window by window: all that its tiles must know of the whole.

Memory is that of some rows of windows and of a matrix of bands by bands. Inner products are those of the scene with entries
without data at the means of their bands, as in a scene that is read at once, although means are known at the end alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration.ranges import RANK, without_noise
from benchmarks.models.hsi_restoration.observation import MAD

BLOCK = 256
"""Pixels along a window of a file in tiles."""
ROW_VALUES = 2**22
"""Numbers of all bands that are held in double precision at a time."""
DETAILS = 2**15
"""Squares of 2 x 2 pixels, about, from which the noise of a band is estimated."""


@dataclass(frozen=True)
class Survey:
    """The values `low` and `high` that become 0 and 1, the `mean` [c] of each band in units of the file and, on that scale, the
    noise `sigma` and the inner products `inner` [c, c] of bands. `empty` bool [h, w] are pixels without any data, `lacking`
    is the share of the entries of all others that have none."""

    low: float
    high: float
    mean: np.ndarray
    sigma: float
    inner: np.ndarray
    empty: np.ndarray
    lacking: float


def parts(file: Any) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """A raster in windows that suit its blocks: row, column, values of all bands [c, h, w], and which of them are data."""
    from rasterio.windows import Window

    height, width = file.block_shapes[0]
    if width >= file.width:  # strips
        down, across = max(1, ROW_VALUES // (file.count * file.width)), file.width
    else:
        down, across = (-(-BLOCK // side) * side for side in (height, width))
    for top in range(0, file.height, down):
        for left in range(0, file.width, across):
            rows, columns = min(down, file.height - top), min(across, file.width - left)
            values, seen = read_window(file, Window(left, top, columns, rows))
            once = max(2, ROW_VALUES // (file.count * columns) // 2 * 2)
            for row in range(0, rows, once):
                yield top + row, left, values[:, row : row + once], seen[:, row : row + once]


def read_window(file: Any, window: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values of all bands [c, h, w] as they stand in the file, and which of them are data."""
    values = file.read(window=window)
    return values, (file.read_masks(window=window) > 0) & np.isfinite(values)


def survey(file: Any, path: Path) -> Survey:
    """Two passes over a raster; one where it has little noise. Raises BenchmarkError for a file without data."""
    sums = _Sums(file.count, file.height, file.width)
    for top, left, values, seen in parts(file):
        sums.add(top, left, values, seen)
    check_seen(path, sums.counts, file.nodata)
    least, most = float(sums.least.min()), float(sums.most.max())
    check_range(path, least, most)
    mean, inner = sums.means(), sums.inner_products()
    vectors = np.linalg.eigh(inner)[1][:, -min(RANK, file.count) :]

    def extremes() -> tuple[float, float]:
        low, high = np.inf, -np.inf
        for _, _, values, seen in parts(file):
            spectra = np.where(seen, values, mean[:, None, None]).reshape(len(mean), -1)
            copy = vectors @ (vectors.T @ spectra)
            low, high = min(low, float(copy.min())), max(high, float(copy.max()))
        return low, high

    noise = sums.noise()
    low, high = without_noise(least, most, noise, file.count * sums.pixels, extremes)
    total = sums.pixels * mean
    shifted = inner - low * (total[:, None] + total) + sums.pixels * low**2
    kept = int((~sums.empty).sum()) * file.count
    return Survey(
        low, high, mean, noise / (high - low), shifted / (high - low) ** 2, sums.empty, 1 - float(sums.counts.sum()) / kept
    )  # fmt: skip


def check_seen(path: Path, counts: np.ndarray, nodata: float | None) -> None:
    """Raises BenchmarkError unless every band [c] has some data."""
    if not counts.any():
        raise BenchmarkError(f"{path} has no pixel with data (nodata is {nodata}).")
    if (absent := np.flatnonzero(counts == 0)).size:
        raise BenchmarkError(
            f"{path}: band {absent[0] + 1} ({absent.size} such) has no data at all. Leave it out of the file, for example by "
            "`rio stack --bidx`."
        )


def check_range(path: Path, least: float, most: float) -> None:
    """Raises BenchmarkError where all values are one."""
    if least == most:
        raise BenchmarkError(f"{path} holds the value {least:g} alone, so that there is nothing to restore.")


class _Sums:
    """What the first pass adds up."""

    def __init__(self, bands: int, height: int, width: int) -> None:
        self.pixels = height * width
        self.empty = np.ones((height, width), bool)
        self.counts, self.totals = np.zeros(bands, np.int64), np.zeros(bands)
        self.least, self.most = np.full(bands, np.inf), np.full(bands, -np.inf)
        # Of values with zeros in gaps, of these and what is seen, and of what is seen: [c, c] each.
        self.values, self.mixed, self.seen = (torch.zeros(bands, bands, dtype=torch.float64) for _ in range(3))
        self.details: list[np.ndarray] = []
        self.random = np.random.default_rng(0)

    def add(self, top: int, left: int, values: np.ndarray, seen: np.ndarray) -> None:
        self.empty[top : top + values.shape[1], left : left + values.shape[2]] = ~seen.any(0)
        filled = np.where(seen, values, 0).astype(np.float64)
        self.counts += seen.sum((1, 2))
        self.totals += filled.sum((1, 2))
        self.least = np.minimum(self.least, np.where(seen, filled, np.inf).min((1, 2)))
        self.most = np.maximum(self.most, np.where(seen, filled, -np.inf).max((1, 2)))
        spectra = torch.from_numpy(filled.reshape(len(filled), -1))
        self.values += spectra @ spectra.T
        if seen.all():
            self.mixed += spectra.sum(1, keepdim=True)
            self.seen += spectra.shape[1]
        else:
            known = torch.from_numpy(seen.reshape(len(seen), -1)).double()
            self.mixed += spectra @ known.T
            self.seen += known @ known.T
        self._sample(filled, seen)

    def _sample(self, filled: np.ndarray, seen: np.ndarray) -> None:
        """Diagonal Haar coefficients (see `estimated_sigma`) of some squares, NaN where an entry is not data."""
        quads = (np.s_[:, ::2, ::2], np.s_[:, 1::2, ::2], np.s_[:, ::2, 1::2], np.s_[:, 1::2, 1::2])
        even = np.s_[:, : filled.shape[1] // 2 * 2, : filled.shape[2] // 2 * 2]
        filled, seen = filled[even], seen[even]
        height, width = filled.shape[1] // 2, filled.shape[2] // 2
        chosen = self.random.random((height, width)) < DETAILS / max(1, self.pixels // 4)
        if not chosen.any():
            return
        one, two, three, four = (filled[quad][:, chosen] for quad in quads)
        whole = np.logical_and.reduce([seen[quad][:, chosen] for quad in quads])
        self.details.append(np.where(whole, (one - two - three + four) / 2, np.nan).astype(np.float32))

    def means(self) -> np.ndarray:
        return self.totals / self.counts

    def inner_products(self) -> np.ndarray:
        """Of bands whose gaps are at their means: the products of values, of values and means, and of means."""
        mean = torch.from_numpy(self.means())
        with_mean = (torch.from_numpy(self.totals)[:, None] - self.mixed) * mean
        counts = torch.from_numpy(self.counts).double()
        both_lack = self.pixels - counts[:, None] - counts + self.seen
        return (self.values + with_mean + with_mean.T + both_lack * mean[:, None] * mean).numpy()

    def noise(self) -> float:
        """The mean over bands of their noise in units of the file, 0 where no square is whole."""
        if not self.details:
            return 0.0
        details = np.abs(np.concatenate(self.details, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # bands without a square: they have no say
            return float(np.nan_to_num(np.nanmean(np.nanmedian(details, 1)) / MAD))
