"""Plans of adapters over all of NAFNet, by the counts of its official definition; shapes alone are looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from benchmarks import registry
from benchmarks.methods.colora import CoLoRA, apply_plan
from benchmarks.methods.decoder_only import DecoderOnly
from benchmarks.methods.small import Small
from benchmarks.methods.spend import Spending, spending
from benchmarks.models.lowrank.rank_plan import (
    DENSE,
    Matrix,
    even_scores,
    price_of,
    random_scores,
    ranks_within,
    reversed_scores,
    size_scores,
)
from benchmarks.models.lowrank.update import matrix_shape
from benchmarks.models.restoration.build import build
from benchmarks.models.size import unique_parameters

COUNTS = {
    # total, dense weights, one rank on each of them, what always trains, decoder
    "nafnet": (29_159_715, 28_833_472, 124_382, 326_243, 1_947_427),
    "nafnet_gopro": (17_111_907, 16_834_240, 106_718, 277_667, 1_322_307),
}


def meta(name: str) -> nn.Module:
    settings = yaml.safe_load((registry.CONF / "model" / f"{name}.yaml").read_text())
    with torch.device("meta"):
        return build(name, **{key: settings[key] for key in ("width", "encoder", "middle", "decoder")})


def matrices(spent: Spending) -> dict[str, Matrix]:
    return {name: Matrix(*matrix_shape(layer.weight)) for name, layer in spent.layers.items()}


def u_shape(spent: Spending) -> dict[str, float]:
    """Scores as the paper's chart has them: the ends of the network matter, the middle hardly does."""
    place = np.linspace(-1, 1, len(spent.layers))
    return dict(zip(spent.layers, 10.0 ** (3 * np.abs(place) - 6), strict=True))


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_official_networks(name: str) -> None:
    network = meta(name)
    total, dense, per_rank, small, decoder = COUNTS[name]
    spent = spending(network, 0.07)
    assert len(spent.layers) == 190
    assert {type(layer) for layer in spent.layers.values()} == {nn.Conv2d}
    assert spent.total == total
    assert sum(layer.weight.numel() for layer in spent.layers.values()) == dense
    assert sum(matrix.per_rank for matrix in matrices(spent).values()) == per_rank
    assert spent.small == small
    for method, count in ((Small(), small), (DecoderOnly(), decoder)):
        attached = method.attached(meta(name), None)
        assert unique_parameters(attached, trainable=True) == count


@pytest.mark.parametrize(("rank", "share"), [(4, 2.82), (8, 4.53), (12, 6.23), (16, 7.93), (32, 14.67)])
def test_shares_of_a_uniform_rank_are_those_that_were_counted(rank: int, share: float) -> None:
    spent = spending(meta("nafnet"), 0.07)
    trained = spent.small + sum(matrix.cost(rank) for matrix in matrices(spent).values())
    assert 100 * trained / spent.total == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize("rule", ["contribution", "uniform", "size", "random", "reversed"])
def test_seven_percent_are_spent_within_one_rank_of_the_cheapest_layer(rule: str) -> None:
    network = meta("nafnet")
    spent = spending(network, 0.07)
    layers = matrices(spent)
    scores = {
        "contribution": u_shape(spent),
        "uniform": even_scores(layers),
        "size": size_scores(layers),
        "random": random_scores(layers, 0),
        "reversed": reversed_scores(u_shape(spent)),
    }[rule]
    plan = ranks_within(layers, scores, spent.left)
    assert list(plan) == list(layers)
    growing = [layers[name].per_rank for name, rank in plan.items() if rank != DENSE]
    assert 0 <= spent.left - price_of(plan, layers) < min(growing)
    apply_plan(network, plan, spent, seed=0)
    trained = unique_parameters(network, trainable=True)
    assert trained == spent.small + price_of(plan, layers)
    assert 0 <= math.floor(0.07 * 29_159_715) - trained < min(growing)
    if rule == "uniform":
        ranks = [rank for rank in plan.values() if rank != DENSE]
        assert set(ranks) <= {13, 14, 15}
        assert np.average(ranks, weights=growing) == pytest.approx(13.8, abs=0.1)
    if rule == "contribution":
        assert plan["intro"] == plan["ending"] == DENSE
        assert int(plan["middle_blks.5.conv1"]) / layers["middle_blks.5.conv1"].full_rank < 0.01


def test_a_layer_is_tuned_as_a_whole_from_fifteen_ranks_of_intro_and_three_of_ending() -> None:
    layers = matrices(spending(meta("nafnet"), 0.07))
    assert (layers["intro"], layers["ending"]) == (Matrix(32, 27), Matrix(3, 288))
    # The smallest rank whose update has as many parameters as the weight.
    assert [next(r for r in range(40) if layers[name].choice(r) == DENSE) for name in ("intro", "ending")] == [15, 3]


def test_defaults_fit_the_wide_networks_and_what_is_too_small_is_told() -> None:
    method = CoLoRA()
    for name in COUNTS:
        method.check(Fresh(name))  # type: ignore[arg-type]
    method = CoLoRA(share=0.15)
    for name in ("nafnet_small", "nafnet_tiny"):
        method.check(Fresh(name))  # type: ignore[arg-type]


class Fresh:
    """A workbench that builds one network."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fresh(self) -> nn.Module:
        return meta(self.name)


def test_restormer_names_its_decoder() -> None:
    with torch.device("meta"):
        network = build("restormer", width=8, blocks=[1, 1, 1, 1], refinement=1)
    DecoderOnly().freeze(network)
    parts = {name.partition(".")[0]: parameter.requires_grad for name, parameter in network.named_parameters()}
    assert {name for name, trains in parts.items() if not trains} == {
        "patch_embed", "encoder_level1", "down1_2", "encoder_level2", "down2_3", "encoder_level3", "down3_4", "latent",
    }  # fmt: skip
