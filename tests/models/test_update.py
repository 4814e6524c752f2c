"""Low-rank updates of frozen weights: nothing changes at the start, only the factors train, merging changes no answer."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.surgery import conv_units
from benchmarks.models.lowrank.update import Layer, LowRankUpdate, Update, attach, merge_updates, require_rank
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, (3, 2), stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, dilation=2),
        nn.Flatten(),
        nn.LazyLinear(5),
    )
    net(torch.zeros(1, 3, 12, 12))
    return net.to(memory_format=torch.channels_last)


def add_updates(layers: Mapping[str, Layer], rank: int, alpha: float) -> None:
    def make(name: str, weight: torch.Tensor) -> Update:
        require_rank(name, weight, rank)
        return LowRankUpdate(weight, rank, alpha / rank)

    attach(layers, make)


def updated(rank: int = 2, alpha: float = 3.0) -> nn.Sequential:
    net = network()
    net.requires_grad_(False)
    add_updates({"0": net[0], "2": net[2], "4": net[4]}, rank, alpha)
    return net


def trained(net: nn.Module) -> nn.Module:
    """Some steps on noise, so that no factor is zero any more."""
    torch.manual_seed(1)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(4, 3, 12, 12)).square().mean().backward()
        optimizer.step()
    return net


def test_an_update_that_was_not_trained_changes_nothing() -> None:
    x = torch.randn(2, 3, 12, 12)
    assert torch.equal(updated()(x), network()(x))
    merged, base = merge_updates(updated()).state_dict(), network().state_dict()
    assert merged.keys() == base.keys()
    assert all(torch.equal(merged[name], base[name]) for name in base)


def test_the_update_is_alpha_over_rank_times_the_factors_and_the_weight_itself_stays() -> None:
    net, base = trained(updated(rank=2, alpha=3.0)), network()
    for index in (0, 2, 4):
        found = net[index].parametrizations.weight
        assert torch.equal(found.original, base[index].weight)
        product = 1.5 * found[0].up.detach() @ found[0].down.detach()
        assert product.abs().max() > 0.01
        assert torch.linalg.matrix_rank(product) == 2
        expected = base[index].weight.detach() + product.reshape(base[index].weight.shape)
        torch.testing.assert_close(net[index].weight.detach(), expected)


def test_gradients_reach_the_factors_alone() -> None:
    net = trained(updated())
    moved = {name for name, parameter in net.named_parameters() if parameter.grad is not None}
    assert moved == {f"{index}.parametrizations.weight.0.{factor}" for index in (0, 2, 4) for factor in ("up", "down")}


def test_a_merged_network_has_the_layers_of_the_base_and_answers_the_same() -> None:
    net, x = trained(updated()), torch.randn(5, 3, 12, 12)
    before = net(x).detach()
    merged = merge_updates(net)
    assert merged is net
    assert [type(layer) for layer in merged] == [type(layer) for layer in network()]
    assert {name: value.shape for name, value in merged.state_dict().items()} == {
        name: value.shape for name, value in network().state_dict().items()
    }
    torch.testing.assert_close(merged(x).detach(), before)


def test_a_moving_average_and_a_state_dict_keep_the_factors() -> None:
    net, fresh, x = trained(updated()), updated(), torch.randn(2, 3, 12, 12)
    assert torch.equal(copy.deepcopy(net)(x), net(x))
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh(x), net(x))


def test_whatever_reads_the_weight_of_a_layer_sees_the_updated_one() -> None:
    """The contrast prior sums its kernel over places itself, beside the convolution with it."""
    torch.manual_seed(0)
    net = RPCANetPlusPlus(stages=1, channels=4, sparse_depth=1, merge_depth=1).eval()
    net.requires_grad_(False)
    add_updates({name: layer for name, layer in conv_units(net, net.keep_dense).items() if "contrast" in name}, 2, 2.0)
    (update,) = (module for name, module in net.named_modules() if name.endswith("weight.0"))
    nn.init.normal_(update.up)
    with torch.no_grad():
        x = torch.rand(2, 1, 20, 20)
        before = net(x)[0]
        after = merge_updates(net)(x)[0]
    torch.testing.assert_close(after, before)


def test_what_was_made_in_inference_mode_is_followed_too() -> None:
    with torch.inference_mode():
        net, x = updated().eval(), torch.randn(2, 3, 12, 12)
        before = net(x)
        net[4].parametrizations.weight[0].up.fill_(1.0)
        assert not torch.equal(net(x), before)


def test_a_weight_is_built_in_its_own_type_where_the_step_has_another() -> None:
    net = trained(updated())
    for layer in (net[0], net[4]):
        weight, (update,) = layer.parametrizations.weight.original, layer.parametrizations.weight
        expected = update(weight)
        with torch.autocast("cpu", torch.bfloat16):
            assert not torch.equal(update(weight), expected)
            assert torch.equal(update.built(weight), expected)


@pytest.mark.parametrize("rank", [0, 6, 50])
def test_a_rank_that_is_not_low_names_the_layer(rank: int) -> None:
    net = network()
    with pytest.raises(BenchmarkError, match=rf"Rank {rank} .* of 2, .* method\.rank=4"):
        add_updates({"2": net[2]}, rank, 1.0)
    assert type(net[2]) is nn.Conv2d
