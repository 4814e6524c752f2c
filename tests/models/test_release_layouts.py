"""Parameter counts of the layouts that the authors of AFM released, dense and compressed as theirs.

Twenty-two fields of 100 + 7 i ids, 16 dimensions, three layers of 400; tables of rank 2, layers 2 and 3 of rank 64. The
counts were taken from the released classes. Where a network of ours adds several parts, each with a bias of its own, theirs
has one bias for all: `biases` are those that ours has beyond one.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.ctr.build import build
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear
from benchmarks.models.lowrank.surgery import linear_units, put_low_rank_table, replace_module
from benchmarks.models.size import unique_parameters

CARDINALITIES = [100 + 7 * field for field in range(22)]
DIM, TABLE_RANK, LAYER_RANK = 16, 2, 64
SHARED = {"embedding_dim": DIM, "hidden_units": (400, 400, 400), "batch_norm": False, "dropout": 0.0}
LAYOUTS = {
    "deepfm": ({}, 1),
    "dcn": ({"cross_layers": 2, "first_order": True}, 0),
    "autoint": (
        {"attention_layers": 3, "attention_dim": 16, "heads": 2, "layer_norm": False, "first_order": True,
         "project_residual": True}, 1,
    ),
    "fibinet": ({"reduction": 3, "bilinear": "field_interaction", "share_bilinear": False}, 0),
    "nfm": ({}, 0),
}  # fmt: skip


def network_of(name: str) -> nn.Module:
    with torch.device("meta"):
        return build(name, CARDINALITIES, **SHARED, **LAYOUTS[name][0])


def compressed(name: str, tables: bool = True, layers: bool = True) -> nn.Module:
    """As `afm` compresses it: centred tables, and a bias between the factors of a layer."""
    network = build(name, CARDINALITIES, **SHARED, **LAYOUTS[name][0])
    if tables:
        put_low_rank_table(network, "embedding", LowRankFieldEmbedding(CARDINALITIES, DIM, TABLE_RANK, centred=True))
    hidden = {unit: layer for unit, layer in linear_units(network, network.keep_dense).items() if "hidden" in unit}
    for unit, layer in (hidden if layers else {}).items():
        small = LowRankLinear(layer.in_features, layer.out_features, LAYER_RANK, inner_bias=True)
        replace_module(network, unit, small)
    return network


@pytest.mark.parametrize(
    ("name", "released"),
    [("deepfm", 527_290), ("dcn", 529_050), ("autoint", 530_714), ("fibinet", 3_461_870), ("nfm", 392_890)],
)
def test_dense(name: str, released: int) -> None:
    assert unique_parameters(network_of(name)) - LAYOUTS[name][1] == released


@pytest.mark.parametrize(
    ("name", "released"),
    [("deepfm", 134_236), ("dcn", 135_996), ("autoint", 137_660), ("fibinet", 3_192_016), ("nfm", 123_036)],
)
def test_tables_and_layers(name: str, released: int) -> None:
    assert unique_parameters(compressed(name)) - LAYOUTS[name][1] == released


def test_layers_alone_and_tables_alone() -> None:
    assert unique_parameters(compressed("deepfm", tables=False)) - 1 == 309_818
    assert unique_parameters(compressed("deepfm", layers=False)) - 1 == 351_708
