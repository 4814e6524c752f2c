"""Trainings of tiny networks that `test_sharding.py` compares, in its own process and, run as a program, in two.

`python sharded_training.py STRATEGY FOLDER` leaves what each process has in the end as FOLDER/STRATEGY-RANK.pt.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from benchmarks import trainer
from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.epochs import History
from benchmarks.metric import Metric, Statistic
from benchmarks.models.lowrank.shrinkage import ShrunkUpdate
from benchmarks.models.lowrank.update import LowRankUpdate, attach
from benchmarks.settings import Trainer
from benchmarks.task import Batch, Outputs, Task

N = 64


class Block(nn.Module):
    """Several layers in a residual, so that it is gathered by itself; first axes of 5 and 3, which two do not divide."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(3, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.tanh(self.up(x)))


class Net(nn.Module):
    """Blocks in a row, and an answer of one number whose parameters only one of two processes can hold."""

    always_trained = ("out.*",)

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = nn.BatchNorm1d(3) if norm else nn.Identity()
        self.out = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x))


class Viewed(Block):
    """Its answer is a view."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).view(-1, 3)


class Overwriting(Net):
    """Writes into the answers of its blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Viewed() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
            x += 0.1
        return self.out(x)


class Points(Task):
    """Points [batch, 3] in, a number out."""

    metrics = (Metric("gain", 1, "", "max", "pooled", lambda _: Statistic(lambda _: math.nan, 0), ""),)
    unit = "points"
    target_names = ("y",)

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return Net()

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return mse_loss(network(batch["x"]).float()[:, 0], batch["y"])

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        return {"prediction": network(batch["x"])[:, 0]}


def points() -> TrainingData:
    random = np.random.default_rng(0)
    x = random.normal(size=(N, 3)).astype(np.float32)
    y = (x @ np.array([1, -2, 3], np.float32) + x[:, 0] * x[:, 1]).astype(np.float32)
    split = Split({"x": x, "y": y}, np.arange(N), np.arange(N))
    return TrainingData(split, split.take(slice(0, 33)), {})


def layers(network: Net) -> dict[str, nn.Linear | nn.Conv2d]:
    return {"up": network.blocks[0].up, "down": network.blocks[1].down}  # type: ignore[dict-item, union-attr]


def plain() -> Net:
    torch.manual_seed(0)
    return Net()


def normed() -> Net:
    torch.manual_seed(0)
    return Net(norm=True)


def overwriting() -> Net:
    torch.manual_seed(0)
    return Overwriting()


def tied() -> Net:
    """Its two blocks share a weight, so that neither can be gathered by itself."""
    network = plain()
    one, other = network.blocks
    one.up.weight = other.up.weight  # type: ignore[union-attr]
    return network


def adapted() -> Net:
    """Frozen but for low-rank updates and the answer."""
    network = plain()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("out."))
    attach(layers(network), lambda _, weight: LowRankUpdate(weight, 2, 1.0))
    return network


def shrunk() -> Net:
    """Its updates are shrunk after each step, which needs all of their numbers."""
    network = plain()
    attach(layers(network), lambda _, weight: ShrunkUpdate(weight, 7))
    return network


class Case(NamedTuple):
    """A network and what its training has of its own."""

    network: Callable[[], Net]
    changes: dict[str, Any]


CASES = {
    "clipped": Case(plain, {"optimizer": "adamw", "weight_decay": 0.1, "gradient_clip": 0.5}),
    "averaged": Case(plain, {"ema_decay": 0.5, "schedule": "cosine"}),
    "accumulated": Case(plain, {"optimizer": "sgd", "accumulate": 2, "learning_rate": 0.05}),
    "tied": Case(tied, {}),
    "overwriting": Case(overwriting, {}),
    "adapted": Case(adapted, {"head_learning_rate": 0.002}),
    "shrunk": Case(shrunk, {}),
    "mixed": Case(plain, {"precision": "bf16-mixed", "optimizer": "sgd"}),
    "normed": Case(normed, {"optimizer": "sgd"}),
}
RESUMED = Case(adapted, {"ema_decay": 0.5, "head_learning_rate": 0.002, "gradient_clip": 0.5})
"""What a checkpoint has most of: frozen parameters, two groups of an optimiser, an average."""


def judge(network: nn.Module) -> float:
    """Minus the mean squared error on validation."""
    batch = points().val.columns
    with torch.inference_mode():
        answer = network(torch.from_numpy(batch["x"]))
    return -float(mse_loss(answer[:, 0], torch.from_numpy(batch["y"])))


def train(case: Case, checkpoints: Path | None = None, **changes: Any) -> tuple[Net, History]:
    settings = dataclasses.asdict(Trainer())
    plan = {key: value.value if isinstance(value, Enum) else value for key, value in settings.items()}
    plan |= {"progress": False, "accelerator": "cpu", "max_epochs": 3, "batch_size": 16, "learning_rate": 0.01}
    network = case.network()
    history = trainer.fit(
        network,
        Points(),
        points(),
        plan | case.changes | changes,
        seed=0,
        judge=judge,
        title="",
        checkpoints=checkpoints,
    )
    return network, history


def outcome(network: nn.Module, history: History) -> dict[str, Any]:
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in history.rows]
    return {"state": network.state_dict(), "rows": rows, "resumed_from": history.resumed_from}


def main(strategy: str, folder: Path) -> None:
    """All cases in turn; then one that ends early, and one that goes on from what a single process left."""
    torch.set_num_threads(1)
    shared = {"strategy": strategy, "devices": 2}
    made = {name: outcome(*train(case, **shared)) for name, case in CASES.items()}
    trainer.CHECKPOINT_SECONDS = -1.0
    train(RESUMED, folder / f"left-by-{strategy}", **shared, max_epochs=1)
    made["resumed"] = outcome(*train(RESUMED, folder / f"taken-up-by-{strategy}", **shared))
    torch.save(made, folder / f"{strategy}-{os.environ.get('LOCAL_RANK', '0')}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
