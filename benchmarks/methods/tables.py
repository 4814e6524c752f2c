"""What the methods with smaller embedding tables share: which tables and fields, the replacement, and the size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Train, Workbench
from benchmarks.methods.budget import Budget, Sized
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.surgery import embedding_units, replace_module
from benchmarks.models.size import stored_bytes

MinRows = Annotated[int, Meta(ge=10)]
LARGE = 1000
"""Rows from which a table is worth compressing: smaller ones hold little of a network, and all of its accuracy."""


@dataclass(frozen=True)
class SmallTables(Train, Sized):
    """Trains the configured model with its large tables in a smaller form; the tables that it keeps dense stay as they are."""

    min_rows: MinRows = LARGE
    budget: Budget | None = None

    @abstractmethod
    def smaller(self, table: FieldEmbedding, large: Mapping[int, str]) -> nn.Module:
        """The fresh table in its smaller form; `large` are the fields that it is made for, with their names.

        Raises BenchmarkError where a field would not become smaller.
        """

    def build(self, bench: Workbench) -> nn.Module:
        network = bench.fresh()
        fitted = self.fitted(network, bench)
        if fitted is not None:
            for name, table in tables_of(network, getattr(network, "keep_dense", ())).items():
                large = large_fields(table, self.min_rows, bench)
                replace_module(network, name, fitted.smaller(table, large))
        return network

    def size(self, base: nn.Module, bench: Workbench) -> int:
        with torch.device("meta"):  # shapes alone: no table is allocated while sizes are tried
            return stored_bytes(self.build(bench))


def tables_of(network: nn.Module, keep_dense: tuple[str, ...] = ()) -> dict[str, FieldEmbedding]:
    """The embedding tables of a network that may be compressed; raises BenchmarkError where it has none."""
    tables = embedding_units(network, keep_dense)
    if not tables:
        raise BenchmarkError(
            f"The network has no embedding table that may be compressed: {type(network).__name__}. Type for example "
            "model=deepfm or model=dnn."
        )
    return tables


def large_fields(table: FieldEmbedding, min_rows: int, bench: Workbench) -> dict[int, str]:
    """The fields of `min_rows` rows or more, with their names; raises BenchmarkError where there is none."""
    names = bench.data.schema["fields"]
    large = {field: names[field] for field, rows in enumerate(table.cardinalities) if rows >= min_rows}
    if not large:
        rows, name = max(zip(table.cardinalities, names, strict=True))
        raise BenchmarkError(
            f"No field has method.min_rows={min_rows:,} rows or more: the largest, {name}, has {rows:,}. Type "
            f"method.min_rows={rows} or less, or take a larger data set."
        )
    return large
