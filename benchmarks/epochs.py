"""Epochs: the batches of each in an order of its own, and what the trainer writes down of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.datasets.bundle import Split
from benchmarks.task import Batch, tensors


@dataclass
class History:
    """One row a validation, the best epoch (from 1) and its score, seconds of training, how many epochs were resumed and the
    seconds that these had taken, and what was wrong with a checkpoint that could not be used."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best: float = math.nan
    best_epoch: int = 0
    seconds: float = 0.0
    resumed_from: int = 0
    resumed_seconds: float = 0.0
    damage: str | None = None

    @property
    def epochs(self) -> int:
        """Epochs that were trained; the last one is always validated."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0


class EpochBatches:
    """Shuffled batches of a split; the order depends on seed and epoch alone, so that a resumed run sees the same.

    Processes that train together share each batch, so that their number does not change what a step sees; where it does
    not divide the split, the first samples of the order come once more, since all must take the same number of steps.
    With `workers` that many processes make batches ahead, for columns that read or compute what they hold; the batches and
    their order are the same. Samples that come in groups are in memory, and are not worth it.
    """

    def __init__(
        self,
        split: Split,
        size: int,
        seed: int,
        epoch: Callable[[], int],
        shard: Callable[[], tuple[int, int]],
        workers: int = 0,
    ) -> None:
        self.split, self.size, self.seed, self.epoch, self.shard = split, size, seed, epoch, shard
        self.workers = workers if split.groups is None else 0

    def __len__(self) -> int:
        _, world = self.shard()
        return math.ceil(math.ceil(len(self.split) / world) / math.ceil(self.size / world))

    def __iter__(self) -> Iterator[Batch]:
        rank, world = self.shard()
        order = np.random.default_rng([self.seed, self.epoch()]).permutation(self.split.parts)
        if len(order) % world:
            order = np.resize(order, math.ceil(len(order) / world) * world)
        mine, size = order[rank::world], math.ceil(self.size / world)
        if self.workers:
            ahead = Ahead(self.split, [mine[start : start + size] for start in range(0, len(mine), size)])
            # A generator of its own, since a loader draws a number, which would change what the training draws.
            yield from DataLoader(ahead, batch_size=None, num_workers=self.workers, generator=torch.Generator())
            return
        for batch in self.split.batches(size, mine, steps=len(self)):
            yield tensors(batch)


class Ahead(Dataset[Batch]):
    """The batches of an epoch by their number, for processes that make them ahead."""

    def __init__(self, split: Split, rows: list[np.ndarray]) -> None:
        self.split, self.rows = split, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Batch:
        return tensors(self.split.batch(self.rows[number]))
