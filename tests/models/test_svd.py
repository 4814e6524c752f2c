from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankLinear
from benchmarks.models.lowrank.svd import svd_embedding, svd_linear

CARDINALITIES = (40, 2, 3, 17)


def linear64(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(in_features, out_features, bias=bias, dtype=torch.float64)


def table64() -> FieldEmbedding:
    torch.manual_seed(0)
    return FieldEmbedding(CARDINALITIES, 6, std=1.0).double()


def merged(layer: LowRankLinear) -> torch.Tensor:
    return (layer.up.weight @ layer.down.weight).detach()


@pytest.mark.parametrize("shape", [(12, 9), (9, 12)])
def test_linear_is_the_truncated_svd_of_scipy(shape: tuple[int, int]) -> None:
    linear = linear64(*shape)
    W = linear.weight.detach().numpy()
    U, S, Vt = scipy.linalg.svd(W, full_matrices=False)
    factors = svd_linear(linear)
    np.testing.assert_allclose(factors.spectrum.numpy(), S**2)
    for rank in range(1, 10):
        layer = factors.truncate(rank)
        np.testing.assert_allclose(merged(layer).numpy(), U[:, :rank] * S[:rank] @ Vt[:rank], atol=1e-12)
        assert np.linalg.norm(W - merged(layer).numpy()) ** 2 == pytest.approx(
            (S[rank:] ** 2).sum(), rel=1e-9, abs=1e-20
        )
        assert torch.equal(layer.up.bias, linear.bias)
        assert layer.down.bias is None


def test_energy_is_shared_evenly_between_the_two_factors() -> None:
    layer = svd_linear(linear64(12, 9)).truncate(4)
    torch.testing.assert_close(layer.down.weight.norm(dim=1), layer.up.weight.norm(dim=0))


def test_a_linear_without_bias_stays_without() -> None:
    layer = svd_linear(linear64(5, 4, bias=False)).truncate(2)
    assert layer.up.bias is None


def test_embedding_is_the_truncated_svd_of_each_table() -> None:
    embedding = table64()
    layer = svd_embedding(embedding).truncate(2)
    z = layer.z.weight.detach().split(CARDINALITIES)
    for field, table in enumerate(embedding.weight.detach().split(CARDINALITIES)):
        U, S, Vt = np.linalg.svd(table.numpy(), full_matrices=False)
        expected = U[:, :2] * S[:2] @ Vt[:2]
        np.testing.assert_allclose((z[field] @ layer.projection[field]).detach().numpy(), expected, atol=1e-12)


def test_energy_dropped_from_an_embedding_is_its_squared_error() -> None:
    embedding = table64()
    factors = svd_embedding(embedding)
    for rank in range(1, 7):
        layer = factors.truncate(rank)
        rows = torch.cat(
            [z @ P for z, P in zip(layer.z.weight.split(CARDINALITIES), layer.projection, strict=True)]
        ).detach()
        error = (rows - embedding.weight).square().sum().item()
        assert error == pytest.approx(factors.spectrum[rank:].sum().item(), abs=1e-12)


def test_small_tables_need_no_more_components_than_rows() -> None:
    layer = svd_embedding(table64()).truncate(5)
    two_rows = layer.z.weight.split(CARDINALITIES)[1]
    assert not two_rows[:, 2:].any()
    assert not layer.projection[1, 2:].any()
    assert all(torch.isfinite(parameter).all() for parameter in layer.parameters())


def test_signs_do_not_depend_on_the_sign_of_the_vectors_found() -> None:
    linear = linear64(12, 9)
    factors = svd_linear(linear)
    with torch.no_grad():
        linear.weight.neg_()
    mirrored = svd_linear(linear)
    assert (factors.down.gather(1, factors.down.abs().argmax(1, keepdim=True)) > 0).all()
    torch.testing.assert_close(mirrored.down, factors.down)
    torch.testing.assert_close(mirrored.up, -factors.up)


def test_type_of_the_weight_is_kept() -> None:
    layer = svd_linear(linear64(12, 9).float()).truncate(3)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float32}
    embedding = svd_embedding(table64().float()).truncate(3)
    assert {parameter.dtype for parameter in embedding.parameters()} == {torch.float32}


def test_rank_beyond_the_matrix_and_a_broken_weight_are_refused() -> None:
    linear = linear64(12, 9)
    with pytest.raises(BenchmarkError, match="from 1 to 9"):
        svd_linear(linear).truncate(10)
    with torch.no_grad():
        linear.weight[0, 0] = float("nan")
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        svd_linear(linear)
