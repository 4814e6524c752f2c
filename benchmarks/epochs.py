"""Epochs: the batches of each in an order of its own, and what the trainer writes down of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.datasets.bundle import Split
from benchmarks.task import Batch, tensors


@dataclass
class History:
    """One row a validation, the best epoch (from 1) and its score, seconds of training, how many epochs were resumed, and what
    was wrong with a checkpoint that could not be used."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best: float = math.nan
    best_epoch: int = 0
    seconds: float = 0.0
    resumed_from: int = 0
    damage: str | None = None

    @property
    def epochs(self) -> int:
        """Epochs that were trained; the last one is always validated."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0


class EpochBatches:
    """Shuffled batches of a split; the order depends on seed and epoch alone, so that a resumed run sees the same.

    Processes that train together share each batch, so that their number does not change what a step sees; where it does
    not divide the split, the first samples of the order come once more, since all must take the same number of steps.
    """

    def __init__(
        self, split: Split, size: int, seed: int, epoch: Callable[[], int], shard: Callable[[], tuple[int, int]]
    ) -> None:
        self.split, self.size, self.seed, self.epoch, self.shard = split, size, seed, epoch, shard

    def __len__(self) -> int:
        _, world = self.shard()
        return math.ceil(math.ceil(len(self.split) / world) / math.ceil(self.size / world))

    def __iter__(self) -> Iterator[Batch]:
        rank, world = self.shard()
        order = np.random.default_rng([self.seed, self.epoch()]).permutation(self.split.parts)
        if len(order) % world:
            order = np.resize(order, math.ceil(len(order) / world) * world)
        for batch in self.split.batches(math.ceil(self.size / world), order[rank::world], steps=len(self)):
            yield tensors(batch)
