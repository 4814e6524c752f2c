"""Embedding rows of one byte an entry, for inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.factors import as_float64

LARGEST = 127
SCALE_BYTES = 4
Scales = Literal["row", "field"]


def cheaper_scales(embedding_dim: int) -> Scales:
    """A scale a row, except where it would cost more than the bytes that the row saves."""
    return "row" if embedding_dim + SCALE_BYTES < 4 * embedding_dim else "field"


def stored_bytes(cardinalities: Sequence[int], embedding_dim: int) -> int:
    """Bytes of int8 rows of these fields with the cheaper scales."""
    scales = sum(cardinalities) if cheaper_scales(embedding_dim) == "row" else len(cardinalities)
    return sum(cardinalities) * embedding_dim + SCALE_BYTES * scales


class Int8FieldEmbedding(nn.Module):
    """Field embeddings as int8 rows times a float scale: integer ids [b, F] -> [b, F, embedding_dim].

    `rows` is int8 [sum of cardinalities, embedding_dim]; `scale` is [sum of cardinalities, 1], or [F, 1] with scales="field".
    Only the rows of the batch are ever turned to floats. Both are buffers: nothing of it trains.
    """

    offsets: torch.Tensor
    rows: torch.Tensor
    scale: torch.Tensor

    def __init__(self, cardinalities: Sequence[int], embedding_dim: int, scales: Scales = "row") -> None:
        super().__init__()
        if scales not in ("row", "field"):
            raise BenchmarkError(f"Scales per '{scales}' are not possible. Give scales='row' or scales='field'.")
        self.cardinalities = tuple(int(rows) for rows in cardinalities)
        self.embedding_dim = embedding_dim
        self.scales = scales
        total = sum(self.cardinalities)
        starts = [0, *accumulate(self.cardinalities)][:-1]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.register_buffer("rows", torch.zeros(total, embedding_dim, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(total if scales == "row" else len(self.cardinalities), 1))

    @classmethod
    def of(cls, embedding: FieldEmbedding, scales: Scales | None = None) -> Int8FieldEmbedding:
        """The rows of a trained table, rounded: every entry errs by half a step of its scale at most.

        A step is the largest magnitude of the row (of the field) divided by 127. Without `scales` the cheaper is taken. A
        non-finite entry raises BenchmarkError.
        """
        scales = scales or cheaper_scales(embedding.embedding_dim)
        small = cls(embedding.cardinalities, embedding.embedding_dim, scales).to(embedding.weight)
        for field, table in enumerate(embedding.weight.split(embedding.cardinalities)):
            start = int(small.offsets[field])
            places = slice(start, start + len(table)) if scales == "row" else slice(field, field + 1)
            table = as_float64(table)
            largest = table.abs().amax(dim=1, keepdim=True) if scales == "row" else table.abs().max()
            step = torch.where(largest > 0, largest / LARGEST, 1.0)
            small.scale[places] = step.to(small.scale)
            # Divided by the scale as it is stored, so that its own rounding adds no error.
            whole = (table / small.scale[places].to(table)).round().clamp(-LARGEST, LARGEST)
            small.rows[start : start + len(table)] = whole.to(torch.int8)
        return small

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = ids + self.offsets
        scale = nn.functional.embedding(places, self.scale) if self.scales == "row" else self.scale
        return nn.functional.embedding(places, self.rows) * scale

    def tables(self) -> Iterator[nn.Parameter]:
        """Nothing: a regulariser has no hold on rows that do not train."""
        yield from ()

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "cardinalities": list(self.cardinalities),
            "embedding_dim": self.embedding_dim,
            "scales": self.scales,
        }
