"""One byte a number: four times smaller and nearly free, so what every low-rank claim has to beat at equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.methods.budget import Budget, Sized
from benchmarks.methods.factorize import BYTES_PER_PARAMETER
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.int8 import stored_bytes as table_bytes
from benchmarks.models.lowrank.int8_linear import Int8Linear, linear_bytes
from benchmarks.models.lowrank.surgery import embedding_units, replace_module, whole_linear_units
from benchmarks.models.size import stored_bytes


@dataclass(frozen=True)
class Int8(Compress, Sized):
    """Tables and layers rounded to int8, first-order tables too; `parts` leaves all but that many of the largest as they are.

    What is not rounded (biases, normalisation, layers that stay) may be fine-tuned around them, as any base.
    """

    targets: tuple[Literal["linear", "embedding"], ...] = ("linear", "embedding")
    parts: Annotated[int, Meta(ge=1)] | None = None
    budget: Budget | None = None

    def check(self, bench: Workbench) -> None:
        network = bench.fresh()
        if not self._units(network):
            raise BenchmarkError(
                f"The network has no {' or '.join(self.targets) or 'method.targets'} that may be rounded: "
                f"{type(network).__name__}. Type method.targets=[linear,embedding]."
            )
        self.fitted(network, bench)

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        fitted = self.fitted(network, bench)
        for name, unit in (fitted._units(network) if fitted else {}).items():
            kind = Int8Linear if isinstance(unit, nn.Linear) else Int8FieldEmbedding
            replace_module(network, name, kind.of(unit))  # type: ignore[arg-type]
        return network

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        most = len(replace(self, parts=None)._units(base))
        return [replace(self, parts=parts, budget=None) for parts in range(most, 0, -1)]

    def size(self, base: nn.Module, bench: Workbench) -> int:
        return stored_bytes(base) - sum(_saved(unit) for unit in self._units(base).values())

    def _units(self, network: nn.Module) -> dict[str, nn.Linear | FieldEmbedding]:
        """What is rounded, the largest first."""
        units: dict[str, nn.Linear | FieldEmbedding] = {}
        if "linear" in self.targets:
            units |= whole_linear_units(network)
        if "embedding" in self.targets:
            units |= embedding_units(network)
        largest = sorted((name for name in units if _saved(units[name]) > 0), key=lambda name: -_saved(units[name]))
        return {name: units[name] for name in largest[: self.parts]}


def _saved(unit: nn.Linear | FieldEmbedding) -> int:
    small = (
        linear_bytes(unit.in_features, unit.out_features)
        if isinstance(unit, nn.Linear)
        else table_bytes(unit.cardinalities, unit.embedding_dim)
    )
    return BYTES_PER_PARAMETER * unit.weight.numel() - small
