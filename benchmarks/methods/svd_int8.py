"""Truncated SVD of tables with the rows left in int8: fewer numbers a row, and fewer bytes a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.methods.factorize import BYTES_PER_PARAMETER
from benchmarks.methods.tables import tables_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding, stored_bytes
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.models.lowrank.svd import svd_embedding


@dataclass(frozen=True)
class SVDInt8(Compress):
    """Rows z of `rank` int8 entries times a float projection, as `svd` of tables; other tables are rounded to int8.

    Fine-tuning moves the projections and whatever is no table.
    """

    rank: Annotated[int, Meta(ge=1)] = 4

    def check(self, bench: Workbench) -> None:
        for name, table in self._tables(bench.fresh()).items():
            if self._bytes(table, self.rank) >= stored_bytes(table.cardinalities, table.embedding_dim):
                bench.note(f"At rank {self.rank} {name} is no smaller than in plain int8 rows (method=int8).")

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        low = self._tables(network)
        for name, table in tables_of(network).items():
            if name not in low:
                replace_module(network, name, Int8FieldEmbedding.of(table))
                continue
            factors = svd_embedding(table).truncate(self.rank)
            replace_module(network, name, factors)
            replace_module(network, f"{name}.z", Int8FieldEmbedding.of(factors.z))
        return network

    def _tables(self, network: nn.Module) -> dict[str, FieldEmbedding]:
        """The tables to factorise; raises BenchmarkError where one would not become smaller."""
        tables = tables_of(network, getattr(network, "keep_dense", ()))
        for name, table in tables.items():
            dim = table.embedding_dim
            dense = BYTES_PER_PARAMETER * table.weight.numel()
            most = max((rank for rank in range(1, dim + 1) if self._bytes(table, rank) < dense), default=0)
            if self.rank > most:
                remedy = f"Type method.rank={most} or less" if most else "No rank makes it smaller"
                raise BenchmarkError(
                    f"method.rank={self.rank} does not make {name} smaller: its {sum(table.cardinalities):,} rows of {dim} "
                    f"have {dense:,} bytes dense and {self._bytes(table, self.rank):,} at that rank; the largest rank that "
                    f"pays is {most}. {remedy}, or take method=int8."
                )
        return tables

    @staticmethod
    def _bytes(table: FieldEmbedding, rank: int) -> int:
        """What is stored at a rank: int8 rows, their scales, and the projections."""
        projections = len(table.cardinalities) * rank * table.embedding_dim
        return stored_bytes(table.cardinalities, rank) + BYTES_PER_PARAMETER * projections
