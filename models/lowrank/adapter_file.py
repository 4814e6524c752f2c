"""An adapter as a file of its own: what was trained, and the sha256 of the base that it was trained for.

One base and many such files are a bank of tasks. Each holds 4 bytes for every trained number and a header, which repeats how
the adapter was made; places of sparse updates are stored beside their values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.spectrum import digest
from benchmarks.models.lowrank.update import WEIGHT, Update

FORMAT = "benchmarks adapter 1"
HOW = "Type: python -m benchmarks export RUN adapter.safetensors"
ADDED = {"up", "down", "scale", "values", "places"}
"""Parts that change a weight; `<layer>.weight.up` is one. All other names are of parameters and buffers as they are now."""


@dataclass(frozen=True)
class Adapter:
    """Tensors by name (see ADDED), the sha256 of the base, and how it was made, fit for JSON."""

    tensors: dict[str, Tensor]
    base: str
    made: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.tensors.values())

    def save(self, path: Path) -> None:
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in self.tensors.items()}
        metadata = {"format": FORMAT, "base": self.base, "made": json.dumps(self.made)}
        save_file(tensors, path, metadata)

    @classmethod
    def load(cls, path: Path) -> Adapter:
        """A file that `save` wrote; any other raises BenchmarkError."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise BenchmarkError(f"{path} is no adapter: {error}. {HOW}") from error
        if metadata.get("format") != FORMAT:
            raise BenchmarkError(
                f"{path} holds no adapter of this suite ('{metadata.get('format')}' in place of '{FORMAT}'). {HOW}"
            )
        return cls(tensors, metadata["base"], json.loads(metadata["made"]))

    @torch.no_grad()
    def apply(self, network: nn.Module) -> nn.Module:
        """Makes, in place, of the base what was trained; raises BenchmarkError for another base, which stays as it is."""
        found = fingerprint(network)
        if found != self.base:
            raise BenchmarkError(
                f"The adapter was trained for another base: for one with sha256 {self.base[:12]}..., the one here has "
                f"{found[:12]}.... Name the run of the base that it was trained for."
            )
        state = network.state_dict()
        for name in {_target(name) for name in self.tensors}:
            own = {part: self.tensors[f"{name}.{part}"] for part in ADDED if f"{name}.{part}" in self.tensors}
            state[name].copy_(_changed(state[name], own) if own else self.tensors[name])
        return network


def fingerprint(network: nn.Module) -> str:
    """The sha256 of names, shapes, types and bytes of all that a network keeps."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode() + b"\0" + digest(value))
    return found.hexdigest()


def buffers_of(network: nn.Module) -> dict[str, Tensor]:
    """Copies of a base's buffers, by which those are found that training moves: statistics of batch norms."""
    kept = network.state_dict().keys()
    return {name: value.clone() for name, value in network.named_buffers() if name in kept}


@torch.no_grad()
def adapter_of(network: nn.Module, base: str, buffers: Mapping[str, Tensor], made: Mapping[str, Any]) -> Adapter | None:
    """The adapter of a trained network whose updates are not merged yet, or None where one has parts that no file knows.

    `base` and `buffers` are those of `fingerprint` and `buffers_of`, taken before anything was attached.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module, WEIGHT):
            update = module.parametrizations[WEIGHT][0]
            parts = update.parts() if isinstance(update, Update) else None
            if parts is None:
                return None
            tensors |= {f"{name}.{WEIGHT}.{part}": value for part, value in parts.items()}
    tensors |= {
        name: parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and ".parametrizations." not in f".{name}"
    }
    now = dict(network.named_buffers())
    tensors |= {
        name: now[name] for name, value in buffers.items() if not torch.equal(now[name].to(value.device), value)
    }
    return Adapter(tensors, base, made) if tensors else None


def _target(name: str) -> str:
    head, _, part = name.rpartition(".")
    return head if part in ADDED and head.rpartition(".")[2] == WEIGHT else name


def _changed(weight: Tensor, parts: Mapping[str, Tensor]) -> Tensor:
    given = {part: value.to(weight.device) for part, value in parts.items()}
    if given.keys() == {"up", "down"}:
        return weight + (given["up"] @ given["down"]).view(weight.shape)
    if given.keys() == {"scale"}:
        return weight * given["scale"].view(-1, *[1] * (weight.ndim - 1))
    change = weight.new_zeros(weight.numel()).index_copy_(0, given["places"].long(), given["values"])
    return weight + change.view(weight.shape)
