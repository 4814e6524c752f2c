"""Tables of mixed dimensions against a rendering field by field."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.mixed import MixedFieldEmbedding

ROWS, DIM, DIMS = (40, 3, 25, 7), 6, (2, 6, 3, 2)


@pytest.fixture
def table() -> MixedFieldEmbedding:
    torch.manual_seed(0)
    return MixedFieldEmbedding(ROWS, DIM, DIMS, std=1.0)


def test_rows_are_codes_times_the_projection_of_their_field(table: MixedFieldEmbedding) -> None:
    ids = torch.stack([torch.randint(rows, (9,)) for rows in ROWS], dim=1)
    expected = np.zeros((9, len(ROWS), DIM), np.float32)
    for field, dim in enumerate(DIMS):
        fields = [f for f in range(len(ROWS)) if DIMS[f] == dim]
        place = fields.index(field)
        start = sum(ROWS[f] for f in fields[:place])
        weight = table.rows[str(dim)].weight.detach().numpy()[start : start + ROWS[field]]
        projection = table.projections[str(dim)][place].detach().numpy() if dim < DIM else np.eye(DIM, dtype=np.float32)
        expected[:, field] = weight[ids[:, field]] @ projection
    np.testing.assert_allclose(table(ids).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_it_holds_the_codes_and_a_projection_for_each_short_field(table: MixedFieldEmbedding) -> None:
    codes = sum(rows * dim for rows, dim in zip(ROWS, DIMS, strict=True))
    projections = sum(dim * DIM for dim in DIMS if dim < DIM)
    assert sum(parameter.numel() for parameter in table.parameters()) == codes + projections


def test_entries_start_as_wide_as_those_of_a_dense_table() -> None:
    torch.manual_seed(0)
    ids = torch.randint(2000, (4000, 2))
    mixed, dense = MixedFieldEmbedding((2000, 2000), 16, (2, 16), std=0.5), FieldEmbedding((2000, 2000), 16, std=0.5)
    assert mixed(ids).std(dim=(0, 2)).tolist() == pytest.approx(dense(ids).std(dim=(0, 2)).tolist(), rel=0.1)


def test_gradients_reach_codes_and_projections_and_l2_the_codes_alone(table: MixedFieldEmbedding) -> None:
    table(torch.zeros(2, len(ROWS), dtype=torch.int64)).sum().backward()
    assert all(parameter.grad is not None for parameter in table.parameters())
    assert [tuple(parameter.shape) for parameter in table.tables()] == [(47, 2), (25, 3), (3, 6)]


@pytest.mark.parametrize("dims", [(2, 6, 3), (0, 6, 3, 2), (2, 7, 3, 2)])
def test_dimensions_that_do_not_fit_the_fields_are_refused(dims: tuple[int, ...]) -> None:
    with pytest.raises(BenchmarkError, match="from 1 to 6"):
        MixedFieldEmbedding(ROWS, DIM, dims)
