from __future__ import annotations

import pytest
import torch

from benchmarks.models.embedding import FieldEmbedding


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_lookup_equals_one_table_for_each_field(dtype: torch.dtype) -> None:
    embedding = FieldEmbedding((4, 2, 7), 3, std=1.0)
    tables = embedding.weight.split((4, 2, 7))
    ids = torch.tensor([[0, 0, 0], [3, 1, 6], [2, 0, 5]])
    expected = torch.stack([table[ids[:, field]] for field, table in enumerate(tables)], dim=1)
    assert torch.equal(embedding(ids.to(dtype)), expected)


def test_every_row_of_a_table_beyond_float32_integers_is_reachable() -> None:
    rows = 17_000_001
    embedding = FieldEmbedding((rows, 2), 1, std=0.0)
    with torch.no_grad():
        embedding.weight[rows - 2 : rows + 2, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    ids = torch.tensor([[rows - 2, 0], [rows - 1, 1]], dtype=torch.int32)
    assert embedding(ids)[:, :, 0].tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_only_the_table_is_saved() -> None:
    assert list(FieldEmbedding((3, 2), 4).state_dict()) == ["weight"]


def test_rows_start_normal_with_the_given_deviation() -> None:
    torch.manual_seed(0)
    weight = FieldEmbedding((5000,), 10).weight
    assert weight.std().item() == pytest.approx(1e-4, rel=0.02)
    assert abs(weight.mean().item()) < 2e-6


def test_an_id_beyond_the_table_raises() -> None:
    with pytest.raises(IndexError):
        FieldEmbedding((3, 2), 4)(torch.tensor([[0, 2]]))
