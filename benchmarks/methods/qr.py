"""The quotient-remainder trick: as small as hashing, and every id has a row of its own.

Shi et al., Compositional Embeddings Using Complementary Partitions, KDD 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Workbench
from benchmarks.methods.tables import SmallTables, large_fields, tables_of
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.quotient import QRFieldEmbedding, quotient_rows


@dataclass(frozen=True)
class QR(SmallTables):
    """Remainder tables with a `share` of the rows of large ones, and the quotient tables that go with them.

    Trained from scratch, as a trained table is no product or sum of such parts.
    """

    share: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    operation: Literal["multiply", "add"] = "multiply"

    def smaller(self, table: FieldEmbedding, large: Mapping[int, str]) -> nn.Module:
        remainders = list(table.cardinalities)
        for field, name in large.items():
            remainders[field] = self._remainders(table.cardinalities[field], name)
        return QRFieldEmbedding(table.cardinalities, table.embedding_dim, remainders, self.operation, table.std)

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        fields = [
            table.cardinalities[field]
            for table in tables_of(base, getattr(base, "keep_dense", ())).values()
            for field in large_fields(table, self.min_rows, bench)
        ]
        # Below the square root of the rows, fewer remainders need more quotients than they save; far above it, nothing pays.
        shares = (k / 1000 for k in range(1, 1000))
        useful = [share for share in shares if share >= min(fields) ** -0.5 and share <= 1 - 4 / min(fields)]
        return [replace(self, share=share, budget=None) for share in useful]

    def _remainders(self, rows: int, name: str) -> int:
        """The remainder rows of a field, where these and the quotients are fewer than its rows."""
        remainders = max(1, int(self.share * rows))
        quotients = quotient_rows(rows, remainders)
        if remainders + quotients >= rows:
            least, most = math.ceil(1e4 * 2 / rows) / 1e4, math.floor(1e4 * (rows - 3) / rows) / 1e4
            raise BenchmarkError(
                f"method.share={self.share} does not make the table of {name} smaller: it has {rows:,} rows, its remainders "
                f"would have {remainders:,} and its quotients {quotients:,}. Shares from {least} to {most} pay; the smallest "
                f"tables come of {1 / math.sqrt(rows):.4f}."
            )
        return remainders
