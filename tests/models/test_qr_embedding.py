from __future__ import annotations

import json

import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.quotient import QRFieldEmbedding, quotient_rows

LAST = 17_000_000
CARDINALITIES, REMAINDERS = (23, 3, 10), (5, 3, 4)


def layer(operation: str = "multiply", std: float = 1.0) -> QRFieldEmbedding:
    torch.manual_seed(0)
    return QRFieldEmbedding(CARDINALITIES, 3, REMAINDERS, operation, std)


def every_id(rows: int) -> torch.Tensor:
    """All ids of the first field, those of the others in turn."""
    ids = torch.arange(rows)
    return torch.stack([ids, ids % CARDINALITIES[1], ids % CARDINALITIES[2]], dim=1)


@pytest.mark.parametrize("operation", ["multiply", "add"])
@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_a_row_is_made_of_its_remainder_and_quotient_rows(operation: str, dtype: torch.dtype) -> None:
    embedding = layer(operation)
    remainders = embedding.remainder.weight.split(REMAINDERS)
    quotients = dict(zip((0, 2), embedding.quotient.weight.split((5, 3)), strict=True))
    ids = every_id(23)
    for row, found in zip(ids.tolist(), embedding(ids.to(dtype)), strict=True):
        for field, value in enumerate(row):
            expected = remainders[field][value % REMAINDERS[field]]
            if field in quotients:
                other = quotients[field][value // REMAINDERS[field]]
                expected = expected * other if operation == "multiply" else expected + other
            assert torch.equal(found[field], expected)


@pytest.mark.parametrize("operation", ["multiply", "add"])
def test_no_two_ids_have_the_same_row(operation: str) -> None:
    rows = layer(operation)(every_id(23))
    assert [len(rows[:, field].unique(dim=0)) for field in range(3)] == [23, 3, 10]


@pytest.mark.parametrize("operation", ["multiply", "add"])
def test_entries_start_with_the_deviation_of_a_dense_table(operation: str) -> None:
    torch.manual_seed(0)
    embedding = QRFieldEmbedding((40_000, 2000), 8, (2000, 2000), operation, std=1e-3)
    ids = torch.arange(2000)
    deviation = embedding(torch.stack([20 * ids, ids], dim=1)).std(dim=(0, 2))
    assert deviation.tolist() == pytest.approx([1e-3, 1e-3], rel=0.1)


def test_ids_beyond_float32_integers_are_told_apart() -> None:
    embedding = QRFieldEmbedding((LAST + 1, 2), 1, (4096, 2), std=1.0)
    ids = torch.tensor([[LAST, 0], [LAST - 1, 1]], dtype=torch.int32)
    for found, value in zip(embedding(ids)[:, 0], ids[:, 0].tolist(), strict=True):
        expected = embedding.remainder.weight[value % 4096] * embedding.quotient.weight[value // 4096]
        assert torch.equal(found, expected)


@pytest.mark.parametrize("operation", ["multiply", "add"])
def test_gradients_reach_both_tables(operation: str) -> None:
    embedding = layer(operation)
    embedding(every_id(23)).square().sum().backward()
    for table in (embedding.remainder.weight, embedding.quotient.weight):
        assert table.grad is not None
        assert table.grad.any(dim=1).all()


def test_a_regulariser_acts_on_both_parts_of_a_sum_and_on_one_factor_of_a_product() -> None:
    total, product = layer("add"), layer("multiply")
    assert {id(table) for table in total.tables()} == {id(total.remainder.weight), id(total.quotient.weight)}
    assert {id(table) for table in product.tables()} == {id(product.remainder.weight)}


def test_stored_are_the_rows_of_both_tables() -> None:
    shapes = {name: tuple(value.shape) for name, value in layer().state_dict().items()}
    assert shapes == {"remainder.weight": (12, 3), "quotient.weight": (8, 3)}
    assert [quotient_rows(rows, m) for rows, m in ((23, 5), (10, 4), (10, 5), (10, 10))] == [5, 3, 2, 1]


@pytest.mark.parametrize("operation", ["multiply", "add"])
def test_blueprint_rebuilds_the_layer_through_json(operation: str) -> None:
    embedding = layer(operation)
    rebuilt = QRFieldEmbedding(**json.loads(json.dumps(embedding.blueprint())))
    rebuilt.load_state_dict(embedding.state_dict())
    assert rebuilt.blueprint() == embedding.blueprint()
    assert torch.equal(rebuilt(every_id(23)), embedding(every_id(23)))


def test_remainders_that_do_not_fit_and_an_unknown_operation_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="remainders"):
        QRFieldEmbedding((23,), 2, (24,))
    with pytest.raises(BenchmarkError, match="Did you mean 'multiply'"):
        QRFieldEmbedding((23,), 2, (5,), "multiplied")
