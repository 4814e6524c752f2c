"""Solver: what a method yields, and all that evaluation, profiling, prediction and pictures see."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from benchmarks.models.lowrank.adapter_file import Adapter
from benchmarks.models.lowrank.surgery import blueprint, restore
from benchmarks.task import Task, tensors

WEIGHTS = "weights.safetensors"
ADAPTER = "adapter.safetensors"
"""What an adapter trained, apart: it makes the network of the base (see models.lowrank.adapter_file)."""
DESCRIPTION = "solver.json"


class Solver(ABC):
    """Answers batches of samples."""

    @abstractmethod
    def predict(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, one row a sample: gray levels as uint8, all other numbers as float32."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes all that is needed to answer elsewhere."""

    def to(self, device: torch.device) -> None:
        """Answers on this device from now on, where it has anything to gain there."""


class NetworkSolver(Solver):
    """A network of a task, in evaluation mode and without gradients; with what an adapter made of its base, where one did."""

    def __init__(
        self, task: Task, network: nn.Module, schema: Mapping[str, Any], adapter: Adapter | None = None
    ) -> None:
        self.task = task
        self.adapter = adapter
        self.network = network.eval()
        self.schema = schema
        self.device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = self.task.predict(self.network, tensors(batch, self.device))
        return {
            name: (output if output.dtype == torch.uint8 else output.float()).cpu().numpy()
            for name, output in outputs.items()
        }

    def to(self, device: torch.device) -> None:
        """Moves the network; one without parameters stays, since it is mostly a rule that libraries for the CPU carry out."""
        if next(self.network.parameters(), None) is not None:
            self.network.to(device)
            self.device = device

    def save(self, folder: Path) -> None:
        """Weights as safetensors, and the structure that they fit: model, its settings, replaced layers, schema."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        schema = {key: value for key, value in self.schema.items() if key != "counts"}
        description = {**architecture(self.network), "layers": blueprint(self.network), "schema": schema}
        if hasattr(self.network, "adapted"):
            description["adapted"] = self.network.adapted
        (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
        if self.adapter is not None:
            self.adapter.save(folder / ADAPTER)

    @classmethod
    def load(cls, task: Task, folder: Path) -> NetworkSolver:
        """A saved solver; weights are read as safetensors, so no code of the file is run."""
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        with _Unfilled():
            network = build(task, description["model"], description["settings"], description["schema"])
        restore(network, description["layers"])
        network.load_state_dict(load_file(folder / WEIGHTS))
        return cls(task, network, description["schema"])


class _Unfilled(TorchFunctionMode):
    """Parameters are left as they are allocated, since a file is about to fill them.

    Memory that nobody writes to is never taken: a table whose smaller form comes in its place costs nothing.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def build(task: Task, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
    """A fresh network that remembers what it was built from, so that a saved one can be built again."""
    network = task.network(model, settings, schema)
    cast(Any, network).built_from = {"model": model, "settings": dict(settings)}
    return network


def architecture(network: nn.Module) -> dict[str, Any]:
    """The model name and settings that a network was built from."""
    built_from = network.built_from
    assert isinstance(built_from, dict)
    return built_from
