from __future__ import annotations

import json

import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.hashing import HashFieldEmbedding

LAST = 17_000_000


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_an_id_reads_the_row_of_its_remainder(dtype: torch.dtype) -> None:
    layer = HashFieldEmbedding((10, 3, 7), 2, (4, 3, 2), std=1.0)
    tables = layer.shared.weight.split((4, 3, 2))
    ids = torch.tensor([[9, 2, 6], [4, 0, 5], [3, 1, 0]])
    for row, found in zip(ids.tolist(), layer(ids.to(dtype)), strict=True):
        expected = [table[value % len(table)] for table, value in zip(tables, row, strict=True)]
        assert torch.equal(found, torch.stack(expected))


def test_fields_with_a_bucket_for_each_id_keep_all_rows_apart() -> None:
    layer = HashFieldEmbedding((10, 6), 3, (4, 6), std=1.0)
    ids = torch.stack([torch.arange(6), torch.arange(6)], dim=1)
    assert len(layer(ids)[:, 1].unique(dim=0)) == 6
    assert len(layer(ids)[:, 0].unique(dim=0)) == 4


def test_ids_that_share_a_bucket_are_spread_evenly() -> None:
    layer = HashFieldEmbedding((10,), 1, (4,), std=1.0)
    _, counts = layer(torch.arange(10)[:, None]).flatten().unique(return_counts=True)
    assert sorted(counts.tolist()) == [2, 2, 3, 3]


def test_ids_beyond_float32_integers_are_told_apart() -> None:
    layer = HashFieldEmbedding((LAST + 1, 2), 1, (1000, 2), std=1.0)
    ids = torch.tensor([[LAST, 0], [LAST - 1, 1]], dtype=torch.int32)
    expected = layer.shared.weight[[LAST % 1000, (LAST - 1) % 1000], 0]
    assert torch.equal(layer(ids)[:, 0, 0], expected)


def test_rows_of_a_bucket_gather_the_gradients_of_all_their_ids() -> None:
    layer = HashFieldEmbedding((6,), 2, (2,))
    layer(torch.arange(6)[:, None]).sum().backward()
    assert layer.shared.weight.grad is not None
    assert layer.shared.weight.grad.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_only_the_rows_are_saved_and_regularised() -> None:
    layer = HashFieldEmbedding((10, 3), 2, (4, 3))
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == {"shared.weight": (7, 2)}
    assert [parameter is layer.shared.weight for parameter in layer.tables()] == [True]


def test_blueprint_rebuilds_the_layer_through_json() -> None:
    layer = HashFieldEmbedding((10, 3), 2, (4, 3))
    rebuilt = HashFieldEmbedding(**json.loads(json.dumps(layer.blueprint())))
    rebuilt.load_state_dict(layer.state_dict())
    ids = torch.tensor([[9, 2], [4, 1]])
    assert rebuilt.blueprint() == layer.blueprint()
    assert torch.equal(rebuilt(ids), layer(ids))


@pytest.mark.parametrize("buckets", [(4,), (0, 3), (4, 4)])
def test_buckets_that_do_not_fit_the_fields_are_refused(buckets: tuple[int, ...]) -> None:
    with pytest.raises(BenchmarkError, match="buckets"):
        HashFieldEmbedding((10, 3), 2, buckets)
