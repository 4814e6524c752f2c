"""The fused form gives the logits of the network that it was made from, whatever has become of its factors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.ctr.task import CTR
from benchmarks.errors import BenchmarkError
from benchmarks.exporting import export
from benchmarks.models.ctr import fused as fused_form
from benchmarks.models.ctr.build import build
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.ctr.fused import FusedClickNetwork, Product, fuse
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear
from benchmarks.models.lowrank.surgery import embedding_units, linear_units, put_low_rank_table, replace_module
from benchmarks.models.lowrank.svd import svd_embedding, svd_linear
from benchmarks.models.mlp import MLP
from benchmarks.solver import NetworkSolver
from benchmarks.solver import build as build_solver_network
from benchmarks.trajectory.task import Trajectory

ROWS = (50, 2, 9, 2, 30)
"""Of each field; row 0 is that of values that training did not know."""
DIM, RANK = 6, 3
BATCHES = (1, 7, 256)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def ids_of(batch: int) -> torch.Tensor:
    """Ids of every field, the first and the last row among them."""
    ids = torch.stack([torch.randint(rows, (batch,)) for rows in ROWS], dim=1)
    ids[0] = 0
    ids[-1] = torch.tensor(ROWS) - 1
    return ids


def dense(name: str, **options: object) -> nn.Module:
    shape = {} if name == "lr" else {"embedding_dim": DIM}
    deep = {"hidden_units": (20, 24, 16), **options} if name in ("dnn", "deepfm") else {}
    return stirred(build(name, ROWS, std=1.0, **shape, **deep))


def low_rank(
    name: str, centred: bool = False, rank: int = RANK, layer: int = 4, inner: str | None = None, **options: object
) -> nn.Module:
    """A network whose table has rank `rank` and whose layers have rank `layer`, the first one and the last one included."""
    network = dense(name, **options)
    if name == "lr":
        return network
    replace_module(network, "embedding", LowRankFieldEmbedding(ROWS, DIM, rank, centred))
    for place, linear in linear_units(network).items():
        small = LowRankLinear(linear.in_features, linear.out_features, layer, inner=inner, inner_bias=centred)
        replace_module(network, place, small)
    return stirred(network)


def without_bias(network: nn.Module) -> nn.Module:
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
    return network


def truncated(name: str) -> nn.Module:
    """A network as `svd` leaves it before fine-tuning."""
    network = dense(name)
    for place, table in embedding_units(network, ("first_order",)).items():
        put_low_rank_table(network, place, svd_embedding(table).truncate(RANK))
    for place, linear in linear_units(network, network.keep_dense).items():
        replace_module(network, place, svd_linear(linear).truncate(4))
    return network.eval()


def stirred(network: nn.Module) -> nn.Module:
    """All parameters and running statistics drawn anew, so that no projection is orthonormal and nothing is zero."""
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            parameter.normal_(std=0.4)
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 2.0)
    return network.eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: dense(name) for name in ("lr", "fm", "dnn", "deepfm")},
    **{f"{name}, svd": lambda name=name: truncated(name) for name in ("fm", "dnn", "deepfm")},
    **{f"{name}, low rank": lambda name=name: low_rank(name) for name in ("fm", "dnn", "deepfm")},
    **{
        f"{name}, table of rank {rank}": lambda name=name, rank=rank: low_rank(name, True, rank=rank)
        for name in ("fm", "dnn", "deepfm")
        for rank in (1, 2, 4)
    },
    **{f"{name}, centred": lambda name=name: low_rank(name, centred=True) for name in ("fm", "dnn", "deepfm")},
    "no batch norm": lambda: low_rank("deepfm", batch_norm=False),
    "no hidden layer": lambda: low_rank("deepfm", hidden_units=()),
    "one hidden layer": lambda: low_rank("dnn", hidden_units=(8,)),
    "inner activation": lambda: low_rank("deepfm", centred=True, inner="relu"),
    "no bias anywhere": lambda: without_bias(low_rank("deepfm", batch_norm=False)),
    "ranks that do not pay": lambda: low_rank("deepfm", centred=True, layer=40),
    "float64": lambda: low_rank("deepfm", centred=True).double(),
    "float64, dense": lambda: dense("dnn", batch_norm=False).double(),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_the_network_for_any_batch(name: str) -> None:
    network = NETWORKS[name]()
    fused, scale = fuse(network), network(ids_of(256)).abs().max().item()
    tolerance = (1e-13 if name.startswith("float64") else 1e-5) * scale
    for batch in BATCHES:
        ids = ids_of(batch)
        for kind in (torch.int16, torch.int32, torch.int64):
            torch.testing.assert_close(fused(ids.to(kind)), network(ids), rtol=0, atol=tolerance)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_batch_in_blocks_is_answered_in_its_order(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, ids = low_rank("deepfm", centred=True).double(), ids_of(batch)
    monkeypatch.setattr(fused_form, "BLOCK", 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    torch.testing.assert_close(fuse(network)(ids), network(ids))


def test_a_factorisation_machine_is_the_sum_over_all_pairs_of_fields() -> None:
    network, ids = low_rank("fm", centred=True).double(), ids_of(7)
    offsets = [sum(ROWS[:field]) for field in range(len(ROWS))]
    embedding, expected = network.embedding, []
    for sample in ids:
        places = [offset + row for offset, row in zip(offsets, sample.tolist(), strict=True)]
        rows = [
            embedding.z.weight[place] @ embedding.projection[field] + embedding.mean[field]
            for field, place in enumerate(places)
        ]
        first_order = sum(network.first_order.weight[place, 0] for place in places)
        expected.append(network.bias[0] + first_order + sum(one @ two for one, two in combinations(rows, 2)))
    torch.testing.assert_close(fuse(network)(ids), torch.stack(expected))


@pytest.mark.parametrize("name", ["lr", "deepfm", "deepfm, centred", "float64", "float64, dense"])
def test_the_network_stays_as_it_is_and_its_fused_form_neither_trains_nor_shares_memory(name: str) -> None:
    network, ids = NETWORKS[name](), ids_of(7)
    before = copy.deepcopy(network.state_dict())
    fused = fuse(network.train())
    assert network.training
    assert not fused.training
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    logits = fused(ids)
    stirred(network)
    assert torch.equal(fused(ids), logits)


def test_answers_need_no_context_without_gradients() -> None:
    with torch.inference_mode(False), torch.no_grad():
        network = low_rank("deepfm")
    with torch.inference_mode(False):
        assert not fuse(network)(ids_of(7)).requires_grad


def test_nothing_is_left_of_normalisation_and_dropout() -> None:
    kinds = {type(module) for module in fuse(low_rank("deepfm", dropout=0.5)).modules()}
    assert kinds <= {FusedClickNetwork, Product, nn.Sequential, nn.ReLU}


def test_other_activations_are_kept() -> None:
    network, ids = dense("dnn"), ids_of(256)
    replace_module(network, "mlp", stirred(MLP(len(ROWS) * DIM, (8, 8), act_layer=nn.PReLU)))
    torch.testing.assert_close(fuse(network)(ids), network(ids))


def test_tables_keep_their_rank_beside_one_scalar() -> None:
    assert fuse(dense("lr")).table.shape == (sum(ROWS), 1)
    assert fuse(dense("dnn")).table.shape == (sum(ROWS), DIM)
    assert fuse(dense("deepfm")).table.shape == (sum(ROWS), DIM + 1)
    assert fuse(low_rank("deepfm", rank=4)).table.shape == (sum(ROWS), 5)


def test_rows_of_three_numbers_are_filled_up_to_four() -> None:
    assert fuse(low_rank("dnn", rank=3)).table.shape == (sum(ROWS), 4)
    assert fuse(low_rank("deepfm", rank=2)).table.shape == (sum(ROWS), 4)
    assert fuse(low_rank("deepfm", rank=2).double()).table.shape == (sum(ROWS), 3)


def test_layers_stay_factorised_where_that_is_smaller() -> None:
    def shapes(layer: int) -> list[tuple[int, ...]]:
        rest = fuse(low_rank("dnn", layer=layer)).rest
        return [tuple(module.weight.shape) for module in rest if isinstance(module, Product)]

    # 20 and 24, 24 and 16 pay up to a rank of 10 and 9; one output never does.
    assert shapes(4) == [(20, 4), (4, 20), (24, 4), (4, 24), (16, 4), (1, 16)]
    assert shapes(10) == [(10, 20), (24, 10), (16, 24), (1, 16)]
    assert shapes(11) == [(24, 20), (16, 24), (1, 16)]


@pytest.mark.parametrize("name", ["lr", "dnn", "deepfm, centred"])
def test_a_program_of_the_fused_form_takes_any_batch(name: str) -> None:
    with torch.inference_mode(False), torch.no_grad():
        fused = fuse(NETWORKS[name]())
        dynamic = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.export.export(fused, (ids_of(6),), dynamic_shapes=dynamic, strict=True).module()
        for batch in BATCHES:
            ids = ids_of(batch)
            torch.testing.assert_close(program(ids), fused(ids))


def test_a_click_network_is_exported_in_its_fused_form(tmp_path: Path) -> None:
    with torch.inference_mode(False), torch.no_grad():
        schema = {"cardinalities": list(ROWS), "fields": [f"field {field}" for field in range(len(ROWS))]}
        task = CTR()
        settings = {"embedding_dim": DIM, "hidden_units": [8, 8], "regularizer": 0.0}
        network = stirred(build_solver_network(task, "deepfm", settings, schema))
        export(NetworkSolver(task, network, schema), tmp_path / "network.pt2")
        program = torch.export.load(tmp_path / "network.pt2").module()
        assert {tuple(value.shape) for value in program.state_dict().values()} >= {(sum(ROWS), DIM + 1)}
        ids = ids_of(40).to(torch.int32)
        torch.testing.assert_close(program(ids=ids)["prediction"], torch.sigmoid(network(ids)), rtol=0, atol=1e-5)


class Wider(DeepFM):
    """A model of somebody else's, which may compute what it likes."""


def without_statistics() -> nn.Module:
    network = dense("dnn")
    network.mlp.hidden[0].norm = nn.BatchNorm1d(20, track_running_stats=False)
    return network


def replaced(name: str, module: nn.Module) -> nn.Module:
    network = dense("deepfm")
    replace_module(network, name, module)
    return network


@pytest.mark.parametrize(
    ("network", "what"),
    [
        (lambda: Wider(ROWS), "network has no fused form: Wider"),
        (lambda: nn.Linear(3, 1), "network has no fused form: Linear"),
        (without_statistics, "normalisation has no fused form: BatchNorm1d"),
        (lambda: replaced("embedding", nn.Embedding(93, DIM)), "table has no fused form: Embedding"),
        (lambda: replaced("mlp.hidden.1.linear", nn.Bilinear(2, 2, 2)), "layer has no fused form: Bilinear"),
        (lambda: replaced("mlp", nn.Identity()), "MLP has no fused form: Identity"),
    ],
    ids=["a subclass", "no click network", "norm", "table", "layer", "mlp"],
)
def test_what_has_no_fused_form_is_refused_by_name_and_leaves_as_it_is(
    network: Callable[[], nn.Module], what: str
) -> None:
    made = network()
    with pytest.raises(BenchmarkError, match=what):
        fuse(made)
    assert CTR().exported(made) is made


def test_a_task_without_a_form_of_its_own_hands_out_the_network() -> None:
    network = nn.Linear(3, 1)
    assert Trajectory().exported(network) is network


def of_bytes(name: str) -> nn.Module:
    """A network whose tables are int8, the embedding of low rank where the network has one."""
    network = dense(name)
    if name != "lr":
        factors = svd_embedding(network.embedding).truncate(RANK)
        put_low_rank_table(network, "embedding", factors)
        replace_module(network, "embedding.z", Int8FieldEmbedding.of(factors.z))
    for place, table in embedding_units(network).items():
        replace_module(network, place, Int8FieldEmbedding.of(table))
    return network.eval()


@pytest.mark.parametrize("name", ["lr", "fm", "dnn", "deepfm"])
def test_rows_of_bytes_stay_bytes_and_answer_alike(name: str) -> None:
    network = of_bytes(name)
    fused = fuse(network)
    for batch in BATCHES:
        ids = ids_of(batch)
        torch.testing.assert_close(fused(ids), network(ids), rtol=1e-5, atol=1e-5)
    assert (fused.table.dtype is torch.int8) == (name != "lr")


def test_plain_int8_tables_have_a_fused_form() -> None:
    network = dense("deepfm")
    for place, table in embedding_units(network).items():
        replace_module(network, place, Int8FieldEmbedding.of(table))
    ids = ids_of(64)
    torch.testing.assert_close(fuse(network.eval())(ids), network(ids), rtol=1e-5, atol=1e-5)
