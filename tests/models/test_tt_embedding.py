from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.tensor_train import TTFieldEmbedding, TTShape, TTTable, largest_rank, tt_svd

LAST = 17_000_000


def rebuilt(cores: list[torch.Tensor]) -> np.ndarray:
    """The whole table of some cores, entry by entry from the definition: a product of small matrices."""
    cores64 = [core.detach().double().numpy() for core in cores]
    rows, dims = [core.shape[0] for core in cores64], [core.shape[2] for core in cores64]
    table = np.empty((math.prod(rows), math.prod(dims)))
    for row, digits in enumerate(np.ndindex(*rows)):
        for column, places in enumerate(np.ndindex(*dims)):
            product = np.eye(1)
            for core, i, j in zip(cores64, digits, places, strict=True):
                product = product @ core[i, :, j]
            table[row, column] = product.item()
    return table


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any operation returned in one tensor."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, tuple | list) else (out,):
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return out


@pytest.mark.parametrize("cores", [2, 3, 4])
def test_rows_are_those_of_the_rebuilt_table(cores: int) -> None:
    torch.manual_seed(0)
    table = TTTable(TTShape.of(50, 6, 3, cores), std=1.0).double()
    expected = rebuilt(list(table.cores))
    np.testing.assert_allclose(table(torch.arange(50)).detach().numpy(), expected[:50], atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_fields_without_a_rank_are_plain_and_every_field_is_in_its_place(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = TTFieldEmbedding((40, 3, 30, 5), 4, (2, None, 3, None), std=1.0)
    plain = dict(zip((1, 3), layer.plain.weight.split((3, 5)), strict=True))
    ids = torch.tensor([[39, 2, 29, 4], [0, 0, 0, 0], [17, 1, 8, 3]])
    found = layer(ids.to(dtype))
    for field in range(4):
        expected = plain[field][ids[:, field]] if field in plain else layer.trains[str(field)](ids[:, field])
        torch.testing.assert_close(found[:, field], expected)


def test_factors_cover_the_rows_and_are_the_dimension() -> None:
    for rows in (1, 2, 10, 957, 4082, LAST + 1):
        for dim in (1, 7, 10, 16, 50):
            for cores in (2, 3, 4):
                shape = TTShape.of(rows, dim, 4, cores)
                assert math.prod(shape.row_factors) >= rows
                assert math.prod(n - 1 for n in shape.row_factors) < rows
                assert math.prod(shape.dim_factors) == dim


def test_shapes_that_saved_networks_rely_on() -> None:
    """A network is saved with ranks alone, so that another factorisation would not fit its cores."""
    assert TTShape.of(4082, 10, 16).cores == [(16, 1, 2, 16), (16, 16, 1, 16), (16, 16, 5, 1)]
    assert TTShape.of(1618, 16, 8).cores == [(12, 1, 2, 8), (12, 8, 2, 8), (12, 8, 4, 1)]
    assert TTShape.of(1000, 10, 999).cores == [(10, 1, 2, 20), (10, 20, 1, 50), (10, 50, 5, 1)]
    assert TTShape.of(1000, 10, 4, cores=2).cores == [(32, 1, 2, 4), (32, 4, 5, 1)]


def test_digits_of_ids_beyond_float32_integers_are_exact() -> None:
    torch.manual_seed(0)
    layer = TTFieldEmbedding((LAST + 1, 2), 1, (2, None), std=1.0)
    first, second, third = layer.trains["0"].cores
    n = [len(core) for core in (first, second, third)]
    for value in (LAST, LAST - 1):
        i, j, k = value // (n[1] * n[2]), value // n[2] % n[1], value % n[2]
        expected = first[i, :, 0] @ second[j, :, 0] @ third[k, :, 0]
        torch.testing.assert_close(layer(torch.tensor([[value, 1]], dtype=torch.int32))[0, 0], expected.flatten())
    assert i < n[0]


def test_all_cores_receive_gradients_and_nothing_of_table_size_is_made() -> None:
    torch.manual_seed(0)
    rows, dim, batch = 1_000_000, 8, 16
    layer = TTFieldEmbedding((rows, 3), dim, (4, None))
    ids = torch.stack([torch.randint(rows, (batch,)), torch.arange(batch) % 3], dim=1)
    with Largest() as largest:
        layer(ids).square().sum().backward()
    assert 0 < largest.numbers < rows * dim / 100
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()


def test_gradients_are_those_of_the_rebuilt_table() -> None:
    torch.manual_seed(0)
    table = TTTable(TTShape.of(12, 4, 2), std=1.0).double()
    assert torch.autograd.gradcheck(
        lambda *cores: torch.func.functional_call(
            table, {f"cores.{k}": core for k, core in enumerate(cores)}, torch.tensor([0, 11, 7, 7])
        ),
        tuple(core.detach().requires_grad_() for core in table.cores),
    )


@pytest.mark.parametrize(("rows", "dim", "rank"), [(5000, 16, 8), (1000, 10, 16), (3000, 1, 4)])
def test_entries_start_with_the_deviation_of_a_dense_table(rows: int, dim: int, rank: int) -> None:
    torch.manual_seed(0)
    table = TTTable(TTShape.of(rows, dim, rank), std=1e-3)
    assert table(torch.arange(rows)).std().item() == pytest.approx(1e-3, rel=0.25)


def test_a_regulariser_of_the_first_core_is_one_of_the_table_at_the_start() -> None:
    torch.manual_seed(0)
    layer = TTFieldEmbedding((60, 3), 4, (3, None), std=1.0)
    plain, first = layer.tables()
    assert plain is layer.plain.weight
    assert first is layer.trains["0"].cores[0]
    assert first.square().sum().item() == pytest.approx((rebuilt(list(layer.trains["0"].cores)) ** 2).sum(), rel=1e-5)


@pytest.mark.parametrize(("rows", "dim", "cores"), [(27, 6, 3), (23, 7, 3), (30, 4, 2), (16, 10, 4)])
def test_tt_svd_at_full_rank_is_exact(rows: int, dim: int, cores: int) -> None:
    torch.manual_seed(0)
    embedding = FieldEmbedding((rows, 2), dim, std=1.0).double()
    layer = TTFieldEmbedding.of(embedding, (rows * dim, None), cores)
    ids = torch.stack([torch.arange(rows), torch.arange(rows) % 2], dim=1)
    torch.testing.assert_close(layer(ids), embedding(ids))


def test_tt_svd_finds_a_table_that_is_a_tensor_train() -> None:
    torch.manual_seed(0)
    true = TTTable(TTShape.of(64, 6, 2), std=1.0).double()
    table = true(torch.arange(64)).detach()
    found = tt_svd(table, TTShape.of(64, 6, 2))
    np.testing.assert_allclose(rebuilt(found)[:64], table.numpy(), atol=1e-12)


def test_tt_svd_errs_by_no_more_than_the_energy_that_it_drops() -> None:
    """The bound of Oseledets 2011, theorem 2.2: the squared error is at most the sum of those of both matricisations."""
    torch.manual_seed(0)
    table, shape = torch.randn(27, 8, dtype=torch.float64), TTShape.of(27, 8, 3)
    full = table.view(3, 3, 3, *shape.dim_factors).permute(0, 3, 1, 4, 2, 5).numpy()
    modes = [n * d for n, d in zip(shape.row_factors, shape.dim_factors, strict=True)]
    dropped = [(np.linalg.svd(full.reshape(math.prod(modes[:k]), -1), compute_uv=False)[3:] ** 2).sum() for k in (1, 2)]
    error = ((rebuilt(tt_svd(table, shape)) - table.numpy()) ** 2).sum()
    assert max(dropped) - 1e-9 <= error <= sum(dropped) + 1e-9


def test_the_largest_rank_that_pays_is_the_last_with_fewer_parameters() -> None:
    for rows, dim, cores in ((1000, 10, 3), (4082, 10, 3), (200, 4, 3), (500, 16, 2)):
        rank = largest_rank(rows, dim, cores)
        assert TTShape.of(rows, dim, rank, cores).params < rows * dim <= TTShape.of(rows, dim, rank + 1, cores).params
    assert largest_rank(1, 1) == 0


def test_parameters_are_those_that_the_shape_announces() -> None:
    shape = TTShape.of(4082, 10, 16)
    assert sum(parameter.numel() for parameter in TTTable(shape).parameters()) == shape.params == 5888


@pytest.mark.parametrize("ranks", [(2, None, 3), (2, 2, 2), (None, None, 1)])
def test_blueprint_rebuilds_the_layer_through_json(ranks: tuple[int | None, ...]) -> None:
    layer = TTFieldEmbedding((40, 5, 30), 4, ranks, cores=2)
    again = TTFieldEmbedding(**json.loads(json.dumps(layer.blueprint())))
    again.load_state_dict(layer.state_dict())
    ids = torch.tensor([[39, 4, 29], [0, 0, 0]])
    assert again.blueprint() == layer.blueprint()
    assert torch.equal(again(ids), layer(ids))


def test_impossible_ranks_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="rank 0"):
        TTFieldEmbedding((40,), 4, (0,))
    with pytest.raises(BenchmarkError, match="1 ranks are given for 2 fields"):
        TTFieldEmbedding((40, 3), 4, (2,))
    broken = FieldEmbedding((40,), 4)
    with torch.no_grad():
        broken.weight[3, 1] = math.nan
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        TTFieldEmbedding.of(broken, (2,))
