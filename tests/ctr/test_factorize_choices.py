"""Ranks by latency, and inputs measured behind layers that are compressed already."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.methods import factorize
from benchmarks.models.lowrank.layers import LowRankLinear
from benchmarks.runner import load_method, load_task
from benchmarks.spec import RunSpec
from benchmarks.task import tensors
from benchmarks.workbench import Bench

SMALL = ("task=ctr", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[64,64,64]")


def bench_of(*words: str) -> Bench:
    made = RunSpec.of([*SMALL, *words])
    fold = open_bundle(made.card.id, made.data_options, progress=False).folds[0]
    return Bench(made, load_task(made), fold, Path(), lambda: ("", Path()))


def compressed(*words: str) -> nn.Module:
    bench = bench_of(*words)
    network = bench.fresh().eval()
    with torch.no_grad():  # as trained: rows that differ, so that inputs of later layers do
        network.embedding.weight.normal_(generator=torch.Generator().manual_seed(0))
    return load_method(bench.spec).compress(network, bench)


def clock(
    monkeypatch: pytest.MonkeyPatch, network: int = 1000, dense: int = 400, fixed: int = 40, per_rank: int = 10
) -> None:
    """Times as a clock without noise would tell them: each of two layers takes `dense`, low rank `fixed + rank * per_rank`."""
    monkeypatch.setattr(factorize, "nanoseconds", lambda call: network)
    monkeypatch.setattr(
        factorize,
        "timed",
        lambda unit, layer, batch: factorize.replace(
            unit, dense_params=dense, fixed_params=fixed, params_per_rank=per_rank
        ),
    )


def ranks(network: nn.Module) -> list[int]:
    return [module.rank for module in network.modules() if isinstance(module, LowRankLinear)]


def test_ranks_fill_the_time_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    found = ranks(compressed("method=svd", "method.latency=0.5"))
    assert 200 + sum(40 + 10 * rank for rank in found) in range(491, 501)


def test_a_time_that_cannot_be_met_is_refused_with_what_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    bench = bench_of("method=afm", "method.latency=0.2")
    with pytest.raises(BenchmarkError, match=r"Type method\.latency=0\.31 or more"):
        load_method(bench.spec).check(bench)


def test_all_of_the_time_leaves_every_layer_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    assert ranks(compressed("method=svd", "method.latency=1")) == []


def test_a_real_clock_gives_a_plan_and_a_note() -> None:
    bench = bench_of(
        "method=svd", "method.latency=0.95", "method.latency_batch=4096", "model.hidden_units=[512,512,512]"
    )
    load_method(bench.spec).compress(bench.fresh(), bench)
    assert any("measured on the machine of this run" in note for note in bench.notes)


@pytest.mark.parametrize("words", [("method.budget=0.5",), ("method.targets=[linear,embedding]",)])
def test_latency_goes_with_linear_layers_alone(words: tuple[str, ...]) -> None:
    bench_words = ("method=svd", "method.latency=0.5", *words)
    with pytest.raises(BenchmarkError, match=r"method\.targets=\[linear\] method\.budget=null"):
        load_method(bench_of(*bench_words).spec)


def test_sequential_afm_measures_later_layers_behind_compressed_ones() -> None:
    words = ("method=afm", "method.rank=2")
    parallel, sequential = compressed(*words), compressed(*words, "method.sequential=true")
    first, second = ("mlp.hidden.1.linear", "mlp.hidden.2.linear")
    for name in ("down.weight", "up.weight"):
        assert torch.equal(parallel.get_parameter(f"{first}.{name}"), sequential.get_parameter(f"{first}.{name}"))
    assert not torch.equal(
        parallel.get_parameter(f"{second}.up.weight"), sequential.get_parameter(f"{second}.up.weight")
    )


def test_layers_are_taken_from_front_to_back_whatever_their_kind() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8, 8), nn.Unflatten(1, (8, 1, 1)), nn.Conv2d(8, 8, 1)
    )
    assert list(factorize.units_of(("linear",), network)[0]) == ["0", "2", "4"]


def test_a_sequential_layer_errs_less_on_the_inputs_that_it_gets() -> None:
    """AFM is optimal for the inputs that it was fitted on: those that really come are the better ones to fit on."""
    words, name = ("method=afm", "method.rank=2"), "mlp.hidden.2.linear"
    bench = bench_of(*words)
    dense = bench.fresh().eval()
    with torch.no_grad():
        dense.embedding.weight.normal_(generator=torch.Generator().manual_seed(0))
    sequential = compressed(*words, "method.sequential=true").eval()
    parallel = compressed(*words).eval()
    rows = [tensors(batch) for batch in bench.data.train.batches(4096)]
    inputs: list[torch.Tensor] = []
    sequential.get_submodule(name).register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        for batch in rows:
            sequential(batch["ids"])
        x = torch.cat(inputs)
        wanted = dense.get_submodule(name)(x)
        error = {
            kind: float((network.get_submodule(name)(x) - wanted).square().mean())
            for kind, network in (("sequential", sequential), ("parallel", parallel))
        }
    assert error["sequential"] < error["parallel"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("method.table_rank=3",), r"method\.table_rank=3 is about embedding units"),
        (
            ("method.targets=[embedding]", "method.table_rank=2", "method.rank=null", "method.inner_activation=relu"),
            "about linear",
        ),
        (("method.rank=null", "method.energy=1.0"), r"make none of .* smaller"),
    ],
)
def test_settings_without_effect_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        compressed("method=svd", *words)


def test_a_control_of_a_budget_chooses_its_own_widths() -> None:
    with pytest.raises(BenchmarkError, match="chooses the widths"):
        load_method(bench_of("method=small_dim", "method.budget=0.5", "method.hidden_units=[8]").spec)


def test_a_control_of_heads_takes_widths_that_they_share_evenly() -> None:
    for word in ("method.match_rank=16", "method.budget=0.9"):
        bench = bench_of("method=small_dim", "model=finalmlp", "model.hidden_units=[400,400]", word)
        (width,) = set(load_method(bench.spec).build(bench).built_from["settings"]["hidden_units"])
        assert width % 40 == 0
        assert 0 < width < 400


def test_a_budget_of_what_makes_nothing_smaller_is_refused() -> None:
    bench = bench_of("method=mixed_dim", "method.min_rows=100000", "method.budget=0.5")
    with pytest.raises(BenchmarkError, match="nothing in the network that it makes smaller"):
        load_method(bench.spec).check(bench)
