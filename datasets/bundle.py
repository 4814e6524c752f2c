"""What a task reads: splits of equal-length columns, folds of splits, and a bundle with a fingerprint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.errors import BenchmarkError

Columns = Mapping[str, np.ndarray]
SHOTS = 100
"""Goes before the seed by which few training samples are drawn, so that no other draw is like it."""


@dataclass(frozen=True)
class Split:
    """Samples as columns: arrays with one row a sample (memory maps are welcome; nothing is copied before a batch is).

    `ids` are stable sample ids, the same for every method and seed; `units` the unit that the bootstrap resamples
    (user, scene, subject, image), one entry a sample. `conditions` are names of what samples were taken under (scene,
    degradation, band layout), where a task reports such rows. Samples with equal entries of `groups` (the pedestrians of
    one window) are seen together: they stand one after another, no batch cuts a group, and batches have a column `group`.
    """

    columns: Columns
    ids: np.ndarray
    units: np.ndarray
    conditions: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        beside = {"units": self.units, "conditions": self.conditions, "groups": self.groups}
        columns = {**self.columns, **{name: column for name, column in beside.items() if column is not None}}
        wrong = {name: len(column) for name, column in columns.items() if len(column) != len(self.ids)}
        if wrong:
            raise ValueError(f"A split of {len(self.ids)} samples has columns of other lengths: {wrong}.")
        if self.groups is not None and len(self.starts) - 1 > len(np.unique(self.groups)):
            raise ValueError("The samples of a group must stand one after another.")

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each part that a batch may not cut begins, and the end: [parts + 1]; without groups a part is a sample."""
        if self.groups is None or not len(self):
            return np.arange(len(self) + 1)
        changes = np.flatnonzero(self.groups[1:] != self.groups[:-1]) + 1
        return np.concatenate(([0], changes, [len(self)]))

    @property
    def parts(self) -> int:
        """How many there are of what a batch may not cut: groups, or samples."""
        return len(self) if self.groups is None else len(self.starts) - 1

    def batches(self, size: int, order: np.ndarray | None = None, steps: int | None = None) -> Iterator[Columns]:
        """Yields batches of `size` samples (the last may be smaller), or as many as make up `steps` batches.

        `order` names parts (see `starts`) in the order to take them, which is theirs where none is given. Batches of
        whole groups are only about as large as asked.
        """
        if self.groups is None:
            for start in range(0, len(self) if order is None else len(order), size):
                rows = slice(start, start + size) if order is None else order[start : start + size]
                yield {name: column[rows] for name, column in self.columns.items()}
            return
        parts = np.arange(len(self.starts) - 1) if order is None else order
        lengths = self.starts[parts + 1] - self.starts[parts]
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        steps = min(steps or math.ceil(total / size), len(parts))
        step = np.arange(1, steps)
        cuts = np.searchsorted(ends, total * step / max(1, steps))
        # A group that is larger than a batch must not leave the next batch empty: all processes take as many steps.
        cuts = np.minimum(np.maximum.accumulate(cuts - step) + step, len(parts) - steps + step)
        for chosen in np.split(parts, np.maximum(cuts, step)):
            yield self.whole(chosen)

    def whole(self, parts: np.ndarray) -> Columns:
        """The rows of some groups, which may be named twice, numbered anew from 0 in the column `group`."""
        lengths = self.starts[parts + 1] - self.starts[parts]
        group = np.repeat(np.arange(len(parts)), lengths)
        rows = np.arange(len(group)) + (self.starts[parts] - np.cumsum(lengths) + lengths)[group]
        return {**{name: column[rows] for name, column in self.columns.items()}, "group": group}

    def batch(self, rows: np.ndarray) -> Columns:
        """The given samples as one batch; where samples come in groups, as one group."""
        alone = {} if self.groups is None else {"group": np.zeros(len(rows), np.int64)}
        return {**{name: column[rows] for name, column in self.columns.items()}, **alone}

    def take(self, rows: np.ndarray | slice) -> Split:
        """The split of the given rows; where they come from several groups, those stay apart."""
        beside = (self.conditions, self.groups)
        return Split(
            {name: column[rows] for name, column in self.columns.items()},
            self.ids[rows],
            self.units[rows],
            *(column if column is None else column[rows] for column in beside),
        )


@dataclass(frozen=True)
class TrainingData:
    """All that a method may see: training and validation samples, and the schema (fields, cardinalities, counts)."""

    train: Split
    val: Split
    schema: Mapping[str, Any]


def few(data: TrainingData, shots: int | None, seed: int) -> TrainingData:
    """The same with `shots` training samples, or whole groups, drawn by `seed`; None leaves all. Validation stays as it is.

    So does the schema, which is that of all training samples: cardinalities, but also what is counted or averaged over them
    (`counts` of tokens, which `afm` weighs by, `mean` and `std` of bands). Only what learns from targets sees few samples.

    Raises BenchmarkError where there are not so many.
    """
    if shots is None:
        return data
    if shots > data.train.parts:
        raise BenchmarkError(
            f"shots={shots} is more than the {data.train.parts} training samples there are. Type shots=null for all of them."
        )
    starts = data.train.starts
    drawn = np.sort(np.random.default_rng([SHOTS, seed]).permutation(data.train.parts)[:shots])
    rows = np.concatenate([np.arange(starts[part], starts[part + 1]) for part in drawn])
    return TrainingData(data.train.take(rows), data.val, data.schema)


@dataclass(frozen=True)
class Fold:
    """One train / val / test partition, called `all` where it is the only one. `test` is read by the evaluation alone."""

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
