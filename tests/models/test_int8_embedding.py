from __future__ import annotations

import json

import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding, Scales, cheaper_scales, stored_bytes
from benchmarks.models.lowrank.surgery import blueprint, replace_module, restore
from benchmarks.models.lowrank.svd import svd_embedding

LAST = 17_000_000
CARDINALITIES = (40, 2, 7)
SCALES: list[Scales] = ["row", "field"]


def table(dim: int = 6) -> FieldEmbedding:
    """Rows of very different magnitude, one of them zero."""
    torch.manual_seed(0)
    embedding = FieldEmbedding(CARDINALITIES, dim, std=1.0)
    with torch.no_grad():
        embedding.weight.mul_(10.0 ** torch.randint(-6, 3, (sum(CARDINALITIES), 1)))
        embedding.weight[3] = 0
    return embedding


def some_ids(n: int = 80) -> torch.Tensor:
    return torch.stack([torch.arange(n) % rows for rows in CARDINALITIES], dim=1)


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_entries_err_by_half_a_step_at_most(scales: Scales, dtype: torch.dtype) -> None:
    dense = table()
    ids = some_ids()
    rows = dense(ids).detach().double()
    largest = (
        rows.abs().amax(dim=2, keepdim=True)
        if scales == "row"
        else torch.stack([part.abs().max() for part in dense.weight.detach().double().split(CARDINALITIES)])[:, None]
    )
    found = Int8FieldEmbedding.of(dense, scales)(ids.to(dtype)).double()
    # The scale is a float32, as the product is.
    assert ((found - rows).abs() <= largest / 127 / 2 + 1e-7 * largest).all()


def test_the_largest_entry_of_a_row_is_kept_and_zeros_stay_zero() -> None:
    dense = table()
    small = Int8FieldEmbedding.of(dense)
    assert small.rows.abs().amax(dim=1).tolist() == [0 if row == 3 else 127 for row in range(sum(CARDINALITIES))]
    found = small(torch.tensor([[3, 0, 0], [4, 0, 0]]))
    assert not found[0, 0].any()
    place = int(dense.weight[4].abs().argmax())
    assert found[1, 0, place].item() == pytest.approx(dense.weight[4, place].item(), rel=1e-6)


def test_rows_are_stored_in_one_byte_an_entry_and_nothing_trains() -> None:
    small = Int8FieldEmbedding.of(table())
    stored = {name: (value.dtype, tuple(value.shape)) for name, value in small.state_dict().items()}
    assert stored == {"rows": (torch.int8, (49, 6)), "scale": (torch.float32, (49, 1))}
    assert not list(small.parameters())
    assert not list(small.tables())
    assert not small(some_ids()).requires_grad


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_stored_bytes_are_those_announced_and_fewer_than_dense(dim: int) -> None:
    dense = table(dim)
    small = Int8FieldEmbedding.of(dense)
    stored = sum(value.nbytes for value in small.state_dict().values())
    assert stored == stored_bytes(CARDINALITIES, dim) < dense.weight.nbytes
    assert small.scales == cheaper_scales(dim) == ("field" if dim == 1 else "row")


def test_every_row_of_a_table_beyond_float32_integers_is_reachable() -> None:
    small = Int8FieldEmbedding((LAST + 1, 2), 1, scales="field")
    small.rows[LAST - 1 :, 0] = torch.tensor([1, 2, 3, 4], dtype=torch.int8)
    ids = torch.tensor([[LAST - 1, 0], [LAST, 1]], dtype=torch.int32)
    assert small(ids)[:, :, 0].tolist() == [[1.0, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize("low_rank", [False, True])
def test_a_network_with_int8_rows_is_restored_bit_for_bit(low_rank: bool) -> None:
    def network() -> DeepFM:
        return DeepFM(CARDINALITIES, embedding_dim=6, hidden_units=(8,), std=0.5).eval()

    torch.manual_seed(0)
    net = network()
    replace_module(net, "first_order", Int8FieldEmbedding.of(net.first_order))
    if low_rank:
        factors = svd_embedding(net.embedding).truncate(3)
        replace_module(net, "embedding", factors)
        replace_module(net, "embedding.z", Int8FieldEmbedding.of(factors.z))
    else:
        replace_module(net, "embedding", Int8FieldEmbedding.of(net.embedding))
    assert not list(net.regularised())
    plan = json.loads(json.dumps(blueprint(net)))
    other = network()
    restore(other, plan)
    other.load_state_dict(net.state_dict(), strict=True)
    assert other.first_order.rows.dtype is torch.int8
    assert torch.equal(other.eval()(some_ids()), net(some_ids()))


def test_int8_rows_of_a_low_rank_table_err_by_half_a_step_times_the_projection() -> None:
    torch.manual_seed(0)
    dense = FieldEmbedding(CARDINALITIES, 6, std=1.0)
    factors = svd_embedding(dense).truncate(3)
    ids = some_ids()
    before, z = factors(ids).detach(), factors.z(ids).detach()
    replace_module(factors, "z", Int8FieldEmbedding.of(factors.z))
    step = z.abs().amax(dim=2, keepdim=True) / 127
    # A row errs by at most step/2 * sqrt(3) in z, and projections have orthonormal rows.
    assert ((factors(ids) - before).norm(dim=2, keepdim=True) <= step / 2 * 3**0.5 + 1e-6).all()
    factors(ids).square().sum().backward()
    assert factors.projection.grad is not None
    assert factors.projection.grad.any()


def test_other_scales_and_broken_tables_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="Scales per 'column'"):
        Int8FieldEmbedding((3,), 2, "column")  # type: ignore[arg-type]
    broken = table()
    with torch.no_grad():
        broken.weight[0, 0] = float("inf")
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        Int8FieldEmbedding.of(broken)
