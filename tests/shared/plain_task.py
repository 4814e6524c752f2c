"""A task of nothing but rows through a network, and solvers to profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.datasets.bundle import Split
from benchmarks.solver import NetworkSolver, Solver
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


class Watched(Solver):
    """Writes down the batches that it is asked for."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []

    def predict(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.batches.append(batch["x"])
        return {"prediction": batch["x"][:, 0]}

    def save(self, folder: Path) -> None:
        (folder / "solver.txt").touch()


def saved(folder: Path) -> NetworkSolver:
    network = nn.Linear(4, 1)
    network.built_from = {"model": "plain", "settings": {}}  # type: ignore[assignment]
    solver = NetworkSolver(Plain(), network, {})
    solver.save(folder)
    return solver
