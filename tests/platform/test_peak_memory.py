"""Peak memory: of a fresh process, or of a device less what others hold there."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import Split
from benchmarks.profiling import device_memory, peak_memory
from benchmarks.solver import NetworkSolver, build
from plain_task import Plain, rows, saved


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


def test_a_probe_that_takes_too_long_is_a_missing_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.profiling.PROBE_SECONDS", 0.01)
    split = Split({"ids": np.zeros((4, 2), np.int32)}, np.arange(4), np.arange(4))
    assert peak_memory(CTR(), tmp_path, 4, split) is None
    assert not list(tmp_path.iterdir())
