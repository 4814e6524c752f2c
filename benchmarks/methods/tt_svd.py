"""A trained table cut to a tensor train: what the order of its ids costs, beside cores that were trained as such."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.method import Compress, Workbench
from benchmarks.methods.tables import LARGE, MinRows, large_fields, tables_of
from benchmarks.methods.tt import Cores, Rank, ranks_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.models.lowrank.tensor_train import TTFieldEmbedding


@dataclass(frozen=True)
class TTSVD(Compress):
    """Large tables by TT-SVD at `rank` (Oseledets, Tensor-Train Decomposition, SISC 2011), then fine-tuned."""

    rank: Rank = 16
    cores: Cores = 3
    min_rows: MinRows = LARGE

    def check(self, bench: Workbench) -> None:
        self._plan(bench.fresh(), bench)

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        for name, (table, ranks) in self._plan(network, bench).items():
            replace_module(network, name, TTFieldEmbedding.of(table, ranks, self.cores))
        return network

    def _plan(self, network: nn.Module, bench: Workbench) -> dict[str, tuple[FieldEmbedding, list[int | None]]]:
        """Every table that may be compressed, with the rank of each of its fields."""
        return {
            name: (table, ranks_of(table, large_fields(table, self.min_rows, bench), self.rank, self.cores))
            for name, table in tables_of(network, getattr(network, "keep_dense", ())).items()
        }
