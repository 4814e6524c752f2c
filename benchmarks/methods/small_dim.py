"""The control that most compression claims must face: a narrower network, trained from scratch, of the same size."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Train, Workbench
from benchmarks.methods.budget import Budget, allowed_bytes, require_possible
from benchmarks.methods.factorize import shapes_of
from benchmarks.models.lowrank.allocate import by_rank
from benchmarks.models.size import stored_bytes, unique_parameters

STEP = 8
NARROWEST = 16
"""Hidden layers that a budget leaves: before they get narrower, embeddings get fewer dimensions."""


@dataclass(frozen=True)
class SmallDim(Train):
    """The configured model with narrower hidden layers, and a smaller embedding where one is given or a budget asks for it.

    `hidden_units` sets the widths; else all are the widest multiple of 8 with which the network has no more parameters
    than the base with its linear layers factorised at rank `match_rank`. Within a `budget`, the embedding keeps the most
    dimensions with which hidden layers of 16 fit, and these are then as wide as fits.
    """

    match_rank: Annotated[int, Meta(ge=1)] | None = 16
    embedding_dim: Annotated[int, Meta(ge=1)] | None = None
    hidden_units: tuple[Annotated[int, Meta(ge=1)], ...] | None = None
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if self.budget is not None and (self.hidden_units is not None or self.embedding_dim is not None):
            raise BenchmarkError(
                f"method.budget={self.budget:g} chooses the widths of layers and embeddings itself. Leave method.hidden_units "
                "and method.embedding_dim out, or type method.budget=null with them."
            )

    def build(self, bench: Workbench) -> nn.Module:
        changes: dict[str, Any] = {} if self.embedding_dim is None else {"embedding_dim": self.embedding_dim}
        if self.hidden_units is not None:
            return bench.fresh(hidden_units=list(self.hidden_units), **changes)
        base = bench.fresh()
        if self.budget is not None:
            return self._within(self.budget, base, bench)
        widths = _settings(base).get("hidden_units")
        if not widths:
            raise BenchmarkError(
                f"Model '{_model(base)}' has no hidden layers to make narrower. Type method.budget=0.5 for fewer dimensions, "
                "or take model=deepfm or model=dnn."
            )
        allowed, step = self._size_of_the_compressed(base), _step(base)
        for width in range(max(widths) // step * step, 0, -step):
            network = bench.fresh(hidden_units=[width] * len(widths), **changes)
            if unique_parameters(network) <= allowed:
                return network
        raise BenchmarkError(
            f"No network of width {step} or more has {allowed} parameters or fewer. Raise method.match_rank."
        )

    def _within(self, budget: float, base: nn.Module, bench: Workbench) -> nn.Module:
        """The network of a budget: `base` where it fits."""
        allowed = allowed_bytes(budget, base)
        if stored_bytes(base) <= allowed:
            return base
        layers, dim = _settings(base).get("hidden_units") or [], _settings(base).get("embedding_dim")
        widest, step = max(layers, default=0), _step(base)
        narrowest = -(-NARROWEST // step) * step
        widths = range(min(narrowest, widest), widest + 1, step) if layers else [0]
        dims = range(dim, 0, -1) if dim else [0]

        def changes(dim: int, width: int) -> dict[str, Any]:
            return ({"embedding_dim": dim} if dim else {}) | ({"hidden_units": [width] * len(layers)} if layers else {})

        def size(dim: int, width: int) -> int:
            with torch.device("meta"):  # shapes alone, whatever the size of the tables
                return stored_bytes(bench.fresh(**changes(dim, width)))

        for dim in dims:
            if fits := bisect_right(widths, allowed, key=lambda width: size(dim, width)):
                return bench.fresh(**changes(dim, widths[fits - 1]))
        require_possible(size(dims[-1], widths[0]), allowed, base, "with one dimension and hidden layers of 16")
        raise AssertionError("the smallest network fits, so it was found above")

    def _size_of_the_compressed(self, base: nn.Module) -> int:
        if self.match_rank is None:
            raise BenchmarkError(
                "small_dim needs method.match_rank or method.hidden_units, for example method.match_rank=16."
            )
        units = [factors.unit(name) for name, factors in shapes_of(("linear",), base).items()]
        plan = by_rank(units, self.match_rank)
        return unique_parameters(base) - sum(unit.dense_params - unit.params(plan[unit.name]) for unit in units)


def _step(network: nn.Module) -> int:
    """By how much widths may grow: heads, where a network has them, share a layer evenly."""
    return math.lcm(STEP, _settings(network).get("heads") or 1)


def _settings(network: nn.Module) -> dict[str, Any]:
    built_from = network.built_from
    assert isinstance(built_from, dict)
    return built_from["settings"]


def _model(network: nn.Module) -> str:
    built_from = network.built_from
    assert isinstance(built_from, dict)
    return built_from["model"]
