"""Cost: parameters by storage, operations against the hand count, latency without gradients, memory in a fresh process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import profiling
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import Split
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.fft_conv import FFTConv2d
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankLinear
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.models.size import stored_constants, unique_parameters
from benchmarks.profiling import count_flops, device_memory, latency, peak_memory, profile
from benchmarks.solver import NetworkSolver, Solver, build
from benchmarks.task import Batch, Outputs, Task


class Plain(Task):
    """`x` [batch, features] through a network."""

    metrics = ()
    unit = "rows"
    target_names = ("y",)
    latency_batches = (1, 8, 4096)

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return nn.Linear(4, 1)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        raise NotImplementedError

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        assert not torch.is_grad_enabled()
        assert "y" not in batch
        return {"prediction": network(batch["x"])}


def rows(features: int, n: int = 100) -> Split:
    x = np.random.default_rng(0).normal(size=(n, features)).astype(np.float32)
    return Split({"x": x}, np.arange(n), np.arange(n))


def flops(network: nn.Module, features: int, n: int = 100) -> int:
    return count_flops(NetworkSolver(Plain(), network, {}), rows(features, n), Plain()).value


class OfImages(Plain):
    """`x` [batch, channels, height, width] through a network."""

    latency_batches = (2,)


def test_fourier_transforms_and_complex_products_are_counted_under_a_convention_that_says_so() -> None:
    direct, fourier = (kind(3, 5, 17, padding=8, bias=False) for kind in (nn.Conv2d, same_by_fourier))
    images = Split({"x": np.zeros((2, 3, 40, 40), np.float32)}, np.arange(2), np.arange(2))
    plain, counted = (
        count_flops(NetworkSolver(OfImages(), network.eval(), {}), images, OfImages()) for network in (direct, fourier)
    )
    assert plain.value == 2 * 5 * 3 * 17**2 * 40**2
    assert "Fourier" not in plain.convention
    # One tile of 64 x 64 an image: 3 channels there, 8 real operations for each of 64 x 33 frequencies, 5 channels back.
    assert counted.value == 2.5 * 64**2 * 12 * (3 + 5) + 8 * 64 * 33 * 3 * 5
    assert counted.convention.startswith(plain.convention)
    assert "Fourier transforms" in counted.convention


def same_by_fourier(*args: int, padding: int, bias: bool) -> nn.Module:
    return FFTConv2d(*args, bias=bias)


def test_a_shared_tensor_counts_once() -> None:
    one, two = nn.Linear(5, 5, bias=False), nn.Linear(5, 5)
    network = nn.Sequential(one, two)
    assert unique_parameters(network) == 25 + 30
    two.weight = one.weight
    assert unique_parameters(network) == 25 + 5


def test_views_of_one_storage_count_as_the_parts_that_they_are() -> None:
    whole = torch.zeros(10)
    network = nn.Module()
    network.a, network.b = nn.Parameter(whole[:4]), nn.Parameter(whole[4:])
    assert unique_parameters(network) == 10


def test_frozen_parameters_are_stored_and_do_not_train() -> None:
    network = nn.Linear(5, 3)
    network.weight.requires_grad_(False)
    assert (unique_parameters(network), unique_parameters(network, trainable=True)) == (18, 3)


def test_operations_of_a_linear_layer_are_two_a_weight() -> None:
    assert flops(nn.Linear(512, 512), 512) == 2 * 512 * 512


@pytest.mark.parametrize("rank", [1, 32])
def test_operations_of_a_factorised_layer_are_two_a_weight_of_both_factors(rank: int) -> None:
    assert flops(LowRankLinear(512, 512, rank), 512) == 2 * 2 * 512 * rank


def test_operations_are_of_one_sample_however_few_there_are() -> None:
    assert flops(nn.Linear(8, 3), 8, n=1) == flops(nn.Linear(8, 3), 8, n=5) == 2 * 8 * 3


def test_operations_that_no_counter_sees_are_the_tasks_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plain, "analytic_flops", lambda *_: 1000)
    assert flops(nn.Linear(8, 3), 8) == 1000 + 2 * 8 * 3


class Watched(Solver):
    """Writes down the batches that it is asked for."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []

    def predict(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.batches.append(batch["x"])
        return {"prediction": batch["x"][:, 0]}

    def save(self, folder: Path) -> None:
        (folder / "solver.txt").touch()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(profiling, "MEASURE_SECONDS", 0.0)


def test_percentiles_of_latency_are_in_order(hurried: None) -> None:
    found = latency(Watched(), rows(4), 8)
    assert 0 < found.p10 <= found.median <= found.p90
    assert (found.batch, found.repeats) == (8, profiling.MIN_CALLS)
    assert found.threads == torch.get_num_threads()


def test_sizes_and_forms_take_turns_in_blocks_that_hold_all_calls(hurried: None, tmp_path: Path) -> None:
    solver = Watched()
    cost = profile(solver, rows(4), Plain(), tmp_path, memory=False)
    timed = [len(batch) for batch in solver.batches][-2 * profiling.MIN_CALLS :]
    changes = sum(a != b for a, b in pairwise(timed))
    assert changes == 2 * profiling.ROUNDS - 1
    for found in cost.latency_ms:
        assert len(found.blocks) == profiling.ROUNDS
        assert found.session == profiling.SESSION
        assert (
            min(block.median for block in found.blocks) <= found.median <= max(block.median for block in found.blocks)
        )
    first, second = ([block.at for block in found.blocks] for found in cost.latency_ms)
    merged = [at for both in zip(first, second, strict=True) for at in both]
    assert merged == sorted(merged)


def test_what_takes_too_long_is_not_asked_in_every_block(hurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Slow(Watched):
        def predict(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            clock[0] += 10.0
            return super().predict(batch)

    monkeypatch.setattr(profiling.time, "perf_counter", lambda: clock[0])
    solver = Slow()
    found = latency(solver, rows(4), 8)
    assert profiling.FEWEST <= found.repeats <= 2 * profiling.FEWEST
    assert len(solver.batches) <= 4 * profiling.FEWEST
    assert found.median == pytest.approx(10_000)


def test_latency_is_taken_on_fresh_samples(hurried: None) -> None:
    solver = Watched()
    latency(solver, rows(4), 8)
    timed = solver.batches[-profiling.MIN_CALLS :]
    assert len({batch.tobytes() for batch in timed}) == len(timed)
    assert {len(batch) for batch in solver.batches} == {8}


def test_latency_of_a_network_is_taken_without_gradients(hurried: None) -> None:
    network = nn.Linear(4, 1).train()
    latency(NetworkSolver(Plain(), network, {}), rows(4), 8)  # Plain.predict refuses gradients
    assert not network.training
    assert network.weight.grad is None


def test_batches_larger_than_the_data_are_not_timed(hurried: None, tmp_path: Path) -> None:
    solver = NetworkSolver(Plain(), nn.Linear(4, 1), {})
    cost = profile(solver, rows(4), Plain(), tmp_path, memory=False)
    assert [found.batch for found in cost.latency_ms] == [1, 8]
    assert cost.throughput == pytest.approx(1000 * 8 / cost.latency_ms[-1].median)


def test_a_form_of_its_own_is_timed_after_the_network(
    hurried: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, quick = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)), nn.Linear(4, 1)
    calls: list[int] = []
    quick.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    monkeypatch.setattr(Plain, "exported", lambda *_: quick)
    cost = profile(NetworkSolver(Plain(), network, {}), rows(4), Plain(), tmp_path, memory=False)
    found = [(timed.form, timed.batch) for timed in cost.latency_ms]
    assert found == [("eager", 1), ("eager", 8), ("fused", 1), ("fused", 8)]
    assert set(calls) == {1, 8}
    assert cost.params_total == 25
    assert cost.throughput == pytest.approx(1000 * 8 / cost.latency_ms[1].median)


def test_a_profile_adds_up(hurried: None, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    network.built_from = {"model": "plain", "settings": {}}  # type: ignore[assignment]
    solver = NetworkSolver(Plain(), network, {})
    solver.save(tmp_path)
    cost = profile(solver, rows(4), Plain(), tmp_path, memory=False)
    assert cost.params_total == cost.params_stored == sum(cost.parts.values()) == 15 + 4
    assert cost.parts == {"0": 15, "1": 4}
    assert cost.bytes_stored == (tmp_path / "weights.safetensors").stat().st_size
    assert cost.bytes_stored >= 4 * 19
    assert cost.peak_mem is None


def test_rows_of_bytes_are_stored_numbers_and_counted_in_bytes_on_disk(hurried: None, tmp_path: Path) -> None:
    task, settings = CTR(), {"embedding_dim": 8, "regularizer": 0.0}
    schema = {"cardinalities": [500, 300]}
    ids = np.zeros((4, 2), np.int32)
    split = Split({"ids": ids}, np.arange(4), np.arange(4))
    costs = {}
    for name in ("dense", "int8"):
        network = build(task, "fm", settings, schema)
        if name == "int8":
            replace_module(network, "embedding", Int8FieldEmbedding.of(network.embedding))
        solver = NetworkSolver(task, network, schema)
        solver.save(tmp_path / name)
        costs[name] = profile(solver, split, task, tmp_path / name, memory=False)
    dense, small = costs["dense"], costs["int8"]
    assert dense.params_stored == dense.params_total == 800 * (8 + 1) + 1
    assert small.params_total == 800 + 1
    assert small.params_stored == dense.params_stored + 800  # a scale a row
    assert small.parts == {"first_order": 800, "embedding": 800 * 9}
    assert small.bytes_stored is not None
    assert small.bytes_stored == pytest.approx(800 * (8 + 4) + 4 * 801, abs=1000)  # the file's header


def test_counters_and_offsets_are_not_among_the_stored_numbers() -> None:
    network = nn.Sequential(nn.BatchNorm1d(4), FieldEmbedding((3, 2), 2))
    network.register_buffer("counter", torch.zeros(5, dtype=torch.int64))
    network.register_buffer("basis", torch.zeros(7))
    network.register_buffer("bitmap", torch.zeros(2, dtype=torch.uint8))
    network.register_buffer("derived", torch.zeros(9), persistent=False)
    assert stored_constants(network) == 7 + 2


def test_a_solver_without_a_network_has_a_speed_and_no_parameters(hurried: None, tmp_path: Path) -> None:
    cost = profile(Watched(), rows(4), Plain(), tmp_path, memory=False)
    assert cost.params_total is None
    assert cost.flops is None
    assert cost.latency_ms


def test_targets_are_not_among_the_inputs_that_are_timed(hurried: None, tmp_path: Path) -> None:
    split = rows(4)
    labelled = Split({**split.columns, "y": np.zeros(100, np.float32)}, split.ids, split.units)
    cost = profile(NetworkSolver(Plain(), nn.Linear(4, 1), {}), labelled, Plain(), tmp_path, memory=False)
    assert cost.flops is not None
    assert "y" not in cost.flops.input_shape


@pytest.mark.slow
def test_peak_memory_of_a_small_network_after_a_big_one_is_small(tmp_path: Path) -> None:
    """A process's high-water mark never falls, so both in one process would read alike."""
    found = {}
    ids = np.zeros((256, 2), np.int32)
    split = Split({"ids": ids}, np.arange(256), np.arange(256))
    for name, table in (("big", 1_000_000), ("small", 100)):
        task = CTR()
        settings = {"embedding_dim": 64, "regularizer": 0.0}
        network = build(task, "fm", settings, {"cardinalities": [table, 10]})
        folder = tmp_path / name
        NetworkSolver(task, network, {"cardinalities": [table, 10]}).save(folder)
        found[name] = peak_memory(task, folder, 256, split)
        assert not (folder / "probe.npz").exists()
    assert found["big"] is not None
    assert found["small"] is not None
    assert found["big"].bytes > 1_000_000 * 64 * 4
    assert found["small"].bytes < found["big"].bytes / 4


def saved(folder: Path) -> NetworkSolver:
    network = nn.Linear(4, 1)
    network.built_from = {"model": "plain", "settings": {}}  # type: ignore[assignment]
    solver = NetworkSolver(Plain(), network, {})
    solver.save(folder)
    return solver


@pytest.mark.parametrize("elsewhere", [0, 5_000_000])
def test_memory_that_others_hold_of_a_device_is_not_the_networks(
    elsewhere: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that counts what lies on it: what others hold, a network from the moment it is moved there, its answers."""
    held, most = [elsewhere], [0]

    def move(solver: NetworkSolver, device: torch.device) -> None:
        held[0] += 20
        most[0] = max(most[0], held[0] + 1000)  # only moving takes that

    def predict(solver: NetworkSolver, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        most[0] = max(most[0], held[0] + len(batch["x"]))
        return {}

    monkeypatch.setattr(NetworkSolver, "to", move)
    monkeypatch.setattr(NetworkSolver, "predict", predict)
    for name, does in {
        "empty_cache": lambda: None, "get_device_name": lambda: "a device", "memory_allocated": lambda: held[0],
        "reset_peak_memory_stats": lambda: most.__setitem__(0, held[0]), "max_memory_allocated": lambda: most[0],
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, does)
    saved(tmp_path)
    assert device_memory(Plain(), tmp_path, 8, rows(4)).bytes == 20 + 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
def test_peak_memory_of_a_device_does_not_depend_on_what_lies_there(tmp_path: Path) -> None:
    saved(tmp_path)
    device_memory(Plain(), tmp_path, 8, rows(4))  # a first product reserves room to work in
    alone = device_memory(Plain(), tmp_path, 8, rows(4)).bytes
    other = torch.zeros(50_000_000, device="cuda")
    beside = device_memory(Plain(), tmp_path, 8, rows(4)).bytes
    assert other.nbytes > beside == alone > 0


def test_a_probe_that_fails_is_a_missing_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    split = Split({"ids": np.zeros((4, 2), np.int32)}, np.arange(4), np.arange(4))
    assert peak_memory(CTR(), tmp_path, 4, split) is None
    assert not list(tmp_path.iterdir())


class OfGroups(Plain):
    """Groups of three samples, which make no sense in part."""

    whole_groups = True
    latency_batches = (1, 2, 40)

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        assert set(np.bincount(batch["group"].numpy()).tolist()) == {3}
        return super().predict(network, batch)


def test_a_task_of_whole_groups_is_timed_and_counted_by_the_group() -> None:
    x = np.zeros((12, 4), np.float32)
    split = Split({"x": x}, np.arange(12), np.arange(12), groups=np.repeat(np.arange(4), 3))
    solver = NetworkSolver(OfGroups(), nn.Linear(4, 1), {})
    assert [each.batch for each in profiling.in_turns(profiling.timers_of(solver, split, solver.task))] == [1, 2]
    assert count_flops(solver, split, solver.task).value == 3 * 2 * 4


def test_what_torch_does_not_compute_is_not_counted(tmp_path: Path) -> None:
    network = nn.Linear(4, 1)
    network.counted = False
    assert profile(NetworkSolver(Plain(), network, {}), rows(4), Plain(), tmp_path).flops is None


def test_what_is_slow_is_asked_once_where_it_is_timed_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "PATIENCE", 0.0)
    solver = NetworkSolver(Plain(), nn.Linear(4, 1), {})
    brief, fast = (profiling.latency(solver, rows(4), 1, share=share) for share in (profiling.BRIEF, 1.0))
    assert (brief.repeats, fast.repeats) == (1, profiling.FEWEST)


def test_what_is_brief_times_a_few_calls_and_counts_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(profiling, "MEASURE_SECONDS", 0.0)
    solver = NetworkSolver(Plain(), nn.Linear(4, 1), {})
    brief, fast = (profile(solver, rows(4), Plain(), tmp_path, share=share) for share in (profiling.BRIEF, 1.0))
    assert [each.repeats for each in fast.latency_ms] == [profiling.MIN_CALLS] * 2
    assert all(0 < each.repeats < profiling.MIN_CALLS / 2 for each in brief.latency_ms)
    assert (brief.params_total, brief.flops) == (fast.params_total, fast.flops)
