"""What a task reads: splits of equal-length columns, folds of splits, and a bundle with a fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Split:
    """Samples as columns: arrays with one row a sample (memory maps are welcome; nothing is copied before a batch is).

    `ids` are stable sample ids, the same for every method and seed; `units` the unit that the bootstrap resamples
    (user, scene, subject, image), one entry a sample.
    """

    columns: Columns
    ids: np.ndarray
    units: np.ndarray

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()} | {"units": len(self.units)}
        wrong = {name: length for name, length in lengths.items() if length != len(self.ids)}
        if wrong:
            raise ValueError(f"A split of {len(self.ids)} samples has columns of other lengths: {wrong}.")

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Yields consecutive batches of `size` samples (the last may be smaller), in `order` where one is given."""
        for start in range(0, len(self) if order is None else len(order), size):
            rows = slice(start, start + size) if order is None else order[start : start + size]
            yield {name: column[rows] for name, column in self.columns.items()}

    def take(self, rows: np.ndarray | slice) -> Split:
        """The split of the given rows."""
        return Split({name: column[rows] for name, column in self.columns.items()}, self.ids[rows], self.units[rows])


@dataclass(frozen=True)
class TrainingData:
    """All that a method may see: training and validation samples, and the schema (fields, cardinalities, counts)."""

    train: Split
    val: Split
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Fold:
    """One train / val / test partition. `test` is read by the evaluation alone."""

    name: str
    training: TrainingData
    test: Split


@dataclass(frozen=True)
class DataBundle:
    """The folds of one frozen data set; `fingerprint` says exactly which (card, checksums, split, options, reader version)."""

    id: str
    fingerprint: str
    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = field(default=())
