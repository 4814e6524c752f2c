"""The hashing trick: ids share rows. The simplest small table, and hard to beat at equal size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta
from torch import nn

from benchmarks.method import Workbench
from benchmarks.methods.tables import SmallTables
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.hashing import HashFieldEmbedding


@dataclass(frozen=True)
class Hash(SmallTables):
    """Large tables keep a `share` of their rows, which their ids read in turn; trained from scratch.

    A trained table gives nothing to start from: the rows that would be merged belong to unrelated ids.
    """

    share: Annotated[float, Meta(gt=0, lt=1)] = 0.25

    def smaller(self, table: FieldEmbedding, large: Mapping[int, str]) -> nn.Module:
        buckets = [
            max(1, int(self.share * rows)) if field in large else rows for field, rows in enumerate(table.cardinalities)
        ]
        return HashFieldEmbedding(table.cardinalities, table.embedding_dim, buckets, table.std)

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        return [replace(self, share=k / 1000, budget=None) for k in range(1, 1000)]
