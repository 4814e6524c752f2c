from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.build import NETWORKS, build
from benchmarks.models.ctr.interaction import fm_interaction

FRAPPE = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 233)
SMALL = (5, 9, 2, 4)


def small_ids(batch: int = 16) -> torch.Tensor:
    return torch.stack([torch.randint(rows, (batch,)) for rows in SMALL], dim=1)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("lr", {}, 5_383),
        ("fm", {"embedding_dim": 10}, 59_203),
        ("deepfm", {"embedding_dim": 10, "hidden_units": (400, 400, 400)}, 423_204),
        ("deepfm", {"embedding_dim": 10, "hidden_units": (160, 160, 160)}, 128_004),
        ("deepfm", {"embedding_dim": 10, "hidden_units": (64, 64)}, 70_148),
        ("deepfm", {"embedding_dim": 5, "hidden_units": (172, 172, 172)}, 101_782),
        ("deepfm", {"embedding_dim": 5, "hidden_units": (100, 100, 100)}, 58_294),
    ],
)
def test_parameter_counts_are_those_of_the_peer_library(name: str, options: dict[str, Any], count: int) -> None:
    assert sum(parameter.numel() for parameter in build(name, FRAPPE, **options).parameters()) == count


def test_interaction_is_the_sum_over_all_pairs() -> None:
    embeddings = torch.randn(6, 5, 3, dtype=torch.float64)
    pairs = sum((embeddings[:, i] * embeddings[:, j]).sum(1) for i, j in combinations(range(5), 2))
    torch.testing.assert_close(fm_interaction(embeddings), pairs)


def test_logistic_regression_is_a_product_with_one_hot_rows() -> None:
    network, ids = build("lr", SMALL, std=1.0), small_ids()
    one_hot = torch.cat([nn.functional.one_hot(ids[:, f], rows) for f, rows in enumerate(SMALL)], dim=1).float()
    expected = one_hot @ network.first_order.weight[:, 0] + network.bias
    torch.testing.assert_close(network(ids), expected)


def test_deepfm_is_the_sum_of_fm_and_dnn() -> None:
    torch.manual_seed(0)
    deepfm, fm, dnn = (build(name, SMALL, std=1.0, **options) for name, options in DEEP_PARTS.items())
    fm.load_state_dict(deepfm.state_dict(), strict=False)
    dnn.load_state_dict(deepfm.state_dict(), strict=False)
    ids = small_ids()
    for network in (deepfm, fm, dnn):
        network.eval()
    torch.testing.assert_close(deepfm(ids), fm(ids) + dnn(ids))


DEEP_PARTS: dict[str, dict[str, Any]] = {"deepfm": {"hidden_units": (8,)}, "fm": {}, "dnn": {"hidden_units": (8,)}}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_one_logit_a_row_and_trains_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network, ids = build(name, SMALL), small_ids()
    logits = network(ids)
    assert logits.shape == (16,)
    nn.functional.binary_cross_entropy_with_logits(logits, torch.randint(2, (16,)).float()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.eval()(ids[:1]).shape == (1,)


@pytest.mark.parametrize("name", NETWORKS)
def test_patterns_of_layers_to_keep_name_real_modules(name: str) -> None:
    network = build(name, SMALL, **({"first_order": True} if name in ("dcn", "autoint") else {}))
    modules = [module for module, _ in network.named_modules()]
    assert all(any(fnmatchcase(module, pattern) for module in modules) for pattern in network.keep_dense)


@pytest.mark.parametrize(
    ("name", "regularised"),
    [
        ("lr", {"first_order.weight", "bias"}),
        ("fm", {"first_order.weight", "embedding.weight", "bias"}),
        ("dnn", {"embedding.weight"}),
        ("deepfm", {"first_order.weight", "embedding.weight"}),
    ],
)
def test_regularisation_acts_on_everything_in_shallow_networks_and_on_tables_in_deep_ones(
    name: str, regularised: set[str]
) -> None:
    network = build(name, SMALL)
    chosen = {id(parameter) for parameter in network.regularised()}
    assert {key for key, parameter in network.named_parameters() if id(parameter) in chosen} == regularised


def test_equal_seeds_agree_and_others_differ() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build("deepfm", SMALL).parameters())

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_an_unknown_name_or_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(BenchmarkError, match="Did you mean 'deepfm'"):
        build("deepfn", SMALL)
    with pytest.raises(BenchmarkError, match="Did you mean 'hidden_units'"):
        build("deepfm", SMALL, hiden_units=(4,))
