"""Latency: fresh samples, no gradients, sizes and forms in turn, and few calls of what is slow."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import profiling
from benchmarks.datasets.bundle import Split
from benchmarks.profiling import latency, profile
from benchmarks.solver import NetworkSolver
from plain_task import Plain, Watched, rows


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


def test_targets_are_not_among_the_inputs_that_are_timed(hurried: None, tmp_path: Path) -> None:
    split = rows(4)
    labelled = Split({**split.columns, "y": np.zeros(100, np.float32)}, split.ids, split.units)
    cost = profile(NetworkSolver(Plain(), nn.Linear(4, 1), {}), labelled, Plain(), tmp_path, memory=False)
    assert cost.flops is not None
    assert "y" not in cost.flops.input_shape


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
