"""Columns of squares out of photographs, clean or degraded by PROD, that are made when a batch is made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from benchmarks.datasets.prod import LEVELS, Recipe, keyed, prod_sample

GEOMETRY = 1
"""Third part of the key under which picture, place and turn of a sample are drawn: the same for all modes of degradation."""


@dataclass(frozen=True)
class CropColumn:
    """Clean squares uint8 [n, patch, patch, 3]: sample i is a picture, a place in it, a mirroring and a turn, drawn by (seed, i).

    So neither the order nor the company in which samples are asked for changes any of them.
    """

    photos: Sequence[np.ndarray]
    patch: int
    seed: int
    samples: int

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (self.samples, self.patch, self.patch, 3)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.samples

    def crop(self, index: int) -> np.ndarray:
        """The clean square of sample `index`, uint8 [patch, patch, 3]."""
        random = keyed(self.seed, index, GEOMETRY)
        photo = self.photos[int(random.integers(len(self.photos)))]
        row, column = (int(random.integers(size - self.patch + 1)) for size in photo.shape[:2])
        square = photo[row : row + self.patch, column : column + self.patch]
        turned = np.rot90(square, int(random.integers(4)))
        return np.ascontiguousarray(turned[:, ::-1] if random.integers(2) else turned)

    def __getitem__(self, rows: Any) -> np.ndarray:
        index = np.arange(self.samples)[rows]
        if index.ndim == 0:
            return self.sample(int(index))
        made = np.empty((len(index), *self.shape[1:]), self.dtype)
        for place, sample in enumerate(self.samples_of(index.tolist())):
            made[place] = sample
        return made

    def sample(self, index: int) -> np.ndarray:
        """Row `index` of the column."""
        return self.crop(index)

    def samples_of(self, index: Sequence[int]) -> Iterable[np.ndarray]:
        """Several rows in their order."""
        return map(self.sample, index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class ProdColumn(CropColumn):
    """The same squares as PROD degrades them, float32 [n, patch, patch, 3] from 0 to 1, not rounded to gray levels."""

    degradations: str = "prod"

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float32)

    def degraded(self, index: int) -> tuple[np.ndarray, Recipe]:
        """The degraded square of sample `index` and what was done to it."""
        clean = self.crop(index).astype(np.float32) / np.float32(LEVELS)
        return prod_sample(clean, self.seed, index, self.degradations)

    def sample(self, index: int) -> np.ndarray:
        return self.degraded(index)[0]

    def samples_of(self, index: Sequence[int]) -> Iterable[np.ndarray]:
        # Filters, noise and JPEG let other threads run; what a sample is does not depend on them.
        with ThreadPoolExecutor(max(1, min(len(index), os.cpu_count() or 1))) as threads:
            yield from threads.map(self.sample, index)
