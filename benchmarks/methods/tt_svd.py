"""A trained table cut to a tensor train: what the order of its ids costs, beside cores that were trained as such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import nn

from benchmarks.method import Compress, Workbench
from benchmarks.methods.budget import Budget, Sized
from benchmarks.methods.factorize import BYTES_PER_PARAMETER
from benchmarks.methods.tables import LARGE, MinRows, large_fields, tables_of
from benchmarks.methods.tt import Cores, Rank, largest_rank_of_all, ranks_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.models.lowrank.tensor_train import TTFieldEmbedding, TTShape
from benchmarks.models.size import stored_bytes


@dataclass(frozen=True)
class TTSVD(Compress, Sized):
    """Large tables by TT-SVD at `rank` (Oseledets, Tensor-Train Decomposition, SISC 2011), then fine-tuned."""

    rank: Rank = 16
    cores: Cores = 3
    min_rows: MinRows = LARGE
    budget: Budget | None = None

    def check(self, bench: Workbench) -> None:
        self._plan(bench.fresh(), bench)

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        for name, (table, ranks) in self._plan(network, bench).items():
            replace_module(network, name, TTFieldEmbedding.of(table, ranks, self.cores))
        return network

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        most = largest_rank_of_all(base, self.min_rows, self.cores, bench)
        return [replace(self, rank=rank, budget=None) for rank in range(1, most + 1)]

    def size(self, base: nn.Module, bench: Workbench) -> int:
        saved = 0
        for table, ranks in self._plan(base, bench).values():
            for rows, rank in zip(table.cardinalities, ranks, strict=True):
                if rank is not None:
                    saved += rows * table.embedding_dim - TTShape.of(rows, table.embedding_dim, rank, self.cores).params
        return stored_bytes(base) - BYTES_PER_PARAMETER * saved

    def _plan(self, network: nn.Module, bench: Workbench) -> dict[str, tuple[FieldEmbedding, list[int | None]]]:
        """Every table that may be compressed, with the rank of each of its fields; none where the budget holds all."""
        fitted = self.fitted(network, bench)
        if fitted is None:
            return {}
        return {
            name: (table, ranks_of(table, large_fields(table, self.min_rows, bench), fitted.rank, self.cores))
            for name, table in tables_of(network, getattr(network, "keep_dense", ())).items()
        }
