"""Truncated SVD of tables with the rows left in int8: fewer numbers a row, and fewer bytes a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.methods.budget import Budget, Sized
from benchmarks.methods.factorize import BYTES_PER_PARAMETER
from benchmarks.methods.tables import tables_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.int8 import stored_bytes as int8_bytes
from benchmarks.models.lowrank.surgery import put_low_rank_table, reader_of, replace_module
from benchmarks.models.lowrank.svd import svd_embedding
from benchmarks.models.size import stored_bytes


@dataclass(frozen=True)
class SVDInt8(Compress, Sized):
    """Rows z of `rank` int8 entries times a float projection, as `svd` of tables; other tables are rounded to int8.

    Fine-tuning moves the projections and whatever is no table.
    """

    rank: Annotated[int, Meta(ge=1)] = 4
    budget: Budget | None = None

    def check(self, bench: Workbench) -> None:
        network = bench.fresh()
        fitted = self.fitted(network, bench)
        for name, table in (fitted._tables(network) if fitted else {}).items():
            assert fitted is not None
            if _bytes(table, fitted.rank) >= int8_bytes(table.cardinalities, table.embedding_dim):
                bench.note(f"At rank {fitted.rank} {name} is no smaller than in plain int8 rows (method=int8).")

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        fitted = self.fitted(network, bench)
        if fitted is None:
            return network
        low = fitted._tables(network)
        for name, table in tables_of(network).items():
            if name not in low:
                replace_module(network, name, Int8FieldEmbedding.of(table))
                continue
            factors = svd_embedding(table).truncate(fitted.rank)
            put_low_rank_table(network, name, factors)
            replace_module(network, f"{name}.z", Int8FieldEmbedding.of(factors.z))
        return network

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        most = min(map(_largest_rank, self._may(base).values()))
        return [replace(self, rank=rank, budget=None) for rank in range(1, most + 1)]

    def size(self, base: nn.Module, bench: Workbench) -> int:
        low = self._tables(base)
        total = stored_bytes(base)
        for name, table in tables_of(base).items():
            total -= BYTES_PER_PARAMETER * table.weight.numel()
            if name not in low:
                total += int8_bytes(table.cardinalities, table.embedding_dim)
                continue
            total += _bytes(table, self.rank)
            if reader := reader_of(base, name):
                width, inputs = base.get_parameter(f"{reader}.weight").shape
                total -= BYTES_PER_PARAMETER * width * (inputs - len(table.cardinalities) * self.rank)
        return total

    def _may(self, network: nn.Module) -> dict[str, FieldEmbedding]:
        return tables_of(network, getattr(network, "keep_dense", ()))

    def _tables(self, network: nn.Module) -> dict[str, FieldEmbedding]:
        """The tables to factorise; raises BenchmarkError where one would not become smaller."""
        tables = self._may(network)
        for name, table in tables.items():
            dim, dense = table.embedding_dim, BYTES_PER_PARAMETER * table.weight.numel()
            most = _largest_rank(table)
            if self.rank > most:
                remedy = f"Type method.rank={most} or less" if most else "No rank makes it smaller"
                raise BenchmarkError(
                    f"method.rank={self.rank} does not make {name} smaller: its {sum(table.cardinalities):,} rows of {dim} "
                    f"have {dense:,} bytes dense and {_bytes(table, self.rank):,} at that rank; the largest rank that "
                    f"pays is {most}. {remedy}, or take method=int8."
                )
        return tables


def _bytes(table: FieldEmbedding, rank: int) -> int:
    """What is stored at a rank: int8 rows, their scales, and the projections."""
    projections = len(table.cardinalities) * rank * table.embedding_dim
    return int8_bytes(table.cardinalities, rank) + BYTES_PER_PARAMETER * projections


def _largest_rank(table: FieldEmbedding) -> int:
    dense = BYTES_PER_PARAMETER * table.weight.numel()
    return max((rank for rank in range(1, table.embedding_dim + 1) if _bytes(table, rank) < dense), default=0)
