"""Which samples an epoch sees in which order: seed and epoch say, and no process, worker or batch size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.epochs import EpochBatches
from benchmarks.task import Batch
from line_task import Line, N, line, points, rising, train

pytestmark = pytest.mark.usefixtures("one_thread")


def order(seed: int, epoch: int, size: int = 16) -> list[float]:
    batches = EpochBatches(points().train, size, seed, lambda: epoch, lambda: (0, 1))
    assert len(list(batches)) == len(batches)
    return [value for batch in batches for value in batch["y"].tolist()]


def test_the_order_of_samples_depends_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    one = order(seed=3, epoch=2)
    torch.manual_seed(2)
    np.random.seed(7)
    assert order(seed=3, epoch=2) == one == order(seed=3, epoch=2, size=10)
    assert order(seed=3, epoch=1) != one
    assert order(seed=4, epoch=2) != one
    assert sorted(one) == sorted(points().train.columns["y"].tolist())


def test_every_epoch_is_trained_in_its_own_order() -> None:
    task = Line()
    train(line(), rising(), task, batch_size=N, max_epochs=2, seed=5)
    assert task.batches == [pytest.approx(order(5, epoch, N)) for epoch in (0, 1)]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epoch_evenly_and_leave_nothing_out(world: int) -> None:
    """They wait for one another at every step, so each has as many samples; at most world - 1 come twice for that."""
    shards = [EpochBatches(points().train, 16, 0, lambda: 0, lambda rank=rank: (rank, world)) for rank in range(world)]
    parts = [[value for batch in shard for value in batch["y"].tolist()] for shard in shards]
    assert {len(part) for part in parts} == {math.ceil(N / world)}
    assert {value for part in parts for value in part} == set(points().train.columns["y"].tolist())


class Jittered(Line):
    """Draws noise beside each batch, so that the draws of training must not depend on who makes the batches."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return super().loss(network, batch) + torch.randn(()) * network.weight.sum()


def test_processes_that_make_batches_ahead_change_nothing() -> None:
    alone = line()
    train(alone, rising(), Jittered(), max_epochs=2)
    ahead = line()
    train(ahead, rising(), Jittered(), max_epochs=2, workers=2)
    assert torch.equal(alone.weight, ahead.weight)
