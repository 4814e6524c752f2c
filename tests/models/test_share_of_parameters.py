"""Adapters that spend a share of a restoration network's parameters: which of them CoLoRA and its rivals train."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.bias_norm import BiasNorm
from benchmarks.methods.colora import CoLoRA, kinds_of
from benchmarks.methods.decoder_only import DecoderOnly
from benchmarks.methods.iss_delta import ISSDelta
from benchmarks.methods.small import Small, small_parameters
from benchmarks.methods.spend import spending
from benchmarks.methods.ssf import SSF
from benchmarks.models.lowrank.adapter_file import fingerprint
from benchmarks.models.lowrank.rank_plan import DENSE
from benchmarks.models.size import unique_parameters
from small_unet import ALLOCATIONS, LAYERS, SHARE, Bench, adapted, batch, train, trainable, unet


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("share", [0.35, 0.4, 0.7])
def test_the_share_is_met_within_one_rank_of_the_cheapest_layer(allocation: str, share: float) -> None:
    bench = Bench()
    network = adapted(CoLoRA(share=share, allocation=allocation), bench=bench)
    total, trained = unique_parameters(unet()), unique_parameters(network, trainable=True)
    plan = network.adapted["plan"]
    assert list(plan) == LAYERS
    growing = [name for name, rank in plan.items() if rank != DENSE]
    weights = dict(unet().named_parameters())
    cheapest = min(len(weights[f"{name}.weight"]) + weights[f"{name}.weight"][0].numel() for name in growing)
    assert 0 <= int(share * total) - trained < cheapest
    assert network.adapted["trained"] == trained
    assert f"{trained:,} parameters train" in bench.notes[-1]
    assert json.loads(json.dumps(network.adapted)) == network.adapted


def test_plans_follow_their_scores() -> None:
    found = {rule: adapted(CoLoRA(share=SHARE, allocation=rule)).adapted for rule in ALLOCATIONS}
    plans = [json.dumps(each["plan"]) for each in found.values()]
    assert len(set(plans)) == len(ALLOCATIONS)
    scores = found["contribution"]["scores"]
    order = sorted(LAYERS, key=scores.__getitem__)
    assert sorted(LAYERS, key=found["reversed"]["scores"].__getitem__) == order[::-1]
    other = Bench()
    other.seed = 1
    assert adapted(CoLoRA(share=SHARE, allocation="random"), bench=other).adapted != found["random"]


def test_all_allocations_begin_with_the_same_draws_whatever_the_probe_has_drawn() -> None:
    one, two = (
        {
            name: p
            for name, p in adapted(CoLoRA(share=SHARE, allocation=rule)).named_parameters()
            if name.endswith(".down")
        }
        for rule in ("contribution", "uniform")
    )
    both = one.keys() & two.keys()
    assert len(both) > 3
    for name in both:
        rank = min(len(one[name]), len(two[name]))
        assert torch.equal(one[name][:rank], two[name][:rank])
    assert any(len(one[name]) != len(two[name]) for name in both)


def test_updates_begin_at_zero_with_rows_of_unit_length_in_the_mean() -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Conv2d(64, 256, 3, bias=False))
    network = adapted(CoLoRA(share=0.2, allocation="uniform", floor=1), wide)
    update = network[0].parametrizations.weight[0]
    assert not update.up.any()
    assert float(update.down.detach().square().sum(1).mean()) == pytest.approx(1, rel=0.05)


def test_the_probe_is_full_tuning_of_a_copy_for_two_percent_of_the_steps_and_at_least_sixty() -> None:
    short, long = Bench(epochs=10), Bench(epochs=2000)
    base = unet()
    before = fingerprint(base)
    for bench in (short, long):
        CoLoRA(share=SHARE).adapt(copy.deepcopy(base), bench)  # type: ignore[arg-type]
        assert fingerprint(base) == before
    (stage, plan), (_, longer) = short.asked[0], long.asked[0]
    assert stage == "probe"
    assert (plan["max_steps"], plan["max_epochs"], plan["validate_every"]) == (60, 20, 20)  # three batches an epoch
    assert (longer["max_steps"], longer["max_epochs"]) == (120, 40)
    assert plan["schedule"] == "none"
    assert plan["learning_rate"] == 1e-2
    assert any("60 steps" in note for note in short.notes)
    assert any("8 training samples" in note for note in short.notes)


@pytest.mark.parametrize(("accumulate", "epochs"), [(2, 30), (3, 60), (5, 60)])
def test_the_probe_asks_for_no_more_epochs_than_its_steps_fill(accumulate: int, epochs: int) -> None:
    """Three batches an epoch: what is left over after whole steps makes a step as well."""
    bench = Bench(epochs=10, accumulate=accumulate)
    CoLoRA(share=SHARE).adapt(unet(), bench)  # type: ignore[arg-type]
    ((_, plan),) = bench.asked
    assert (plan["max_steps"], plan["max_epochs"]) == (60, epochs)


@pytest.mark.parametrize(("allocation", "probes"), [("uniform", 0), ("random", 0), ("gradient", 0), ("change", 1)])
def test_rules_that_need_no_tuned_copy_make_none(allocation: str, probes: int) -> None:
    bench = Bench()
    adapted(CoLoRA(share=SHARE, allocation=allocation), bench=bench)
    assert len(bench.asked) == probes


def test_without_fine_tuning_nothing_is_asked_and_nothing_trains() -> None:
    bench = Bench()
    bench.finetunes = False
    assert not trainable(adapted(CoLoRA(), bench=bench))
    assert not bench.asked


def test_a_strided_layer_takes_part() -> None:
    network = adapted(CoLoRA(share=SHARE, allocation="uniform"))
    x = batch()["image"]
    before = network(x)
    with torch.no_grad():
        network.down.parametrizations.weight[0].up.add_(0.1)
    assert not torch.allclose(network(x), before)


def test_gradients_reach_up_in_one_step_and_down_in_two() -> None:
    network = adapted(CoLoRA(share=SHARE, allocation="uniform"))
    start = trainable(network)
    once = trainable(train(network, 1))
    ups = [name for name in start if name.endswith(".up")]
    assert ups
    assert not any(torch.equal(start[name], once[name]) for name in ups)
    twice = trainable(train(network, 1))
    assert not any(torch.equal(once[name], twice[name]) for name in start if name.endswith(".down"))


def test_a_share_that_is_spent_before_any_update_says_what_to_type() -> None:
    for method in (CoLoRA(share=0.07), ISSDelta(share=0.07)):
        with pytest.raises(
            BenchmarkError, match=r"method\.share=0\.07 of .*nothing is left.*Type method\.share=0\.\d+ or"
        ):
            adapted(method)


def test_small_parameters_are_vectors_of_any_shape_and_depthwise_kernels() -> None:
    network = unet()
    names = small_parameters(network)
    assert {name for name, p in network.named_parameters()} - names == {f"{name}.weight" for name in LAYERS}
    expected = sum(p.numel() for name, p in network.named_parameters() if name in names)
    assert unique_parameters(adapted(Small()), trainable=True) == expected == spending(network, SHARE).small
    row = nn.Sequential(nn.Conv2d(4, 1, 1), nn.Linear(5, 1))
    assert small_parameters(row) == {"0.bias", "1.bias"}
    kinds = kinds_of(network, spending(network, SHARE))
    assert set().union(*kinds.values()) == dict(network.named_parameters()).keys()
    assert {name.rpartition(".")[2] for name in kinds["variables"]} == {"beta"}
    assert {name.split(".")[-2] for name in kinds["depthwise"]} == {"spatial"}
    with pytest.raises(BenchmarkError, match=r"depthwise kernels to train: Sequential"):
        adapted(Small(), nn.Sequential(nn.Linear(3, 3, bias=False)))


def test_small_and_bias_norm_differ_by_step_sizes_and_depthwise_kernels() -> None:
    more = trainable(adapted(Small())).keys() - trainable(adapted(BiasNorm())).keys()
    assert {name.partition(".")[2] for name in more} == {"beta", "spatial.weight"}


def test_a_decoder_is_what_the_network_names() -> None:
    assert {name.partition(".")[0] for name in trainable(adapted(DecoderOnly()))} == {"decoder", "up", "ending"}
    with pytest.raises(BenchmarkError, match=r"names no decoder .*Sequential\. Type method=small"):
        adapted(DecoderOnly(), nn.Sequential(nn.Linear(3, 3)))


def test_scales_and_shifts_are_one_number_an_output_and_norms_train() -> None:
    found = trainable(adapted(SSF()))
    weights = dict(unet().named_parameters())
    scales = {name: value for name, value in found.items() if name.endswith(".scale")}
    layers = [*LAYERS, *(f"{part}.spatial" for part in ("encoder", "middle", "decoder"))]
    assert {name.removesuffix(".parametrizations.weight.0.scale") for name in scales} == set(layers)
    for name, value in scales.items():
        assert len(value) == len(weights[name.replace("parametrizations.weight.0.scale", "weight")])
    rest = found.keys() - scales.keys()
    assert rest == {name for name in weights if name.endswith(".bias") or ".norm." in name}
