from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.afm import afm_embedding, afm_linear
from benchmarks.models.lowrank.moments import InputMoments
from benchmarks.models.lowrank.svd import svd_embedding, svd_linear

CARDINALITIES = (40, 2, 3, 17)


def calibrated(rows: int = 500) -> tuple[nn.Linear, torch.Tensor, InputMoments]:
    """A layer and inputs with correlated, off-centre features, as behind a ReLU."""
    torch.manual_seed(0)
    linear = nn.Linear(12, 9, dtype=torch.float64)
    x = (torch.randn(rows, 5, dtype=torch.float64) @ torch.randn(5, 12, dtype=torch.float64)).relu()
    x = x + 0.1 * torch.randn_like(x) + 3
    moments = InputMoments(12)
    for batch in x.split(64):
        moments.update(batch)
    return linear, x, moments


def zipf_counts() -> torch.Tensor:
    """Id counts that fall off as 1 / rank, with rows that never occur."""
    counts = torch.cat([(200 / torch.arange(1, rows + 1)).long() for rows in CARDINALITIES])
    counts[5:9] = 0
    return counts


def table64() -> FieldEmbedding:
    torch.manual_seed(0)
    return FieldEmbedding(CARDINALITIES, 6, std=1.0).double()


def mse(layer: nn.Module, linear: nn.Linear, x: torch.Tensor) -> float:
    with torch.no_grad():
        return (layer(x) - linear(x)).square().sum(1).mean().item()


def test_output_error_on_the_calibration_rows_is_the_energy_dropped() -> None:
    linear, x, moments = calibrated()
    factors = afm_linear(linear, moments)
    for rank in range(1, 9):
        assert mse(factors.truncate(rank), linear, x) == pytest.approx(factors.spectrum[rank:].sum().item(), rel=1e-6)


def test_output_is_the_pca_reconstruction_of_scikit_learn() -> None:
    linear, x, moments = calibrated()
    y = linear(x).detach().numpy()
    pca = PCA(3).fit(y)
    layer = afm_linear(linear, moments).truncate(3)
    np.testing.assert_allclose(layer(x).detach().numpy(), pca.inverse_transform(pca.transform(y)), atol=1e-9)


def test_error_is_never_above_that_of_svd_and_falls_with_rank() -> None:
    linear, x, moments = calibrated()
    afm, svd = afm_linear(linear, moments), svd_linear(linear)
    errors = [mse(afm.truncate(rank), linear, x) for rank in range(1, 10)]
    assert all(error <= mse(svd.truncate(rank), linear, x) + 1e-12 for rank, error in enumerate(errors, start=1))
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(errors))
    assert errors[-1] == pytest.approx(0, abs=1e-18)


def test_mean_output_is_kept_at_every_rank() -> None:
    linear, x, moments = calibrated()
    for rank in (1, 4):
        torch.testing.assert_close(afm_linear(linear, moments).truncate(rank)(x).mean(0), linear(x).mean(0))


def test_factors_are_those_of_the_paper() -> None:
    linear, _, moments = calibrated()
    mean, _ = moments.output(linear)
    layer = afm_linear(linear, moments).truncate(4)
    U = layer.up.weight
    torch.testing.assert_close(U.T @ U, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(layer.down.weight, U.T @ linear.weight)
    torch.testing.assert_close(layer.down.bias, U.T @ linear.bias)
    torch.testing.assert_close(layer.up.bias, mean - U @ (U.T @ mean))
    assert (U.T @ mean >= 0).all()


def test_row_order_of_the_calibration_set_does_not_matter() -> None:
    linear, x, moments = calibrated()
    shuffled = InputMoments(12)
    for batch in x[torch.randperm(len(x))].split(50):
        shuffled.update(batch)
    torch.testing.assert_close(afm_linear(linear, shuffled).up, afm_linear(linear, moments).up)


def test_a_linear_without_bias_gains_one_for_the_mean_only() -> None:
    linear, x, moments = calibrated()
    linear.register_parameter("bias", None)
    factors = afm_linear(linear, moments)
    layer = factors.truncate(3)
    assert layer.down.bias is None
    assert mse(layer, linear, x) == pytest.approx(factors.spectrum[3:].sum().item(), rel=1e-6)
    assert factors.unit("x").params(3) == sum(parameter.numel() for parameter in layer.parameters())


def test_table_from_counts_equals_pca_of_the_looked_up_rows() -> None:
    embedding, counts = table64(), zipf_counts()
    layer = afm_embedding(embedding, counts).truncate(2)
    z = layer.z.weight.detach().split(CARDINALITIES)
    for field, (table, count) in enumerate(
        zip(embedding.weight.detach().split(CARDINALITIES), counts.split(CARDINALITIES), strict=True)
    ):
        seen = table.repeat_interleave(count, dim=0).numpy()
        rank = min(2, len(table) - 1)
        pca = PCA(rank).fit(seen)
        rows = z[field] @ layer.projection[field] + layer.mean[field]
        np.testing.assert_allclose(
            rows.detach().numpy(), pca.inverse_transform(pca.transform(table.numpy())), atol=1e-9
        )


def test_error_of_looked_up_rows_is_the_energy_dropped() -> None:
    embedding, counts = table64(), zipf_counts()
    factors = afm_embedding(embedding, counts)
    for rank in range(1, 6):
        layer, error = factors.truncate(rank), 0.0
        for field, count in enumerate(counts.split(CARDINALITIES)):
            ids = torch.zeros(len(count), len(CARDINALITIES), dtype=torch.int64)
            ids[:, field] = torch.arange(len(count))
            squared = (layer(ids) - embedding(ids))[:, field].square().sum(1)
            error += (squared @ count.double() / count.sum()).item()
        assert error == pytest.approx(factors.spectrum[rank:].sum().item(), rel=1e-6, abs=1e-12)


def test_frequent_rows_are_kept_better_than_by_svd() -> None:
    embedding, counts = table64(), zipf_counts()
    ids = torch.zeros(40, 4, dtype=torch.int64)
    ids[:, 0] = torch.arange(40)
    weights = counts[:40].double()

    def error(layer: nn.Module) -> float:
        return ((layer(ids) - embedding(ids))[:, 0].square().sum(1) @ weights).item()

    afm, svd = afm_embedding(embedding, counts).truncate(2), svd_embedding(embedding).truncate(2)
    assert not torch.allclose(afm(ids), svd(ids), atol=1e-2)
    assert error(afm) < error(svd)


def test_full_rank_changes_nothing() -> None:
    embedding = table64()
    ids = torch.stack([torch.randint(rows, (50,)) for rows in CARDINALITIES], dim=1)
    torch.testing.assert_close(afm_embedding(embedding, zipf_counts()).truncate(6)(ids), embedding(ids))


def test_small_tables_get_one_component_less_than_rows() -> None:
    layer = afm_embedding(table64(), zipf_counts()).truncate(5)
    assert not layer.z.weight.split(CARDINALITIES)[1][:, 1:].any()
    assert not layer.projection[1, 1:].any()
    assert all(torch.isfinite(parameter).all() for parameter in layer.parameters())


def test_a_single_row_and_a_field_without_counts_are_finite() -> None:
    embedding = FieldEmbedding((1, 4), 3, std=1.0).double()
    counts = torch.tensor([5, 0, 0, 0, 0])
    uniform = afm_embedding(embedding, torch.ones(5)).truncate(2)
    layer = afm_embedding(embedding, counts).truncate(2)
    ids = torch.tensor([[0, 0], [0, 3]])
    torch.testing.assert_close(layer(ids)[:, 0], embedding(ids)[:, 0])
    torch.testing.assert_close(layer(ids)[:, 1], uniform(ids)[:, 1])


def test_stored_bytes_fall_and_no_dense_copy_stays() -> None:
    linear, _, moments = calibrated()
    layer = afm_linear(linear, moments).truncate(2)
    shapes = {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}
    assert shapes == {"down.weight": (2, 12), "down.bias": (2,), "up.weight": (9, 2), "up.bias": (9,)}
    table = afm_embedding(table64(), zipf_counts()).truncate(2)
    assert set(table.state_dict()) == {"z.weight", "projection", "mean"}
    assert sum(tensor.nbytes for tensor in table.state_dict().values()) < table64().weight.nbytes
