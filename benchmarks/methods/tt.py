"""Tensor-train tables, trained as such and looked up row by row (Yin et al., TT-Rec, MLSys 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Workbench
from benchmarks.methods.tables import SmallTables, large_fields, tables_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.tensor_train import TTFieldEmbedding, TTShape, largest_rank

Rank = Annotated[int, Meta(ge=1)]
Cores = Annotated[int, Meta(ge=2, le=4)]


@dataclass(frozen=True)
class TT(SmallTables):
    """Large tables as tensor trains of `rank`, trained from scratch.

    Ids are numbered in no order that means anything, so the rows of a trained table have no low tensor rank (see tt_svd);
    cores that are trained find out themselves what ids with common digits can share.
    """

    rank: Rank = 16
    cores: Cores = 3

    def smaller(self, table: FieldEmbedding, large: Mapping[int, str]) -> nn.Module:
        ranks = ranks_of(table, large, self.rank, self.cores)
        return TTFieldEmbedding(table.cardinalities, table.embedding_dim, ranks, self.cores, table.std)

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        most = largest_rank_of_all(base, self.min_rows, self.cores, bench)
        return [replace(self, rank=rank, budget=None) for rank in range(1, most + 1)]


def largest_rank_of_all(base: nn.Module, min_rows: int, cores: int, bench: Workbench) -> int:
    """The largest rank at which every large field of every table that may be compressed becomes smaller."""
    return min(
        largest_rank(table.cardinalities[field], table.embedding_dim, cores)
        for table in tables_of(base, getattr(base, "keep_dense", ())).values()
        for field in large_fields(table, min_rows, bench)
    )


def ranks_of(table: FieldEmbedding, large: Mapping[int, str], rank: int, cores: int) -> list[int | None]:
    """`rank` for every large field, None for the others; raises BenchmarkError where it does not make a field smaller."""
    dim = table.embedding_dim
    for field, name in large.items():
        rows = table.cardinalities[field]
        most, params = largest_rank(rows, dim, cores), TTShape.of(rows, dim, rank, cores).params
        if params >= rows * dim:
            remedy = f"Type method.rank={most} or less" if most else "No rank makes it smaller"
            raise BenchmarkError(
                f"method.rank={rank} does not make the table of {name} smaller: it has {rows * dim:,} parameters dense and "
                f"{params:,} as a tensor train; the largest rank that pays is {most}. {remedy}, or leave it dense with "
                f"method.min_rows={rows + 1}."
            )
    return [rank if field in large else None for field in range(len(table.cardinalities))]
