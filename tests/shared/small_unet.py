"""A small restoration network, a workbench for its adapters, and a few steps of training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.method import Adapt, Objective
from benchmarks.methods.colora import CoLoRA
from benchmarks.task import Batch

ALLOCATIONS = get_args(CoLoRA.__annotations__["allocation"]) or (
    "contribution", "uniform", "size", "change", "gradient", "random", "reversed",
)  # fmt: skip
SHARE = 0.4


class Block(nn.Module):
    """A block like NAFNet's: 1 x 1, depthwise 3 x 3, a gate, 1 x 1, and step sizes in the shape of images."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.spatial = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.project = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.spatial(self.expand(self.norm(x))).chunk(2, 1)
        return x + self.beta * self.project(a * b)


class SmallUNet(nn.Module):
    """A residual U-net of one level with every kind of layer that NAFNet has."""

    decoder_parameters = ("decoder.*", "up.*", "ending.*")

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoder = Block(width)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.middle = Block(2 * width)
        self.up = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1, bias=False), nn.PixelShuffle(2))
        self.decoder = Block(width)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.encoder(self.intro(x))
        return x + self.ending(self.decoder(skip + self.up(self.middle(self.down(skip)))))


LAYERS = [
    "intro", "encoder.expand", "encoder.project", "down", "middle.expand", "middle.project", "up.0", "decoder.expand",
    "decoder.project", "ending",
]  # fmt: skip


def unet(seed: int = 0) -> SmallUNet:
    torch.manual_seed(seed)
    return SmallUNet().eval()


def batch(seed: int = 0, n: int = 4, side: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(n, 3, side, side, generator=generator)
    return {"image": clean + 0.1 * torch.randn(clean.shape, generator=generator), "clean": clean}


def loss(network: nn.Module, given: Batch) -> Tensor:
    return (network(given["image"]) - given["clean"]).square().mean()


def train(network: nn.Module, steps: int = 3, rate: float = 0.02) -> nn.Module:
    trains = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trains, rate, weight_decay=0.1)
    network.train()
    for step in range(steps):
        optimizer.zero_grad()
        loss(network, batch(step)).backward()
        optimizer.step()
        for module in network.modules():
            if hasattr(module, "after_step"):
                module.after_step((step + 1) / steps)
    return network.eval()


class Bench:
    """What CoLoRA sees of a workbench; `fit` takes as many steps as it is asked for."""

    device, finetunes, seed = torch.device("cpu"), True, 0

    def __init__(self, samples: int = 12, epochs: int = 1, accumulate: int = 1) -> None:
        columns = {name: value.numpy() for name, value in batch(9, samples).items()}
        split = Split(columns, np.arange(samples), np.arange(samples))
        self.task, self.data = SimpleNamespace(loss=loss), TrainingData(split, None, {})  # type: ignore[arg-type]
        self.epochs, self.accumulate, self.notes, self.asked = epochs, accumulate, [], []

    def plan(self, stage: str = "train") -> dict[str, Any]:
        assert stage == "finetune"
        return {
            "batch_size": 4,
            "accumulate": self.accumulate,
            "max_epochs": self.epochs,
            "schedule": "cosine",
            "learning_rate": 1e-2,
        }

    def fit(self, network: nn.Module, stage: str, objective: Objective) -> None:
        self.asked.append((stage, dict(objective.plan)))
        torch.manual_seed(77)
        torch.rand(5)  # training draws
        train(network, min(10, objective.plan["max_steps"]), 0.01)

    def note(self, text: str) -> None:
        self.notes.append(text)


def adapted(method: Adapt, network: nn.Module | None = None, bench: Bench | None = None) -> nn.Module:
    return method.attached(network or unet(), bench or Bench())  # type: ignore[arg-type]


def trainable(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}
