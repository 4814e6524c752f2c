"""The smallest task: a line through points, trained by the suite's own loop under a judge that says what it is told to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.epochs import History
from benchmarks.metric import Metric, Statistic
from benchmarks.settings import Trainer
from benchmarks.task import Batch, Outputs, Task
from benchmarks.trainer import fit

N = 64


def undefined(_: object) -> Statistic:
    return Statistic(lambda _: math.nan, 0)


class Line(Task):
    """Points [batch, 3] in, a number out; it writes down what it was trained on."""

    metrics = (Metric("gain", 1, "", "max", "pooled", undefined, "what the script says"),)
    unit = "points"
    target_names = ("y",)

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[float]] = []

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return nn.Linear(3, 1)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        self.batches.append(batch["y"].tolist())
        return mse_loss(network(batch["x"])[:, 0], batch["y"])

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        return {"prediction": network(batch["x"])[:, 0]}


def points(seed: int = 0) -> TrainingData:
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, 3)).astype(np.float32)
    y = (x @ np.array([1, -2, 3], np.float32) + random.normal(0, 0.1, N)).astype(np.float32)
    split = Split({"x": x, "y": y}, np.arange(N), np.arange(N))
    return TrainingData(split, split.take(slice(0, 8)), {})


def plan(**changes: object) -> dict[str, Any]:
    """A short plan; what is not named is the default of the settings."""
    settings = dataclasses.asdict(Trainer())
    plain = {key: value.value if isinstance(value, Enum) else value for key, value in settings.items()}
    quiet = {"progress": False, "accelerator": "cpu", "max_epochs": 3, "batch_size": 16, "learning_rate": 0.01}
    assert changes.keys() <= plain.keys() | {"max_steps"}
    return plain | quiet | changes


def line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


class Script:
    """A judge that says what it is told to and keeps the weights that it was shown."""

    def __init__(self, *scores: float) -> None:
        self.scores = iter(scores)
        self.shown: list[dict[str, Tensor]] = []

    def __call__(self, network: nn.Module) -> float:
        self.shown.append({name: value.detach().clone() for name, value in network.state_dict().items()})
        return next(self.scores)


def rising() -> Script:
    return Script(*range(1, 100))


def train(network: nn.Module, judge: Callable[[nn.Module], float], task: Task | None = None, seed: int = 0,
          checkpoints: Path | None = None, **changes: object) -> History:  # fmt: skip
    return fit(
        network, task or Line(), points(), plan(**changes), seed=seed, judge=judge, title="", checkpoints=checkpoints
    )


def rates(history: History) -> list[float]:
    return [row["lr"] for row in history.rows]
