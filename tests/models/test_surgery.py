from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.lowrank.afm import afm_embedding, afm_linear
from benchmarks.models.lowrank.moments import collect_input_moments
from benchmarks.models.lowrank.surgery import blueprint, embedding_units, linear_units, replace_module, restore
from benchmarks.models.lowrank.svd import svd_embedding, svd_linear

SMALL = (30, 40, 2, 4)


def network(seed: int = 0) -> DeepFM:
    torch.manual_seed(seed)
    return DeepFM(SMALL, embedding_dim=6, hidden_units=(16, 12, 8), std=0.5).eval()


def small_ids(batch: int = 64) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.stack([torch.randint(rows, (batch,)) for rows in SMALL], dim=1)


def compressed(method: str, inner: str | None = None) -> DeepFM:
    net, ids = network(), small_ids()
    linears, tables = linear_units(net, net.keep_dense), embedding_units(net, net.keep_dense)
    moments = collect_input_moments(net, linears, [ids])
    for name, linear in linears.items():
        factors = svd_linear(linear) if method == "svd" else afm_linear(linear, moments[name])
        replace_module(net, name, factors.truncate(2, inner))
    counts = torch.cat([torch.bincount(column, minlength=rows) for column, rows in zip(ids.T, SMALL, strict=True)])
    for name, table in tables.items():
        replace_module(
            net, name, (svd_embedding(table) if method == "svd" else afm_embedding(table, counts)).truncate(2)
        )
    return net


def test_units_are_the_layers_that_may_be_compressed() -> None:
    net = network()
    assert list(linear_units(net, net.keep_dense)) == ["mlp.hidden.1.linear", "mlp.hidden.2.linear"]
    assert list(embedding_units(net, net.keep_dense)) == ["embedding"]
    assert list(linear_units(net, ["mlp.hidden.*"])) == ["mlp.out"]


def test_low_rank_layers_are_not_units_again() -> None:
    net = compressed("svd")
    assert list(linear_units(net)) == ["mlp.hidden.0.linear", "mlp.out"]
    assert list(embedding_units(net)) == ["first_order"]


def test_subclasses_of_linear_are_left_alone() -> None:
    assert linear_units(nn.MultiheadAttention(4, 2)) == {}


def test_a_shared_module_is_replaced_wherever_it_stands() -> None:
    shared = nn.Linear(3, 3)
    inside = nn.Sequential(shared)
    net = nn.Sequential(shared, nn.ReLU(), inside)
    new = nn.Linear(3, 3)
    replace_module(net.eval(), "0", new)
    assert net[0] is new
    assert inside[0] is new
    assert not new.training


@pytest.mark.parametrize(("method", "inner"), [("svd", None), ("afm", None), ("afm", "relu")])
def test_a_blueprint_restores_the_same_outputs_bit_for_bit(method: str, inner: str | None) -> None:
    net, ids = compressed(method, inner), small_ids()
    plan = json.loads(json.dumps(blueprint(net)))
    assert [entry["name"] for entry in plan] == ["embedding", "mlp.hidden.1.linear", "mlp.hidden.2.linear"]
    other = network(seed=5)
    restore(other, plan)
    other.load_state_dict(net.state_dict(), strict=True)
    assert torch.equal(other.eval()(ids), net(ids))


def test_a_dense_network_has_an_empty_blueprint() -> None:
    assert blueprint(network()) == []


def test_restored_layers_have_the_type_of_the_network() -> None:
    net = network().double()
    restore(net, blueprint(compressed("afm")))
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(BenchmarkError, match="Did you mean 'LowRankLinear'"):
        restore(network(), [{"name": "mlp.out", "layer": "LowRankLinar", "kwargs": {}}])


@pytest.mark.parametrize("method", ["svd", "afm"])
def test_stored_bytes_are_those_that_the_units_announce(method: str) -> None:
    dense, net, ids = network(), compressed(method), small_ids()
    linears = linear_units(dense, dense.keep_dense)
    moments = collect_input_moments(dense, linears, [ids])
    factors = [
        svd_linear(each) if method == "svd" else afm_linear(each, moments[name]) for name, each in linears.items()
    ]
    table = (
        svd_embedding(dense.embedding) if method == "svd" else afm_embedding(dense.embedding, torch.ones(sum(SMALL)))
    )
    units = [each.unit("linear") for each in factors] + [table.unit("table")]
    saved = sum(each.dense_params - each.params(2) for each in units)

    def stored(model: nn.Module) -> int:
        return sum(tensor.nbytes for tensor in model.state_dict().values())

    assert saved > 0
    assert stored(dense) - stored(net) == 4 * saved


def test_regularisation_follows_the_table_of_a_compressed_network() -> None:
    net = compressed("afm")
    chosen = {id(parameter) for parameter in net.regularised()}
    names = {name for name, parameter in net.named_parameters() if id(parameter) in chosen}
    assert names == {"first_order.weight", "embedding.z.weight"}


def test_a_compressed_network_trains_every_parameter() -> None:
    net = compressed("afm").train()
    net(small_ids()).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters() if parameter.any())
