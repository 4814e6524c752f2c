"""The control that most compression claims must face: a narrower network, trained from scratch, of the same size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Train, Workbench
from benchmarks.methods.factorize import shapes_of
from benchmarks.models.lowrank.allocate import by_rank
from benchmarks.profiling import unique_parameters

STEP = 8


@dataclass(frozen=True)
class SmallDim(Train):
    """The configured model with narrower hidden layers, and a smaller embedding where one is given.

    `hidden_units` sets the widths; else all are the widest multiple of 8 with which the network has no more parameters
    than the base with its linear layers factorised at rank `match_rank`.
    """

    match_rank: Annotated[int, Meta(ge=1)] | None = 16
    embedding_dim: Annotated[int, Meta(ge=1)] | None = None
    hidden_units: tuple[Annotated[int, Meta(ge=1)], ...] | None = None

    def build(self, bench: Workbench) -> nn.Module:
        changes: dict[str, Any] = {} if self.embedding_dim is None else {"embedding_dim": self.embedding_dim}
        if self.hidden_units is not None:
            return bench.fresh(hidden_units=list(self.hidden_units), **changes)
        base = bench.fresh()
        widths = _hidden_units(base)
        allowed = self._size_of_the_compressed(base)
        for width in range(max(widths) // STEP * STEP, 0, -STEP):
            network = bench.fresh(hidden_units=[width] * len(widths), **changes)
            if unique_parameters(network) <= allowed:
                return network
        raise BenchmarkError(
            f"No network of width {STEP} or more has {allowed} parameters or fewer. Raise method.match_rank."
        )

    def _size_of_the_compressed(self, base: nn.Module) -> int:
        if self.match_rank is None:
            raise BenchmarkError(
                "small_dim needs method.match_rank or method.hidden_units, for example method.match_rank=16."
            )
        units = [factors.unit(name) for name, factors in shapes_of(("linear",), base).items()]
        plan = by_rank(units, self.match_rank)
        return unique_parameters(base) - sum(unit.dense_params - unit.params(plan[unit.name]) for unit in units)


def _hidden_units(network: nn.Module) -> list[int]:
    built_from = network.built_from
    assert isinstance(built_from, dict)
    widths = built_from["settings"].get("hidden_units")
    if not widths:
        raise BenchmarkError(
            f"Model '{built_from['model']}' has no hidden layers to make narrower. Use model=deepfm or model=dnn."
        )
    return widths
