"""Methods with smaller tables: what they leave alone, what they refuse before training, and what they store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.lowrank.hashing import HashFieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding
from benchmarks.models.lowrank.quotient import QRFieldEmbedding
from benchmarks.models.lowrank.tensor_train import TTFieldEmbedding
from benchmarks.runner import load_method, load_task
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench

CARDINALITIES = [1200, 2000, 30, 4]
FIELDS = ["user", "item", "hour", "device"]
WORDS = ("task=ctr", "scale=smoke")
SMALL = ("model.embedding_dim=8", "model.hidden_units=[16,16]")


def bench(*words: str) -> Bench:
    """The bench of a run on fields of these sizes; there is nothing to train on."""
    spec = RunSpec.of([*WORDS, *(() if "model=lr" in words else SMALL), *words])
    none = Split({"ids": np.zeros((0, 4), np.int32), "label": np.zeros(0, np.float32)}, np.arange(0), np.arange(0))
    schema = {"fields": FIELDS, "cardinalities": CARDINALITIES}
    fold = Fold("all", TrainingData(none, none, schema), none)
    return Bench(spec, load_task(spec), fold, Path(), lambda: ("", Path()))


def built(*words: str) -> nn.Module:
    """The network that a method would train, or that it makes of a base."""
    made = bench(*words)
    method = load_method(made.spec)
    method.check(made)
    return method.build(made) if hasattr(method, "build") else method.compress(made.fresh(), made)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_hash_keeps_the_share_of_large_fields_and_all_rows_of_small_ones() -> None:
    table = built("method=hash", "method.share=0.1").embedding
    assert isinstance(table, HashFieldEmbedding)
    assert table.shared.cardinalities == (120, 200, 30, 4)


def test_qr_has_remainders_of_the_share_and_the_quotients_that_these_need() -> None:
    table = built("method=qr", "method.share=0.1", "method.operation=add").embedding
    assert isinstance(table, QRFieldEmbedding)
    assert table.operation == "add"
    assert table.remainder.cardinalities == (120, 200, 30, 4)
    assert table.quotient.cardinalities == (10, 10)


@pytest.mark.parametrize("method", ["tt", "tt_svd"])
def test_tt_decomposes_large_fields_alone(method: str) -> None:
    table = built(f"method={method}", "method.rank=6", "method.cores=2", "method.min_rows=1500").embedding
    assert isinstance(table, TTFieldEmbedding)
    assert table.ranks == (None, 6, None, None)
    assert [len(train.cores) for train in table.trains.values()] == [2]


@pytest.mark.parametrize("method", ["hash", "qr", "tt", "tt_svd", "svd_int8"])
def test_first_layers_and_first_order_tables_are_as_in_the_base(method: str) -> None:
    small, base = built(f"method={method}"), built("method=none")
    assert isinstance(small, DeepFM)
    assert isinstance(base, DeepFM)
    assert parameters(small) < parameters(base)
    if method != "svd_int8":
        assert parameters(small.mlp) == parameters(base.mlp)
        assert torch.equal(small.first_order.weight, base.first_order.weight)


@pytest.mark.parametrize("method", ["hash", "qr", "tt"])
def test_small_tables_start_as_wide_as_those_of_the_base(method: str) -> None:
    small, base = built(f"method={method}"), built("method=none")
    ids = torch.stack([torch.randint(rows, (2000,)) for rows in CARDINALITIES], dim=1)
    assert small.embedding(ids).std().item() == pytest.approx(base.embedding(ids).std().item(), rel=0.25)


def test_int8_rounds_every_table() -> None:
    network = built("method=int8")
    kinds = {name: type(module) for name, module in network.named_children() if name != "mlp"}
    assert kinds == {"first_order": Int8FieldEmbedding, "embedding": Int8FieldEmbedding}
    assert network.first_order.scales == "field"
    assert network.embedding.scales == "row"


def test_int8_takes_networks_that_are_all_tables() -> None:
    network = built("model=lr", "method=int8")
    assert [name for name, _ in network.named_parameters()] == ["bias"]


def test_svd_int8_has_int8_rows_before_a_float_projection() -> None:
    network = built("method=svd_int8", "method.rank=3")
    table = network.embedding
    assert isinstance(table, LowRankFieldEmbedding)
    assert isinstance(table.z, Int8FieldEmbedding)
    assert table.z.rows.shape == (sum(CARDINALITIES), 3)
    assert table.projection.dtype is torch.float32
    assert isinstance(network.first_order, Int8FieldEmbedding)


def test_svd_int8_at_a_rank_that_plain_int8_beats_says_so() -> None:
    made = bench("method=svd_int8", "method.rank=8")
    load_method(made.spec).check(made)
    assert any("no smaller than in plain int8" in note for note in made.notes)


def test_pruning_keeps_the_largest_share_of_hidden_weights() -> None:
    torch.manual_seed(0)
    base, network = built("method=none"), built("method=prune", "method.keep=0.1")
    for layer in range(1, len(base.mlp.hidden)):
        dense, pruned = base.mlp.hidden[layer].linear.weight, network.mlp.hidden[layer].linear.dense()
        assert int((pruned != 0).sum()) == round(0.1 * dense.numel())
        assert torch.equal(pruned[pruned != 0], dense[pruned != 0])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["method=hash", "method.min_rows=5000"], "the largest, item, has 2,000. Type method.min_rows=2000"),
        (["method=tt_svd", "method.min_rows=5000"], "No field has method.min_rows=5,000 rows or more"),
        (["method=qr", "method.share=0.0005"], "does not make the table of user smaller: it has 1,200 rows"),
        (["method=qr", "method.share=0.999"], "Shares from 0.0017 to 0.9975 pay"),
        (["method=tt", "method.rank=500"], "the largest rank that pays is"),
        (["method=tt_svd", "method.rank=500"], "the table of user smaller: it has 9,600 parameters dense"),
        (["method=svd_int8", "method.rank=9"], "the largest rank that pays is 8. Type method.rank=8 or less"),
        (["method=prune", "method.keep=0.98"], "Shares up to 0.96 pay"),
        (["method=hash", "method.share=1"], "method.share=1"),
        (["method=tt", "method.cores=1"], "method.cores=1"),
        (["method=qr", "method.operation=concat"], "method.operation=concat"),
        (["method=hash", "method.min_rows=1"], "method.min_rows=1"),
    ],
)
def test_settings_that_make_nothing_smaller_are_refused_before_training(words: list[str], told: str) -> None:
    with pytest.raises(BenchmarkError) as error:
        built(*words)
    assert told in str(error.value)


@pytest.mark.parametrize("method", ["hash", "qr", "tt", "tt_svd", "svd_int8"])
def test_a_model_without_an_embedding_is_refused(method: str) -> None:
    with pytest.raises(BenchmarkError, match=r"no embedding table that may be compressed: LogisticRegression"):
        built("model=lr", f"method={method}")


@pytest.mark.parametrize(("share", "pays"), [(2 / 1200, True), (1197 / 1200, True), (1 / 1200, False)])
def test_the_shares_that_a_refusal_names_are_the_first_and_last_that_pay(share: float, pays: bool) -> None:
    words = ("method=qr", f"method.share={share + 1e-6}")
    if pays:
        assert parameters(built(*words)) < parameters(built("method=none"))
    else:
        with pytest.raises(BenchmarkError, match="does not make the table of user smaller"):
            built(*words)
