"""What the factorisation methods share: which units, which ranks, and the replacement of their layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, cast

import numpy as np
from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.methods.budget import Budget, allowed_bytes, require_possible
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.allocate import Plan, Unit, break_even, by_budget, by_energy, by_rank
from benchmarks.models.lowrank.factors import EmbeddingFactors, LinearFactors
from benchmarks.models.lowrank.latency import nanoseconds, timed
from benchmarks.models.lowrank.surgery import (
    conv_units,
    embedding_units,
    linear_units,
    put_low_rank_table,
    reader_of,
    replace_module,
)
from benchmarks.models.lowrank.svd import svd_conv, svd_embedding, svd_linear
from benchmarks.models.size import stored_bytes
from benchmarks.task import tensors

Factors = Mapping[str, LinearFactors | EmbeddingFactors]
Rank = Annotated[int, Meta(ge=1)]
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class Factorize(Compress):
    """Replaces linear layers, embedding tables, or both by two factors. Convolutions are linear layers on patches.

    `budget` decides where it is given: ranks for the stored size of the whole network, in bytes or, up to 1, as a share of
    the base. So does `latency`, the share of the base's time for a batch of `latency_batch` samples on this machine. Else one
    of `rank` (with `table_rank` for tables) and `energy` does. Left alone are layers whose name matches none of the patterns
    `layers`, and those that the network keeps dense; the one that reads a table's rows side by side takes up its projections
    (see `merge_projections`).
    """

    targets: tuple[Literal["linear", "embedding"], ...] = ("linear",)
    layers: tuple[str, ...] = ("*",)
    rank: Rank | None = 16
    table_rank: Rank | None = None
    energy: Annotated[float, Meta(gt=0, le=1)] | None = None
    budget: Budget | None = None
    latency: Annotated[float, Meta(gt=0, le=1)] | None = None
    latency_batch: Annotated[int, Meta(ge=1)] = 256
    inner_activation: Literal["relu"] | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise BenchmarkError(
                "method.targets is empty. Type method.targets=[linear], [embedding] or [linear,embedding]."
            )
        if self.latency is not None and (self.budget is not None or self.targets != ("linear",)):
            raise BenchmarkError(
                f"method.latency={self.latency:g} chooses ranks of linear layers by their time, and nothing else. Type "
                "method.targets=[linear] method.budget=null with it."
            )
        unused = {"table_rank": "embedding", "inner_activation": "linear"}
        for name, target in unused.items():
            if getattr(self, name) is not None and target not in self.targets:
                raise BenchmarkError(
                    f"method.{name}={getattr(self, name)} is about {target} units, which method.targets leaves out. Type "
                    f"method.targets=[linear,embedding], or method.{name}=null."
                )
        if self.budget is not None or self.latency is not None:
            return
        chosen = {"rank": self.rank or self.table_rank, "energy": self.energy}
        named = [name for name, value in chosen.items() if value is not None]
        if len(named) != 1:
            given = ", ".join(f"method.{name}={chosen[name]}" for name in named) or "none of the three"
            raise BenchmarkError(
                f"One of rank, energy and budget must decide; given: {given}. "
                f"For example method.rank=16, or method.rank=null method.energy=0.9, or method.budget=0.3."
            )
        if named == ["rank"]:
            wanted = {"linear": ("rank", self.rank), "embedding": ("table_rank", self.table_rank)}
            for target in self.targets:
                if wanted[target][1] is None:
                    raise BenchmarkError(
                        f"method.targets names {target}, but method.{wanted[target][0]} is null. Set it to 1 or more."
                    )

    @abstractmethod
    def factorise(self, network: nn.Module, bench: Workbench) -> Factors:
        """Factors of every unit that `targets` names, by module name."""

    def check(self, bench: Workbench) -> None:
        network = bench.fresh()
        self.plan(network, self.shapes(network), bench)
        if self.inner_activation and not bench.finetunes:
            bench.note(
                "The inner activation is an initialisation for retraining; without fine-tuning it is not an approximation "
                "of the base. Set finetune.max_epochs."
            )

    def shapes(self, network: nn.Module) -> Factors:
        """Factors with the shapes of what `factorise` gives: all that a check needs, without data."""
        return shapes_of(self.targets, network, self.layers)

    def plan(self, network: nn.Module, factors: Factors, bench: Workbench) -> Plan:
        """The rank of every unit; raises BenchmarkError where a rank does not make its unit smaller."""
        if not factors:
            raise BenchmarkError(
                f"The network has no {' or '.join(self.targets)} that may be compressed"
                + (f" and matches method.layers={','.join(self.layers)}" if self.layers != ("*",) else "")
                + f": {type(network).__name__}."
            )
        units = [_unit(name, found, network) for name, found in factors.items()]
        if self.budget is not None:
            return self._within(self.budget, units, network)
        if self.latency is not None:
            return self._within_time(self.latency, units, network, bench)
        if self.energy is not None:
            return by_energy(units, self.energy)
        tables = [unit for unit in units if isinstance(factors[unit.name], EmbeddingFactors)]
        layers = [unit for unit in units if isinstance(factors[unit.name], LinearFactors)]
        plan = (by_rank(layers, self.rank or 0) if layers else {}) | (
            by_rank(tables, self.table_rank or 0) if tables else {}
        )
        self._tell_dense(plan, bench)
        return plan

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        # Every rank is a cut of the same factors, so that one calibration serves all budgets of a sweep.
        factors = bench.remember((type(self).__qualname__, *self.inputs()), lambda: self.factorise(network, bench))
        plan = self.plan(network, factors, bench)
        if self.energy is not None and self.budget is None and self.latency is None:
            if all(rank is None for rank in plan.values()):
                raise BenchmarkError(
                    f"method.energy={self.energy:g} takes ranks that make none of {listed(list(plan))} smaller. Type a lower "
                    f"one, for example method.energy={self.energy / 2:g}."
                )
            self._tell_dense(plan, bench)
        for name, rank in plan.items():
            if rank is None:
                continue
            found = factors[name]
            if isinstance(found, EmbeddingFactors):
                put_low_rank_table(network, name, found.truncate(rank))
            else:
                layer = self.refined(name, found, network, bench)
                replace_module(network, name, layer.truncate(rank, inner=self.inner_activation))
        return network

    @staticmethod
    def _tell_dense(plan: Plan, bench: Workbench) -> None:
        if dense := [name for name, rank in plan.items() if rank is None]:
            bench.note(
                f"{len(dense)} of {len(plan)} units are no smaller at their ranks and stay dense: {listed(dense)}."
            )

    def inputs(self) -> tuple[object, ...]:
        """What factors depend on beside the base and the training data."""
        return (self.targets, self.layers)

    def refined(self, name: str, found: LinearFactors, network: nn.Module, bench: Workbench) -> LinearFactors:
        """Factors of a layer in a network of which some units are compressed already."""
        return found

    def _within_time(self, share: float, units: list[Unit], network: nn.Module, bench: Workbench) -> Plan:
        """The plan that keeps the most energy within a share of the base's time, both measured here and now."""
        train = bench.data.train
        batch = tensors(train.batch(np.arange(min(self.latency_batch, len(train)))))
        total = nanoseconds(lambda: bench.task.predict(network.eval(), batch))
        layers = {unit.name: network.get_submodule(unit.name) for unit in units}
        if convolutions := [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]:
            raise BenchmarkError(
                f"method.latency={share:g} knows the time of linear layers alone; {convolutions[0]} is a convolution. "
                "Type method.latency=null method.budget=0.5."
            )
        clocked = [timed(unit, cast(nn.Linear, layers[unit.name]), self.latency_batch) for unit in units]
        outside = max(0, total - sum(unit.dense_params for unit in clocked))
        least = outside + sum(unit.params(1 if break_even(unit) else None) for unit in clocked)
        if least > share * total:
            raise BenchmarkError(
                f"method.latency={share:g} cannot be met: of {total / 1e6:.3g} ms for {self.latency_batch} samples, "
                f"{least / 1e6:.3g} ms remain with all layers at rank 1. Type "
                f"method.latency={min(1, least / total + 0.01):.2f} or more, or a larger method.latency_batch."
            )
        bench.note(
            f"Ranks were chosen for {share:g} of {total / 1e6:.3g} ms a batch of {self.latency_batch}, measured on the machine "
            "of this run: another may choose others."
        )
        return by_budget(clocked, int(share * total), outside)

    @staticmethod
    def _within(budget: float, units: list[Unit], network: nn.Module) -> Plan:
        allowed = allowed_bytes(budget, network)
        dense = sum(unit.dense_params for unit in units)
        outside = stored_bytes(network) - BYTES_PER_PARAMETER * dense
        least = sum(unit.params(1 if break_even(unit) else None) for unit in units)
        require_possible(
            outside + BYTES_PER_PARAMETER * least, allowed, network, "with all that may be compressed at rank 1"
        )
        return by_budget(units, (allowed - outside) // BYTES_PER_PARAMETER)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _unit(name: str, found: LinearFactors | EmbeddingFactors, network: nn.Module) -> Unit:
    """What an allocation needs to know of a unit, the layer that takes up a table's projections included."""
    unit = found.unit(name)
    reader = reader_of(network, name)
    if reader is None or isinstance(found, LinearFactors):
        return unit
    fields, _, dim = found.projection.shape
    width = network.get_parameter(f"{reader}.weight").shape[0]
    return replace(
        unit,
        dense_params=unit.dense_params + width * fields * dim,
        params_per_rank=unit.params_per_rank + width * fields,
    )


Layer = nn.Linear | nn.Conv2d


def units_of(
    targets: tuple[str, ...], network: nn.Module, names: tuple[str, ...] = ("*",)
) -> tuple[Mapping[str, Layer], Mapping[str, FieldEmbedding]]:
    """The layers and the embeddings of a network that the targets and patterns name and the network does not keep dense."""
    keep = getattr(network, "keep_dense", ())
    layers: dict[str, Layer] = {}
    if "linear" in targets:
        layers |= linear_units(network, keep)
        layers |= conv_units(network, keep)
    place = {name: number for number, (name, _) in enumerate(network.named_modules())}
    layers = dict(sorted(layers.items(), key=lambda pair: place[pair[0]]))  # what is sequential goes from front to back
    tables = embedding_units(network, keep) if "embedding" in targets else {}

    def named(found: dict[str, Any]) -> dict[str, Any]:
        return {name: unit for name, unit in found.items() if any(fnmatchcase(name, pattern) for pattern in names)}

    return named(layers), named(tables)


def shapes_of(targets: tuple[str, ...], network: nn.Module, names: tuple[str, ...] = ("*",)) -> Factors:
    """SVD factors of every unit: all that a check needs before there is a trained network or a calibration."""
    layers, tables = units_of(targets, network, names)
    factors: dict[str, LinearFactors | EmbeddingFactors] = {
        name: svd_embedding(table) for name, table in tables.items()
    }
    return factors | {
        name: svd_conv(layer) if isinstance(layer, nn.Conv2d) else svd_linear(layer) for name, layer in layers.items()
    }
