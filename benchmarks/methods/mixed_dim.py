"""Mixed dimensions: the more rows a field has, the shorter they are.

Ginart et al., Mixed Dimension Embeddings with Application to Memory-Efficient Recommendation Systems, ISIT 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Workbench
from benchmarks.methods.tables import SmallTables, tables_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.mixed import MixedFieldEmbedding

STEPS, HIGHEST = 100, 4
"""Temperatures that a budget chooses from; at the highest a field of twice `min_rows` has rows of one number in ten."""


@dataclass(frozen=True)
class MixedDim(SmallTables):
    """Rows of d (n / m)^-temperature numbers for a field of n rows, d those of a field of m = `min_rows` or fewer.

    The paper's rule, popularity taken to be one over the number of rows, with small fields left alone. A field whose rows
    and projection would not be smaller keeps all d. Trained from scratch.
    """

    temperature: Annotated[float, Meta(gt=0)] = 0.3

    def smaller(self, table: FieldEmbedding, large: Mapping[int, str]) -> nn.Module:
        dims = [
            self._dim(rows, table.embedding_dim) if field in large else table.embedding_dim
            for field, rows in enumerate(table.cardinalities)
        ]
        if all(dim == table.embedding_dim for dim in dims):
            raise BenchmarkError(
                f"method.temperature={self.temperature:g} leaves all rows of the table at {table.embedding_dim} numbers. Type a "
                "higher one, for example method.temperature=1, or a lower method.min_rows."
            )
        return MixedFieldEmbedding(table.cardinalities, table.embedding_dim, dims, table.std)

    def _dim(self, rows: int, dim: int) -> int:
        short = max(1, round(dim * (rows / self.min_rows) ** -self.temperature))
        return short if short * (rows + dim) < rows * dim else dim

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        tables = tables_of(base, getattr(base, "keep_dense", ())).values()
        rows = [
            (rows, table.embedding_dim) for table in tables for rows in table.cardinalities if rows >= self.min_rows
        ]
        levels = [replace(self, temperature=HIGHEST * k / STEPS, budget=None) for k in range(STEPS, 0, -1)]
        return [level for level in levels if any(level._dim(n, dim) < dim for n, dim in rows)]
