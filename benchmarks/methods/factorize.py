"""What the factorisation methods share: which units, which ranks, and the replacement of their layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.allocate import Plan, by_budget, by_energy, by_rank
from benchmarks.models.lowrank.factors import EmbeddingFactors, LinearFactors
from benchmarks.models.lowrank.surgery import embedding_units, linear_units, replace_module
from benchmarks.models.lowrank.svd import svd_embedding, svd_linear
from benchmarks.profiling import unique_parameters

Factors = Mapping[str, LinearFactors | EmbeddingFactors]
Rank = Annotated[int, Meta(ge=1)]
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class Factorize(Compress):
    """Replaces linear layers, embedding tables, or both by two factors.

    Exactly one of `rank` (with `table_rank` for tables), `energy` and `budget` decides. `budget` is the stored size of the
    whole network, in bytes or, up to 1, as a share of the base. Layers that the network keeps dense are left alone.
    """

    targets: tuple[Literal["linear", "embedding"], ...] = ("linear",)
    rank: Rank | None = 16
    table_rank: Rank | None = None
    energy: Annotated[float, Meta(gt=0, le=1)] | None = None
    budget: Annotated[float, Meta(gt=0)] | None = None
    inner_activation: Literal["relu"] | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise BenchmarkError(
                "method.targets is empty. Type method.targets=[linear], [embedding] or [linear,embedding]."
            )
        chosen = {"rank": self.rank or self.table_rank, "energy": self.energy, "budget": self.budget}
        named = [name for name, value in chosen.items() if value is not None]
        if len(named) != 1:
            given = ", ".join(f"method.{name}={chosen[name]}" for name in named) or "none of the three"
            raise BenchmarkError(
                f"One of rank, energy and budget must decide; given: {given}. "
                f"For example method.rank=16, or method.rank=null method.energy=0.9, or method.rank=null method.budget=0.3."
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
        self.plan(network, shapes_of(self.targets, network))
        if self.inner_activation and not bench.finetunes:
            bench.note(
                "The inner activation is an initialisation for retraining; without fine-tuning it is not an approximation "
                "of the base. Set finetune.max_epochs."
            )

    def plan(self, network: nn.Module, factors: Factors) -> Plan:
        """The rank of every unit; raises BenchmarkError where a rank does not make its unit smaller."""
        if not factors:
            raise BenchmarkError(
                f"The network has no {' or '.join(self.targets)} that may be compressed: {type(network).__name__}."
            )
        units = [found.unit(name) for name, found in factors.items()]
        if self.energy is not None:
            return by_energy(units, self.energy)
        if self.budget is not None:
            total = unique_parameters(network)
            allowed = int(self.budget * total) if self.budget <= 1 else int(self.budget / BYTES_PER_PARAMETER)
            return by_budget(units, allowed, total - sum(unit.dense_params for unit in units))
        tables = [unit for unit in units if isinstance(factors[unit.name], EmbeddingFactors)]
        layers = [unit for unit in units if isinstance(factors[unit.name], LinearFactors)]
        return (by_rank(layers, self.rank or 0) if layers else {}) | (
            by_rank(tables, self.table_rank or 0) if tables else {}
        )

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        factors = self.factorise(network, bench)
        for name, rank in self.plan(network, factors).items():
            if rank is None:
                continue
            found = factors[name]
            inner = {"inner": self.inner_activation} if isinstance(found, LinearFactors) else {}
            replace_module(network, name, found.truncate(rank, **inner))
        return network


def units_of(
    targets: tuple[str, ...], network: nn.Module
) -> tuple[Mapping[str, nn.Linear], Mapping[str, FieldEmbedding]]:
    """The linear layers and the embeddings of a network that the targets name and the network does not keep dense."""
    keep = getattr(network, "keep_dense", ())
    layers = linear_units(network, keep) if "linear" in targets else {}
    tables = embedding_units(network, keep) if "embedding" in targets else {}
    return layers, tables


def shapes_of(targets: tuple[str, ...], network: nn.Module) -> Factors:
    """SVD factors of every unit: all that a check needs before there is a trained network or a calibration."""
    layers, tables = units_of(targets, network)
    factors: dict[str, LinearFactors | EmbeddingFactors] = {name: svd_linear(layer) for name, layer in layers.items()}
    return factors | {name: svd_embedding(table) for name, table in tables.items()}
