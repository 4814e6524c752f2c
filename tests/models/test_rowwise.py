"""Tables that train by rows: against a rendering row by row, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.quotient import QRFieldEmbedding
from benchmarks.models.rowwise import RowwiseAdagrad, Together, clip_with_rows, row_groups, train_by_rows

ROWS, DIM = (40, 30), 5


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(FieldEmbedding(ROWS, DIM, std=1.0), nn.Flatten(), nn.Linear(2 * DIM, 1))


def ids_of(batch: int) -> torch.Tensor:
    return torch.stack([torch.randint(3, 9, (batch,)), torch.randint(0, 4, (batch,))], dim=1)


def test_rows_move_as_in_a_rendering_row_by_row(network: nn.Module) -> None:
    (table,) = train_by_rows(network)
    optimizer = RowwiseAdagrad([table], lr=0.1, weight_decay=0.2)
    expected, total = table.detach().double().numpy().copy(), np.zeros(len(table))
    for _ in range(3):
        ids = ids_of(16)
        network.zero_grad()
        network(ids).square().mean().backward()
        dense = table.grad.to_dense().double().numpy()
        for row in sorted({*ids[:, 0].tolist(), *(ids[:, 1] + ROWS[0]).tolist()}):
            g = dense[row] + 0.2 * expected[row]
            total[row] += (g**2).mean()
            expected[row] -= 0.1 * g / (np.sqrt(total[row]) + 1e-8)
        optimizer.step()
        np.testing.assert_allclose(table.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_rows_outside_of_the_batches_are_left_bit_by_bit_and_state_is_one_number_a_row(network: nn.Module) -> None:
    (table,) = train_by_rows(network)
    before = table.detach().clone()
    optimizer = RowwiseAdagrad([table], weight_decay=0.5)
    network(ids_of(64)).sum().backward()
    optimizer.step()
    same = (table == before).all(dim=1)
    assert same[:3].all()
    assert same[9:40].all()
    assert same[44:].all()
    assert not same[3:9].any()
    assert optimizer.state[table]["sum"].shape == (sum(ROWS),)


def test_two_optimisers_step_as_one_and_are_saved_as_one(network: nn.Module) -> None:
    (table,) = train_by_rows(network)
    rest = [parameter for parameter in network.parameters() if parameter is not table]
    both = Together(torch.optim.Adam(rest, 0.1), RowwiseAdagrad([table], 0.2))
    assert [group["lr"] for group in both.param_groups] == [0.1, 0.2]
    both.param_groups[0]["lr"] = 0.0
    before = [parameter.detach().clone() for parameter in (*rest, table)]
    both.zero_grad()
    network(ids_of(8)).sum().backward()
    both.step()
    assert [bool((a == b).all()) for a, b in zip(before, (*rest, table), strict=True)] == [True, True, False]
    again = Together(torch.optim.Adam(rest, 0.3), RowwiseAdagrad([table], 0.4))
    again.load_state_dict(both.state_dict())
    assert [group["lr"] for group in again.param_groups] == [0.0, 0.2]
    assert torch.equal(again.parts[1].state[table]["sum"], both.parts[1].state[table]["sum"])


def test_clipping_counts_sparse_and_dense_gradients_together(network: nn.Module) -> None:
    twin = nn.Sequential(FieldEmbedding(ROWS, DIM), nn.Flatten(), nn.Linear(2 * DIM, 1))
    twin.load_state_dict(network.state_dict())
    train_by_rows(network)
    ids = ids_of(32)
    for each in (network, twin):
        (100 * each(ids).square().sum()).backward()
    clip_with_rows(network.parameters(), 1.0)
    nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
    for ours, torchs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.to_dense(), torchs.grad)


def test_a_regulariser_leaves_tables_that_train_by_rows_to_their_optimiser(network: nn.Module) -> None:
    assert len(list(network[0].tables())) == 1
    train_by_rows(network)
    assert list(network[0].tables()) == []


@pytest.mark.parametrize(("operation", "kept"), [("multiply", True), ("add", False)])
def test_what_a_regulariser_leaves_alone_does_not_decay_by_rows_either(operation: str, kept: bool) -> None:
    table = QRFieldEmbedding([40], 3, [8], operation)
    train_by_rows(table)
    optimiser = RowwiseAdagrad(row_groups(table), lr=0.1, weight_decay=1.0)
    before = table.quotient.weight.detach().clone(), table.remainder.weight.detach().clone()
    (0.0 * table(torch.arange(40)[:, None])).sum().backward()
    optimiser.step()
    assert torch.equal(table.quotient.weight, before[0]) == kept
    assert not torch.equal(table.remainder.weight, before[1])
