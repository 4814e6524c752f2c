from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear


def test_linear_is_the_product_of_its_factors() -> None:
    layer, x = LowRankLinear(6, 5, 2, inner_bias=True), torch.randn(4, 3, 6)
    merged = nn.functional.linear(
        x, layer.up.weight @ layer.down.weight, layer.up.weight @ layer.down.bias + layer.up.bias
    )
    torch.testing.assert_close(layer(x), merged)


def test_inner_relu_stands_between_the_factors() -> None:
    layer, x = LowRankLinear(6, 5, 2, inner="relu"), torch.randn(4, 6)
    expected = (x @ layer.down.weight.T).relu() @ layer.up.weight.T + layer.up.bias
    torch.testing.assert_close(layer(x), expected)


def test_embedding_is_z_times_the_projection_of_the_field() -> None:
    layer = LowRankFieldEmbedding((4, 2, 7), 5, 3, centred=True)
    nn.init.normal_(layer.z.weight)
    assert layer.mean is not None
    nn.init.normal_(layer.mean)
    ids = torch.tensor([[3, 1, 6], [0, 0, 2]])
    for field, z in enumerate(layer.z.weight.split((4, 2, 7))):
        expected = z[ids[:, field]] @ layer.projection[field] + layer.mean[field]
        torch.testing.assert_close(layer(ids)[:, field], expected)


@pytest.mark.parametrize("inner", [None, "relu"])
def test_gradients_reach_every_parameter_of_a_linear(inner: str | None) -> None:
    torch.manual_seed(0)
    layer = LowRankLinear(6, 5, 3, inner=inner, inner_bias=True)
    layer(torch.randn(32, 6)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in layer.parameters())


def test_gradients_reach_every_parameter_of_an_embedding() -> None:
    layer = LowRankFieldEmbedding((4, 2), 5, 2, centred=True)
    layer(torch.tensor([[0, 1], [1, 0], [2, 1], [3, 0]])).add(1).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in layer.parameters())


def test_only_z_is_a_table() -> None:
    layer = LowRankFieldEmbedding((4, 2), 5, 2, centred=True)
    assert [parameter is layer.z.weight for parameter in layer.tables()] == [True]


@pytest.mark.parametrize(
    "layer",
    [
        LowRankLinear(6, 5, 2),
        LowRankLinear(6, 5, 3, bias=False, inner="relu", inner_bias=True),
        LowRankFieldEmbedding((4, 2, 7), 5, 2, centred=True),
        LowRankFieldEmbedding((4, 2, 7), 5, 3),
    ],
)
def test_blueprint_rebuilds_the_layer_through_json(layer: LowRankLinear | LowRankFieldEmbedding) -> None:
    rebuilt = type(layer)(**json.loads(json.dumps(layer.blueprint())))
    rebuilt.load_state_dict(layer.state_dict())
    assert rebuilt.blueprint() == layer.blueprint()


def test_rank_zero_and_an_unknown_activation_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="Rank 0"):
        LowRankLinear(6, 5, 0)
    with pytest.raises(BenchmarkError, match="Did you mean 'relu'"):
        LowRankLinear(6, 5, 2, inner="rellu")
    with pytest.raises(BenchmarkError, match="Rank -1"):
        LowRankFieldEmbedding((4, 2), 5, -1)
