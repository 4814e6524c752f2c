"""Cost: parameters by storage, operations against the hand count, and a profile that adds up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import profiling
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import Split
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.fft_conv import FFTConv2d
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankLinear
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.models.size import stored_constants, unique_parameters
from benchmarks.profiling import count_flops, profile
from benchmarks.solver import NetworkSolver, build
from benchmarks.task import Batch, Outputs
from plain_task import Plain, Watched, rows


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
